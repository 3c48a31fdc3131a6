"""Which settings there are."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from coffee_boat._support import trust
from coffee_boat.errors import SettingsError
from coffee_boat.model import Finding
from coffee_boat.settings import excluded, values
from coffee_boat.settings.values import Said, Source


@dataclass(frozen=True)
class Key:
    """One setting."""

    read: Callable[[Said], Any]
    harmless: bool = False
    """Anybody's file may say it: whatever it says, nothing else is run, trusted or fetched from."""


KEYS: Mapping[str, Key] = {
    "store": Key(values.path),
    "python": Key(values.interpreter),
    "ship_python": Key(values.flag),
    "platform": Key(values.text, harmless=True),
    "install_local": Key(values.flag),
    "stage": Key(values.place),
    "node_store": Key(values.node_store),
    "exclude": Key(excluded.words),
    "bytecode": Key(values.bytecode, harmless=True),
    "preflight": Key(values.refusal, harmless=True),
    "untested_python": Key(values.refusal, harmless=True),
    "lock_max_age": Key(values.seconds, harmless=True),
    "class_data": Key(values.flag, harmless=True),
    "accept_conda_license": Key(values.flag),
    "constraints": Key(values.existing_files),
    "index_url": Key(values.url),
    "extra_index_urls": Key(values.urls),
    "find_links": Key(values.links),
    "no_index": Key(values.flag),
    "trusted_hosts": Key(values.texts),
    "cert": Key(values.file),
    "client_cert": Key(values.file),
    "proxy": Key(values.proxy),
    "timeout": Key(values.seconds, harmless=True),
    "no_binary": Key(values.names),
    "only_binary": Key(values.names),
    "prerelease": Key(values.flag),
    "torch_backend": Key(values.torch_backend),
    "offline": Key(values.flag),
}
"""Fields of Settings and of Indexes -> how they are read."""


def convert(key: str, source: Source, findings: list[Finding], environ: Mapping[str, str]) -> Any:
    """The value of a key as Settings or Indexes take it. Adds to `findings` what was left out.

    Raises:
        SettingsError: it is of a wrong type, names a file that is not there, or stands in a file
        that others may write.
    """
    said = Said(key, source.values[key], source, findings)
    if not KEYS[key].harmless:
        _refuse_strangers(said, environ)
    return KEYS[key].read(said)


def _refuse_strangers(said: Said, environ: Mapping[str, str]) -> None:
    """Raise for what stands in a file that was found, not named, and that others may write."""
    found = said.source.found_in(said.key)
    doubt = found and trust.doubt(found.path, owners=found.owners, environ=environ)
    if doubt:
        raise said.error(
            "settings.file-writable",
            "a setting that decides what is run stands in a file that others may write",
            cause=f"{doubt.why}; such settings are taken from your own files and root's",
            cure=(
                f"say it yourself: Captain({said.key}=...) or"
                f" COFFEE_BOAT_{said.key.upper()}=...; or {doubt.cure}"
            ),
        )


def refuse_unknown(names: Iterable[str], label: str) -> None:
    """Raise SettingsError for a key that does not exist, with the nearest that does."""
    for name in names:
        if name not in KEYS:
            raise SettingsError(
                "settings.unknown-setting",
                "a setting does not exist",
                value=f"{name} ({label})",
                cure=nearest(name),
            )


def nearest_variable(key: str) -> str:
    """The cure for a variable that names no setting, by what would be its key."""
    near = difflib.get_close_matches(key, KEYS, n=1)
    known = near or sorted(KEYS)
    names = ", ".join(f"COFFEE_BOAT_{name.upper()}" for name in known)
    return f"did you mean {names}?" if near else f"known are: {names}"


def nearest(name: str) -> str:
    """The cure for a key that does not exist."""
    near = difflib.get_close_matches(name, KEYS, n=1)
    return f"did you mean {near[0]}?" if near else f"known are: {', '.join(sorted(KEYS))}"
