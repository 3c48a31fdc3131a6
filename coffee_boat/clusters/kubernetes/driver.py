"""The driver's pod of a submission in cluster mode: spark-submit waits for it and ends with 0,
whatever became of it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from coffee_boat._support.redact import redact
from coffee_boat.clusters import remote
from coffee_boat.clusters.kubernetes import pods
from coffee_boat.clusters.kubernetes.access import Unusable
from coffee_boat.clusters.kubernetes.api import Apiserver, Refused, Unreachable
from coffee_boat.model import Finding, SparkFacts

_RUN = "coffee-boat-run"
"""A label that only the pod of this submission has: Spark chooses its name."""
_WAIT = "spark.kubernetes.submission.waitAppCompletion"

Say = Callable[[str], None]


@dataclass(frozen=True)
class KubernetesDriver:
    """One submission's."""

    facts: SparkFacts
    """With the conf complete."""
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    every: float = 2.0
    """Seconds between two looks at the pod."""

    @property
    def conf(self) -> dict[str, str]:
        """What must be set besides, so that the pod is found."""
        return {f"spark.kubernetes.driver.label.{_RUN}": self.run}

    @contextmanager
    def watched(self, say: Say) -> Iterator[None]:
        """While the block lasts, say what keeps the pod from running."""
        done = threading.Event()
        thread = threading.Thread(
            target=self._watch, args=(done, say), name="coffee_boat driver", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(2.0)

    def exit_code(self, submitted: int, say: Say) -> int:
        """The driver's own exit code, once spark-submit has ended; says what failed, with the end
        of its log.

        Args:
            submitted: spark-submit's. Other than 0, it is taken as it is.
        """
        if submitted == remote.INTERRUPTED:
            self._say_that_it_goes_on(say)
        if submitted != 0 or self.facts.conf.get(_WAIT, "true").lower() == "false":
            return submitted
        try:
            return self._outcome(Apiserver(self.facts), say)
        except (Unusable, Unreachable, Refused) as error:
            cure = f"kubectl get pods -l {_RUN}={self.run}"
            cause = "spark-submit does not tell it, and the cluster cannot be asked"
            found = Finding(
                "cluster.driver-end-unknown",
                "how the driver ended is not known",
                value=str(error),
                cause=cause,
                cure=cure,
            )
            say(f"warning: {found}")
            return submitted

    def _outcome(self, cluster: Apiserver, say: Say) -> int:
        pod = self._pod(cluster)
        if pod is None:
            found = Finding(
                "cluster.driver-end-unknown",
                "how the driver ended is not known",
                value=f"{_RUN}={self.run}",
                cause="its pod is gone",
                cure="keep pods for a while after their end; the event log tells what it did",
                severity="error",
            )
            say(f"error: {found}")
            return 1
        ended = pods.ending(pod)
        if ended is None:
            return self._without_ending(pod, say)
        if ended.code != 0:
            name = pod["metadata"]["name"]
            say(
                f"the driver's pod {name} ended with exit code {ended.code} ({ended.reason}); the"
                f" end of its log (kubectl logs {name} -n {cluster.namespace}):"
            )
            say("\n" + redact(remote.tail(cluster.log_tail(pod, ended.container))))
        return ended.code

    @staticmethod
    def _without_ending(pod: Mapping[str, Any], say: Say) -> int:
        """Evicted, or on a node that was lost: no container tells how it ended."""
        status = pod.get("status", {})
        if status.get("phase") == "Succeeded":
            return 0
        words = redact(str(status.get("message") or ""))
        found = Finding(
            "cluster.driver-ended-early",
            "the driver did not end by itself",
            value=pod["metadata"]["name"],
            cause=f"{status.get('reason') or status.get('phase')}: {words}",
            cure="submit it again",
        )
        say(f"error: {found}")
        return 1

    def _pod(self, cluster: Apiserver) -> Mapping[str, Any] | None:
        return next(iter(cluster.pods({_RUN: self.run})), None)

    def _watch(self, done: threading.Event, say: Say) -> None:
        told: set[tuple[str, str]] = set()
        try:
            cluster = Apiserver(self.facts)
        except Unusable:  # said at the end
            return
        while not done.wait(self.every):
            finding = self._trouble(cluster)
            if finding is not None and (finding.what, finding.value) not in told:
                told.add((finding.what, finding.value))
                say(f"{finding.severity}: {finding}")

    def _trouble(self, cluster: Apiserver) -> Finding | None:
        try:
            pod = self._pod(cluster)
            # what ended is told by `exit_code`
            return (
                next(pods.troubles([pod], cluster.events), None)
                if pod is not None and pods.ending(pod) is None
                else None
            )
        except (Unreachable, Refused):
            return None

    def _say_that_it_goes_on(self, say: Say) -> None:
        try:
            pod = self._pod(Apiserver(self.facts))
        except (Unusable, Unreachable, Refused):
            return
        if pod is not None and pod.get("status", {}).get("phase") in ("Pending", "Running"):
            name, namespace = pod["metadata"]["name"], pod["metadata"].get("namespace", "default")
            cause = "spark-submit was interrupted, not its pod"
            end = f"kubectl delete pod {name} -n {namespace}"
            say(f"note: {remote.goes_on(name, cause=cause, end=end)}")
