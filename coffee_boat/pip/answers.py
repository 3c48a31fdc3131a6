"""Earlier answers of the resolver: kept, and taken again while they hold."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from coffee_boat._support.store import Store
from coffee_boat._support.words import duration
from coffee_boat.errors import LockError, StoreError
from coffee_boat.model import Finding, Lock, Manifest, Pin
from coffee_boat.pip import pylock
from coffee_boat.pip.lines import local, location, same_place
from coffee_boat.pip.request import Request, place_digest
from coffee_boat.spark import packages as spark_packages


@dataclass(frozen=True)
class Known:
    """An earlier answer."""

    lock: Lock
    made: float
    """Seconds since the epoch."""
    exact: bool
    """False if the driver has other versions now: the answer serves, but is not the one that would
    be given today.
    """
    moving: bool
    """True if it holds a commit that no requirement names: a branch's or a tag's, which may be
    another by now.
    """

    @property
    def age(self) -> float:
        """Seconds."""
        return max(0.0, time.time() - self.made)

    def stands(self, max_age: float) -> bool:
        """True if it need not be asked for again."""
        return self.exact and not self.moving and self.age <= max_age

    def doubt(self, max_age: float) -> str:
        """Why it does not stand, for people."""
        if not self.exact:
            return "this process has other versions now"
        return "a branch or tag may have moved" if self.moving else f"older than {max_age:.0f} s"

    def aged(
        self,
        cause: str,
        *,
        cure: str = "newer releases are looked for once the index can be reached",
    ) -> Lock:
        """The lock, with a Finding that names its age."""
        value = f"{duration(self.age)} old" + (
            "" if self.exact else ", and chosen for other versions on the driver"
        )
        finding = Finding(
            "lock.earlier-resolution",
            "an earlier resolution is used as it is",
            value=value,
            cause=cause,
            cure=cure,
            severity="note",
        )
        return replace(self.lock, findings=(*self.lock.findings, finding))


def recall(store: Store, key: Mapping[str, Any], request: Request) -> Known | None:
    """An earlier answer that still holds; None if there is none."""
    value = store.recall("lock", key)
    if not isinstance(value, dict) or not {"pylock", "made", "preferred", "findings"} <= {*value}:
        return None  # not there, or not what we wrote
    lock = _remembered(value["pylock"], request)
    if lock is None or any(map(_has_changed, lock.pins)):
        return None
    changed = _other_preferences(value["preferred"], lock, request)
    if changed.intersection(
        spark_packages.DRIVERS_OWN
    ):  # no preferences: the answer may not go with another pyspark
        return None
    findings = tuple(Finding(**finding) for finding in value["findings"])
    return Known(
        replace(lock, findings=findings),
        value["made"],
        exact=not changed,
        moving=_is_moving(lock, request.manifest),
    )


def _remembered(text: str, request: Request) -> Lock | None:
    try:
        lock = pylock.read(text, request.target)
    except LockError:  # a folder of it is gone
        return None
    return replace(lock, pins=tuple(_with_query(pin, request.manifest) for pin in lock.pins))


def _other_preferences(earlier: Mapping[str, str], lock: Lock, request: Request) -> set[str]:
    """Names of which the driver has neither what it had nor what was chosen.

    Its other packages may come and go.
    """
    chosen = {pin.name: pin.version for pin in lock.pins}
    return {
        name
        for name, version in earlier.items()
        if request.preference(name) not in (version, chosen.get(name))
    }


def _has_changed(pin: Pin) -> bool:
    """True for a folder or file that was edited since; the manifest may not name it (`path` in
    [tool.uv.sources]).
    """
    place = local(pin.url) if pin.direct else None
    return place is not None and (not place.exists() or place_digest(place) != pin.sha256)


def _is_moving(lock: Lock, manifest: Manifest) -> bool:
    named = " ".join(location(r) for r in (*manifest.requirements, *manifest.constraints)).lower()
    return any(pin.kind == "vcs" and pin.commit not in named for pin in lock.pins)


def _with_query(pin: Pin, manifest: Manifest) -> Pin:
    """The pin with the query that only the manifest may hold: it can be a token."""
    if not pin.direct or pin.kind in ("directory", "vcs"):
        return pin
    urls = (location(r) for r in (*manifest.requirements, *manifest.constraints))
    query = next((urlsplit(url).query for url in urls if same_place(url, pin.url)), "")
    return replace(pin, url=urlsplit(pin.url)._replace(query=query).geturl()) if query else pin


def remember(store: Store, key: Mapping[str, Any], request: Request, lock: Lock) -> None:
    """Keep the answer if it can be kept: the stages that must write say so themselves."""
    text = pylock.write(lock)
    again = _remembered(text, request)
    if again is None or [pin.url for pin in again.pins] != [pin.url for pin in lock.pins]:
        return  # it needs a query that is not the manifest's
    names = {*(pin.name for pin in lock.pins if not pin.direct), *spark_packages.DRIVERS_OWN}
    value = {
        "made": time.time(),
        "preferred": {name: request.preference(name) for name in sorted(names)},
        "pylock": text,
        "findings": [vars(finding) for finding in lock.findings],
    }
    with suppress(StoreError):
        store.remember("lock", key, value)
