"""What an environment and its settings need x what a cluster is -> Findings, or a LaunchError.

Pure: nothing is asked or read here.

settings(facts)                 what Spark itself would refuse, in minutes and a stack trace, before
                                anything is resolved
platform(target, cluster)       what is made for another kind of node, before anything is built
archive(archive, cluster)       what was made and cannot start there, before it is sent
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from coffee_boat._support import host
from coffee_boat._support.words import MIB, human_bytes, spark_bytes
from coffee_boat.errors import LaunchError
from coffee_boat.model import Archive, ClusterFacts, Finding, NodeFacts, SparkFacts, Target

_LEAST = 471_859_200
"""Bytes: 1.5 times what Spark reserves for itself
(org.apache.spark.memory.UnifiedMemoryManager.getMaxMemory).
"""
_SHOWN = 3
_ALL_THE_SAME = (
    "; COFFEE_BOAT_PREFLIGHT=warn launches all the same, where other nodes come when they are"
    " needed"
)
_OCI = {"x86_64": "amd64", "aarch64": "arm64"}
"""A machine as container images and Kubernetes' node labels call it."""

# what Spark refuses


def settings(facts: SparkFacts, *, driver_starts: bool = False) -> None:
    """Refuse settings that Spark would refuse when the context starts, or that no task could ever
    run with.

    Args:
        driver_starts: the driver's JVM is still to be started, with this memory.

    Raises:
        LaunchError: less memory than Spark's minimum, an amount that cannot be read, or fewer cores
            an executor than a task takes.
    """
    # Of this setting Spark's check counts a number alone as bytes, other places as MiB: both read
    # below the minimum, or as an absurd amount.
    _refuse_memory(facts, "spark.executor.memory", unit=1)
    if driver_starts:
        _refuse_memory(facts, "spark.driver.memory", unit=MIB)
    _refuse_cores(facts)


def _refuse_memory(facts: SparkFacts, key: str, *, unit: int) -> None:
    said = facts.conf.get(key)
    if said is None:
        return
    size = spark_bytes(said, unit=unit)
    if size is None:
        raise LaunchError(
            "launch.memory-unreadable",
            "an amount of memory cannot be read",
            value=f"{key}={said}",
            cause="Spark takes whole numbers with a unit: k, m, g, t",
            cure=f"{key}=2g, {key}=1536m",
        )
    if size < _LEAST:
        alone = "; a number alone counts bytes here" if said.strip().isdigit() and unit == 1 else ""
        raise LaunchError(
            "launch.memory-too-small",
            "Spark needs more memory than it was given",
            value=f"{key}={said}",
            cause=(
                f"Spark's minimum is {human_bytes(_LEAST)} ({_LEAST} bytes): it keeps 300m for"
                f" itself{alone}"
            ),
            cure=f"{key}=512m, or more; the default is 1g",
        )


def _refuse_cores(facts: SparkFacts) -> None:
    cores, a_task = (
        facts.conf.get("spark.executor.cores", ""),
        facts.conf.get("spark.task.cpus", ""),
    )
    if cores.isdigit() and a_task.isdigit() and int(cores) < int(a_task):
        raise LaunchError(
            "launch.no-task-fits",
            "no task fits into an executor",
            value=f"spark.executor.cores={cores}, spark.task.cpus={a_task}",
            cause="a task takes more cores than an executor has",
            cure=f"spark.executor.cores={a_task}, or fewer spark.task.cpus",
        )


# what nodes refuse


def platform(target: Target, cluster: ClusterFacts, *, ships_python: bool) -> tuple[Finding, ...]:
    """What is made for another kind of node than the cluster has.

    Whether it really needs the platform's glibc, only the archive tells.

    Raises:
        LaunchError: an interpreter for another architecture is to be shipped.
    """
    others = _of_another_architecture(cluster, target)
    if others and ships_python:
        return _refuse_or_tell(_other_architecture(target, others, cluster), others, cluster)
    return ()


def archive(
    made: Archive, cluster: ClusterFacts, *, remembered: bool = False
) -> tuple[Finding, ...]:
    """What cannot start on some nodes.

    Args:
        remembered: the nodes are known from an earlier run, and may have changed since: nothing is
            refused.

    Raises:
        LaunchError: it can start on none of the nodes.
    """
    findings: list[Finding] = []
    for finding, nodes in _misfits(made, cluster):
        findings += (
            [_as_remembered(finding)] if remembered else _refuse_or_tell(finding, nodes, cluster)
        )
    return tuple(findings)


def _misfits(made: Archive, cluster: ClusterFacts) -> Iterator[tuple[Finding, Sequence[NodeFacts]]]:
    if made.floor == (0, 0) and not made.has_python:  # Python files only: they run anywhere
        return
    others = _of_another_architecture(cluster, made.target)
    if others:
        yield _other_architecture(made.target, others, cluster), others
    older = [node for node in cluster.nodes if node.glibc is not None and node.glibc < made.floor]
    if older:
        yield _older_glibc(made, older), older


def _of_another_architecture(cluster: ClusterFacts, target: Target) -> list[NodeFacts]:
    own = host.architecture(target.architecture)
    return [
        node
        for node in cluster.nodes
        if node.architecture and host.architecture(node.architecture) != own
    ]


def _refuse_or_tell(
    finding: Finding, nodes: Sequence[NodeFacts], cluster: ClusterFacts
) -> tuple[Finding, ...]:
    """Where other nodes fit, the user may have a reason: labels, selectors, a queue."""
    if len(nodes) < len(cluster.nodes):
        return (finding,)
    raise LaunchError.of(replace(finding, cure=f"{finding.cure}{_ALL_THE_SAME}"))


def _as_remembered(finding: Finding) -> Finding:
    return replace(
        finding,
        cause=f"{finding.cause}; so the nodes said the last time",
        severity="warning",
    )


def _other_architecture(
    target: Target, nodes: Sequence[NodeFacts], cluster: ClusterFacts
) -> Finding:
    theirs, ours = nodes[0].architecture, host.architecture(target.architecture)
    kept = cluster.keeps_to.format(oci=_OCI.get(ours, ours))
    apart = (
        f"keep executors on the nodes that are {ours}: {kept}; or for the others, "
        if kept and len(nodes) < len(cluster.nodes)
        else ""
    )
    return Finding(
        "cluster.other-architecture",
        "nodes are of another architecture than the environment",
        value=f"{_hosts(nodes)}: {theirs}, the environment: {target.architecture}",
        cause=(
            "an interpreter and compiled packages run on the architecture that they were made for"
        ),
        cure=f'{apart}Captain(platform="manylinux_2_28_{theirs}"): a standalone build of Python,'
        " and packages, for those nodes; with ship_python=False their own Python",
        severity="error",
    )


def _older_glibc(made: Archive, nodes: Sequence[NodeFacts]) -> Finding:
    oldest = min(node.glibc for node in nodes if node.glibc is not None)
    highest = next(chunk for chunk in made.chunks if chunk.floor == made.floor)
    tag = f"manylinux_{oldest[0]}_{oldest[1]}_{made.target.architecture}"
    return Finding(
        "cluster.glibc-too-old",
        "the nodes' glibc is too old for the environment",
        value=(
            f"{_hosts(nodes)}: glibc {_dotted(oldest)}, {highest.label} needs {_dotted(made.floor)}"
        ),
        cause="what was built on a recent system needs its glibc",
        cure=(
            f'Captain(platform="{tag}", python="{made.target.minor}"): wheels for those nodes, and'
            " a standalone build of Python"
        ),
        severity="error",
    )


def _hosts(nodes: Sequence[NodeFacts]) -> str:
    rest = len(nodes) - _SHOWN
    return ", ".join(node.host for node in nodes[:_SHOWN]) + (
        f" + {rest} others" if rest > 0 else ""
    )


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
