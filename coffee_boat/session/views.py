"""All that a captain made importable in this process."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from coffee_boat._support.store import Store
from coffee_boat.model import Finding, Lock
from coffee_boat.session import driver, metadata_only, only_there
from coffee_boat.session.one_tree import carry_over
from coffee_boat.session.only_there import Hints
from coffee_boat.session.sys_path import DriverView, hold, show_code


@dataclass(frozen=True)
class Later:
    """A large distribution that is unpacked when this process imports it."""

    wheel: Path
    modules: frozenset[str]
    """At the top."""
    unpack: Callable[[], Path]
    """Gives the folder with its site-packages."""
    importable: frozenset[str] = frozenset()
    """Dotted names of all its modules, and of the folders that lead to them: other distributions,
    which are here already, may have the same folders.
    """

    @property
    def names(self) -> frozenset[str]:
        """What an import may ask for."""
        return self.modules | self.importable


class Views:
    """All that a captain put on sys.path of this process. Safe in threads: an import in one may
    bring what waits for it while another adds packages.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changing = threading.RLock()
        """Held while what is open changes. Who holds it imports nothing that we bring, and unpacks
        nothing: the thread that imports holds Python's lock of that module.
        """
        self._open: list[DriverView] = []
        self._later: dict[str, Later] = {}
        self._told_of = DriverView(())
        """The metadata of what waits for an import."""
        self.hints = Hints()
        """What is said of modules that are on executors only."""
        self.incomplete = False
        """Something could not be made importable: with the next change all of it is tried."""

    @property
    def entries(self) -> tuple[str, ...]:
        """What was added and not taken off again, in order."""
        return tuple(entry for view in list(self._open) for entry in view.entries)

    def board(
        self,
        lock: Lock,
        trees: Mapping[str, Path],
        later: Mapping[str, Later] = MappingProxyType({}),
    ) -> tuple[Finding, ...]:
        """As `driver.board`, together with what it gave before; gives what was left out, and
        why.

        Args:
            later: normalized name -> what is unpacked when a module of it is imported.
        """
        with self._changing:
            self._later = {**self._later, **later}
            wheels = {name: one.wheel for name, one in self._later.items() if name not in trees}
            before = [view for view in self._open if view.trees]
            known = [tree for view in before for tree in view.trees]
            view = driver.board(lock, trees, self._store, known, wheels)
            self._open.append(view)
            self._wait_for(lock, view.later)
            for entry in view.entries if view.trees else ():
                carry_over([old for one in before for old in one.entries if old != entry], entry)
            for one in before:
                self._open.remove(one)
                one.close()
            return view.findings

    def _wait_for(self, lock: Lock, names: Iterable[str]) -> None:
        self._later = {name: self._later[name] for name in names}
        wheels = {one.wheel: one.modules for one in self._later.values()}
        before, entries = self._told_of, metadata_only.folder(wheels, self._store)
        self._told_of = hold(entries, metadata_only=True)
        before.close()
        self.hints.bring(
            {name for one in self._later.values() for name in one.names},
            partial(self.unpack_later, lock),
            [] if entries else map(str, wheels),
        )

    @property
    def later(self) -> Set[str]:
        """Names of the distributions that are unpacked when they are imported."""
        return self._later.keys()

    def unpack_later(self, lock: Lock, module: str) -> None:
        """Put on sys.path what waits for the import of a module, and what that needs, as far as
        that is known.

        Raises:
            BuildError, StoreError: it cannot be unpacked.
        """
        while waiting := self._needed(lock, module):
            trees = {name: one.unpack() for name, one in waiting.items()}
            with self._changing:  # what another thread unpacked, closed or replaced is not for us
                now = self._later
                if still := {n: trees[n] for n in trees if now.get(n) is waiting[n]}:
                    told = self.board(lock, still)
                    self.hints.add(dict(_left_out(lock, waiting, told)))

    def _needed(self, lock: Lock, module: str) -> dict[str, Later]:
        """Of what waits: who brings the module, and what these need."""
        later = self._later
        requires = {pin.name: pin.requires for pin in lock.pins}
        found, new = set[str](), {name for name, one in later.items() if module in one.names}
        if new and not any(requires.values()):  # of a lock file that does not tell it
            return later
        while new:
            found |= new
            new = {need for name in new for need in requires.get(name, ())} - found
        return {name: one for name, one in later.items() if name in found}

    def show_code(self, folders: Mapping[str, Path]) -> tuple[Finding, ...]:
        """As `sys_path.show_code`; gives what is imported from elsewhere."""
        with self._changing:
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
        with self._changing:
            self.hints.close()
            self._later = {}
            self._told_of.close()
            while self._open:
                self._open.pop().close()


def _left_out(
    lock: Lock, waiting: Mapping[str, Later], told: Sequence[Finding]
) -> Iterator[tuple[str, str]]:
    """What is said of modules whose distribution did not fit any more when it was unpacked."""
    labels = {pin.name: pin.label for pin in lock.pins}
    missing = {found.value for found in told if found.code == "driver.package-missing"}
    for name, one in waiting.items():
        if labels.get(name) in missing:
            text = only_there.text(labels[name], told, install_local=True)
            yield from ((module, text) for module in one.modules)
