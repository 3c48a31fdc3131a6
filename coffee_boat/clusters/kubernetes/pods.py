"""What the states of pods mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from coffee_boat._support.redact import redact
from coffee_boat.clusters.kubernetes.api import ROLE
from coffee_boat.model import Finding

# what states of pods mean


@dataclass(frozen=True)
class Ending:
    """How a pod's main container ended."""

    code: int
    reason: str
    """In Kubernetes' words: "Completed", "Error", "OOMKilled"."""
    container: str


def ending(pod: Mapping[str, Any]) -> Ending | None:
    """How the first container that Spark put there ended; None while it runs, or if that is not
    known.
    """
    for status in _statuses(pod):
        ended = status.get("state", {}).get("terminated")
        if ended is not None and status["name"] == _main_container(pod):
            return Ending(
                int(ended.get("exitCode", 1)), str(ended.get("reason", "")), str(status["name"])
            )
    return None


def _main_container(pod: Mapping[str, Any]) -> str:
    """Spark names its own so; a template may have named it."""
    names = [str(container["name"]) for container in pod.get("spec", {}).get("containers", ())]
    return next(
        (name for name in names if name.startswith("spark-kubernetes-")), names[0] if names else ""
    )


def _statuses(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


_IMAGE = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}
_CONTAINER = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
}


def troubles(
    found: Iterable[Mapping[str, Any]], events: Callable[[Mapping[str, Any]], list[str]]
) -> Iterator[Finding]:
    """What keeps pods from running, in the cluster's own words, one of a kind: what keeps one pod
    waiting keeps hundreds of its sisters waiting too.

    Args:
        events: asks what the cluster says about a pod; once for each kind that they say more of.
    """
    told = set()
    for pod in found:
        trouble = next(_troubles(pod), None)
        if trouble is not None and trouble.kind not in told:
            told.add(trouble.kind)
            yield trouble.with_words_of(events(pod)) if trouble.has_events else trouble.finding


@dataclass(frozen=True)
class _Trouble:
    """What keeps one pod from running."""

    finding: Finding
    kind: tuple[str, str]
    """Equal for pods that wait for the same."""
    has_events: bool = False
    """True if the cluster's events say more of it."""

    def with_words_of(self, events: list[str]) -> Finding:
        words = [self.finding.cause, *map(redact, _telling(events))]
        return replace(self.finding, cause="; ".join(dict.fromkeys(filter(None, words))))


def _troubles(pod: Mapping[str, Any]) -> Iterator[_Trouble]:
    name = str(pod["metadata"]["name"])
    for status in _statuses(pod):
        waiting = status.get("state", {}).get("waiting") or {}
        reason = str(waiting.get("reason"))
        if reason in _IMAGE:
            finding = _image(name, status, waiting)
            yield _Trouble(finding, (finding.what, str(status.get("image"))), has_events=True)
        if reason in _CONTAINER:
            finding = _container(name, waiting)
            yield _Trouble(finding, (finding.what, reason), has_events=True)
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            finding = _unschedulable(
                name, str(condition.get("message") or condition.get("reason") or "")
            )
            yield _Trouble(finding, (finding.what, finding.cause.replace(name, "")))
    ended = ending(pod)
    if ended is not None and ended.code != 0:
        finding = _ended(name, pod, ended)
        yield _Trouble(finding, (finding.what, finding.cause))


def _image(name: str, status: Mapping[str, Any], waiting: Mapping[str, Any]) -> Finding:
    cure = (
        "check the name in spark.kubernetes.container.image and that nodes may pull it:"
        " spark.kubernetes.container.image.pullSecrets for a private registry;"
        " spark.kubernetes.container.image.pullPolicy=IfNotPresent or Never for an image that the"
        " nodes have already"
    )
    return Finding(
        "cluster.image-not-pulled",
        "an image cannot be pulled",
        value=f"{status.get('image')} for {name}: {waiting['reason']}",
        cause=redact(str(waiting.get("message") or "")),
        cure=cure,
        severity="error",
    )


def _container(name: str, waiting: Mapping[str, Any]) -> Finding:
    cure = (
        f"kubectl describe pod {name}: a secret, config map or volume that is not there, or a"
        " command that the image does not have"
    )
    return Finding(
        "cluster.container-cannot-start",
        "a pod's container cannot start",
        value=f"{name}: {waiting['reason']}",
        cause=redact(str(waiting.get("message") or "")),
        cure=cure,
        severity="error",
    )


def _unschedulable(name: str, words: str) -> Finding:
    cure = (
        "ask for less (spark.executor.memory, spark.executor.memoryOverhead,"
        " spark.kubernetes.executor.request.cores, for a driver the same with driver), free what"
        " others hold, or look at spark.kubernetes.node.selector.* and the nodes' taints; a cluster"
        " that grows by itself may need minutes"
    )
    return Finding(
        "cluster.pod-pending",
        "a pod stays Pending: no node takes it",
        value=name,
        cause=redact(words),
        cure=cure,
    )


def _ended(name: str, pod: Mapping[str, Any], ended: Ending) -> Finding:
    cure = f"kubectl logs {name} -n {pod['metadata'].get('namespace', 'default')}"
    if pod["metadata"].get("labels", {}).get(ROLE) == "executor":
        cure += (
            "; an executor that cannot connect needs a driver that pods reach: spark.driver.host"
            " and spark.driver.bindAddress, and no firewall between"
        )
    return Finding(
        "cluster.pod-ended",
        "a pod ended",
        value=f"{name}: exit code {ended.code}, {ended.reason}",
        cause="what it runs failed",
        cure=cure,
    )


def _telling(events: list[str]) -> list[str]:
    """The last events that say what went wrong."""
    return [event for event in events if event.startswith(("Failed", "Error", "Back-off"))][-2:]
