"""What of this process's sys.path is ours."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from coffee_boat.model import Finding


@dataclass(frozen=True, eq=False)
class DriverView:
    """What was put on sys.path."""

    entries: tuple[str, ...]
    """Exactly the entries that are ours, in order; another view may hold the same ones."""
    findings: tuple[Finding, ...] = ()
    """What was left out, and why."""
    trees: tuple[str, ...] = ()
    """The site-packages of single distributions that are seen through the entries."""
    later: tuple[str, ...] = ()
    """Names of distributions that fit, and are not unpacked yet."""
    metadata_only: bool = False
    """The entries have no module, only metadata of what is not unpacked yet."""

    def close(self) -> None:
        """Take these entries off sys.path again, but for those that another view holds.

        Modules that were imported from them stay loaded.
        """
        with _HOLDING:
            for entry in self.entries:
                holders = HOLDERS.get(entry, set())
                if holders == {self}:
                    del HOLDERS[entry]
                    if entry in sys.path:
                        sys.path.remove(entry)
                holders.discard(self)
        importlib.invalidate_caches()


HOLDERS: dict[str, set[DriverView]] = {}
"""The views of this process that need an entry of sys.path; what is not in here is not ours."""
_HOLDING = threading.Lock()


def with_modules() -> list[str]:
    """sys.path without our entries that have metadata only."""
    return [
        entry
        for entry in sys.path
        if not any(view.metadata_only for view in HOLDERS.get(entry, ()))
    ]


def trees_on_path() -> list[str]:
    """The same, with the trees of single distributions in place of our entries that join them."""
    return [
        tree
        for entry in with_modules()
        for tree in next((v.trees for v in HOLDERS.get(entry, ()) if v.trees), (entry,))
    ]


def hold(
    folders: Iterable[str],
    findings: Iterable[Finding] = (),
    trees: Iterable[str] = (),
    later: Iterable[str] = (),
    *,
    metadata_only: bool = False,
) -> DriverView:
    """Put folders at the end of sys.path, but for those that are there without us."""
    with _HOLDING:
        here = {entry for entry in sys.path if entry not in HOLDERS}
        wanted = tuple(dict.fromkeys(folder for folder in folders if folder not in here))
        view = DriverView(wanted, tuple(findings), tuple(trees), tuple(later), metadata_only)
        for entry in view.entries:
            HOLDERS.setdefault(entry, set()).add(view)
        sys.path.extend([entry for entry in view.entries if entry not in sys.path])
    importlib.invalidate_caches()
    return view


def show_code(folders: Mapping[str, Path]) -> DriverView:
    """Let the driver import a person's own code where it lies, after all that it has: never a
    copy, which would be an older one after the next edit.

    Args:
        folders: module -> the folder that it is imported from.
    """
    from importlib.machinery import PathFinder

    wanted, told = [], []
    for name, folder in folders.items():
        found = PathFinder.find_spec(name)
        if found is None or (found.origin is None and found.submodule_search_locations is None):
            wanted.append(str(folder))
        elif found.origin and not Path(found.origin).resolve().is_relative_to(folder.resolve()):
            told.append(_elsewhere(name, found.origin, folder))
    return hold(wanted, told)


def _elsewhere(name: str, here: str, folder: Path) -> Finding:
    return Finding(
        "driver.other-module",
        "the driver imports another module than the executors",
        value=f"{name}: {here} here, that of {folder} there",
        cause="it stands before it on sys.path",
        cure="take the other one off sys.path, or uninstall it",
    )
