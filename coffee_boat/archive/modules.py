"""Modules that two packages bring, each by another file: Python takes one, and says nothing.

Python looks for a package (a folder with __init__), then for an extension module, a source file,
bytecode. Namespace packages (folders without __init__) may be of many.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from coffee_boat.model import Finding, Target

_SHOWN = 3


def shadowed(listings: Sequence[tuple[str, Iterable[str]]], target: Target) -> Iterator[Finding]:
    """Modules that one package hides from another: `x.py` beside `x/__init__.py`, say.

    Args:
        listings: each package's label, and the names of its files, relative to the archive's root.
    """
    pairs: dict[tuple[int, int, int], list[str]] = defaultdict(list)
    for module, owners in _owners(listings, target).items():
        for (first, early), (second, late) in combinations(sorted(owners.items()), 2):
            taken = min({*early, *late})
            if (taken in early) != (taken in late):
                pairs[first, second, first if taken in early else second].append(module)
    for (first, second, winner), names in sorted(pairs.items()):
        others = f", + {len(names) - _SHOWN} others" if len(names) > _SHOWN else ""
        yield Finding(
            "build.module-shadowed",
            "two packages bring the same module in different files",
            value=(
                f"{listings[first][0]} and {listings[second][0]}:"
                f" {', '.join(sorted(names)[:_SHOWN])}{others}"
            ),
            cause=f"the module of {listings[winner][0]} is what Python imports",
            cure="leave one of them out if something does not work",
        )


_Files = set[tuple[int, str]]
"""Of one module: (rank, file); Python takes the least."""


def _owners(
    listings: Sequence[tuple[str, Iterable[str]]], target: Target
) -> Mapping[str, Mapping[int, _Files]]:
    suffixes = _suffixes(target)
    owners: dict[str, dict[int, _Files]] = defaultdict(lambda: defaultdict(set))
    for number, (_, names) in enumerate(listings):
        for name in names:
            found = _module(name, target.site_packages, suffixes)
            if found is not None:
                module, rank = found
                owners[module][number].add((rank, name))
    return owners


def _suffixes(target: Target) -> re.Pattern[str]:
    """Of extension modules as this Python names them, in its order; then of source, of bytecode."""
    nodot = target.minor.replace(".", "")
    return re.compile(rf"(\.cpython-{nodot}t?-[\w-]+\.so)|(\.abi3t?\.so)|(\.so)|(\.py)|(\.pyc)")


def _module(name: str, site: str, suffixes: re.Pattern[str]) -> tuple[str, int] | None:
    """The module that a file is, dotted, and its rank among files of that module."""
    if not name.startswith(site):
        return None
    *folders, last = name.removeprefix(site).split("/")
    stem, dot, rest = last.partition(".")
    kind = suffixes.fullmatch(dot + rest)
    parts = [*folders, stem]
    if kind is None or "__pycache__" in folders or not all(map(str.isidentifier, parts)):
        return None
    rank = kind.lastindex or 0
    if stem == "__init__":
        return ".".join(folders), rank
    return ".".join(parts), 10 + rank


def tops(names: Iterable[str], target: Target) -> frozenset[str]:
    """The modules that an import statement begins with, of those that are in files: not the
    folders that many packages share.
    """
    return frozenset(module for module in _modules(names, target) if "." not in module)


def importable(names: Iterable[str], target: Target) -> frozenset[str]:
    """All modules in files, and the folders that lead to them: dotted names."""
    found: set[str] = set()
    for module in _modules(names, target):
        while module and module not in found:
            found.add(module)
            module = module.rpartition(".")[0]  # noqa: PLW2901
    return frozenset(found)


def _modules(names: Iterable[str], target: Target) -> set[str]:
    suffixes = _suffixes(target)
    found = (_module(name, target.site_packages, suffixes) for name in names)
    return {module for one in found if one is not None for module in one[:1]}


def roots(names: Iterable[str], target: Target) -> frozenset[str]:
    """What an import statement may begin with, also where many packages share a folder."""
    site = target.site_packages
    return frozenset(
        name.removeprefix(site).partition("/")[0].partition(".")[0]
        for name in names
        if name.startswith(site)
    )
