"""All that a captain made importable in this process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from coffee_boat._support.store import Store
from coffee_boat.model import Finding, Lock
from coffee_boat.session import driver
from coffee_boat.session.one_tree import carry_over
from coffee_boat.session.only_there import Hints
from coffee_boat.session.sys_path import DriverView, show_code


class Views:
    """All that a captain put on sys.path of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: list[DriverView] = []
        self.hints = Hints()
        """What is said of modules that are on executors only."""

    @property
    def entries(self) -> tuple[str, ...]:
        """What was added and not taken off again, in order."""
        return tuple(entry for view in self._open for entry in view.entries)

    def board(self, lock: Lock, trees: Mapping[str, Path]) -> tuple[Finding, ...]:
        """As `driver.board`, together with what it gave before; gives what was left out, and
        why.
        """
        before = [view for view in self._open if view.trees]
        known = [tree for view in before for tree in view.trees]
        view = driver.board(lock, trees, self._store, known)
        self._open.append(view)
        for entry in view.entries if view.trees else ():
            carry_over([old for one in before for old in one.entries if old != entry], entry)
        for one in before:
            self._open.remove(one)
            one.close()
        return view.findings

    def show_code(self, folders: Mapping[str, Path]) -> tuple[Finding, ...]:
        """As `sys_path.show_code`; gives what is imported from elsewhere."""
        view = show_code(folders)
        self._open += [view] if view.entries else []
        return view.findings

    def loaded(self, names: Mapping[str, str]) -> tuple[Finding, ...]:
        """What is said of packages that this process has imported from here, and that executors
        have no more in that version.

        Args:
            names: normalized name -> the version that goes.
        """
        from importlib.metadata import distributions

        tops: dict[str, str] = {}
        for distribution in distributions(path=list(self.entries)):
            name = driver.normal(distribution.metadata["Name"] or "")
            if name in names:
                files = [str(file) for file in distribution.files or ()]
                tops |= {file.partition("/")[0].partition(".")[0]: name for file in files}
        stale = sorted({name for module, name in tops.items() if module in sys.modules})
        if not stale:
            return ()
        return (
            Finding(
                "driver.imported-before",
                "the driver goes on with what it has imported",
                value=", ".join(f"{name} {names[name]}" for name in stale),
                cause="Python imports a module once in a process",
                cure="restart the kernel where the driver needs the change, too",
                severity="note",
            ),
        )

    def close(self) -> None:
        """Take all of it off sys.path again."""
        self.hints.close()
        while self._open:
            self._open.pop().close()
