"""The places where settings are said, strongest first."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from coffee_boat._support import files, quoting, trust, uv
from coffee_boat.errors import SettingsError
from coffee_boat.model import Finding
from coffee_boat.settings import keys, pipconf, uvconf
from coffee_boat.settings.values import Found, Source

_PREFIX = "COFFEE_BOAT_"
UV = "uv's configuration"
"""The label of what uv reads itself, too."""
_INDEX_KEYS = ("index_url", "extra_index_urls", "no_index")


def all_of(
    arguments: Mapping[str, object], *, folder: Path, environ: Mapping[str, str]
) -> tuple[list[Source], list[Finding]]:
    """Every place that says something, strongest first, and what was odd.

    Raises:
        SettingsError: a file cannot be read, or has a key that does not exist.
    """
    findings: list[Finding] = []
    places = [
        _arguments(arguments, folder),
        _variables(environ, folder, findings),
        *_project(folder, environ, findings),
        *_user(environ),
        *_uv_says(environ, folder),
        _pip(environ, folder, findings),
    ]
    return places, findings


def toml(path: Path) -> dict[str, Any]:
    """A TOML file; SettingsError if it cannot be read."""
    from coffee_boat._support import limits, parse

    try:
        return parse.toml(limits.read_text(path, limits.PROJECT, "utf-8-sig"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            "settings.file-unreadable",
            "a configuration file cannot be read",
            value=str(path),
            cause=quoting.where(error),
            cure="mend the line that the cause names, or take the file away",
        ) from None


def _arguments(arguments: Mapping[str, object], folder: Path) -> Source:
    keys.refuse_unknown(arguments, "argument")
    return Source(
        "argument", folder, {key: value for key, value in arguments.items() if value is not None}
    )


def _variables(environ: Mapping[str, str], folder: Path, findings: list[Finding]) -> Source:
    said = _said(environ)
    values: dict[str, object] = {key: value for key, value in said.items() if key in keys.KEYS}
    findings += misspelt(environ)
    return Source(
        "variable",
        folder,
        values,
        textual=True,
        places={key: f"{_PREFIX}{key.upper()}" for key in values},
    )


def _said(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in sorted(environ.items())
        if name.startswith(_PREFIX) and value.strip() and name != trust.VARIABLE
    }


def misspelt(environ: Mapping[str, str]) -> list[Finding]:
    """Variables of ours that name no setting."""
    return [
        Finding(
            "settings.unknown-variable",
            "a variable names no setting",
            value=f"{_PREFIX}{key.upper()}",
            cause="it is passed over",
            cure=keys.nearest_variable(key),
        )
        for key in _said(environ)
        if key not in keys.KEYS
    ]


def _project(folder: Path, environ: Mapping[str, str], findings: list[Finding]) -> Iterator[Source]:
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        if not os.path.lexists(path):
            continue
        doubt = trust.doubt(path, environ=environ)
        try:
            source = _of_project(path)
        except SettingsError as error:
            if doubt is None:
                raise
            findings.append(_passed_over(path, doubt, error))
            continue
        if source is not None:
            yield source
            if doubt is None:  # a stranger's does not hide ours above it
                return


def _of_project(path: Path) -> Source | None:
    said = _tool_table(path) if files.is_file(path) else None
    if said is None:
        return None
    return _from_table(f"{path}: [tool.coffee_boat]", path, said, of_project=True)


def _passed_over(path: Path, doubt: trust.Doubt, error: SettingsError) -> Finding:
    """Anybody could stop everybody who works below a shared folder."""
    return Finding(
        "settings.strange-file-passed-over",
        "a file of settings that others may write cannot be read, and is passed over",
        value=str(path),
        cause=f"{doubt.why}; {error.cause or error.what}",
        cure=f"work in another folder; or {doubt.cure}",
    )


def _tool_table(path: Path) -> dict[str, Any] | None:
    tool = toml(path).get("tool", {})
    said = (
        next((tool[name] for name in ("coffee_boat", "coffee-boat") if name in tool), None)
        if isinstance(tool, dict)
        else None
    )
    if said is not None and not isinstance(said, dict):
        raise SettingsError(
            "settings.not-a-table",
            "[tool.coffee_boat] is not a table",
            value=str(path),
            cure=(
                "write [tool.coffee_boat] on a line of its own, and below it lines like python ="
                ' "3.11"'
            ),
        )
    return said


def _user(environ: Mapping[str, str]) -> Iterator[Source]:
    path = _user_file(environ)
    if path is not None and files.is_file(path):
        yield _from_table(str(path), path, toml(path))


def _user_file(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("XDG_CONFIG_HOME")
    if named and sys.platform != "darwin":
        return Path(named, "coffee_boat", "config.toml")
    import platformdirs

    try:
        return Path(
            platformdirs.user_config_dir("coffee_boat", appauthor=False), "config.toml"
        ).expanduser()
    except (
        RuntimeError
    ):  # a user without a home has no file; older versions of platformdirs leave the "~"
        return None


def _from_table(
    label: str, path: Path, table: Mapping[str, object], *, of_project: bool = False
) -> Source:
    """Keys may be written with dashes, as in uv's and pip's own files."""
    values: dict[str, object] = {}
    for name, value in table.items():
        key = name.replace("-", "_")
        keys.refuse_unknown([key], label)
        if key in values:
            raise SettingsError(
                "settings.set-twice",
                "a setting is set twice in one place",
                value=f"{key} ({label})",
                cause="dashes and underscores are the same",
                cure="keep one of them",
            )
        values[key] = value
    return Source(label, path.parent, values, file=Found(path), of_project=of_project)


def _uv_says(environ: Mapping[str, str], folder: Path) -> Iterator[Source]:
    uv.refuse_strangers(folder, environ)
    if environ.get("UV_OFFLINE"):
        yield Source(
            "variable",
            folder,
            {"offline": environ["UV_OFFLINE"]},
            textual=True,
            places={"offline": "UV_OFFLINE"},
        )
    yield from _uv_on_builds(uvconf.projects_builds(environ, folder, toml), folder, True)
    said = uvconf.builds_said(environ, toml)
    by_pip = pipconf.read(environ) if said else {}
    for key in said.keys() & by_pip.keys():  # each of the two tools keeps its promise
        names, place = said[key]
        said[key] = (
            [*names, *by_pip[key][0].replace(",", " ").split()],
            f"{place}, {by_pip[key][1]}",
        )
    yield from _uv_on_builds(said, folder, False)


def _uv_on_builds(
    said: Mapping[str, tuple[list[str], str]], folder: Path, of_project: bool
) -> Iterator[Source]:
    if said:
        yield Source(
            UV,
            folder,
            {key: names for key, (names, _) in said.items()},
            places={key: place for key, (_, place) in said.items()},
            of_project=of_project,
        )


def _pip(environ: Mapping[str, str], folder: Path, findings: list[Finding]) -> Source:
    """What pip is told, without what uv is told itself."""
    said = pipconf.read(environ)
    _yield_to_uv(said, _INDEX_KEYS, uvconf.index_said(environ, folder, toml), findings)
    _yield_to_uv(said, ("find_links",), uvconf.find_links_said(environ, folder, toml), findings)
    values = {key: text for key, (text, *_) in said.items()}
    return Source(
        "pip's configuration",
        folder,
        values,
        textual=True,
        forgiving=True,
        places={key: place for key, (_, place, _) in said.items()},
        files={key: found for key, (_, _, found) in said.items() if found is not None},
    )


def _yield_to_uv(
    said: dict[str, pipconf.Option], names: tuple[str, ...], by_uv: str, findings: list[Finding]
) -> None:
    for name in names if by_uv else ():
        if name in said:
            _, place, _ = said.pop(name)
            findings.append(
                Finding(
                    "settings.pip-setting-ignored",
                    "a setting of pip is left aside",
                    value=place,
                    cause=f"uv's own setting is stronger: {by_uv}",
                    cure="set one of them only",
                    severity="note",
                )
            )
