"""What it would take to make an archive; looks at the store and makes nothing."""

from __future__ import annotations

from dataclasses import replace

from coffee_boat.conda import chunks as conda_chunks
from coffee_boat.errors import BuildError
from coffee_boat.interpreter import copy, pyspark
from coffee_boat.model import Change, Chunk, CondaPin, LeftOut, Lock, Pin, PlanItem
from coffee_boat.pip import chunks as pip_chunks
from coffee_boat.pip import fetch as pip_fetch
from coffee_boat.pip import sources as pip_sources
from coffee_boat.workflow import changes, machines
from coffee_boat.workflow.target import Executors

_SECONDS_A_FETCHED_BYTE = 1 / 20_000_000
_SECONDS_A_PACKED_BYTE = 1 / 60_000_000
"""Estimates for a plan: 20 MB/s from an index, 60 MB/s through one core; the first is a guess at
the network.
"""
_UNPACKED_A_PACKED_BYTE = 3
"""Wheels of numpy, pandas, pyarrow and scikit-learn unpack to 3.2 times their size, pyarrow alone
to 3.1.
"""


class Estimates(Executors):
    """What it would take; makes nothing."""

    def change(
        self, lock: Lock, installed: Lock | None, held: frozenset[str] = frozenset()
    ) -> Change:
        """What a lock makes of a session that has something installed, as far as it is known.

        Args:
            installed: None for a session that starts.
            held: identities of packages that executors have from earlier generations.
        """

        def fits(pin: CondaPin) -> bool | None:
            packed = conda_chunks.recall_package(pin, lock.target, self._store, lock.exclude)
            if packed is None:
                return None
            return conda_chunks.fits_a_layer(packed, lock.target, self._store)

        return changes.plan(installed, lock, fits, held)

    def items(self, change: Change) -> tuple[PlanItem, ...]:
        """One line a part of what is sent, the largest first; looks at the store and makes nothing.

        Raises:
            BuildError: executors could not run it.
        """
        sent, whole = change.sent, change.kind in ("launch", "base")
        packed = self.packed(sent, base=whole)
        machines.refuse_newer_glibc(
            ((chunk.label, chunk.floor) for chunk in packed), change.lock.target
        )
        if change.kind != "launch":
            machines.refuse_pins(change.lock)
        if whole:
            self.refuse_unfit(sent)
        found = (
            *(self._base_items(sent) if whole else ()),
            *(self._conda_item(pin, sent) for pin in sent.conda),
            *(self._pin_item(pin, sent) for pin in sent.pins),
        )
        return tuple(sorted(found, key=lambda item: -(item.size or 0)))

    def packages_left_out(self, lock: Lock) -> tuple[LeftOut, ...]:
        """What packages that stay behind whole would have been on an executor, as far as it is
        known.
        """
        whole = replace(lock, exclude=())

        def told(pin: Pin | CondaPin) -> LeftOut:
            item = (
                self._pin_item(pin, whole) if isinstance(pin, Pin) else self._conda_item(pin, whole)
            )
            return LeftOut(pin.name, item.files, item.unpacked)

        return tuple(map(told, lock.without))

    def _base_items(self, lock: Lock) -> list[PlanItem]:
        spark = _item(
            "pyspark",
            self._known_pyspark(lock),
            seconds=3.0,
            size=4_000_000,
            unpacked=15_000_000,
        )
        if lock.conda or not self._settings.ship_python:
            return [spark]
        python = self.interpreter
        return [
            _item(
                f"python {python.version}",
                copy.recall(python, self._store),
                seconds=6.0,
                size=17_000_000,
                unpacked=42_000_000,
            ),
            spark,
        ]

    def _known_pyspark(self, lock: Lock) -> Chunk | None:
        try:
            python = self._python_for(lock, fetch=False)
        except BuildError:  # there is none of that minor version here: a plan can do without
            return None
        return pyspark.recall(lock.target, self._store, python=python)

    def _pin_item(self, pin: Pin, lock: Lock) -> PlanItem:
        label, where, exclude = pin.label, lock.target, lock.exclude
        wheel = None if pin.kind == "wheel" else pip_sources.built(pin, where, self._store)
        packed = pip_chunks.recall_wheel(pin, where, self._store, built=wheel, exclude=exclude)
        if packed is not None:
            return _packed(label, packed)
        wheel = wheel or pip_fetch.here(pin, self._store)
        if wheel is not None:
            item = _work(label, wheel.stat().st_size, fetch=False)
            return _without(item, pip_chunks.would_leave_out(wheel, pin, where, exclude))
        if pin.kind == "local":
            return replace(_work(label, pin.size, fetch=False), unpacked=pin.size)
        if pin.kind != "wheel":  # the size of a source says nothing about that of its wheel
            return PlanItem(label, "build", None, None)
        return _work(label, pin.size, fetch=True)

    def _conda_item(self, pin: CondaPin, lock: Lock) -> PlanItem:
        label = f"{pin.name} {pin.version} ({pin.channel}, {pin.license or 'licence not said'})"
        packed = conda_chunks.recall_package(pin, lock.target, self._store, lock.exclude)
        if packed is not None:
            return _packed(label, packed)
        return _work(label, pin.size, fetch=not conda_chunks.have(pin, self._store))


def _item(label: str, chunk: Chunk | None, *, seconds: float, size: int, unpacked: int) -> PlanItem:
    """What is copied of this machine."""
    if chunk is not None:
        return _packed(label, chunk)
    return PlanItem(label, "pack", size, seconds, unpacked=unpacked)


def _packed(label: str, chunk: Chunk) -> PlanItem:
    return PlanItem(
        *(label, "reuse", chunk.size),
        known=True,
        unpacked=chunk.unpacked,
        files=chunk.files,
        left_out=chunk.left_out,
    )


def _without(item: PlanItem, left_out: tuple[LeftOut, ...]) -> PlanItem:
    """An estimate of a wheel that is here, of which its list tells what stays behind."""
    less = sum(one.size or 0 for one in left_out)
    if not less or not item.unpacked or item.size is None:
        return replace(item, left_out=left_out)
    unpacked = max(0, item.unpacked - less)
    size = item.size * unpacked // item.unpacked
    return replace(item, size=size, unpacked=unpacked, left_out=left_out)


def _work(label: str, size: int | None, *, fetch: bool) -> PlanItem:
    """What is neither packed nor, perhaps, here."""
    seconds = (size or 0) * (_SECONDS_A_FETCHED_BYTE * fetch + _SECONDS_A_PACKED_BYTE)
    unpacked = None if size is None else size * _UNPACKED_A_PACKED_BYTE
    return PlanItem(label, "fetch" if fetch else "pack", size, seconds, unpacked=unpacked)
