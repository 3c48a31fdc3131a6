"""What may change in a running session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from coffee_boat.model import Change, CondaPin, Difference, Lock, Manifest, Pin, Requirement


def plan(
    installed: Lock | None,
    lock: Lock,
    fits_a_layer: Callable[[CondaPin], bool | None],
    held: frozenset[str] = frozenset(),
) -> Change:
    """What a lock makes of a session.

    Conda packages that have more than modules belong into the interpreter's own folder: with one of
    them the session gets a new base, with all that is installed.

    Args:
        installed: what the session has; None for one that starts.
        lock: all that it has then.
        fits_a_layer: whether a package has modules only; None if that is not known before it was
            unpacked.
        held: identities of packages that executors have from earlier generations.
    """
    if installed is None:
        return Change("launch", lock)
    difference = Difference.between(installed, lock)
    if not difference:
        return Change("nothing", lock)
    if any(isinstance(pin, CondaPin) for pin in difference.leaving):
        why = "conda packages change"
        return Change("base", lock, difference, why=why)
    if difference.leaving or any(pin.identity in held for pin in difference.added):
        return Change("composed", lock, difference, held)
    new = installed.lacks(lock)
    fits = {pin.name: pin.noarch_python and fits_a_layer(pin) for pin in new.conda}
    if False in fits.values():
        why = "conda packages that have more than modules are among it"
        return Change("base", lock, difference, why=why)
    unseen = [name for name, fit in fits.items() if fit is None]
    unless = (
        f", unless files outside of site-packages are in {', '.join(unseen)}: then a new base with"
        " all that is installed"
        if unseen
        else ""
    )
    return Change("layer", lock, difference, why=unless)


def is_source(pin: Pin) -> bool:
    """True for a folder, an archive, a branch or a wheel that was named by its place: an index does
    not have it.
    """
    return pin.direct or pin.kind != "wheel"


def source_of(pin: Pin) -> tuple[str, str]:
    """What tells one source of a pin from another."""
    return pin.kind, pin.sha256 or f"{pin.url}@{pin.commit}"


def is_of(pin: Pin, wanted: Requirement) -> bool:
    """True if the pin was chosen for a requirement; one without a name is known by its place."""
    if wanted.name:
        return wanted.name == pin.name
    place = wanted.url or (
        Path(wanted.text).as_uri() if Path(wanted.text).is_absolute() else wanted.text
    )
    return bool(pin.url) and place.rstrip("/") == pin.url.rstrip("/")


def built_names(manifest: Manifest, lock: Lock | None) -> dict[str, str]:
    """The names that only builds tell, as far as a lock has them: url of a requirement -> name."""
    sources = [pin for pin in lock.pins if is_source(pin)] if lock is not None else []
    return {
        wanted.url: pin.name
        for wanted in manifest.requirements
        for pin in sources
        if not wanted.name and is_of(pin, wanted)
    }


def kept_as_is(pin: Pin) -> Requirement:
    """A requirement that keeps a pin as it is."""
    return Requirement(
        text=f"{pin.name}=={pin.version}",
        name=pin.name,
        specifier=f"=={pin.version}",
        origin="in the running session",
    )
