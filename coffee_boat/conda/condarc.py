"""conda's own configuration, as far as it says where packages come from and how they are fetched.

https://docs.conda.io/projects/conda/en/stable/user-guide/configuration/: the search path below is
conda's SEARCH_PATH, weakest first; within a folder `condarc.d` the files stand in the order of
their names; CONDA_* variables beat every file. Lists are joined, the stronger first, maps by their
keys, all else is the strongest's. `#!final` behind a key or value lets nothing stronger change it,
`#!top` and `#!bottom` move a value of a list: these are comments, so the reader is one that keeps
them (ruamel.yaml, which conda uses too).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coffee_boat._support import files, limits, parse, quoting, trust
from coffee_boat._support import home as _support_home
from coffee_boat._support.redact import redact
from coffee_boat.conda import configuration
from coffee_boat.conda.configuration import Configuration
from coffee_boat.errors import SettingsError
from coffee_boat.settings import Settings

_SYSTEM = (
    "/etc/conda/.condarc",
    "/etc/conda/condarc",
    "/etc/conda/condarc.d",
    "/var/lib/conda/.condarc",
    "/var/lib/conda/condarc",
    "/var/lib/conda/condarc.d",
)
_NAMES = (".condarc", "condarc", "condarc.d")
_LISTS = ("channels", "default_channels", "allowlist_channels", "denylist_channels")
_MAPS = ("custom_channels", "custom_multichannels", "proxy_servers")
_SINGLE = ("channel_alias", "channel_priority", "ssl_verify", "offline", "remote_max_retries")
_ALIASES = {
    "channel": "channels",
    "verify_ssl": "ssl_verify",
    "whitelist_channels": "allowlist_channels",
}
_PRIORITIES = {
    "strict": "strict",
    "flexible": "flexible",
    "true": "flexible",
    "disabled": "disabled",
    "false": "disabled",
}
_YES, _NO = {"1", "true", "yes", "on", "y"}, {"0", "false", "no", "off", "n", ""}


@dataclass(frozen=True)
class _Said:
    """One value, where it was said, and the flags behind it."""

    value: Any
    place: str
    flags: Mapping[object, str]
    """Of the key (under None) and of each value: "final", "top", "bottom"."""


def load(environ: Mapping[str, str]) -> Configuration:
    """What conda would use.

    Args:
        environ: the environment; HOME, XDG_CONFIG_HOME, CONDARC and CONDA_* matter.

    Raises:
        SettingsError: a file is there and cannot be read, says what cannot be, or may be written by
        others. RequirementError: a file is there, and the library that reads it is not installed.
    """
    paths = [path for path in _files(environ) if files.is_file(path)]
    said = [*(_believed(path, environ) for path in paths), _variables(environ)]
    values = {
        key: [table[key] for table in said if key in table] for key in (*_LISTS, *_MAPS, *_SINGLE)
    }
    single = {key: _strongest(found) for key, found in values.items() if key in _SINGLE}
    maps = {key: _map(found) for key, found in values.items() if key in _MAPS}
    return Configuration(
        channels=_list(values["channels"], environ),
        default_channels=_list(values["default_channels"], environ)
        or configuration.ANACONDAS_DEFAULTS,
        channel_alias=_alias(single["channel_alias"], environ),
        custom_channels={
            name: _text(said, environ) for name, said in maps["custom_channels"].items()
        },
        custom_multichannels={
            name: _list([said], environ) for name, said in maps["custom_multichannels"].items()
        },
        allowlist=_list(values["allowlist_channels"], environ),
        denylist=_list(values["denylist_channels"], environ),
        channel_priority=_priority(single["channel_priority"]),  # type: ignore[arg-type]
        proxy_servers={
            name: _text(said, environ) for name, said in maps["proxy_servers"].items() if said.value
        },
        ssl_verify=_verify(single["ssl_verify"], environ),
        retries=_number(single["remote_max_retries"], default=3),
        offline=_flag(single["offline"], default=False),
        overrides={
            name.removeprefix("CONDA_OVERRIDE_").lower(): value
            for name, value in sorted(environ.items())
            if name.startswith("CONDA_OVERRIDE_")
        },
        files=tuple(str(path) for path in reversed(paths)),
    )


# where


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Weakest first; what stands in two places counts once."""
    seen: set[str] = set()
    for path in _candidates(environ):
        found = sorted(path.glob("*.y*ml")) if path.name == "condarc.d" else [path]
        for file in found:
            if os.path.realpath(file) not in seen:
                seen.add(os.path.realpath(file))
                yield file


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    yield from map(Path, _SYSTEM)
    home, config = _support_home.folder(environ), _support_home.config(environ)
    folders = [
        _root(environ),
        config and config / "conda",
        home and home / ".config" / "conda",
        home and home / ".conda",
    ]
    for folder in folders:
        yield from (folder / name for name in _NAMES) if folder else ()
    if home:
        yield home / ".condarc"
    if environ.get("CONDA_PREFIX"):
        yield from (Path(environ["CONDA_PREFIX"], name) for name in _NAMES)
    if environ.get("CONDARC"):
        yield _support_home.expanded(environ["CONDARC"])


def _root(environ: Mapping[str, str]) -> Path | None:
    """Where conda itself is installed; an active environment knows conda's own program."""
    if environ.get("CONDA_ROOT"):
        return Path(environ["CONDA_ROOT"])
    return Path(environ["CONDA_EXE"]).parent.parent if environ.get("CONDA_EXE") else None


# reading


def _believed(path: Path, environ: Mapping[str, str]) -> dict[str, _Said]:
    """What a file says; SettingsError if others may write it and nobody named it.

    Whoever owns an environment that is active may run code as the user anyway."""
    said = _file(path)
    if not said or (environ.get("CONDARC") and path == _support_home.expanded(environ["CONDARC"])):
        return said
    owners = [
        uid
        for folder in (_root(environ), Path(environ.get("CONDA_PREFIX") or os.devnull))
        if folder and path.is_relative_to(folder) and (uid := trust.owner(folder)) is not None
    ]
    doubt = trust.doubt(path.absolute(), owners=owners, environ=environ)
    if doubt is not None:
        raise SettingsError(
            "settings.conda-file-writable",
            "conda's configuration stands in a file that others may write",
            value=f"{path}: {', '.join(sorted(said))}",
            cause=f"{doubt.why}; such settings are taken from your own files and root's",
            cure=f"name it if you mean it: export CONDARC={path}; or {doubt.cure}",
        )
    return said


def _file(path: Path) -> dict[str, _Said]:
    try:
        table = parse.yaml(limits.read_text(path, limits.CONFIGURATION, "utf-8-sig"), "rt")
    except (OSError, ValueError) as error:
        raise SettingsError(
            "settings.conda-file-unreadable",
            "a configuration file of conda cannot be read",
            value=str(path),
            cause=quoting.where(error),
            cure="mend it, or take it away",
        ) from None
    if not isinstance(table, dict):
        if table is None:
            return {}
        raise SettingsError(
            "settings.conda-file-malformed",
            "a configuration file of conda is not a list of keys",
            value=str(path),
            cure="write it like `channels: [conda-forge]`",
        )
    flags = _comments(table)
    return {
        key: _Said(value, f"{path}: {name}", {None: flags.get(name, ""), **_comments(value)})
        for name, value in table.items()
        if (key := _ALIASES.get(str(name), str(name))) in (*_LISTS, *_MAPS, *_SINGLE)
        and value is not None
    }


def _comments(value: Any) -> dict[object, str]:
    """Key or position -> the flag behind it."""
    items = getattr(getattr(value, "ca", None), "items", {})
    words = {
        key: " ".join(str(token.value) for token in tokens if hasattr(token, "value"))
        for key, tokens in items.items()
        if tokens
    }
    found = {key: re.match(r"\s*#\s*!\s*(final|top|bottom)\b", text) for key, text in words.items()}
    return {key: match[1] for key, match in found.items() if match}


def _variables(environ: Mapping[str, str]) -> dict[str, _Said]:
    found: dict[str, _Said] = {}
    for key in (*_ALIASES, *_LISTS, *_SINGLE):
        name = f"CONDA_{key.upper()}"
        if environ.get(name, "").strip():
            text = environ[name].strip()
            meant = _ALIASES.get(key, key)
            found[meant] = _Said(
                (
                    [part.strip() for part in text.split(",") if part.strip()]
                    if meant in _LISTS
                    else text
                ),
                name,
                {},
            )
    return found


# joining; `found` is weakest first


def _until_final(found: Sequence[_Said]) -> Sequence[_Said]:
    last = next(
        (number for number, said in enumerate(found) if said.flags.get(None) == "final"), len(found)
    )
    return found[: last + 1]


def _strongest(found: Sequence[_Said]) -> _Said | None:
    return _until_final(found)[-1] if found else None


def _list(found: Sequence[_Said], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Stronger first; `#!top` before and `#!bottom` behind all others, the weaker ones outside: an
    administrator's stay where they were put.
    """
    top: list[str] = []
    middle: list[str] = []
    bottom: list[str] = []
    for said in reversed(_until_final(found)):
        values = _texts(said, environ)
        flags = [said.flags.get(number, "") for number in range(len(values))]
        top[:0] = [value for value, flag in zip(values, flags, strict=True) if flag == "top"]
        middle += [
            value
            for value, flag in zip(values, flags, strict=True)
            if flag not in ("top", "bottom")
        ]
        bottom += [value for value, flag in zip(values, flags, strict=True) if flag == "bottom"]
    return tuple(
        dict.fromkeys([*top, *[value for value in middle if value not in bottom], *bottom])
    )


def _map(found: Sequence[_Said]) -> dict[str, _Said]:
    joined: dict[str, _Said] = {}
    final: set[str] = set()
    for said in _until_final(found):
        if not isinstance(said.value, Mapping):
            raise _wrong(said, "a map of names")
        for name, value in said.value.items():
            if name not in final:
                joined[str(name)] = _Said(value, f"{said.place}.{name}", _comments(value))
        final |= {
            str(name) for name, flag in said.flags.items() if flag == "final" and name is not None
        }
    return joined


# values


def _wrong(said: _Said, expected: str) -> SettingsError:
    return SettingsError(
        "settings.conda-value-invalid",
        "a value in conda's configuration cannot be used",
        value=redact(f"{said.place} = {said.value!r}"),
        cause=f"it takes {expected}",
        cure=f"give {expected}",
    )


def _texts(said: _Said, environ: Mapping[str, str]) -> list[str]:
    values = said.value if isinstance(said.value, (list, tuple)) else [said.value]
    if not all(isinstance(value, str) for value in values):
        raise _wrong(said, "a list of texts")
    return [_expanded(value, environ) for value in values]


def _text(said: _Said, environ: Mapping[str, str]) -> str:
    if not isinstance(said.value, str):
        raise _wrong(said, "a text")
    return _expanded(said.value, environ)


def _expanded(text: str, environ: Mapping[str, str]) -> str:
    """With `$NAME` and `${NAME}` replaced; names that are not set stay, as with conda."""
    return re.sub(
        r"\$(?:(\w+)|\{(\w+)\})",
        lambda found: environ.get(found[1] or found[2], found[0]),
        str(text),
    ).strip()


def _alias(said: _Said | None, environ: Mapping[str, str]) -> str:
    alias = _text(said, environ) if said else ""
    if said and alias and "://" not in alias:
        raise _wrong(said, "a URL with its scheme")
    return alias.rstrip("/") or configuration.ALIAS


def _priority(said: _Said | None) -> str:
    if said is None:
        return "strict"
    word = str(said.value).strip().lower()
    if word not in _PRIORITIES:
        raise _wrong(said, "strict, flexible or disabled")
    return _PRIORITIES[word]


def _flag(said: _Said | None, *, default: bool) -> bool:
    if said is None:
        return default
    word = str(said.value).strip().lower()
    if word not in _YES | _NO:
        raise _wrong(said, "true or false")
    return word in _YES


def _number(said: _Said | None, *, default: int) -> int:
    if said is None:
        return default
    if not re.fullmatch(r"\d{1,3}", str(said.value).strip()):
        raise _wrong(said, "a number that is not below 0")
    return int(said.value)


def _verify(said: _Said | None, environ: Mapping[str, str]) -> bool | str:
    """`truststore` is the machine's own store, which rattler takes anyway."""
    if said is None or str(said.value).strip().lower() == "truststore":
        return True
    word = str(said.value).strip().lower()
    return word in _YES if word in _YES | _NO else str(_support_home.expanded(_text(said, environ)))


def configured(settings: Settings, *, environ: Mapping[str, str] | None = None) -> Configuration:
    """What conda's own configuration says (.condarc, CONDA_*), with what the settings say over it.

    Read when it is needed: pip alone needs none of it.

    Raises:
        SettingsError: a file of it cannot be read, or says what cannot be.
        RequirementError: there is one, and the library that reads it is not installed.
    """

    said = load(os.environ if environ is None else environ)
    proxy, cert = settings.indexes.proxy, settings.indexes.cert
    return replace(
        said,
        offline=said.offline or settings.indexes.offline,
        proxy_servers=said.proxy_servers or ({"http": proxy, "https": proxy} if proxy else {}),
        ssl_verify=cert if cert and said.ssl_verify is True else said.ssl_verify,
    )
