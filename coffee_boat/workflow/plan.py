"""What a launch or an addition would do: nothing is made, sent or remembered."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from coffee_boat.clusters import kind_of_running, large
from coffee_boat.errors import LaunchError, LockError
from coffee_boat.model import Finding, Lock, Manifest, Plan, PlanItem, SparkFacts
from coffee_boat.session.live import LiveSession
from coffee_boat.spark import companions, install
from coffee_boat.spark import facts as spark_facts
from coffee_boat.workflow import launch, room
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
    fits = () if master is None else _fitting(tools)
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
        items = _seen_from_here(tools, tools.pipeline.items(change), lock, facts)
    size = sum(item.size or 0 for item in items)
    unfit = (
        ()
        if cluster is None or facts is None
        else (
            *tools.preflight.sending(size, facts, cluster, tools.settings.stage),
            *cluster.findings,
            *launch.other_minor(tools, request, known),
            *launch.held(tools, lock, cluster),
        )
    )
    patch = None if facts is None else launch.planned_patch(tools, request, lock, facts)
    findings = (
        *request.manifest.findings,
        *lock.findings,
        *large.cuda(items),
        *room.too_much(items, tools.store),
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
    items = _seen_from_here(tools, tools.pipeline.items(change), change.sent, None)
    findings = (
        *refused,
        *added.findings,
        *lock.findings,
        *room.too_much(items, tools.store),
        *companions.odd(change.sent),
    )
    left_out = tools.pipeline.packages_left_out(lock)
    return Plan(change, items, findings=findings, packages_left_out=left_out)


def _seen_from_here(
    tools: Tools, items: tuple[PlanItem, ...], lock: Lock, facts: SparkFacts | None
) -> tuple[PlanItem, ...]:
    """With what the driver unpacks: all, where it runs the tasks itself."""
    if facts is not None and kind_of_running(facts.master).runs_in_driver:
        return tuple(replace(item, here="now") for item in items)
    return room.seen_from_here(lock, items) if tools.settings.install_local else items


def _fitting(tools: Tools) -> tuple[Finding, ...]:
    """What is known against this Spark and this Python; a refusal is a finding."""
    try:
        return install.fitting(refuse_unknown=tools.refuses_untested)
    except LaunchError as refusal:
        return (Finding.of(refusal.problem, "error"),)
