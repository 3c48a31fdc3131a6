"""The archive in its place, and what a session must be started with for it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from coffee_boat._support.progress import Step
from coffee_boat._support.words import human_size
from coffee_boat.archive import layer_file
from coffee_boat.archive.unpack import environment_path, unpack
from coffee_boat.clusters import (
    RunningCluster,
    kind_of,
    kind_of_running,
    large,
    takes_files_only,
)
from coffee_boat.clusters.preload import preloading
from coffee_boat.errors import LaunchError, StoreError
from coffee_boat.model import (
    Archive,
    ClusterFacts,
    ConfPatch,
    Finding,
    Lock,
    PlanItem,
    Shipped,
    SparkFacts,
)
from coffee_boat.session import record
from coffee_boat.session.arrow import arrow
from coffee_boat.ship import ship as ship_archive
from coffee_boat.spark import companions, gateway
from coffee_boat.workflow import node_store
from coffee_boat.workflow.built import Built
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.tools import Tools

_LARGE = 8 << 20
"""Bytes of a layer from which on a process a core unpacks it sooner than Spark does."""


def patch(
    tools: Tools, built: Built, facts: SparkFacts, cluster: ClusterFacts, jvm: Any | None = None
) -> ConfPatch:
    """What must be set for an environment that starts with a session, once it was shipped.

    Args:
        jvm: the driver's, of a session that starts in this process; None for what is submitted.

    Raises:
        LaunchError: the cluster's nodes cannot start it.
        ShipError: it cannot be put where executors find it.
    """
    tools.emit(tools.preflight.hold(built.archive, cluster))
    tools.emit(tools.preflight.gpus(built.lock, cluster))
    tools.emit(tools.preflight.sending(built.archive.size, facts, cluster, tools.settings.stage))
    tools.emit(tools.pipeline.not_aboard(built.request.preload, built.archive))
    made = preloading(
        node_store.sent(tools, built, facts, partial(_sent, tools, facts), jvm),
        facts,
        built.request.preload,
    )
    made = seen_from_the_driver(tools, made, facts, built.lock)
    with suppress(StoreError):  # as for LiveSession
        record.remember_lock(tools.store, built.lock)
    marks = record.marks(made, built.lock, ships_python=tools.settings.ship_python)
    return replace(made, conf={**made.conf, **marks})


def _sent(tools: Tools, facts: SparkFacts, archive: Archive) -> ConfPatch:
    return patch_of(tools, kind_of(facts.master), facts, ship(tools, archive, facts))


def held(tools: Tools, lock: Lock, cluster: ClusterFacts) -> tuple[Finding, ...]:
    """What is packed of a lock already, held against the cluster's nodes; nothing is refused."""
    try:
        packed = replace(_not_built(tools, lock), chunks=tools.pipeline.packed(lock))
        return (
            *tools.preflight.hold(packed, cluster),
            *tools.preflight.gpus(lock, cluster),
        )
    except LaunchError as refusal:
        return (Finding.of(refusal.problem, "error"),)


def planned_patch(tools: Tools, request: Request, lock: Lock, facts: SparkFacts) -> ConfPatch:
    """What would be set; the name of the archive, which is not built, is a placeholder."""
    archive = _not_built(tools, lock)
    made = kind_of(facts.master).patch(
        facts,
        Shipped(archive, tools.store.archive_path("not-built").as_uri()),
        environment=environment_path(tools.store, archive),
    )
    made = node_store.planned(made, tools.settings, facts, lock)
    return preloading(seen_from_the_driver(tools, made, facts, lock), facts, request.preload)


def _not_built(tools: Tools, lock: Lock) -> Archive:
    return Archive(
        id="not-built",
        path=str(tools.store.archive_path("not-built")),
        size=0,
        chunks=(),
        target=lock.target,
        lock_digest=lock.digest,
        has_python=tools.settings.ship_python,
    )


def ship(tools: Tools, archive: Archive, facts: SparkFacts) -> Shipped:
    """Where executors find it; where the executor is this process's own JVM, it needs no stage.

    Raises:
        ShipError: it cannot be put there.
    """
    unstaged = kind_of_running(facts.master).runs_in_driver or takes_files_only(facts.master)
    stage = None if unstaged else tools.settings.stage
    with tools.work() as say:
        if stage is not None:
            say(Step(f"sending {human_size(archive.size)} to the stage"))
        shipped = ship_archive(
            archive, stage, hadoop=gateway.hadoop(tools.store, facts.conf), store=tools.store
        )
    tools.emit(shipped.findings)
    return shipped


def copies(tools: Tools, items: Sequence[PlanItem], master: str) -> int:
    """So many archives of an addition the store has: what goes as a plain file is there twice."""
    return 2 if _goes_as_file(tools, sum(item.size or 0 for item in items), master) else 1


def _goes_as_file(tools: Tools, size: int, master: str) -> bool:
    return size >= _LARGE and tools.settings.stage is None and not takes_files_only(master)


def ship_added(tools: Tools, archive: Archive, facts: SparkFacts) -> Shipped:
    """The same of what is added to a running session: a large layer is a plain file.

    Raises:
        BuildError: it is gone or damaged.
        ShipError: it cannot be put there.
        StoreError: the file is not there yet, and the store cannot be written.
    """
    if not (archive.layer and _goes_as_file(tools, archive.size, facts.master)):
        return ship(tools, archive, facts)
    with tools.work() as say:
        say(Step("looking for what can be unpacked side by side"))
        return Shipped(archive, layer_file.made(archive, tools.store).as_uri(), plain=True)


def patch_of(tools: Tools, kind: RunningCluster, facts: SparkFacts, shipped: Shipped) -> ConfPatch:
    """What a kind of cluster sets for an archive."""
    environment = unpacked_here(tools, shipped.archive) if kind.runs_in_driver else None
    return kind.patch(facts, shipped, environment=environment)


def unpacked_here(tools: Tools, archive: Archive) -> Path:
    """The environment on this machine."""
    with tools.work() as say:
        size = human_size(sum(chunk.unpacked for chunk in archive.chunks))
        say(Step(f"unpacking {size} on this machine"))
        return unpack(archive, tools.store)


def seen_from_the_driver(tools: Tools, made: ConfPatch, facts: SparkFacts, lock: Lock) -> ConfPatch:
    """With what the driver's own packages make of it. What the nodes' own interpreter has is not
    known.
    """
    said = chain(companions.odd(lock, facts.version), large.memory(lock, facts))
    if tools.settings.ship_python:
        said = chain(arrow(lock, facts), said)
    return replace(made, findings=(*made.findings, *said))
