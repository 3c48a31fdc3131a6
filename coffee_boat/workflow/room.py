"""What an environment takes on this machine: what the driver unpacks for itself, and what the store
needs of its disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from coffee_boat._support.store import Store
from coffee_boat._support.words import human_size
from coffee_boat.errors import StoreError
from coffee_boat.model import Finding, Lock, Pin, PlanItem
from coffee_boat.session import driver

_LARGE = 200_000_000
"""Bytes of a distribution, unpacked: some seconds. Processes that the driver starts find what is
unpacked, and not what waits for an import here: what is smaller does not wait.
"""


def deferred(pins: Sequence[Pin], unpacked: Mapping[str, int]) -> set[str]:
    """Names of what is large, and of what nobody but that needs: the driver unpacks them when it
    imports them.

    Args:
        pins: those that the driver lacks.
        unpacked: label -> bytes, of those whose size is known.
    """
    large = {pin.name for pin in pins if unpacked.get(pin.label, 0) >= _LARGE}
    grown = True
    while grown:
        needed_by = {
            name: {pin.name for pin in pins if name in pin.requires}
            for name in (pin.name for pin in pins if not pin.requested and pin.label in unpacked)
        }
        more = {name for name, users in needed_by.items() if users and users <= large} - large
        grown, large = bool(more), large | more
    return large


def seen_from_here(lock: Lock, items: Sequence[PlanItem]) -> tuple[PlanItem, ...]:
    """The items of a plan, with what becomes of each on the driver."""
    lacking = driver.lacking(lock)
    sizes = {item.label: item.unpacked for item in items if item.unpacked is not None}
    later = deferred(lacking.pins, sizes)
    when: dict[str, Literal["now", "later"]] = {
        pin.label: "later" if pin.name in later else "now" for pin in lacking.pins
    }
    conda = tuple(f"{pin.name} {pin.version} (" for pin in lacking.conda)
    return tuple(
        replace(item, here="now" if item.label.startswith(conda) else when.get(item.label, ""))
        for item in items
    )


def refuse_too_much(items: Sequence[PlanItem], store: Store, *, archives: int) -> None:
    """Raise if the disk of the store has less room than what is still to be fetched and packed.

    Args:
        archives: so often the archive is written there, too, if anything in it is new.

    Raises:
        StoreError: it has.
    """
    new = [item for item in items if item.action != "reuse"]
    fetched = sum(item.size or 0 for item in new if item.action == "fetch")
    packed = sum(item.size or 0 for item in new)
    whole = archives * sum(item.size or 0 for item in items) if new else 0
    needed, free = fetched + packed + whole, _free(store.root)
    if needed <= free:
        return
    raise StoreError(
        "store.disk-too-small",
        "the disk of the store is too small for the environment",
        value=f"{store.root}: {human_size(needed)} are needed, {human_size(free)} are free",
        cause=f"packages to fetch {human_size(fetched)}, to pack {human_size(packed)}, the archive"
        f" {human_size(whole)}",
        cure="free some space (boat cache prune removes what was not used for long), or name"
        " another folder: COFFEE_BOAT_STORE=/some/folder",
    )


def too_much(items: Sequence[PlanItem], store: Store) -> tuple[Finding, ...]:
    """The same as a finding, for a plan."""
    try:
        refuse_too_much(items, store, archives=1)
    except StoreError as refusal:
        return (Finding.of(refusal.problem, "error"),)
    return ()


def _free(folder: Path) -> int:
    """Bytes on its disk; the folder may not be there yet."""
    # of a name that is too long pathlib raises; the store says it
    there = next(p for p in (folder, *folder.parents) if os.path.isdir(p))  # noqa: PTH112
    return shutil.disk_usage(there).free
