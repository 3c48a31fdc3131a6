"""Modules that executors have and the driver has not: what an import of one says here.

A result whose class the driver lacks fails while it is unpickled, in a frame of pyspark's, with
Python's own words only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from coffee_boat.model import Finding
from coffee_boat.worker import finder

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

_OFF = "install_local=False keeps the packages off the driver"
_THERE = "the driver has its own packages, and what of the others goes with them"


class Hints:
    """A meta-path finder that finds nothing; it stands last on sys.meta_path, once it has a hint
    to give.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def add(self, texts: Mapping[str, str]) -> None:
        """Say these where a module at the top, the key, is imported and nobody has it."""
        self._texts |= texts
        if self._texts and self not in sys.meta_path:
            sys.meta_path.append(self)

    def close(self) -> None:
        """Say nothing any more."""
        self._texts.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: object = None, _: object = None) -> ModuleSpec | None:
        """None; importlib.util.find_spec and the like get that as from any finder.

        Raises:
            ModuleNotFoundError: an import statement or an unpickler asked for a module that is on
                executors only.
        """
        text = self._texts.get(name) if path is None else None
        if text is not None and finder.is_import():
            raise ModuleNotFoundError(f"No module named {name!r}\n{text}", name=name)
        return None


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
