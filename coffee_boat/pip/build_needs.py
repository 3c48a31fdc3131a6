"""What uv's configuration adds to a build, for sources that do not say their own name.

`uv build` knows a source by the name in [project]. One without, as with a setup.py alone, gets
nothing of extra-build-dependencies: what is configured for it is written into the copy that is
built.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name

from coffee_boat._support import parse, uv
from coffee_boat.errors import BuildError
from coffee_boat.model import Pin

_LEGACY = {"requires": ["setuptools>=40.8.0"], "build-backend": "setuptools.build_meta:__legacy__"}
"""Of a source without [build-system] (PEP 517)."""


class Added(NamedTuple):
    """What is configured for the build of a source."""

    requirement: str
    matches: bool = False
    """Of the version that is installed, which uv alone knows (`match-runtime`)."""


def configured(pin: Pin) -> list[Added]:
    """What uv's configuration adds for a source."""
    return [*dict.fromkeys(_configured(pin.name))] if pin.name else []


def _configured(name: str) -> Iterator[Added]:
    for table in uv.configuration():
        for places in (table, table.get("pip")):
            added = places.get("extra-build-dependencies") if isinstance(places, dict) else None
            for package, wanted in added.items() if isinstance(added, dict) else ():
                if canonicalize_name(package) == name and isinstance(wanted, list):
                    yield from (_added(one) for one in wanted)


def _added(said: object) -> Added:
    """As uv takes it: a text, or a table; what it refuses is left to its own words."""
    if not isinstance(said, dict):
        return Added(str(said))
    return Added(str(said.get("requirement", "")), said.get("match-runtime") is True)


def write(wanted: Sequence[Added], project: Path) -> None:
    """Put them into the pyproject.toml of a copy, unless it names itself: then uv adds them. What
    uv cannot read is left to its own words.

    Raises:
        BuildError: one is to be of the version that is installed.
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
        for one in wanted:
            _refuse_match(one)
        system = {**system, "requires": [*requires, *(one.requirement for one in wanted)]}
        file.unlink(missing_ok=True)  # a link may lead out of the copy
        file.write_text(tomli_w.dumps({**said, "build-system": system}), "utf-8")


def _refuse_match(one: Added) -> None:
    if one.matches:
        raise BuildError(
            "build.match-runtime",
            "a source without a name of its own cannot be built with what is installed",
            value=f"{one.requirement}, match-runtime = true",
            cause="uv knows which version is installed, and gives it only to sources whose"
            " pyproject.toml has [project] with a name",
            cure=f"say the version in extra-build-dependencies: {one.requirement}==..., without"
            " match-runtime",
        )
