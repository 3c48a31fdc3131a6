"""Manifest + Target -> Lock, by uv."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from coffee_boat import errors
from coffee_boat._support import parse
from coffee_boat._support.digest import digest_of
from coffee_boat._support.logs import logger
from coffee_boat._support.progress import Say, Step
from coffee_boat._support.store import Store
from coffee_boat._support.words import counted, duration
from coffee_boat.errors import LockError, StoreError
from coffee_boat.model import Indexes, Lock, Manifest, Pin, Target
from coffee_boat.pip import builds, explain, pylock_pins, uv_options
from coffee_boat.pip.answers import Known, recall, remember
from coffee_boat.pip.compile import Desk
from coffee_boat.pip.lines import location, same_place
from coffee_boat.pip.remarks import (
    disagrees,
    dragged_in,
    explained,
    provided_findings,
    spark_findings,
    warnings,
)
from coffee_boat.pip.request import Request
from coffee_boat.spark import packages as spark_packages

_log = logger(__name__)
Guess = Callable[[], "Lock | None"]


def resolve(
    manifest: Manifest,
    target: Target,
    *,
    python: str,
    preferred: Mapping[str, str],
    indexes: Indexes,
    store: Store,
    max_age: float,
    say: Say,
    provided: Mapping[str, str] | None = None,
    meanwhile: Callable[[Guess], object] = lambda _: None,
) -> Lock:
    """Choose a version and a file of everything that is wanted and of all that it needs.

    Args:
        manifest: evaluated for the target.
        python: an interpreter of the target's minor version; asks source distributions for their
            metadata.
        preferred: normalized name -> version that the driver runs; taken where the requirements
            allow it.
        indexes: all of them: the settings with those of the manifest already among them.
        max_age: seconds for which an earlier answer is taken as it is.
        say: takes what is being done.
        provided: normalized name -> version of distributions that conda packages bring: they meet
            what is asked for, bound it, and are not pinned.
        meanwhile: called when an index is about to be asked, with what tells the answer that is to
            be expected: for work that may be begun in advance.

    Raises:
        LockError: no set of versions serves all requirements, an index cannot be reached, a source
            distribution cannot say what it needs, or may not be asked (`only_binary`).
        StoreError: nothing is known, and the store cannot be written.
    """
    request = Request(
        manifest,
        target,
        python,
        preferred,
        indexes,
        {
            name: version
            for name, version in (provided or {}).items()
            if name not in spark_packages.DRIVERS_OWN
        },
    )
    if not manifest.requirements:
        return Lock(target)
    named = (*manifest.requirements, *manifest.constraints)
    builds.refuse_wanted((replace(r, url=location(r)) for r in named), indexes, LockError)
    key = request.key()
    known = recall(store, key, request)
    if known is not None and known.stands(max_age):
        _log.info(
            "resolution: reused from the store, %s, asked %s ago",
            counted(len(known.lock.pins), "package"),
            duration(known.age),
        )
        return known.lock
    _log.info(
        "resolution: %s",
        "no earlier one in the store" if known is None else f"asked anew, {known.doubt(max_age)}",
    )
    if known is not None and known.exact and request.indexes.offline:
        return known.aged("offline=True")

    def asking() -> None:
        wanted = counted(len(manifest.requirements), "requirement")
        glibc = ".".join(map(str, target.glibc))
        say(Step(f"resolving {wanted} for Python {target.minor} and glibc {glibc}"))
        if not (indexes.offline or indexes.no_index):
            meanwhile(partial(_guess, request, store) if known is None else (lambda: known.lock))

    try:
        return _ask_alone(request, key, store, max_age, asking)
    except StoreError as error:
        if known is None:
            raise
        return known.aged(error.what, cure=error.cure)


def _ask_alone(
    request: Request,
    key: Mapping[str, Any],
    store: Store,
    max_age: float,
    asking: Callable[[], None],
) -> Lock:
    """Ask uv, unless another process does so meanwhile."""
    started = time.time()
    with store.turn(f"resolve {digest_of(key)}"):
        known = recall(store, key, request)
        if known is not None and (known.stands(max_age) or (known.exact and known.made >= started)):
            return known.lock
        asking()
        return _ask(request, key, store, known)


def _ask(request: Request, key: Mapping[str, Any], store: Store, known: Known | None) -> Lock:
    """Ask uv; an earlier answer serves where the index does not."""
    begun = time.monotonic()
    try:
        lock = _resolved(request, store)
    except errors.UnreachableError as error:
        if known is None:
            raise
        return known.aged(error.what)
    remember(store, key, request, lock)
    _log.info(
        "resolution: %s for Python %s on %s, of %s, %.1f s",
        counted(len(lock.pins), "package"),
        request.target.python,
        request.target.platform,
        uv_options.in_words(request.indexes),
        time.monotonic() - begun,
    )
    for pin in lock.pins:
        asked = "asked for" if pin.requested else "needed"
        _log.debug("resolution: %s %s, %s: %s", pin.name, pin.version, asked, pin.url)
    return lock


def _guess(request: Request, store: Store) -> Lock | None:
    """What uv would choose by what it knows already; None if it knows too little, or would have to
    build something to tell.
    """
    if any(map(location, request.manifest.requirements)):
        return None
    known = replace(request.indexes, offline=True, only_binary=(":all:",))
    try:
        return _resolved(replace(request, indexes=known), store)
    except LockError:
        return None


# asking uv


def _resolved(request: Request, store: Store) -> Lock:
    with store.scratch() as folder:
        folder.mkdir()
        (folder / "pyproject.toml").write_text(uv_options.NO_PROJECT, "utf-8")
        desk = Desk(request, folder.resolve())
        findings = [*desk.missing_links(), *spark_findings(request), *provided_findings(request)]
        if not desk.asks():
            return Lock(request.target, findings=tuple(findings))
        ran = desk.compile(override=False)
        if ran.code and re.search(r"\b(pyspark|py4j)\b", ran.stderr):
            first = explain.cleaned(desk.in_users_words(ran.stderr))
            ran = desk.compile(override=True)
            findings += [] if ran.code else [disagrees(first)]
        if ran.code:
            raise explained(desk.in_users_words(ran.tail), request)
        pins = _pins(request, desk)
        return Lock(
            request.target,
            _wanted_only(pins, request.provided),
            (*findings, *dragged_in(request, pins), *warnings(desk.in_users_words(ran.stderr))),
        )


# reading the answer


def _pins(request: Request, desk: Desk) -> tuple[Pin, ...]:
    document = parse.toml(desk.output.read_text("utf-8"))
    allowed = _hashes(request.manifest)
    for package in document.get("packages", ()):
        _restrict(package, allowed.get(package["name"], frozenset()))
        if folder := package.get("directory"):
            folder["path"] = str(desk.place_of((desk.output.parent / folder["path"]).resolve()))
    pins = pylock_pins.pins_of(document, request.target, desk.output.parent, name="uv's answer")
    return tuple(_named(pin, request.manifest) for pin in pins)


def _hashes(manifest: Manifest) -> dict[str, frozenset[str]]:
    """Name -> the hashes that the user allows, for those that have some."""
    allowed: dict[str, set[str]] = {}
    for r in (*manifest.requirements, *manifest.constraints):
        if r.name and r.hashes:
            allowed.setdefault(r.name, set()).update(r.hashes)
    return {name: frozenset(hashes) for name, hashes in allowed.items()}


def _restrict(package: dict[str, Any], allowed: frozenset[str]) -> None:
    """Leave only files with an allowed hash: uv takes note of --hash, but does not check it while
    it compiles.
    """
    if not allowed or "vcs" in package or "directory" in package:
        return
    files = {kind: package.pop(kind) for kind in ("wheels", "sdist", "archive") if kind in package}
    package |= {
        kind: [f for f in found if _matches(f, allowed)] if kind == "wheels" else found
        for kind, found in files.items()
        if kind == "wheels" or _matches(found, allowed)
    }
    if not any(package.get(kind) for kind in files):
        raise LockError(
            "lock.hash-mismatch",
            f"no file of {package['name']} {package.get('version', '')} for the executors has one"
            " of the hashes that were given",
            value=", ".join(sorted(allowed)[:3]),
            cause=(
                "the hashes are of another version, of another platform's wheel, or the file was"
                " changed"
            ),
            cure=(
                "list the hashes of all files of that version, as `uv pip compile"
                " --generate-hashes` does"
            ),
        )


def _matches(file: Mapping[str, Any], allowed: frozenset[str]) -> bool:
    return any(f"{kind}:{value}" in allowed for kind, value in file["hashes"].items())


def _named(pin: Pin, manifest: Manifest) -> Pin:
    """The pin with what only the manifest knows: whether the user named it, and how."""
    mine = [
        r
        for r in manifest.requirements
        if r.name == pin.name or (not r.name and same_place(location(r), pin.url))
    ]
    return replace(
        pin,
        requested=bool(mine),
        editable=pin.kind == "directory" and any(r.editable for r in mine),
    )


def _wanted_only(pins: Sequence[Pin], provided: Mapping[str, str]) -> tuple[Pin, ...]:
    return tuple(
        pin
        for pin in pins
        if pin.name not in spark_packages.DRIVERS_OWN and pin.name not in provided
    )
