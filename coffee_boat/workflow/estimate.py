"""What it would take to make an archive; looks at the store and makes nothing."""

from __future__ import annotations

from coffee_boat.conda import chunks as conda_chunks
from coffee_boat.errors import BuildError
from coffee_boat.interpreter import copy, pyspark
from coffee_boat.model import Chunk, CondaPin, Lock, Pin, Plan, PlanItem, Target
from coffee_boat.pip import chunks as pip_chunks
from coffee_boat.pip import fetch as pip_fetch
from coffee_boat.workflow import machines
from coffee_boat.workflow.target import Executors

_SECONDS_A_SOURCE = 15.0
_SECONDS_A_FETCHED_BYTE = 1 / 20_000_000
_SECONDS_A_PACKED_BYTE = 1 / 60_000_000
"""Estimates for a plan: 20 MB/s from an index, 60 MB/s through one core; the first is a guess at
the network.
"""


class Estimates(Executors):
    """What it would take; makes nothing."""

    def plan(self, lock: Lock) -> tuple[PlanItem, ...]:
        """One line a part of the base; looks at the store and makes nothing.

        Raises:
            BuildError: it would mix machines.
        """
        self.refuse_mixed(lock)
        return (
            *self._base_items(lock),
            *(self._conda_item(pin, lock.target) for pin in lock.conda),
            *(self._pin_item(pin, lock.target) for pin in lock.pins),
        )

    def plan_addition(self, lock: Lock, aboard: Lock) -> Plan:
        """What `addition` would make of a lock.

        The plan's lock is what would be sent: what is missing, or all for a new base.
        """
        machines.refuse_pins(lock)
        new = aboard.lacks(lock)
        if not new.pins and not new.conda:
            return Plan(new, (), addition="nothing would be sent: all of it is aboard")
        packed = {
            pin.name: conda_chunks.recall_package(pin, lock.target, self._store)
            for pin in new.conda
        }
        modules_only = all(
            chunk is None or conda_chunks.fits_a_layer(chunk, lock.target, self._store)
            for chunk in packed.values()
        )  # as far as it is known
        if not (modules_only and all(pin.noarch_python for pin in new.conda)):
            why = "conda packages that have more than modules are among it"
            return Plan(
                lock,
                self.plan(lock),
                addition=(
                    "a new base would be sent, in which everything runs from its next job on:"
                    f" {why}"
                ),
            )
        items = (
            *(self._conda_item(pin, lock.target) for pin in new.conda),
            *(self._pin_item(pin, lock.target) for pin in new.pins),
        )
        unseen = [name for name, chunk in packed.items() if chunk is None]
        unless = (
            f", unless files outside of site-packages are in {', '.join(unseen)}: then a new base"
            " with all that is aboard"
            if unseen
            else ""
        )
        return Plan(new, items, addition=f"a layer would be sent{unless}")

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
