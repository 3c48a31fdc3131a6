"""What it would take to make an archive; looks at the store and makes nothing."""

from __future__ import annotations

from coffee_boat.conda import chunks as conda_chunks
from coffee_boat.errors import BuildError
from coffee_boat.interpreter import copy, pyspark
from coffee_boat.model import Change, Chunk, CondaPin, Lock, Pin, PlanItem, Target
from coffee_boat.pip import chunks as pip_chunks
from coffee_boat.pip import fetch as pip_fetch
from coffee_boat.workflow import changes, machines
from coffee_boat.workflow.target import Executors

_SECONDS_A_SOURCE = 15.0
_SECONDS_A_FETCHED_BYTE = 1 / 20_000_000
_SECONDS_A_PACKED_BYTE = 1 / 60_000_000
"""Estimates for a plan: 20 MB/s from an index, 60 MB/s through one core; the first is a guess at
the network.
"""


class Estimates(Executors):
    """What it would take; makes nothing."""

    def change(self, lock: Lock, installed: Lock | None) -> Change:
        """What a lock makes of a session that has something installed, as far as it is known.

        Args:
            installed: None for a session that starts.
        """

        def fits(pin: CondaPin) -> bool | None:
            packed = conda_chunks.recall_package(pin, lock.target, self._store)
            if packed is None:
                return None
            return conda_chunks.fits_a_layer(packed, lock.target, self._store)

        return changes.plan(installed, lock, fits)

    def items(self, change: Change) -> tuple[PlanItem, ...]:
        """One line a part of what is sent; looks at the store and makes nothing.

        Raises:
            BuildError: executors could not run it.
        """
        packed = self.packed(change.sent)
        machines.refuse_newer_glibc(
            ((chunk.label, chunk.floor) for chunk in packed), change.lock.target
        )
        sent, whole = change.sent, change.kind in ("launch", "base")
        if change.kind != "launch":
            machines.refuse_pins(change.lock)
        if whole:
            self.refuse_unfit(sent)
        return (
            *(self._base_items(sent) if whole else ()),
            *(self._conda_item(pin, sent.target) for pin in sent.conda),
            *(self._pin_item(pin, sent.target) for pin in sent.pins),
        )

    def packed(self, lock: Lock) -> tuple[Chunk, ...]:
        """What of a lock was packed before."""
        where = lock.target
        own = (
            copy.recall(self.interpreter, self._store)
            if self._settings.ship_python and not lock.conda
            else None
        )
        found = (
            own,
            *(pip_chunks.recall_wheel(pin, where, self._store) for pin in lock.pins),
            *(conda_chunks.recall_package(pin, where, self._store) for pin in lock.conda),
        )
        return tuple(chunk for chunk in found if chunk is not None)

    def _base_items(self, lock: Lock) -> list[PlanItem]:
        spark = _item("pyspark", self._known_pyspark(lock), seconds=3.0, size=3_000_000)
        if lock.conda or not self._settings.ship_python:
            return [spark]
        python = self.interpreter
        return [
            _item(
                f"python {python.version}",
                copy.recall(python, self._store),
                seconds=6.0,
                size=17_000_000,
            ),
            spark,
        ]

    def _known_pyspark(self, lock: Lock) -> Chunk | None:
        try:
            python = self._python_for(lock, fetch=False)
        except BuildError:  # there is none of that minor version here: a plan can do without
            return None
        return pyspark.recall(lock.target, self._store, python=python)

    def _pin_item(self, pin: Pin, where: Target) -> PlanItem:
        label, packed = (
            f"{pin.name} {pin.version}",
            pip_chunks.recall_wheel(pin, where, self._store),
        )
        if packed is not None or pin.kind != "wheel":
            return _item(label, packed, seconds=_SECONDS_A_SOURCE, size=pin.size)
        return _work(label, pin, fetch=not pip_fetch.have(pin, self._store))

    def _conda_item(self, pin: CondaPin, where: Target) -> PlanItem:
        label, packed = (
            f"{pin.name} {pin.version} ({pin.channel}, {pin.license or 'licence not said'})",
            conda_chunks.recall_package(pin, where, self._store),
        )
        if packed is not None:
            return _item(label, packed, seconds=0.0, size=pin.size)
        return _work(label, pin, fetch=not conda_chunks.have(pin, self._store))


def _item(label: str, chunk: Chunk | None, *, seconds: float, size: int | None) -> PlanItem:
    if chunk is not None:
        return PlanItem(label=label, action="reuse", size=chunk.size, known=True)
    return PlanItem(label=label, action="build", size=size, seconds=seconds)


def _work(label: str, pin: Pin | CondaPin, *, fetch: bool) -> PlanItem:
    """What is neither packed nor, perhaps, here."""
    seconds = (pin.size or 0) * (_SECONDS_A_FETCHED_BYTE * fetch + _SECONDS_A_PACKED_BYTE)
    return PlanItem(
        label=label, action="fetch" if fetch else "build", size=pin.size, seconds=seconds
    )
