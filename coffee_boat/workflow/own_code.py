"""A person's own code among packages: apart from what is resolved, beside it in the lock."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from coffee_boat._support.files import local_path
from coffee_boat._support.store import Store
from coffee_boat.archive import modules
from coffee_boat.archive.chunks import listing
from coffee_boat.errors import BuildError, LockError, RequirementError
from coffee_boat.model import (
    Chunk,
    CondaPin,
    Finding,
    Lock,
    Manifest,
    Pin,
    Requirement,
    Target,
)
from coffee_boat.pip import own_code, own_pins

_SHOWN = 3


def apart(manifest: Manifest) -> tuple[Manifest, tuple[Requirement, ...]]:
    """What is resolved, and the code, which is what it is."""
    code = tuple(r for r in manifest.requirements if r.local)
    rest = tuple(r for r in manifest.requirements if not r.local)
    return replace(manifest, requirements=rest) if code else manifest, code


def with_code(lock: Lock, code: Sequence[Requirement], *, again: bool = False) -> Lock:
    """The lock with code as it lies there now.

    Args:
        again: in place of the same code in it.

    Raises:
        RequirementError: it is not there any more, or cannot be sent.
        LockError: a package is called so.
    """
    if again:
        asked = {wanted.url for wanted in code}
        rest = tuple(pin for pin in lock.pins if pin.kind != "local" or pin.url not in asked)
        lock = replace(lock, pins=rest)
    for wanted in code:
        if lock.has(wanted.name):
            raise LockError(
                "lock.own-code-named-as-package",
                "your own code and a package have the same name",
                value=f"{wanted.name}: {wanted.text} ({wanted.origin})",
                cause="the package is asked for, or another package needs it",
                cure="rename your module or folder, or leave the package out",
            )
    pins = (*lock.pins, *map(own_pins.pin_of, code))
    return replace(lock, pins=tuple(sorted(pins, key=lambda pin: pin.name))) if code else lock


def without_installed(manifest: Manifest, added: Manifest, installed: Lock) -> Manifest:
    """Without code that a session has: it stays as it is, unless it is asked for now."""
    asked = {r.url for r in added.requirements if r.local}
    have = {pin.url for pin in installed.pins if pin.kind == "local"}
    kept = tuple(
        r for r in manifest.requirements if not r.local or r.url in asked or r.url not in have
    )
    return replace(manifest, requirements=kept)


def installed(manifest: Manifest, added: Manifest, installed: Lock) -> tuple[Pin, ...]:
    """The pins of code that `without_installed` leaves out, and of code that another captain of the
    session brought.
    """
    left = {r.url for r in without_installed(manifest, added, installed).requirements if r.local}
    return tuple(pin for pin in installed.pins if pin.kind == "local" and pin.url not in left)


def changed(lock: Lock) -> bool:
    """True if code that a lock has lies there in another state by now, or cannot be read."""
    code = [pin for pin in lock.pins if pin.kind == "local"]
    try:
        return [own_pins.again(pin) for pin in code] != code
    except RequirementError:  # said where it is locked anew
        return True


def lying_there(pins: Iterable[Pin]) -> dict[str, str]:
    """URL -> digest, as it lies there now, of code that pins have in another state. What cannot be
    read is left out.
    """
    found: dict[str, str] = {}
    for pin in pins:
        with suppress(RequirementError):  # said where it is sent
            found |= {now.url: now.sha256 for now in own_pins.edited([pin]).values()}
    return found


def refuse_taken(
    pins: Iterable[Pin],
    chunks: Sequence[Chunk],
    installed: Sequence[Chunk],
    target: Target,
    store: Store,
) -> None:
    """Raise if a module of one's own code is also in another package: Python takes one, and says
    nothing.

    Args:
        chunks: what is made, that of the pins among it.
        installed: what a running session has besides.

    Raises:
        BuildError: it is.
    """
    own = {pin_label(pin) for pin in pins if pin.kind == "local"}
    if not own:
        return
    every = {chunk.id: chunk for chunk in (*chunks, *installed)}.values()
    tops = {chunk.label: modules.tops(listing(chunk, store), target) for chunk in every}
    for label in sorted(own & tops.keys()):
        for other, theirs in tops.items():
            both = sorted(tops[label] & theirs) if other != label else []
            if both:
                raise BuildError(
                    "build.own-module-taken",
                    "a module of your own code has the name of a package's",
                    value=f"{', '.join(both[:_SHOWN])}: in {label.partition(' ')[0]}, and in"
                    f" {other}",
                    cause="Python imports one of them, and says nothing of the other",
                    cure="give yours another name, or leave the package out",
                )


def pin_label(pin: Pin) -> str:
    """What the chunk of a pin is called."""
    return f"{pin.name} {pin.version}"


def imported_before(code: Iterable[Pin]) -> Iterator[Finding]:
    """What is said of edited code that this process has imported."""
    for pin in code:
        place = local_path(pin.url)
        names = modules_of(place) if pin.kind == "local" else ()
        loaded = [name for name in names if name in sys.modules]
        if loaded:
            yield Finding(
                "driver.imported-before",
                "the driver goes on with what it has imported",
                value=pin.name,
                cause="Python imports a module once in a process; executors have the edited one",
                cure=f"importlib.reload({loaded[0]}), or in a notebook %load_ext autoreload and"
                " %autoreload 2",
                severity="note",
            )


def modules_of(place: Path) -> list[str]:
    """The modules of some code; none of what cannot be read, which is said elsewhere."""
    try:
        return sorted(own_code.read(place).modules)
    except RequirementError:
        return []


def only_code(pins: Iterable[Pin | CondaPin]) -> bool:
    """True if the driver has no copy of any of them: it imports code where it lies."""
    return all(isinstance(pin, Pin) and pin.kind == "local" for pin in pins)


def on_the_driver(lock: Lock) -> dict[str, Path]:
    """Module -> the folder that the driver imports it from. What is gone by now is left out."""
    found: dict[str, Path] = {}
    for pin in lock.pins:
        place = local_path(pin.url) if pin.kind == "local" else None
        if place is not None:
            try:
                code = own_code.read(place)
            except RequirementError:  # said where it is locked or sent
                continue
            found |= dict.fromkeys(sorted(code.modules), code.root)
    return found
