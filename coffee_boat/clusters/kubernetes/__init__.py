"""k8s://...: all about it. What is set is in patch.py, what is asked in probe.py (with api.py,
pods.py and kubeconfig.py), the driver in cluster mode in driver.py.
"""

from __future__ import annotations

from pathlib import Path

from coffee_boat.clusters import settings
from coffee_boat.clusters.kubernetes import patch, probe
from coffee_boat.clusters.kubernetes.driver import KubernetesDriver
from coffee_boat.model import ClusterFacts, ConfPatch, Finding, Shipped, SparkFacts


class Kubernetes:
    """The master is the apiserver's URL."""

    name = "kubernetes"
    example = "k8s://https://host:6443"
    runs_in_driver = on_this_machine = False
    keeps_files = shares_folders = False
    plain_files = "spark.files"

    def matches(self, master: str) -> bool:
        """k8s://https://host:6443, k8s://host:6443."""
        return master.startswith("k8s://")

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:  # noqa: ARG002  (of the protocol)
        """spark.archives and labels, and in cluster mode the driver's variables."""
        return patch.patch(facts, shipped)

    def probe(self, facts: SparkFacts) -> ClusterFacts:
        """Its version and the nodes that executors may run on."""
        return probe.probe(facts)

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
        """What keeps the application's executors from running."""
        return probe.waiting(facts, application)

    def executors(self, facts: SparkFacts) -> int | None:
        """What is asked for."""
        return settings.instances(facts)

    def check_submission(self, facts: SparkFacts, script: str | None) -> None:
        """A pod sees nothing of this machine."""
        if script is not None and facts.deploy_mode == "cluster":
            patch.refuse_unreadable_script(facts, script)

    def remote_driver(self, facts: SparkFacts) -> KubernetesDriver | None:
        """The driver's pod, in cluster mode."""
        return KubernetesDriver(facts) if facts.deploy_mode == "cluster" else None
