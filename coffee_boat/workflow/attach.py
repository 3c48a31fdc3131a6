"""A running session -> one that packages can be added to: ours goes on, another gets the base."""

from __future__ import annotations

from dataclasses import dataclass

from coffee_boat._support.logs import logger
from coffee_boat._support.progress import Say
from coffee_boat._support.redact import redact
from coffee_boat.clusters import kind_of_running
from coffee_boat.model import ConfPatch, History, Lock, Manifest
from coffee_boat.session import Session, driver, reach, record
from coffee_boat.session.live import LiveSession
from coffee_boat.settings import AUTO
from coffee_boat.workflow import composing, launch, remote, shipping
from coffee_boat.workflow.apply import Applied, addition, apply, expose_here
from coffee_boat.workflow.built import Built, Resolved, built_of, unedited
from coffee_boat.workflow.expose import expose
from coffee_boat.workflow.request import Request, lock_file_while_running
from coffee_boat.workflow.tools import Tools

_log = logger(__name__)
_WAIT = 10.0
"""Seconds that executors have to confirm what was asked for besides."""


@dataclass(frozen=True)
class Attached:
    """A running session, and what is used to add to it: its platform and its interpreter may be
    others than the settings say.
    """

    live: LiveSession
    tools: Tools
    foreign: bool = False
    """It was started with other settings."""

    @property
    def running(self) -> bool:
        """True until somebody stops it."""
        return self.live.running


def recalled(tools: Tools, session: Session) -> History | None:
    """What a session has that a captain started; None if it was started without us.

    Raises:
        LaunchError: it is a captain's, and this store does not know it.
    """
    if session.remote:
        return remote.recalled(tools.store, session)
    return record.recall(tools.store, session.id, session.facts().conf)


def take_over(
    tools: Tools, session: Session, request: Request, known: Resolved | None, say: Say
) -> tuple[Attached, Built]:
    """Send the base to a session that was started without us, and switch its interpreter. A server
    that was set up with it is sent nothing.

    Args:
        known: what was chosen or built of the request.

    Raises:
        LaunchError: it does not go with this Python, or with its nodes.
        RequirementError, LockError, BuildError, ShipError: the environment cannot be made or sent.
    """
    facts = session.facts()
    _log.info("session %s on %s is nobody's yet: it gets a base", session.id, redact(facts.master))
    if tools.settings.platform == AUTO and session.executors():
        tools.emit(tools.pipeline.learn(tools.preflight.nodes_of(session)))
        known = None  # it may have been chosen for others
    launch.refuse_other_minor(tools, request, None)
    built = built_of(tools, request, unedited(known), say)
    on_server = remote.on_server(facts.conf, built.lock) if session.remote else None
    if on_server is not None:
        there = remote.use_servers(tools, session, built, on_server, say)
        return Attached(there, tools.settled(there.history.current)), built
    if session.executors():
        tools.emit(tools.preflight.ask_nodes(session, built.archive))
    kind, shipped = kind_of_running(facts.master), shipping.ship(tools, built.archive, facts)
    patch = shipping.patch_of(tools, kind, facts, shipped)
    patch = shipping.seen_from_the_driver(tools, patch, facts, built.lock)
    patch = composing.told_of_files(patch, session)
    if not kind.runs_in_driver:
        session.send(shipped)
    ships_python = tools.settings.ship_python
    session.activate(patch, record.marks(patch, built.lock, ships_python=ships_python))
    first = composing.history(tools, patch, built, facts)
    tools.preflight.begin_watch(facts, built.archive)
    tools.preflight.follow(session)
    live = LiveSession(session, first, tools.store)
    expose(tools, built.lock, shipped.archive.chunks, say)
    tools.emit(
        [
            *patch.findings,
            *reach.not_reached(session, ships_python=ships_python),
            *(
                remote.odd(session, built.lock)
                if session.remote
                else reach.not_planned(patch.python, facts.version)
            ),
            *reach.not_preloaded(request.preload, patch.environment),
        ]
    )
    return Attached(live, tools.settled(live.history.current)), built


def go_on(
    tools: Tools,
    session: Session,
    history: History,
    request: Request,
    *,
    known: Resolved | None,
    say: Say,
) -> tuple[Attached, Applied | None]:
    """Continue a session that was started by a captain, with its platform and its interpreter
    rather than our settings'; it gets what was asked for besides.

    Args:
        history: of the session.
        known: what was chosen or built of the request.

    Returns:
        The session, and what was added to it; None where nothing was asked for.

    Raises:
        LaunchError: it does not go with this Python, or a lock file was asked for that it does not
            have.
        RequirementError, LockError, BuildError, ShipError: what was asked for cannot be had there.
    """
    now = history.current
    _log.info(
        "session %s is a captain's: it goes on with what it has, for %s",
        session.id,
        now.base.target.platform,
    )
    launch.refuse_minor(now.base.target.python)
    if request.lock_file is not None:
        ours = {request.lock_file.lock.digest, known.lock.digest if known is not None else ""}
        if not ours & {now.base.digest, now.lock.digest}:
            raise lock_file_while_running(request.lock_file.path)
    tools = tools.of_session(now)
    tools.pipeline.check(request.manifest)
    lacking = driver.lacking(now.lock) if tools.settings.install_local else Lock(now.lock.target)
    chunks = tools.pipeline.chunks(lacking, now.lock, request.manifest, say)
    live = LiveSession(session, history, tools.store, begins=False)
    with live.alone():  # it may have changed while chunks were made
        newest = live.refresh()
        session.activate(ConfPatch(newest.python, environment=newest.environment))
    wish = addition(tools, request.manifest, Manifest(), deadline=_WAIT)
    applied = apply(tools, live, wish) if request.names_packages else None
    expose(tools, now.lock, chunks, say)
    if applied is not None and applied.archive is not None:
        expose_here(tools, applied.lock, applied.archive.chunks)
    tools.emit(
        [
            *reach.not_preloaded(request.preload, now.environment),
            *reach.unknown_layers(session, history),
        ]
    )
    return Attached(live, tools, foreign=True), applied
