"""What a launch or an addition would do: nothing is made, sent or remembered."""

from __future__ import annotations

from functools import partial

from coffee_boat.errors import LaunchError, LockError
from coffee_boat.model import Finding, Lock, Manifest, Plan
from coffee_boat.session.live import LiveSession
from coffee_boat.spark import companions
from coffee_boat.spark import facts as spark_facts
from coffee_boat.workflow import launch
from coffee_boat.workflow.built import Resolved, forgettable, nodes, resolve
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.tools import Tools


def plan_launch(
    tools: Tools,
    request: Request,
    master: str | None,
    *,
    lock: Lock | None = None,
    asked_for: bool = True,
) -> tuple[Plan, Resolved]:
    """Of a session that starts.

    Args:
        master: None plans no settings.
        lock: what was chosen already.
        asked_for: False for a request that the captain was not asked for: it cannot forget it.

    Raises:
        BoatError: as `Captain.plan`.
    """
    fits = () if master is None else launch.fitting(tools)
    facts = None if master is None else spark_facts.of_master(master)
    known = None if lock is None else Resolved(request, lock)
    cluster = (
        None
        if facts is None
        else launch.ask_gently(tools, facts, partial(nodes, tools, request, known))
    )
    with tools.work() as say:
        if lock is None:
            lock = (forgettable if asked_for else resolve)(tools, request, say)
        change = tools.pipeline.change(lock, None)
        items = tools.pipeline.items(change)
    unfit = (
        ()
        if cluster is None
        else (
            *cluster.findings,
            *launch.other_minor(tools, request, known),
            *launch.held(tools, lock, cluster),
        )
    )
    patch = None if facts is None else launch.planned_patch(tools, request, lock, facts)
    findings = (
        *request.manifest.findings,
        *lock.findings,
        *tools.pipeline.untried(lock),
        *fits,
        *unfit,
        *(patch.findings if patch else companions.odd(lock)),
    )
    left_out = tools.pipeline.packages_left_out(lock)
    return Plan(change, items, patch, findings, left_out), Resolved(request, lock)


def plan_addition(
    tools: Tools, live: LiveSession, wanted: Manifest, added: Manifest, master: str | None
) -> Plan:
    """Of packages for a running session: what an addition would make; where an installed version
    would have to change, what it would make if that is allowed.

    Args:
        wanted: all that is asked for then.
        added: what of it is new.

    Raises:
        BoatError: as `Captain.plan`.
    """
    if master is not None:
        raise LaunchError(
            "session.already-running",
            "a session runs already",
            value=f"master={master!r}",
            cause="what is added goes to it",
            cure="leave the master out; or stop the session first",
        )
    refused: tuple[Finding, ...] = ()
    with tools.work() as say:
        installed = live.refresh().lock
        try:
            lock = tools.pipeline.lock_more(wanted, added, installed, say)
        except LockError as refusal:
            if not tools.pipeline.refused(refusal):
                raise
            refused = (Finding.of(refusal.problem, "error"),)
            lock = tools.pipeline.lock_changed(
                wanted, added, installed, say, conda=bool(added.conda)
            )
    change = tools.pipeline.change(lock, installed, live.history.held)
    findings = (*refused, *added.findings, *lock.findings, *companions.odd(change.sent))
    left_out = tools.pipeline.packages_left_out(lock)
    return Plan(change, tools.pipeline.items(change), findings=findings, packages_left_out=left_out)
