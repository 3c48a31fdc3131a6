"""YARN's queues, and whether one takes applications."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coffee_boat.clusters.yarn.daemons import Service, shaped
from coffee_boat.errors import LaunchError
from coffee_boat.model import SparkFacts

# queues


@dataclass(frozen=True)
class _Queue:
    name: str
    path: str
    leaf: bool
    state: str
    creates: bool
    """Queues below it come into being when they are named."""


def refuse_queue(facts: SparkFacts, queues: Sequence[_Queue]) -> None:
    """Refuse a queue that is not there, is stopped, or has no leaf of that name."""
    wanted = facts.conf.get("spark.yarn.queue", "default")
    if not queues:
        return
    found = [
        queue
        for queue in queues
        if wanted in (queue.name, queue.path, f"{queue.path}".removeprefix("root."))
    ]
    leaves = ", ".join(
        queue.path.removeprefix("root.")
        for queue in queues
        if queue.leaf and queue.state == "RUNNING"
    )
    cure = (
        f"spark.yarn.queue=NAME, with one of: {leaves}; or leave it out, if your administrator has"
        " a rule for you"
    )
    if not found and wanted == "default":
        # nothing was asked for: an administrator's rules place users and groups
        # (yarn.scheduler.capacity.queue-mappings)
        return
    if not found and not any(queue.creates for queue in queues):
        raise LaunchError(
            "cluster.no-such-queue",
            "YARN has no such queue",
            value=f"spark.yarn.queue={wanted}",
            cause="a typing mistake, or another cluster's queue",
            cure=cure,
        )
    if found and not any(queue.leaf or queue.creates for queue in found):
        raise LaunchError(
            "cluster.queue-not-a-leaf",
            "applications cannot be put into this queue of YARN",
            value=f"spark.yarn.queue={wanted}",
            cause="it is a parent of other queues",
            cure=cure,
        )
    if found and all(queue.state != "RUNNING" for queue in found):
        raise LaunchError(
            "cluster.queue-stopped",
            "this queue of YARN takes no applications",
            value=f"spark.yarn.queue={wanted}",
            cause=f"its state is {found[0].state}",
            cure=cure,
        )


@shaped("queues")
def queues_of(manager: Service) -> list[_Queue]:
    """All queues; none of other schedulers': the fair one makes queues that are named, and the fifo
    one has one.
    """
    told = manager.ask("/ws/v1/cluster/scheduler").get("scheduler", {}).get("schedulerInfo", {})
    return list(_queues_below(told, "root")) if told.get("type") == "capacityScheduler" else []


def _queues_below(told: Mapping[str, Any], path: str) -> Iterator[_Queue]:
    """The tree below a queue, itself included. Older ResourceManagers tell no paths."""
    below = (told.get("queues") or {}).get("queue", [])
    creates = told.get("autoCreationEligibility", "off") != "off" or told.get(
        "autoCreateChildQueueEnabled"
    ) in (True, "true")
    yield _Queue(
        str(told.get("queueName", "")),
        str(told.get("queuePath", path)),
        not below and not creates,
        str(told.get("state", "RUNNING")),
        creates,
    )
    for each in below:
        yield from _queues_below(each, f"{path}.{each.get('queueName', '')}")
