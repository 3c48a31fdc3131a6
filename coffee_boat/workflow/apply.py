"""A change of a running session: chosen with what is installed, built, sent, confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from coffee_boat._support import futures
from coffee_boat._support.crew import Crew
from coffee_boat._support.logs import logger
from coffee_boat._support.progress import Say
from coffee_boat._support.redact import redact
from coffee_boat.clusters import kind_of_running
from coffee_boat.errors import BoatError, LockError, ShipError
from coffee_boat.interpreter import generation
from coffee_boat.model import (
    Archive,
    Arrival,
    Change,
    Chunk,
    Finding,
    Generation,
    History,
    Lock,
    Manifest,
    Shipped,
    SparkFacts,
)
from coffee_boat.session import Answers, driver, reach, verify
from coffee_boat.session.live import LiveSession
from coffee_boat.worker import compose
from coffee_boat.workflow import composing, expose, own_code, room, shipping
from coffee_boat.workflow.stopwatch import Stopwatch
from coffee_boat.workflow.tools import Tools

_log = logger(__name__)
Choose = Callable[[Generation, Say], Lock]
"""What a session has, and who is told of progress -> all that it is to have."""


@dataclass(frozen=True)
class Wish:
    """A change that is asked for."""

    choose: Choose
    manifest: Manifest
    """All that is wanted then."""
    why: str
    """For people: what was asked for."""
    deadline: float
    """Seconds to wait for executors to confirm; 0: they are not asked."""


@dataclass(frozen=True)
class Applied:
    """A change that the session has: what fails from here on does not undo it."""

    change: Change
    archive: Archive | None
    """None if no package had to be sent."""
    watch: Stopwatch
    deadline: float
    number: int = 0
    """Of the generation; 0 where nothing changed."""
    answers: Answers | None = None
    """What executors said of a composed environment, before it counted."""

    @property
    def lock(self) -> Lock:
        """All that is installed now."""
        return self.change.lock


def addition(
    tools: Tools, wanted: Manifest, added: Manifest, *, deadline: float, allow_changes: bool = False
) -> Wish:
    """More packages.

    Args:
        wanted: all that is asked for.
        added: what of it is new.
        allow_changes: what is installed may change where it has to.
    """

    def choose(now: Generation, say: Say) -> Lock:
        try:
            return tools.pipeline.lock_more(wanted, added, now.lock, say)
        except LockError as refusal:
            if not allow_changes or not tools.pipeline.refused(refusal):
                raise
            return tools.pipeline.lock_changed(
                wanted, added, now.lock, say, conda=bool(added.conda)
            )

    return Wish(choose, wanted, ", ".join(added.texts or wanted.texts), deadline)


def apply(tools: Tools, live: LiveSession, wish: Wish) -> Applied:
    """Send what is missing, and let it count; nothing of the session changes before all of it is
    made.

    Raises:
        RequirementError, LockError, BuildError: it cannot be had, or something that is installed
            would have to change.
        ShipError, VerifyError: it cannot be sent, or an executor cannot have it: what it had
            before counts.
    """
    tools.pipeline.watch = watch = Stopwatch()
    with tools.work() as say, live.alone():
        now = live.refresh()
        change = tools.pipeline.change(wish.choose(now, say), now.lock, live.history.held)
        items = tools.pipeline.items(change)
        archives = shipping.copies(tools, items, live.session.master)
        room.refuse_too_much(items, tools.store, archives=archives)
        change, archive = tools.pipeline.addition(change, wish.manifest, say)
        if archive is not None and archive.role == "layer":
            archive = replace(archive, after=now.composed.removeprefix(compose.GENERATIONS))
        _log.info("change: %s", ", ".join(filter(None, (change.kind, change.difference.summary))))
        if change.kind == "nothing":
            return Applied(change, None, watch, wish.deadline)
        applied = _Sending(tools, live, change, archive, wish, watch).send()
        return replace(applied, number=live.history.current.number)


@dataclass(frozen=True)
class _Sending:
    """A change on its way to executors."""

    tools: Tools
    live: LiveSession
    change: Change
    archive: Archive | None
    wish: Wish
    watch: Stopwatch

    def send(self) -> Applied:
        """A layer is only sent. A new base, or a composed environment, is what everything runs in
        from then on, also functions that were made before.
        """
        facts, change, archive = self.live.session.facts(), self.change, self.archive
        added = archive is not None and self._is_found_by_itself(archive)
        if archive is not None and archive.role == "layer" and not added:
            # seen by what is composed of it only: if an executor fails, by nobody
            archive = replace(archive, role="part", after="")
        with self.watch.part("send"):
            parts = self._sent(archive, facts)
        answers = None
        if archive is not None and added:
            self.live.add_layer(change.lock, archive, parts, self._why)
        elif archive is not None and self._is_all_there_is(parts):
            self._switch(archive, facts, parts)
        else:
            answers = self._compose(facts, parts)
        if answers is not None and change.kind == "layer":
            change = replace(change, kind="composed")
        return Applied(change, archive, self.watch, self.wish.deadline, answers=answers)

    @property
    def _why(self) -> str:
        return redact(self.wish.why)

    def _sent(self, archive: Archive | None, facts: SparkFacts) -> History:
        """The archive in its place; and what the session was sent by then."""
        history = self.live.history
        if archive is None:
            return history
        shipped = shipping.ship_added(self.tools, archive, facts)
        if archive.role == "base" and kind_of_running(facts.master).runs_in_driver:
            shipping.unpacked_here(self.tools, archive)
        else:
            self.live.session.send(shipped)
        folder = composing.folder_of(archive, facts, self.tools.store)
        return history.sent(composing.part_of(archive, self.change.lock, folder))

    def _is_found_by_itself(self, archive: Archive) -> bool:
        """True where Python finds what is new beside what it has."""
        if self.change.kind != "layer":
            return False
        parts, store = self.live.history.parts, self.tools.store
        known = any(part.folder == archive.name for part in parts)
        whole = (
            composing.has_data(archive, store)
            or composing.leans(archive, parts, store)
            or composing.extends(archive, parts, store)
        )
        return not known and not whole

    def _is_all_there_is(self, parts: History) -> bool:
        """True for a new base where nothing lies beside it that Python could find: nothing went,
        and no layer was ever sent.
        """
        return (
            self.change.kind == "base"
            and not self.change.difference.leaving
            and all(part.base for part in parts.parts)
        )

    def _switch(self, base: Archive, facts: SparkFacts, parts: History) -> None:
        tools, lock = self.tools, self.change.lock
        tools.emit([*base.findings, reach.new_base(base, lock)])
        shipped = Shipped(base, base.path)  # in its place already: only its name counts
        patch = shipping.patch_of(tools, kind_of_running(facts.master), facts, shipped)
        patch = shipping.seen_from_the_driver(tools, patch, facts, lock)
        self.live.switch(lock, patch, parts, self._why)

    def _compose(self, facts: SparkFacts, parts: History) -> Answers:
        tools, live, lock = self.tools, self.live, self.change.lock
        made = generation.build(
            composing.composition(lock, parts.parts, tools.store),
            lock,
            has_python=live.history.current.ships_python,
            inputs=[r.name for r in self.wish.manifest.requirements if r.name],
            store=tools.store,
        )
        if self.change.kind == "base" and self.archive is not None:
            tools.emit([*self.archive.findings, reach.new_base(self.archive, lock)])
        with self.watch.part("send"):
            live.session.send(shipping.ship(tools, made, facts))
        with self.watch.part("arrive"):
            answers = self._tried(made.name)
        launcher = live.session.place(f"{made.name}/{made.python}")
        live.compose(lock, launcher, made.name, parts, self._why)
        return answers

    def _tried(self, name: str) -> Answers:
        """What executors say that composed it, before it counts.

        Raises:
            ShipError: one of them cannot.
        """
        session, deadline = self.live.session, self.wish.deadline
        if deadline <= 0:
            return Answers({}, session.executors(), 0)
        answers = session.ask(compose.try_here, name, deadline=deadline, patient=False)
        _refuse_failed(answers)
        return answers


def _refuse_failed(answers: Answers) -> None:
    failed = {executor: said for executor, said in sorted(answers.by_executor.items()) if said}
    if failed:
        raise ShipError(
            "session.not-composed",
            "executors cannot have the changed environment; what they had before counts",
            value="; ".join(f"executor {executor}: {said}" for executor, said in failed.items()),
            cause=_why_not(failed.values()),
            cure="mend that, or let Spark replace the executor; then ask again",
        )


def _why_not(said: Iterable[str]) -> str:
    if any(words in one for one in said for words in ("No space left", "quota", "MiB free")):
        return "the disk with the executor's working directory is full"
    return "its working directory cannot be written or read, or did not get all that was sent"


def expose_here(tools: Tools, lock: Lock, chunks: Sequence[Chunk]) -> None:
    """Make importable on the driver what executors have already; that it cannot be is a finding."""
    with _told(tools), tools.work() as say:
        expose.expose(tools, lock, chunks, say)


def expose_changed(tools: Tools, applied: Applied, manifest: Manifest) -> None:
    """Have the driver import what executors have now, in place of what they had before; that it
    cannot is a finding.
    """
    leaving = applied.change.difference.leaving
    if own_code.only_code(leaving) and not tools.views.incomplete:
        expose_here(tools, applied.lock, applied.archive.chunks if applied.archive else ())
        return
    gone = {pin.name: pin.version for pin in leaving}
    with _told(tools):
        with tools.work() as say:
            loaded = tools.views.loaded(gone)
            lacking = driver.lacking(applied.lock)
            chunks = (
                tools.pipeline.chunks(lacking, applied.lock, manifest, say)
                if tools.settings.install_local
                else ()
            )
            # what can fail does so while the old is there
            now = expose.importable(tools, applied.lock, chunks, say)
            tools.views.close()
            expose.show(tools, applied.lock, chunks, now)
            tools.views.incomplete = False
        tools.emit(loaded)


@contextmanager
def _told(tools: Tools) -> Iterator[None]:
    """That the driver's half failed is a finding; and the next change does all of it, also where it
    was interrupted.
    """
    try:
        yield
    except (BoatError, OSError) as error:
        tools.views.incomplete = True
        tools.emit([_on_executors_only(error)])
    except BaseException:
        tools.views.incomplete = True
        raise


def confirm(live: LiveSession, applied: Applied) -> Arrival:
    """Wait until the live executors have what was sent."""
    confirmed, missed, findings = _confirmed(live, applied)
    if applied.number:
        live.told(applied.number, confirmed, missed)
    return Arrival(
        applied.change.added,
        applied.archive,
        confirmed,
        missed,
        dict(applied.watch.seconds),
        findings,
        applied.change.difference,
        complete=not live.session.remote,
    )


def confirm_and_expose(
    live: LiveSession, applied: Applied, tools: Tools, manifest: Manifest
) -> Arrival:
    """The same, and `expose_changed` meanwhile: each side unpacks."""
    with Crew(1, "driver") as crew:
        own = crew.submit(partial(expose_changed, tools, applied, manifest))
        arrival = confirm(live, applied)
        futures.results([own])
    return arrival


def _confirmed(
    live: LiveSession, applied: Applied
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Finding, ...]]:
    if applied.answers is not None:
        missed = applied.answers.missed
        asked = applied.deadline > 0
        told = verify.not_seen(missed, composed=True) if asked else ()
        return tuple(sorted(applied.answers.by_executor)), missed, told
    with applied.watch.part("arrive"):
        return verify.arrival(live.session, applied.archive, deadline=applied.deadline)


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
