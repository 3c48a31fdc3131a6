"""Which chunks of wheels are still to be made, said as they come: nothing, where all were made
before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from coffee_boat._support.progress import Say, Tally
from coffee_boat._support.store import Store
from coffee_boat.model import Lock, Pin
from coffee_boat.pip import chunks as pip_chunks


class Packing:
    """The wheels of a lock."""

    def __init__(
        self,
        say: Say,
        wheels: Mapping[str, Path],
        lock: Lock,
        store: Store,
        more: Mapping[str, int] | None = None,
    ) -> None:
        """
        Args:
            wheels: pin's name -> its wheel.
            more: what else is being made: what it is called -> bytes.
        """
        missing = {
            wheels[pin.name].name: pin for pin in lock.pins if _lacks(pin, wheels, lock, store)
        }
        self._called = {name: _called(pin) for name, pin in missing.items()}
        sizes = {_called(pin): wheels[pin.name].stat().st_size for pin in missing.values()}
        sizes |= more or {}
        self._sizes = sizes
        self._tally = Tally(say, "packing", "package", sizes, weighs=False)
        for name in sizes:
            self._tally.begin(name)

    def settled(self, name: str) -> None:
        """What was made ahead, by the name of its wheel, is there, or will be made again."""
        self._end(self._called.get(name, name))

    def packed(self, pin: Pin) -> None:
        """Its chunk is there."""
        self._end(_called(pin))

    def _end(self, name: str) -> None:
        if name in self._sizes:
            self._tally.end(name)


def _lacks(pin: Pin, wheels: Mapping[str, Path], lock: Lock, store: Store) -> bool:
    wheel = wheels[pin.name]
    built = wheel if pin.kind != "wheel" else None
    return wheel.is_file() and (
        pip_chunks.recall_wheel(pin, lock.target, store, built=built, exclude=lock.exclude) is None
    )


def _called(pin: Pin) -> str:
    return pin.label
