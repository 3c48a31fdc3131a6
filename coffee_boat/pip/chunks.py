"""Wheels as chunks: one a wheel, made once for all processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from coffee_boat._support.crew import Crew
from coffee_boat._support.digest import file_digest
from coffee_boat._support.futures import completed
from coffee_boat._support.store import Store
from coffee_boat.archive.chunks import make, recall
from coffee_boat.archive.excluded import EXCLUDES
from coffee_boat.errors import BuildError
from coffee_boat.model import Chunk, LeftOut, Lock, Pin, Target, excluded
from coffee_boat.pip.metadata import direct_url, remember_requires
from coffee_boat.pip.tags import check_filename
from coffee_boat.pip.wheel import Install

LAYOUT = 4
"""Part of each wheel's key: raise it when a wheel is installed differently, or others are
refused.
"""


def wheel_chunks(
    wheels: Mapping[str, Path],
    lock: Lock,
    store: Store,
    *,
    packed: Callable[[Pin], object] = lambda _: None,
) -> list[Chunk]:
    """The chunks of all pins, in the lock's order; as many at a time as there are cores: inflating
    and hashing let other threads run.

    The first failure, or Ctrl-C, ends the others.

    Args:
        wheels: pin's name -> its wheel.
        packed: takes each whose chunk is there.

    Raises:
        BuildError: a wheel is damaged, hostile, or not what was pinned.
    """
    largest_first = sorted(lock.pins, key=lambda pin: -_size(wheels[pin.name]))
    with Crew(os.cpu_count() or 1, "wheels") as crew:
        made = {
            crew.submit(
                partial(wheel_chunk, wheels[pin.name], pin, lock.target, store, lock.exclude)
            ): pin
            for pin in largest_first
        }
        found = {}
        for one in completed(made):
            found[made[one].name] = one.result()
            packed(made[one])
        return [found[pin.name] for pin in lock.pins]


def wheel_chunk(
    wheel: Path, pin: Pin, target: Target, store: Store, exclude: Sequence[str] = ()
) -> Chunk:
    """The chunk of one wheel as installed for a target; made once for the same wheel, Python minor
    and architecture.

    The file is the pin's, byte for byte: who fetched it compared its sha256 with the lock's.

    Args:
        exclude: what stays behind of it, as Lock.exclude.

    Raises:
        BuildError: the wheel is damaged, hostile, not what was pinned, or for other machines.
    """
    check_filename(wheel.name, pin, target)
    if not wheel.is_file():
        raise BuildError(
            "build.wheel-missing",
            "a wheel is not there",
            value=str(wheel),
            cause="it was removed or moved since it was fetched",
            cure="try again: it is then fetched anew",
        )
    digest = pin.sha256 if _is_pinned_file(pin) else file_digest(wheel)
    install = Install(wheel, pin, target, excluded.of_files(exclude))
    key = _key(digest, wheel.name, pin, target, exclude)
    made = make(store, key, f"{pin.name} {pin.version}", install.fill)
    if install.requires is not None:
        remember_requires(pin, install.requires, store)
    return made


def recall_wheel(
    pin: Pin,
    target: Target,
    store: Store,
    *,
    built: Path | None = None,
    exclude: Sequence[str] = (),
) -> Chunk | None:
    """The chunk of a pinned wheel, if it was made before.

    Args:
        built: the wheel of a source, in the store, whose folder there is called after its sha256;
            without it nobody can tell.
        exclude: as for `wheel_chunk`.
    """
    if built is not None:
        return recall(store, _key(built.parent.name, built.name, pin, target, exclude))
    return (
        recall(store, _key(pin.sha256, pin.filename, pin, target, exclude))
        if _is_pinned_file(pin) and pin.filename
        else None
    )


def _size(wheel: Path) -> int:
    return wheel.stat().st_size if wheel.is_file() else 0


def _is_pinned_file(pin: Pin) -> bool:
    return pin.kind == "wheel" and bool(pin.sha256)


def would_leave_out(
    wheel: Path, pin: Pin, target: Target, exclude: Sequence[str]
) -> tuple[LeftOut, ...]:
    """What `exclude` leaves behind of a wheel that is not packed yet; nothing of one that cannot be
    packed, which is told when it is.
    """
    rules = excluded.of_files(exclude)
    return Install(wheel, pin, target, rules).would_leave_out() if rules else ()


def _key(
    digest: str, filename: str, pin: Pin, target: Target, exclude: Sequence[str]
) -> list[object]:
    rules = excluded.of_files(exclude)
    return [
        "wheel",
        LAYOUT,
        digest,
        filename,
        target.minor,
        target.architecture,
        pin.requested,
        direct_url(pin),
        *(["exclude", EXCLUDES, *rules] if rules else []),
    ]
