"""What uv's configuration adds to a build, for sources that do not say their own name.

`uv build` knows a source by the name in [project]. One without, as with a setup.py alone, gets
nothing of extra-build-dependencies: what is configured for it is written into the copy that is
built.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from coffee_boat._support import parse, uv
from coffee_boat.model import Pin

_LEGACY = {"requires": ["setuptools>=40.8.0"], "build-backend": "setuptools.build_meta:__legacy__"}
"""Of a source without [build-system] (PEP 517)."""


def configured(pin: Pin) -> list[str]:
    """The requirements that uv's configuration adds for a source."""
    return [*dict.fromkeys(_configured(pin.name))] if pin.name else []


def _configured(name: str) -> Iterator[str]:
    for table in uv.configuration():
        for places in (table, table.get("pip", {})):
            for package, wanted in places.get("extra-build-dependencies", {}).items():
                if canonicalize_name(package) == name:
                    yield from (
                        one if isinstance(one, str) else one["requirement"] for one in wanted
                    )


def write(wanted: list[str], project: Path) -> None:
    """Put them into the pyproject.toml of a copy, unless it names itself: then uv adds them. What
    uv cannot read is left to its own words.
    """
    import tomli_w

    file = project / "pyproject.toml"
    try:
        said = parse.toml(file.read_text("utf-8")) if file.is_file() else {}
    except ValueError:
        return
    named, system = said.get("project", {}), said.get("build-system", _LEGACY)
    if not isinstance(named, dict) or "name" in named or not isinstance(system, dict):
        return
    requires = system.get("requires")
    if isinstance(requires, list):
        system = {**system, "requires": [*requires, *wanted]}
        file.unlink(missing_ok=True)  # a link may lead out of the copy
        file.write_text(tomli_w.dumps({**said, "build-system": system}), "utf-8")
