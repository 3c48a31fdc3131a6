"""What is known of a session beyond this process: the lock's digest in its Spark conf, the rest in
the store.

A kernel that was restarted, another process on the same JVM, or a second Captain reads it and goes
on.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from coffee_boat._support.store import Store
from coffee_boat._support.urls import without_query
from coffee_boat.errors import LaunchError
from coffee_boat.model import CondaPin, ConfPatch, Lock, Pin, Target, grammar

LOCK = "spark.coffee_boat.lock"
"""The digest of the lock that the session was started with."""
PYTHON = "spark.coffee_boat.python"
"""The executors' interpreter, as in ConfPatch."""
SHIPS_PYTHON = "spark.coffee_boat.ship_python"
"""As Captain's argument."""


@dataclass(frozen=True)
class Aboard:
    """What a running session has."""

    python: str
    """The executors' interpreter: absolute, or relative to the executor's working directory.

    Of the first base, which becomes that of the newest (worker/startup.py).
    """
    base: Lock
    """What the session was started with."""
    lock: Lock
    """The same with all that was added since."""
    ships_python: bool = True
    """False where the nodes' own interpreter runs."""
    layers: tuple[str, ...] = ()
    """Names of the archives that were added, in order."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the executors' Python."""
    generation: int = 1
    """How many bases it had."""
    started: str = ""
    """Digest of the lock that it was started with, as its conf has it, where it got another base
    since.
    """


def marks(patch: ConfPatch, lock: Lock, *, ships_python: bool) -> dict[str, str]:
    """What a session's Spark conf says of us.

    It can be read in Spark's UI and event log: nothing in it is secret.
    """
    return {LOCK: lock.digest, PYTHON: patch.python, SHIPS_PYTHON: str(ships_python).lower()}


def remember(store: Store, application: str, aboard: Aboard) -> None:
    """Keep what a session has; what was kept of it before is replaced.

    Args:
        application: Spark's id of it.

    Raises:
        StoreError: the store cannot be written.
    """
    for lock in (aboard.base, aboard.lock):
        remember_lock(store, lock)
    value = {
        "started": aboard.started or aboard.base.digest,
        "base": aboard.base.digest,
        "lock": aboard.lock.digest,
        "layers": list(aboard.layers),
        "environment": dict(aboard.environment),
        "generation": aboard.generation,
    }
    store.remember("session", application, value)


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
        }
        store.remember("session-lock", lock.digest, value)


def _public(pin: Pin | CondaPin) -> dict[str, Any]:
    """As it is kept: who fetches it again must have a token of its URL from elsewhere."""
    url = pin.url if pin.url.startswith("file:") else without_query(pin.url)
    return {**asdict(pin), "url": url}


def recall(store: Store, application: str, conf: Mapping[str, str]) -> Aboard | None:
    """What a session has; None if it was started without us.

    Args:
        conf: the session's Spark settings.

    Raises:
        LaunchError: it is one of ours, and the store does not know its lock.
        LockError: what the store knows of it is no lock.
    """
    digest = conf.get(LOCK)
    if not digest:
        return None
    said = store.recall("session", application) or {}
    if said.get("started") != digest:  # ids are unique within one cluster only
        said = {}
    return Aboard(
        python=conf.get(PYTHON, ""),
        base=_lock(store, said.get("base", digest)),
        lock=_lock(store, said.get("lock", digest)),
        ships_python=conf.get(SHIPS_PYTHON, "true") == "true",
        layers=tuple(said.get("layers", ())),
        environment=said.get("environment", {}),
        generation=said.get("generation", 1),
        started="" if said.get("base", digest) == digest else digest,
    )


def latest(store: Store, application: str, conf: Mapping[str, str], ours: Aboard) -> Aboard:
    """What a session has by now, where another captain may have added to it: what is kept and what
    we know, united.

    Neither need be the fuller one: a store that cannot be written knows less than we do, and two
    processes may have added at once. If they chose different versions of one package, what we know
    stays.
    """
    with suppress(LaunchError):
        kept = recall(store, application, conf)
        if (
            kept is not None and kept.generation != ours.generation
        ):  # a new base has all that was aboard before
            return max(kept, ours, key=lambda aboard: aboard.generation)
        if kept is None or set(kept.layers) <= set(ours.layers):
            return ours
        return kept if set(kept.layers) > set(ours.layers) else _united(kept, ours)
    return ours


def _united(kept: Aboard, ours: Aboard) -> Aboard:
    pins = {pin.name: pin for pin in (*kept.lock.pins, *ours.lock.pins)}
    conda = {pin.name: pin for pin in (*kept.lock.conda, *ours.lock.conda)}
    if any(pins[pin.name].identity != pin.identity for pin in kept.lock.pins) or any(
        conda[pin.name].identity != pin.identity for pin in kept.lock.conda
    ):
        return ours
    return replace(
        ours,
        lock=replace(
            ours.lock,
            pins=tuple(pins[name] for name in sorted(pins)),
            conda=tuple(conda[name] for name in sorted(conda)),
        ),
        layers=tuple(dict.fromkeys((*kept.layers, *ours.layers))),
        environment={**kept.environment, **ours.environment},
    )


def _lock(store: Store, digest: str) -> Lock:
    value = store.recall("session-lock", digest)
    if value is None:
        raise LaunchError(
            "session.lock-unknown",
            "what is aboard the running session is not known",
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
