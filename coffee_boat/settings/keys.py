"""Which settings there are."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from coffee_boat.errors import SettingsError
from coffee_boat.model import Finding
from coffee_boat.settings import values
from coffee_boat.settings.values import Said, Source

KEYS: Mapping[str, Callable[[Said], Any]] = {
    "store": values.path,
    "python": values.interpreter,
    "ship_python": values.flag,
    "platform": values.text,
    "install_local": values.flag,
    "stage": values.place,
    "bytecode": values.bytecode,
    "preflight": values.refusal,
    "untested_python": values.refusal,
    "lock_max_age": values.seconds,
    "accept_conda_license": values.flag,
    "constraints": values.files,
    "index_url": values.url,
    "extra_index_urls": values.urls,
    "find_links": values.links,
    "no_index": values.flag,
    "trusted_hosts": values.texts,
    "cert": values.file,
    "client_cert": values.file,
    "proxy": values.proxy,
    "timeout": values.seconds,
    "no_binary": values.names,
    "only_binary": values.names,
    "prerelease": values.flag,
    "offline": values.flag,
}
"""Fields of Settings and of Indexes -> how they are read."""


def convert(key: str, source: Source, findings: list[Finding]) -> Any:
    """The value of a key as Settings or Indexes take it. Adds to `findings` what was left out.

    Raises:
        SettingsError: it is of a wrong type, or names a file that is not there.
    """
    return KEYS[key](Said(key, source.values[key], source, findings))


def refuse_unknown(names: Iterable[str], label: str) -> None:
    """Raise SettingsError for a key that does not exist, with the nearest that does."""
    for name in names:
        if name not in KEYS:
            raise SettingsError(
                "a setting does not exist", value=f"{name} ({label})", cure=nearest(name)
            )


def nearest(name: str) -> str:
    """The cure for a key that does not exist."""
    near = difflib.get_close_matches(name, KEYS, n=1)
    return f"did you mean {near[0]}?" if near else f"known are: {', '.join(sorted(KEYS))}"
