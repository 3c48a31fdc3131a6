"""Manifest + Target -> the conda half of a Lock, by rattler."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from coffee_boat._support.digest import digest_of
from coffee_boat._support.logs import logger
from coffee_boat._support.progress import Say, Step
from coffee_boat._support.store import Store
from coffee_boat._support.words import counted, duration
from coffee_boat.conda import asked, licence
from coffee_boat.conda import client as conda_client
from coffee_boat.conda.explain import unreachable, unsolvable
from coffee_boat.conda.records import pin_of, refuse_anacondas_files
from coffee_boat.conda.request import Wish, subdir
from coffee_boat.errors import LockError, StoreError, UnreachableError
from coffee_boat.model import CondaPin, Finding, Lock, grammar
from coffee_boat.spark import packages

_log = logger(__name__)


def resolve(wish: Wish, *, store: Store, max_age: float, say: Say) -> Lock:
    """Choose a file of every conda package that is wanted and of all that it needs, python among
    them.

    Args:
        max_age: seconds for which an earlier answer is taken as it is.
        say: takes what is being done.

    Returns:
        A Lock without pins of pip, whose target has the python that was chosen.

    Raises:
        RequirementError: a channel of Anaconda's without its licence; no channel at all; rattler is
            not installed.
        LockError: no set of packages serves all requirements, or a channel cannot be reached.
    """
    words = ", ".join(r.text for r in wish.requirements)
    cure = 'write them more simply; captain.forget("name") takes a package back'
    with conda_client.reading(
        LockError, "lock.conda-refused", "the conda packages cannot be asked for", words, cure
    ):
        return _resolved(wish, store, max_age, say)


def _resolved(wish: Wish, store: Store, max_age: float, say: Say) -> Lock:
    licence.refuse_unlicensed(wish.channels, accepted=wish.accepted)
    key = wish.key()
    known = _recall(store, key, wish)
    if known is not None and known.exact and (known.age <= max_age or wish.configuration.offline):
        _log.info("conda: solution reused from the store, asked %s ago", duration(known.age))
        return known.lock if known.age <= max_age else known.aged("offline")
    try:
        with store.turn(f"solve {digest_of(key)}"):
            return _ask(wish, key, store, known, say)
    except StoreError:  # one that cannot be written serves what it has
        if known is None:
            raise
        return known.aged("the store cannot be written")


# remembered answers


@dataclass(frozen=True)
class _Known:
    lock: Lock
    made: float
    """Seconds since the epoch."""
    exact: bool
    """False if the driver has other versions now: the answer serves, but is not the one that would
    be given today.
    """

    @property
    def age(self) -> float:
        """Seconds."""
        return max(0.0, time.time() - self.made)

    def aged(self, cause: str) -> Lock:
        """The lock, with a Finding that names its age."""
        cure = "newer packages are looked for once the channels can be reached"
        finding = Finding(
            "lock.earlier-conda-solution",
            "an earlier solution of the conda packages is used as it is",
            value=f"{duration(self.age)} old",
            cause=cause,
            cure=cure,
            severity="note",
        )
        return replace(self.lock, findings=(*self.lock.findings, finding))


def _recall(store: Store, key: Mapping[str, Any], wish: Wish) -> _Known | None:
    value = store.recall("conda-lock", key)
    if value is None:
        return None
    try:
        pins = tuple(grammar.checked_conda(pin_of(said), "the store") for said in value["pins"])
    except (LockError, LookupError, TypeError, ValueError):  # not what we wrote: it is asked anew
        return None
    exact = all(
        wish.preferred.get(pin.name, "") in (value["preferred"].get(pin.name, ""), pin.version)
        for pin in pins
    )
    return _Known(
        _locked(pins, wish, tuple(Finding(**said) for said in value["findings"])),
        value["made"],
        exact,
    )


def _ask(
    wish: Wish,
    key: Mapping[str, Any],
    store: Store,
    known: _Known | None,
    say: Say,
) -> Lock:
    wanted = counted(len(wish.requirements), "conda requirement")
    say(Step(f"solving {wanted} for Python {wish.minor} on {subdir(wish.target)}"))
    begun = time.monotonic()
    try:
        lock = _solved(wish, store)
    except UnreachableError as error:
        if known is None:
            raise
        return known.aged(error.what)
    preferred = {
        pin.name: wish.preferred[pin.name] for pin in lock.conda if pin.name in wish.preferred
    }
    value = {
        "made": time.time(),
        "preferred": preferred,
        "pins": [asdict(pin) for pin in lock.conda],
        "findings": [vars(finding) for finding in lock.findings],
    }
    with suppress(StoreError):
        store.remember("conda-lock", key, value)
    _log.info(
        "conda: %s for Python %s on %s, of %s, %.1f s",
        counted(len(lock.conda), "package"),
        lock.target.python,
        subdir(wish.target),
        ", ".join(channel.public for channel in wish.channels),
        time.monotonic() - begun,
    )
    for pin in lock.conda:
        _log.debug("conda: %s %s %s, %s", pin.name, pin.version, pin.build, pin.channel)
    return lock


# asking rattler


def _solved(wish: Wish, store: Store) -> Lock:
    module = conda_client.rattler()
    try:
        pins = asked.chosen(wish, store)
    except module.exceptions.SolverError as error:
        raise unsolvable(str(error), wish, store) from None  # theirs shows tokens of channels
    except module.exceptions.GatewayError as error:
        raise unreachable(str(error), wish.channels, wish.configuration) from None
    refuse_anacondas_files(pins, accepted=wish.accepted)
    kept = tuple(pin for pin in pins if pin.name not in packages.DRIVERS_OWN)
    _refuse_unhashed(kept)
    return _locked(kept, wish, tuple(_findings(wish, pins)))


def _locked(pins: tuple[CondaPin, ...], wish: Wish, findings: tuple[Finding, ...]) -> Lock:
    return Lock(replace(wish.target, python=python_of(pins).version), conda=pins, findings=findings)


def python_of(pins: Iterable[CondaPin]) -> CondaPin:
    """The pin that is the interpreter.

    Raises:
        LockError: there is none, or it is no CPython.
    """
    python = next((pin for pin in pins if pin.name == "python"), None)
    if python is None:
        raise LockError(
            "lock.conda-without-python",
            "the conda packages hold no python",
            cause="it is the environment's interpreter",
            cure="lock again with `python` among what is asked for",
        )
    if "pypy" in python.build or "graalpy" in python.build:
        raise LockError(
            "lock.conda-not-cpython",
            "the python of the conda packages is not CPython",
            value=f"python {python.version} {python.build}",
            cure='ask for "python=*=*_cpython"',
        )
    return python


def _findings(wish: Wish, pins: Sequence[CondaPin]) -> Iterator[Finding]:
    wanted = {r.name for r in wish.manifest.conda}
    for requirement in wish.manifest.conda:
        if requirement.name in packages.DRIVERS_OWN:
            yield packages.not_locked(
                requirement.name, f"{requirement.text} ({requirement.origin})"
            )
    for pin in pins:
        if pin.name in ("pyspark", "pyspark-client") and pin.name not in wanted:
            yield packages.not_locked(pin.name, "another conda package needs it")


def _refuse_unhashed(pins: Iterable[CondaPin]) -> None:
    """Old channels list md5 only, or nothing: then only a name would tell what was fetched from
    what was chosen, and a name is anybody's.
    """
    if names := [f"{pin.name} {pin.version} ({pin.channel})" for pin in pins if not pin.sha256]:
        raise LockError(
            "lock.conda-without-sha256",
            "a channel lists conda packages without a sha256",
            value=", ".join(names),
            cause="what is not hashed cannot be checked; an md5 can be forged",
            cure=(
                "take them from another channel; if it is yours, index it anew:"
                " `python -m conda_index FOLDER`"
            ),
        )
