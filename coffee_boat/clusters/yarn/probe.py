"""yarn: the ResourceManager's port, what its REST says of queues and nodes, and HDFS (see hdfs.py).

Where REST is not to be had (Kerberos, a firewall), what is not known is left to Spark, and a note
says so. Fields: "ResourceManager REST API's" in Hadoop's documentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coffee_boat._support.words import MIB, human_bytes
from coffee_boat.clusters.yarn import hdfs
from coffee_boat.clusters.yarn.containers import containers, overhead_of
from coffee_boat.clusters.yarn.daemons import NoAnswer, Service, refuse_unreachable, shaped
from coffee_boat.clusters.yarn.hadoop import Configuration, configuration
from coffee_boat.clusters.yarn.queues import queues_of, refuse_queue
from coffee_boat.errors import LaunchError
from coffee_boat.model import ClusterFacts, Finding, NodeFacts, SparkFacts

_LEAST = 512 * MIB
_KEEPS_TO = "spark.yarn.executor.nodeLabelExpression=LABEL, with a node label of those"
_UNASKED = "it could not be asked what it has"
"""Advised at least: below 450 MiB Spark does not start."""


def probe(facts: SparkFacts) -> ClusterFacts:
    """Its running nodes.

    Raises:
        LaunchError: no configuration, no ResourceManager, no such queue, memory that no node has,
            or an HDFS that takes no files.
    """
    settings = configuration(facts.conf)
    if settings.detour:
        return ClusterFacts(
            facts.master,
            "YARN",
            findings=(
                *settings.findings,
                _not_asked(settings, f"Hadoop connects by {settings.detour}, and we cannot"),
            ),
            not_known=_UNASKED,
        )
    manager = _active(settings)
    files = (*settings.findings, *hdfs.probe(settings, facts.conf.get("spark.yarn.stagingDir", "")))
    if manager is None:
        return ClusterFacts(
            facts.master, "YARN", findings=(*files, _not_asked(settings)), not_known=_UNASKED
        )
    service, version = manager
    try:
        nodes = _nodes(service)
        queues = queues_of(service)
    except NoAnswer as error:
        return ClusterFacts(
            facts.master,
            f"YARN {version}",
            findings=(*files, _not_asked(settings, str(error))),
            not_known=_UNASKED,
        )
    refuse_queue(facts, queues)
    _refuse_too_much(facts, nodes, _largest_allowed(service))
    known = tuple(NodeFacts(host) for host in dict.fromkeys(node.host for node in nodes))
    return ClusterFacts(
        facts.master,
        f"YARN {version}, {_summary(nodes)}",
        known,
        (*files, *_busy(facts, nodes)),
        keeps_to=_KEEPS_TO,
    )


def waiting(facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
    """What the ResourceManager says of an application that waits."""
    try:
        settings = configuration(facts.conf)
        manager = None if settings.detour else _active(settings)
        return (
            ()
            if manager is None
            else tuple(_said_of(manager[0], settings.user, facts, application))
        )
    except NoAnswer:
        return ()
    except LaunchError as error:
        return (Finding.of(error.problem, "error"),)


@dataclass(frozen=True)
class _Node:
    """One that runs; memory in MiB."""

    host: str
    memory: int
    free: int
    cores: int


# who is there


def _active(settings: Configuration) -> tuple[Service, str] | None:
    """The ResourceManager that serves, and its version; None if one is there and says nothing over
    HTTP.
    """
    managers, where = settings.managers(), settings.folder or "spark.hadoop.yarn.resourcemanager.*"
    cure = (
        f"check that it runs, that no firewall is between, and that {where} is this cluster's"
        " configuration"
    )
    refuse_unreachable(
        managers, "cluster.yarn-unreachable", "YARN's ResourceManager cannot be reached", cure=cure
    )
    told = {manager: info for manager in managers if (info := _info(manager)) is not None}
    for manager, info in told.items():
        if info.get("haState", "ACTIVE") == "ACTIVE":
            return manager, str(info.get("resourceManagerVersion", ""))
    if len(told) == len(managers):
        raise LaunchError(
            "cluster.yarn-not-active",
            "no ResourceManager of YARN is active",
            value=", ".join(
                f"{manager.host} is {info.get('haState')}" for manager, info in told.items()
            ),
            cause="they are starting, or cannot agree (ZooKeeper)",
            cure="wait a minute and try again; yarn rmadmin -getAllServiceState shows them",
        )
    return None


def _info(manager: Service) -> Mapping[str, Any] | None:
    try:
        with shaped("managers"):
            return dict(manager.ask("/ws/v1/cluster/info")["clusterInfo"])
    except NoAnswer:
        return None


def _not_asked(settings: Configuration, why: str = "") -> Finding:
    cause = why or (
        "the cluster wants Kerberos for it"
        if settings.secure
        else "its web port is closed from here, or wants a login"
    )
    return Finding(
        "cluster.yarn-not-asked",
        "queue and memory were not looked at beforehand",
        value=settings.managers()[0].url,
        cause=cause,
        cure="Spark says itself what does not fit, when it starts",
        severity="note",
    )


# memory


def _refuse_too_much(facts: SparkFacts, nodes: Sequence[_Node], allowed: int | None) -> None:
    largest = max((node.memory * MIB for node in nodes), default=None)
    limits = [limit for limit in (largest, allowed) if limit is not None]
    for container in containers(facts):
        if limits and container.size > min(limits):
            cause = (
                f"the largest node offers {human_bytes(largest)}"
                if largest is not None and largest == min(limits)
                else f"the cluster gives a container {human_bytes(min(limits))} at most"
            )
            room = (
                min(limits)
                - container.beside
                - (overhead_of(facts, container.setting, min(limits)) or 0)
            )
            less = f"{container.setting}={human_bytes(max(room, _LEAST))}"
            raise LaunchError(
                "cluster.container-too-large",
                f"{container.what} of this size fits nowhere in this YARN",
                value=(
                    f"{container.setting}={human_bytes(container.memory)},"
                    f" {human_bytes(container.size)} with its overhead"
                ),
                cause=(
                    f"{cause} (yarn.nodemanager.resource.memory-mb,"
                    " yarn.scheduler.maximum-allocation-mb)"
                ),
                cure=f"ask for less: {less}"
                + (
                    ", spark.executor.pyspark.memory, spark.memory.offHeap.size"
                    if container.beside
                    else ""
                ),
            )


def _largest_allowed(manager: Service) -> int | None:
    """Bytes of the largest container that the scheduler gives; None where it does not say."""
    try:
        with shaped("limits"):
            told = manager.ask("/conf", format="json", name="yarn.scheduler.maximum-allocation-mb")
            return int(told["property"]["value"]) * MIB
    except NoAnswer:
        return None


# nodes


@shaped("nodes")
def _nodes(manager: Service) -> list[_Node]:
    told = (manager.ask("/ws/v1/cluster/nodes", states="RUNNING").get("nodes") or {}).get(
        "node", []
    )
    return [
        _Node(
            str(n["nodeHostName"]),
            int(n["usedMemoryMB"]) + int(n["availMemoryMB"]),
            int(n["availMemoryMB"]),
            int(n["usedVirtualCores"]) + int(n["availableVirtualCores"]),
        )
        for n in told
    ]


def _busy(facts: SparkFacts, nodes: Sequence[_Node]) -> Iterator[Finding]:
    if not nodes:
        cause = "none has started yet, or they are unhealthy: an application waits until one comes"
        yield Finding(
            "cluster.no-running-node",
            "no node of this YARN is running",
            value=facts.master,
            cause=cause,
            cure="yarn node -list -all shows them, with the reason",
        )
        return
    for container in containers(facts):
        if all(node.free * MIB < container.size for node in nodes):
            free = ", ".join(f"{node.host}: {human_bytes(node.free * MIB)}" for node in nodes[:3])
            yield Finding(
                "cluster.nodes-busy",
                f"no node has room for {container.what} now",
                value=f"{human_bytes(container.size)} wanted, free are {free}",
                cause="other applications hold the memory: this one waits until they end",
                cure=(
                    "end one (yarn application -list; a notebook that is left open counts), or ask"
                    f" for less: {container.setting}"
                ),
            )


def _summary(nodes: Sequence[_Node]) -> str:
    memory, cores = sum(node.memory for node in nodes), sum(node.cores for node in nodes)
    return f"{len(nodes)} node{'s' * (len(nodes) != 1)}, {cores} cores, {memory / 1024:.1f} GiB"


# an application that waits


def _said_of(
    manager: Service, user: str, facts: SparkFacts, application: str | None
) -> Iterator[Finding]:
    for told in _applications(manager, user, facts, application):
        words = str(told.get("diagnostics", "")).strip().partition("\n")[0]
        if told.get("state") in ("SUBMITTED", "ACCEPTED") and words:
            value = f"{told.get('id')} is {told.get('state')} in queue {told.get('queue')}"
            yield Finding(
                "cluster.application-waiting",
                "YARN has not started the application yet",
                value=value,
                cause=words,
                cure="wait; or free some room: yarn application -list, yarn application -kill ID",
                severity="note",
            )


@shaped("applications")
def _applications(
    manager: Service, user: str, facts: SparkFacts, application: str | None
) -> list[Mapping[str, Any]]:
    if application is not None:
        return [dict(manager.ask(f"/ws/v1/cluster/apps/{application}").get("app", {}))]
    ours_only = {"user": user} if user else {}
    told = (
        manager.ask("/ws/v1/cluster/apps", states="SUBMITTED,ACCEPTED", **ours_only).get("apps")
        or {}
    ).get("app", [])
    ours = [one for one in told if one.get("name") == facts.conf.get("spark.app.name")]
    return sorted(ours, key=lambda one: int(one.get("startedTime", 0)))[-1:]
