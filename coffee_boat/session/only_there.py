"""Modules that executors have and the driver has not: what an import of one says here, or brings.

A result whose class the driver lacks fails while it is unpickled, in a frame of pyspark's, with
Python's own words only.

What waits for an import is there for who asks: libraries look with importlib.util.find_spec and
importlib.metadata.version for others that they can use (transformers for torch), once in a process.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

from coffee_boat.errors import BoatError
from coffee_boat.model import Finding
from coffee_boat.worker import finder

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_OFF = "install_local=False keeps the packages off the driver"
_THERE = "the driver has its own packages, and what of the others goes with them"


class Hints:
    """A meta-path finder; it stands last on sys.meta_path, once it has a hint to give. Safe in
    threads.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._brings: dict[str, Callable[[str], object]] = {}
        self._wheels: tuple[str, ...] = ()
        self._came: frozenset[str] = frozenset()
        """Modules that were brought: another thread may have looked for one before it was there."""
        self._bringing = threading.RLock()

    def add(self, texts: Mapping[str, str]) -> None:
        """Say these where a module at the top, the key, is imported and nobody has it."""
        self._texts |= texts
        if self._texts and self not in sys.meta_path:
            sys.meta_path.append(self)

    def bring(
        self,
        modules: Iterable[str],
        unpack: Callable[[str], object],
        wheels: Iterable[str] = (),
    ) -> None:
        """Have modules put on sys.path when they are first imported; from now on these only.

        Args:
            modules: dotted names.
            unpack: does it for one of them; an import that needs it fails with what it raises.
            wheels: what they are in, for their metadata, unless sys.path has that.
        """
        before = self._brings.keys()
        self._brings, self._wheels = dict.fromkeys(modules, unpack), tuple(wheels)
        self._came |= before - self._brings.keys()
        if self._brings and self not in sys.meta_path:
            sys.meta_path.append(self)

    def close(self) -> None:
        """Say nothing any more."""
        self._texts.clear()
        self._brings, self._wheels, self._came = {}, (), frozenset()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: object = None, _: object = None) -> ModuleSpec | None:
        """Of what waits for an import; importlib.util.find_spec and the like unpack nothing.

        A folder that many distributions share may be there by another one: what is below it is
        looked for here, too.

        Raises:
            ModuleNotFoundError: an import statement or an unpickler asked for a module that is on
                executors only.
            ImportError: it cannot be unpacked.
        """
        importing = finder.is_import()
        if name in self._brings:
            if not importing:
                return ModuleSpec(name, _Waiting(self))
            found = self.brought(name)
        else:
            found = _on_path(name) if name in self._came else None
        if found is None and importing and path is None and name in self._texts:
            raise ModuleNotFoundError(f"No module named {name!r}\n{self._texts[name]}", name=name)
        return found

    def find_distributions(self, context: object = None) -> Iterable[Distribution]:
        """What waits for an import, as its wheels say it; nothing where somebody looks into folders
        of their own.
        """
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        if context is not None and "path" in vars(context):
            return ()
        name = getattr(context, "name", None)
        asked = DistributionFinder.Context(name=name, path=list(self._wheels))
        return MetadataPathFinder.find_distributions(asked)

    def brought(self, name: str) -> ModuleSpec | None:
        """A module, unpacked.

        Raises:
            ImportError: it cannot be.
        """
        with self._bringing:  # another thread that imports it waits
            unpack = self._brings.get(name)
            if unpack is not None:
                try:
                    unpack(name)
                except (BoatError, OSError) as error:
                    raise ImportError(
                        f"{name} cannot be unpacked here: {error}", name=name
                    ) from error
        return _on_path(name)


def _on_path(name: str) -> ModuleSpec | None:
    """As an import finds it now; what is in a package, by that package."""
    parent = name.rpartition(".")[0]
    if not parent:
        return PathFinder.find_spec(name)
    path = getattr(sys.modules.get(parent), "__path__", None)
    return None if path is None else PathFinder.find_spec(name, path)


class _Waiting(Loader):
    """Loads a module that is unpacked for that."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._loader: Loader | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The spec is that of the unpacked module from here on.

        Raises:
            ImportError: it cannot be unpacked, or was taken away meanwhile.
        """
        found = self._hints.brought(spec.name)
        if found is None:
            raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)
        for part in ("loader", "origin", "submodule_search_locations", "cached", "has_location"):
            setattr(spec, part, getattr(found, part))
        self._loader = found.loader
        return None if found.loader is None else found.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """For who took this loader from the spec before; a folder without __init__ runs nothing."""
        if self._loader is not None:
            self._loader.exec_module(module)


def text(label: str, findings: Iterable[Finding], *, install_local: bool) -> str:
    """What is said of one distribution's modules.

    Args:
        label: its name and version, as findings have it.
        findings: of what was left out on the driver, and why.
    """
    name, _, version = label.partition(" ")
    why, cure = (_THERE if install_local else _OFF), f'pip install "{name}=={version}"'
    for found in findings:
        if found.code == "driver.package-missing" and found.value == label:
            why, cure = found.cause, found.cure
    return (
        f"  {label} is on the executors, not on the driver: {why}. Either:\n"
        "    let functions return plain values:  numbers, lists, dicts, numpy arrays\n"
        f"    or have it on the driver, too:      {cure}"
    )
