"""The driver's view of what is aboard: importable here too, after the driver's own packages, with
nothing installed.

What the driver has itself stays as it is. A package from the ship that does not fit the driver's
own versions is left out, and a Finding names both.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from coffee_boat._support.store import Store
from coffee_boat.archive import unasked
from coffee_boat.model import CondaPin, Finding, Lock
from coffee_boat.session import lookalikes
from coffee_boat.session.one_tree import joined
from coffee_boat.session.sys_path import (
    HOLDERS,
    DriverView,
    hold,
    trees_on_path,
    with_modules,
)

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement


_FIELD = re.compile(r"^(Name|Version):[ \t]*(\S+)", re.MULTILINE)
"""Each stands once in the core metadata, on a line of its own; of two the first counts, as for
importlib.metadata.
"""


_FOR_INSTALLERS = frozenset({"pip", "setuptools", "wheel"})
"""Packages name them for what builds or compiles at run time: torch needs setuptools for its
compiler alone, and a virtual environment has an old one, or none.
"""


def installed(path: Sequence[str] | None = None) -> dict[str, str]:
    """The driver's own distributions: normalized name -> version.

    The first on sys.path wins; broken metadata is passed over.

    Args:
        path: looked at instead of sys.path; of that what is not unpacked yet does not count.
    """
    from importlib.metadata import distributions

    found: dict[str, str] = {}
    for distribution in distributions(path=list(with_modules() if path is None else path)):
        with suppress(OSError, ValueError):
            name, version = _name_and_version(distribution)
            if name and version:
                found.setdefault(normal(name), version)
    return found


def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    """From the head of its metadata.

    importlib.metadata parses the whole, description and all, for each of the two: a second for a
    few hundred packages.
    """
    text = next(filter(None, map(distribution.read_text, ("METADATA", "PKG-INFO", ""))), "")
    fields = dict(reversed(_FIELD.findall(text.partition("\n\n")[0])))
    return fields.get("Name", ""), fields.get("Version", "")


def lacking(lock: Lock) -> Lock:
    """What the driver has in no version of its own, and could import: of conda's packages those
    that are modules only.

    What another captain made importable is not the driver's own: it goes with that one.
    """
    own = installed([entry for entry in sys.path if entry not in HOLDERS])
    pins = tuple(pin for pin in lock.pins if pin.name not in own and pin.kind != "local")
    return Lock(
        lock.target,
        pins,
        conda=tuple(
            pin
            for pin in lock.conda
            if pin.noarch_python and _distributions(pin).keys() - own.keys()
        ),
        exclude=lock.exclude,
    )


def board(
    lock: Lock,
    trees: Mapping[str, Path],
    store: Store,
    before: Sequence[str] = (),
    later: Mapping[str, Path] = MappingProxyType({}),
) -> DriverView:
    """Put what the driver lacks on sys.path, after all that is its own, as one folder.

    Args:
        trees: normalized name -> a folder with that wheel's site-packages.
        store: where that folder is made.
        before: trees that it is to have besides, and that were judged when they came.
        later: normalized name -> a wheel that is judged as the others are, and not unpacked.

    Raises:
        StoreError: the store's disk is full.
    """
    folders = {name: str(tree) for name, tree in trees.items()}
    own = installed([tree for tree in trees_on_path() if tree not in folders.values()])
    path = [entry for entry in sys.path if entry not in {*folders.values(), *HOLDERS}]
    brought_by = _packages(lock)
    offered = {
        name: _Offer.read(name, tree, brought_by.get(name, name), path)
        for name, tree in sorted({**trees, **later}.items())
        if name not in own
    }
    taken, findings = _fitting(offered, own)
    told = (*_other_versions(lock, own), *_native(lock, own), *findings)
    theirs = {entry for entry in sys.path if entry not in HOLDERS}
    wanted = dict.fromkeys([*before, *(folders[name] for name in taken if name in folders)])
    seen = tuple(tree for tree in wanted if tree not in theirs)
    return hold(joined(seen, store), told, seen, [name for name in taken if name in later])


@dataclass(frozen=True)
class _Offer:
    """What a wheel says of itself, as far as it matters here."""

    name: str
    version: str
    requires: tuple[Requirement, ...]
    tags: tuple[str, ...]
    unasked: tuple[str, ...] = ()
    """Modules of others that libraries of the driver would import from it by themselves."""

    @classmethod
    def read(cls, name: str, tree: Path, package: str, path: Sequence[str]) -> _Offer:
        """From the one .dist-info in a wheel's site-packages, or in the wheel.

        Args:
            package: what brings it: a conda package may be called otherwise.
            path: where the driver's own modules are.
        """
        from importlib.metadata import Distribution

        distribution = next(iter(Distribution.discover(name=name, path=[str(tree)])))
        wheel = (distribution.read_text("WHEEL") or "").splitlines()
        return cls(
            name,
            distribution.version,
            tuple(_requirements(distribution.requires or [])),
            tuple(filter(_is_tag, (line[4:].strip() for line in wheel if line[:4] == "Tag:"))),
            tuple(lookalikes.of(tree, package, path)),
        )

    def needs(self, extra: str) -> Iterator[Requirement]:
        """What it needs in this environment, with one of its extras ("" for none)."""
        return (r for r in self.requires if _holds(r, extra))

    @property
    def runs_here(self) -> bool:
        """True if one of its tags (PEP 425) is one of this interpreter's; a wheel without tags is
        given the benefit of the doubt.
        """
        from packaging.tags import parse_tag, sys_tags

        return not self.tags or not {
            tag for text in self.tags for tag in parse_tag(text)
        }.isdisjoint(sys_tags())


def _is_tag(text: str) -> bool:
    return text.count("-") == 2 and all(text.split("-"))


def _holds(requirement: Requirement, extra: str) -> bool:
    """True also of a marker that cannot be evaluated: such a wheel was built long ago, or by
    hand.
    """
    try:
        return requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    except ValueError:
        return True


def _requirements(texts: Sequence[str]) -> Iterator[Requirement]:
    """Those that can be read; some old wheels have others, which pip refused or passed over when it
    resolved.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    for text in texts:
        with suppress(InvalidRequirement):
            yield Requirement(text)


def _packages(lock: Lock) -> dict[str, str]:
    """Distribution -> the conda package that brings it, normalized."""
    return {name: normal(pin.name) for pin in lock.conda for name in _distributions(pin)}


def _fitting(
    offered: Mapping[str, _Offer], own: Mapping[str, str]
) -> tuple[list[str], list[Finding]]:
    """Names that can be taken, and why the others cannot.

    Leaving one out may leave out those that need it: until nothing changes.
    """
    taken = dict(offered)
    findings: dict[str, Finding] = {}
    changed = True
    while changed:
        troubles = {
            name: trouble
            for name, offer in taken.items()
            if (trouble := _trouble(offer, taken, own)) is not None
        }
        findings |= troubles
        taken = {name: offer for name, offer in taken.items() if name not in troubles}
        changed = bool(troubles)
    return list(taken), [findings[name] for name in sorted(findings)]


def _trouble(offer: _Offer, taken: Mapping[str, _Offer], own: Mapping[str, str]) -> Finding | None:
    """The first reason why it cannot be imported here."""
    if not offer.runs_here:
        return _left_out(
            offer,
            f"it is for {', '.join(offer.tags)}, and the driver is another platform or Python",
            f"pip install {offer.name}=={offer.version} for the driver, or use it in functions that"
            " run on executors only",
        )
    if offer.unasked:
        return _left_out(
            offer,
            f"it brings {', '.join(offer.unasked[:3])}: {unasked.whose(offer.unasked)}",
            f"use it in functions that run on executors only; if you trust it: pip install"
            f" {offer.name} for the driver",
        )
    for need in _all_needs(offer, taken):
        name = normal(need.name)
        if name in _FOR_INSTALLERS:
            continue
        have = own.get(name) or (taken[name].version if name in taken else None)
        if have is None:
            return _left_out(
                offer,
                f"it needs {_plain(need)}, which the driver cannot have",
                f"pip install {_quoted(need)} for the driver",
            )
        if not _meets(have, need):
            return _left_out(
                offer,
                f"it needs {_plain(need)}, the driver has {name} {have}",
                f"pip install {_quoted(need)} for the driver, or"
                f' captain.add_pip_packages("{name}=={have}")',
            )
    return None


def _all_needs(
    offer: _Offer,
    taken: Mapping[str, _Offer],
    extra: str = "",
    met: frozenset[tuple[str, str]] = frozenset(),
) -> Iterator[Requirement]:
    """What it needs, and what the extras need that it asks of others: an extra is no distribution
    that could be left out by itself.
    """
    for need in offer.needs(extra):
        yield need
        other = taken.get(normal(need.name))
        for asked in sorted(need.extras) if other else ():
            if other and (other.name, asked) not in met:
                yield from _all_needs(other, taken, asked, met | {(other.name, asked)})


def _meets(version: str, need: Requirement) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return need.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:  # a vendor's own numbering: nothing can be said against it
        return True


def normal(name: str) -> str:
    """A distribution's name, normalized (PEP 503)."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def _left_out(offer: _Offer, cause: str, cure: str) -> Finding:
    return Finding(
        "driver.package-missing",
        "a package is on the executors only",
        value=f"{offer.name} {offer.version}",
        cause=cause,
        cure=cure,
    )


def _plain(need: Requirement) -> str:
    return f"{need.name}{need.specifier}"


def _quoted(need: Requirement) -> str:
    return f'"{_plain(need)}"' if need.specifier else need.name


def _other_versions(lock: Lock, own: Mapping[str, str]) -> Iterator[Finding]:
    there = {
        pin.name: (pin.version, "add_pip_packages") for pin in lock.pins if pin.kind != "local"
    }
    there |= {
        name: (version, "add_conda_packages")
        for pin in lock.conda
        for name, version in _distributions(pin).items()
    }
    for name, (version, ask) in there.items():
        have = own.get(name)
        if have is not None and have != version:
            yield Finding(
                "driver.other-version",
                "the driver has another version than the executors",
                value=f"{name}: {have} here, {version} there",
                cause="what is pickled on one side may not load on the other",
                cure=f'pip install "{name}=={version}" for the driver, or'
                f' captain.{ask}("{name}=={have}")',
            )


def _native(lock: Lock, own: Mapping[str, str]) -> Iterator[Finding]:
    """Conda's packages with libraries, which load what lies in their environment only."""
    names = sorted(
        name
        for pin in lock.conda
        if pin.requested and not pin.noarch_python
        for name in _distributions(pin)
        if name not in own and name != "python"
    )
    if names:
        yield Finding(
            "driver.conda-packages-missing",
            "conda packages are on the executors only",
            value=", ".join(names),
            cause="their libraries are found in conda's own environment, which is not the driver's",
            cure="import them inside of functions; where the driver needs them: pip install"
            f" {' '.join(names)}",
            severity="note",
        )


def brings(pin: CondaPin) -> Set[str]:
    """The normalized names of the distributions in a conda package, as far as that is known."""
    return _distributions(pin).keys()


def _distributions(pin: CondaPin) -> dict[str, str]:
    """Normalized name -> version of what a conda package has, as far as that is known."""
    return {name: version for name, _, version in (said.partition("==") for said in pin.provides)}
