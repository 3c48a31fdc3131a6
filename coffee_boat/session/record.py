"""What is known of a session beyond this process: the lock's digest in its Spark conf, the rest in
the store.

A kernel that was restarted, another process on the same JVM, or a second Captain reads it and goes
on.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from coffee_boat._support.store import Store
from coffee_boat._support.urls import without_query
from coffee_boat.errors import LaunchError
from coffee_boat.model import (
    CondaPin,
    ConfPatch,
    Generation,
    History,
    Holding,
    Lock,
    Part,
    Pin,
    Target,
    grammar,
)
from coffee_boat.model.generation import LAUNCHED
from coffee_boat.spark.keys import MARK

LOCK = f"{MARK}lock"
"""The digest of the lock that the session was started with."""
PYTHON = f"{MARK}python"
"""The executors' interpreter, as in ConfPatch."""
SHIPS_PYTHON = f"{MARK}ship_python"
"""As Captain's argument."""


def marks(patch: ConfPatch, lock: Lock, *, ships_python: bool) -> dict[str, str]:
    """What a session's Spark conf says of us.

    It can be read in Spark's UI and event log: nothing in it is secret.
    """
    return {LOCK: lock.digest, PYTHON: patch.python, SHIPS_PYTHON: str(ships_python).lower()}


def remember(store: Store, application: str, history: History) -> None:
    """Keep what a session has and had; what was kept of it before is replaced.

    Args:
        application: Spark's id of it.

    Raises:
        StoreError: the store cannot be written.
    """
    now = history.current
    for lock in (now.base, now.lock):  # those of earlier ones were kept when they were the newest
        remember_lock(store, lock)
    value = {
        "started": now.started or now.base.digest,
        "generations": [_written(generation) for generation in history.generations],
        "parts": [asdict(part) for part in history.parts],
    }
    store.remember("session", application, value)


def _written(generation: Generation) -> dict[str, Any]:
    """Without what the session's conf says."""
    return {
        "base": generation.base.digest,
        "lock": generation.lock.digest,
        "layers": list(generation.layers),
        "environment": dict(generation.environment),
        "bases": generation.bases,
        "number": generation.number,
        "when": generation.when,
        "why": generation.why,
        "composed": generation.composed,
        "confirmed": list(generation.confirmed),
        "missed": list(generation.missed),
    }


def remember_lock(store: Store, lock: Lock) -> None:
    """Keep a lock under its digest, unless it is there.

    Raises:
        StoreError: the store cannot be written.
    """
    if store.recall("session-lock", lock.digest) is None:
        value = {
            "target": asdict(lock.target),
            "pins": [_public(pin) for pin in lock.pins],
            "conda": [_public(pin) for pin in lock.conda],
            **({"exclude": list(lock.exclude)} if lock.exclude else {}),
        }
        store.remember("session-lock", lock.digest, value)


def _public(pin: Pin | CondaPin) -> dict[str, Any]:
    """As it is kept: who fetches it again must have a token of its URL from elsewhere."""
    url = pin.url if pin.url.startswith("file:") else without_query(pin.url)
    return {**asdict(pin), "url": url}


def recall(
    store: Store, application: str, conf: Mapping[str, str], known: dict[str, Lock] | None = None
) -> History | None:
    """What a session has and had; None if it was started without us.

    Args:
        conf: the session's Spark settings.
        known: locks by digest that are not read again; gets those that are read.

    Raises:
        LaunchError: it is one of ours, and the store does not know its lock.
        LockError: what the store knows of it is no lock.
    """
    digest = conf.get(LOCK)
    if not digest:
        return None
    kept = store.recall("session", application) or {}
    if kept.get("started") != digest:  # ids are unique within one cluster only
        kept = {}
    written = kept.get("generations") or [{"base": digest, "lock": digest}]
    locks = {} if known is None else known
    for named in (each[key] for each in written for key in ("base", "lock")):
        if named not in locks:
            locks[named] = _lock(store, named)
    return History(
        tuple(_read(locks, conf, each) for each in written),
        tuple(_part(each) for each in kept.get("parts", ())),
    )


def _part(written: Mapping[str, Any]) -> Part:
    holds = (
        Holding(one["name"], one["identity"], tuple(one["chunks"])) for one in written["holds"]
    )
    return Part(written["folder"], tuple(holds), written["base"])


def _read(
    locks: Mapping[str, Lock], conf: Mapping[str, str], written: Mapping[str, Any]
) -> Generation:
    return Generation(
        python=conf.get(PYTHON, ""),
        base=locks[written["base"]],
        lock=locks[written["lock"]],
        ships_python=conf.get(SHIPS_PYTHON, "true") == "true",
        layers=tuple(written.get("layers", ())),
        environment=written.get("environment", {}),
        bases=written.get("bases", 1),
        started="" if written["base"] == conf[LOCK] else conf[LOCK],
        number=written.get("number", 1),
        when=written.get("when", 0.0),
        why=written.get("why", LAUNCHED),
        composed=written.get("composed", ""),
        confirmed=tuple(written.get("confirmed", ())),
        missed=tuple(written.get("missed", ())),
    )


def latest(
    store: Store,
    application: str,
    conf: Mapping[str, str],
    ours: History,
    known: dict[str, Lock] | None = None,
) -> History:
    """What a session has by now, where another captain may have added to it: what is kept and what
    we know, united.

    Neither need be the fuller one: a store that cannot be written knows less than we do, and two
    processes may have added at once. If they chose different versions of one package, what we know
    stays.

    Args:
        known: as `recall`'s.
    """
    with suppress(LaunchError):
        kept = recall(store, application, conf, known)
        if kept is None:
            return ours
        theirs, own = kept.current, ours.current
        if theirs.bases != own.bases:  # a new base has all that was installed before
            return max(kept, ours, key=lambda history: history.current.bases)
        if set(theirs.layers) <= set(own.layers):
            return ours
        return kept if set(theirs.layers) > set(own.layers) else _united(kept, ours)
    return ours


def _united(kept: History, ours: History) -> History:
    theirs, own = kept.current, ours.current
    pins = {pin.name: pin for pin in (*theirs.lock.pins, *own.lock.pins)}
    conda = {pin.name: pin for pin in (*theirs.lock.conda, *own.lock.conda)}
    if any(pins[pin.name].identity != pin.identity for pin in theirs.lock.pins) or any(
        conda[pin.name].identity != pin.identity for pin in theirs.lock.conda
    ):
        return ours
    both = replace(
        own,
        lock=replace(
            own.lock,
            pins=tuple(pins[name] for name in sorted(pins)),
            conda=tuple(conda[name] for name in sorted(conda)),
        ),
        layers=tuple(dict.fromkeys((*theirs.layers, *own.layers))),
        environment={**theirs.environment, **own.environment},
        why=f"{theirs.why}; {own.why}",
        when=max(theirs.when, own.when),
    )
    parts = {part.folder: part for part in (*kept.parts, *ours.parts)}
    return replace(kept.then(both), parts=tuple(parts.values()))


def _lock(store: Store, digest: str) -> Lock:
    value = store.recall("session-lock", digest)
    if value is None:
        raise LaunchError(
            "session.lock-unknown",
            "what is installed in the running session is not known",
            value=f"lock {digest[:12]}",
            cause=(
                f"it was started by another user or on another machine, or {store.root} was cleaned"
                " since"
            ),
            cure=(
                "name the store that it was started with: Captain(store=...) or COFFEE_BOAT_STORE;"
                " or stop the session, captain.launch_ship(), and start it again"
            ),
        )
    return Lock(
        _target(value["target"]),
        tuple(_pin(pin) for pin in value["pins"]),
        conda=tuple(_conda_pin(pin) for pin in value.get("conda", ())),
        exclude=tuple(value.get("exclude", ())),
    )


def _target(value: Mapping[str, Any]) -> Target:
    return Target(**{**value, "glibc": tuple(value["glibc"])})


def _pin(value: Mapping[str, Any]) -> Pin:
    pin = Pin(**{**value, "requires": tuple(value["requires"])})
    return grammar.checked(pin, "the store's note on the session")


def _conda_pin(value: Mapping[str, Any]) -> CondaPin:
    pin = CondaPin(
        **{**value, "requires": tuple(value["requires"]), "provides": tuple(value["provides"])}
    )
    return grammar.checked_conda(pin, "the store's note on the session")
