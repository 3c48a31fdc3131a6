"""Manifests without what is taken back: by its name, or by its place where it has none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from coffee_boat._support.redact import redact
from coffee_boat.errors import RequirementError
from coffee_boat.model import CondaRequirement, Manifest, Requirement
from coffee_boat.requirements import places, single

_ORIGIN = "forget"


def without(
    manifests: Iterable[Manifest], names: Iterable[str], known: Mapping[str, str]
) -> list[Manifest]:
    """See `coffee_boat.requirements.without`."""
    parts = list(manifests)
    wanted = {name: _spellings(name) for name in names}
    pip = {r: _of_pip(r, known) for part in parts for r in part.requirements}
    conda = {r: _of_conda(r) for part in parts for r in part.conda}
    asked = set[str]().union(*pip.values(), *conda.values())
    strange = [name for name, said in wanted.items() if not said & asked]
    if strange:
        shown = {*(r.name or r.text for r in pip), *(r.name for r in conda)}
        raise RequirementError(
            "requirements.not-asked-for",
            "not asked for, so it cannot be taken back",
            value=", ".join(name or repr(name) for name in strange),
            cause=f"asked for: {', '.join(sorted(shown)) or 'nothing'}",
            cure="check the spelling; what has no name is given as it was written",
        )
    gone = set[str]().union(*wanted.values())
    return [
        replace(
            part,
            requirements=tuple(r for r in part.requirements if not pip[r] & gone),
            conda=tuple(r for r in part.conda if not conda[r] & gone),
        )
        for part in parts
    ]


# the spellings of what was asked for


def _of_conda(requirement: CondaRequirement) -> set[str]:
    return {str(canonicalize_name(requirement.name))}


def _of_pip(requirement: Requirement, known: Mapping[str, str]) -> set[str]:
    """Its name, else that of its build if it is known; its place, also without credentials."""
    name, place = requirement.name or known.get(requirement.url, ""), requirement.url
    return {name, place, redact(place), requirement.text, redact(requirement.text)} - {""}


# what one text may mean


def _spellings(written: str) -> set[str]:
    """The name, or the place; one on this machine may be gone."""
    said = {str(canonicalize_name(written)), written.strip()}
    try:
        read = single.parse(written, origin=_ORIGIN)
    except RequirementError:
        if single.names_a_place(written, Path()):
            said.add(_path(written).as_uri())
    else:
        said |= {read.url, read.text}
    return said - {""}


def _path(written: str) -> Path:
    return places.located(
        places.Source(place=written, origin=_ORIGIN, folder=Path.cwd(), written=written)
    )
