"""What holds of every lock of conda packages that is taken as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from coffee_boat.conda import client
from coffee_boat.conda import resolve as conda_resolve
from coffee_boat.errors import LockError
from coffee_boat.model import CondaPin, Lock, Pin, Target, grammar
from coffee_boat.spark import packages as spark_packages

_LONGEST = 2_000
"""Characters of what a package needs; rattler's parser ends the process at 100,000 brackets."""


def refuse_too_new(lock: Lock, name: str) -> None:
    """Raise for conda packages that need a newer glibc than the target has.

    Raises:
        LockError: which, and what they need.
    """
    module = client.rattler()
    own = module.Version(".".join(map(str, lock.target.glibc)))
    specs = [
        (pin, module.MatchSpec(text))
        for pin in lock.conda
        for text in _depends(pin)
        if text.startswith("__glibc") and len(text) <= _LONGEST
    ]
    wrong = [
        f"{pin.name} {pin.version} needs {spec}"
        for pin, spec in specs
        if spec.version and not module.VersionSpec(spec.version).matches(own)
    ]
    if wrong:
        cure = 'say what they are, as platform="manylinux_2_39_x86_64", or lock again'
        raise LockError(
            "lock.other-executors",
            "the lock was not made for these executors",
            value=f"{name}: {', '.join(wrong)}",
            cause=f"the platform is {lock.target.platform}",
            cure=cure,
        )


def lock_of(found: Iterable[CondaPin], pip: Iterable[Pin], target: Target, path: Path) -> Lock:
    """With what nothing else needs as asked for, and without what the driver itself brings."""
    pins, wheels = list(found), list(pip)
    needed = {name for pin in pins for name in pin.requires}
    both: list[CondaPin | Pin] = [*pins, *wheels]
    dropped = [pin for pin in both if pin.name in spark_packages.DRIVERS_OWN]
    for pin in pins:
        grammar.checked_conda(pin, path.name)
        if not pin.sha256:
            raise LockError(
                "lock.sha256-missing",
                "a file of the lock has no sha256",
                value=f"{pin.name} {pin.version} in {path.name}",
                cause="what is not hashed cannot be checked; an md5 can be forged",
                cure="take it from a channel that lists sha256, and make the lock again",
            )
    made = Lock(
        replace(target, python=conda_resolve.python_of(pins).version) if pins else target,
        tuple(sorted((pin for pin in wheels if pin not in dropped), key=lambda pin: pin.name)),
        tuple(
            spark_packages.not_locked(pin.name, f"{pin.version} in {path.name}") for pin in dropped
        ),
        tuple(
            sorted(
                (
                    replace(pin, requested=pin.name not in needed)
                    for pin in pins
                    if pin not in dropped
                ),
                key=lambda pin: pin.name,
            )
        ),
    )
    refuse_too_new(made, path.name)
    return made


def _depends(pin: CondaPin) -> Sequence[str]:
    import json

    return [str(text) for text in json.loads(pin.record).get("depends", [])]
