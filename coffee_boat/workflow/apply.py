"""Packages -> a running session: resolved with what is installed, built, sent, confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from coffee_boat._support.logs import logger
from coffee_boat._support.redact import redact
from coffee_boat.clusters import kind_of_running
from coffee_boat.errors import BoatError
from coffee_boat.model import Archive, Arrival, Change, Chunk, Finding, Lock, Manifest
from coffee_boat.session import reach, verify
from coffee_boat.session.live import LiveSession
from coffee_boat.workflow import launch
from coffee_boat.workflow.expose import expose
from coffee_boat.workflow.stopwatch import Stopwatch
from coffee_boat.workflow.tools import Tools

_log = logger(__name__)


@dataclass(frozen=True)
class Applied:
    """A change that the session has: what fails from here on does not undo it."""

    change: Change
    archive: Archive | None
    """None if nothing had to be sent."""
    watch: Stopwatch

    @property
    def lock(self) -> Lock:
        """All that is installed now."""
        return self.change.lock


def add(tools: Tools, live: LiveSession, wanted: Manifest, added: Manifest) -> Applied:
    """Send what is missing, as a layer or a new base; nothing of the session changes before all of
    it is made.

    Args:
        wanted: all that is asked for.
        added: what of it is new.

    Raises:
        RequirementError, LockError, BuildError: it cannot be had, or something that is installed
            would have to change.
        ShipError, VerifyError: it cannot be sent.
    """
    tools.pipeline.watch = watch = Stopwatch()
    with tools.work() as say, live.alone():
        installed = live.refresh().lock
        lock = tools.pipeline.lock_more(wanted, added, installed, say)
        change = tools.pipeline.change(lock, installed)
        change, archive = tools.pipeline.addition(change, wanted, say)
        names = ", ".join(pin.name for pin in change.added)
        _log.info(
            "change: %s", ", ".join(filter(None, (change.kind, names, change.why.strip(", "))))
        )
        if archive is not None:
            with watch.part("send"):
                _send(tools, live, change, archive, redact(", ".join(added.texts or wanted.texts)))
    return Applied(change, archive, watch)


def _send(tools: Tools, live: LiveSession, change: Change, archive: Archive, why: str) -> None:
    """A layer is only sent; a new base is what everything runs in from then on, also functions that
    were made before.
    """
    facts = live.session.facts()
    shipped = launch.ship(tools, archive, facts)
    if change.kind == "layer":
        live.session.send(shipped)
        live.add_layer(change.lock, archive, why)
        return
    kind = kind_of_running(facts.master)
    patch = launch.patch_of(tools, kind, facts, shipped)
    patch = launch.seen_from_the_driver(tools, patch, facts, change.lock)
    tools.emit([*archive.findings, reach.new_base(archive, change.lock)])
    if not kind.runs_in_driver:
        live.session.send(shipped)
    live.switch(change.lock, patch, why)


def expose_here(tools: Tools, lock: Lock, chunks: Sequence[Chunk]) -> None:
    """Make importable on the driver what executors have already; that it cannot be is a finding."""
    try:
        with tools.work() as say:
            expose(tools, lock, chunks, say)
    except (BoatError, OSError) as error:
        tools.emit([_on_executors_only(error)])


def confirm(live: LiveSession, applied: Applied, *, deadline: float) -> Arrival:
    """Wait until the live executors have what was sent.

    Args:
        deadline: seconds.
    """
    with applied.watch.part("arrive"):
        confirmed, missed, findings = verify.arrival(
            live.session, applied.archive, deadline=deadline
        )
    return Arrival(
        applied.change.added,
        applied.archive,
        confirmed,
        missed,
        dict(applied.watch.seconds),
        findings,
        complete=not live.session.remote,
    )


def _on_executors_only(error: BoatError | OSError) -> Finding:
    found = Finding(
        "driver.not-importable",
        "the packages are on the executors, and not importable on the driver",
        value=str(error),
        cause="the store's disk is full, or was cleaned meanwhile",
        cure="mend that, and add the packages once more",
    )
    if isinstance(error, BoatError):
        value = f"{error.what}: {error.value}"
        return replace(found, value=value, cause=error.cause, cure=error.cure)
    return found
