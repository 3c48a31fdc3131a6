"""Modules of other distributions that a package would bring to the driver, where libraries import
them by themselves.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from coffee_boat.archive import unasked


def of(tree: Path, package: str, path: Sequence[str]) -> Iterator[str]:
    """Those that the driver has not itself, and would so find in the package.

    Args:
        tree: the package's site-packages, or its wheel.
        package: its name, normalized.
        path: entries of sys.path where the driver's own modules are.
    """
    yield from _protocols(tree)
    names = list(_top_level(tree if tree.is_dir() else zipfile.Path(tree)))
    brought = {*unasked.foreign(names, package), *unasked.of_standard_library(names, package)}
    yield from (one for one in sorted(brought) if not _has(one, path))


def _protocols(tree: Path) -> Iterator[str]:
    """Protocols of fsspec that it would take over: fsspec reads in the metadata of all that is
    installed who serves `s3://`, and believes it more than its own list.
    """
    from importlib.metadata import distributions

    try:
        said = [
            entry
            for found in distributions(path=[str(tree)])
            for entry in found.entry_points
            if entry.group == "fsspec.specs"
        ]
    except (TypeError, ValueError):
        yield "entry points that cannot be read"
        return
    if not said:
        return
    from fsspec.registry import known_implementations

    for entry in said:
        known = known_implementations.get(entry.name)
        if known is not None and _root(known["class"]) != _root(entry.value):
            yield f"fsspec's {entry.name}://"


def _root(place: str) -> str:
    return place.partition(":")[0].partition(".")[0].strip()


def _top_level(tree: Path | zipfile.Path) -> Iterator[str]:
    """Names in a folder and in its folders, those of folders with a slash at the end."""
    for entry in tree.iterdir():
        if not entry.is_dir():
            yield entry.name
            continue
        yield f"{entry.name}/"
        for inner in entry.iterdir():
            yield f"{entry.name}/{inner.name}{'/' if inner.is_dir() else ''}"


def _has(module: str, path: Sequence[str]) -> bool:
    """True if Python finds a module, dotted, in these entries before any that come later; nothing
    is imported for that.
    """
    parts, places = module.split("."), list(path)
    if parts[0] in sys.builtin_module_names:
        return True
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), places)
        if spec is None:
            return False
        if spec.loader is not None:
            return True  # of a package with an __init__, no other folder is looked into
        places = list(spec.submodule_search_locations or ())
    return False
