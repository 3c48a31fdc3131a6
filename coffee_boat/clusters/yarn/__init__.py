"""yarn: all about it. What is set is in patch.py, what is asked in probe.py (with hadoop.py and
hdfs.py), the driver in cluster mode in driver.py.
"""

from __future__ import annotations

from pathlib import Path

from coffee_boat.clusters import settings
from coffee_boat.clusters.yarn import patch, probe
from coffee_boat.clusters.yarn.driver import YarnDriver
from coffee_boat.model import ClusterFacts, ConfPatch, Finding, Shipped, SparkFacts


class Yarn:
    """Which cluster it is, Hadoop's configuration says."""

    name = example = "yarn"
    runs_in_driver = on_this_machine = False
    keeps_files = shares_folders = True
    plain_files = "spark.yarn.dist.files"

    def matches(self, master: str) -> bool:
        """yarn."""
        return master == "yarn"

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:  # noqa: ARG002  (of the protocol)
        """spark.yarn.dist.archives, and in cluster mode the driver's variables."""
        return patch.patch(facts, shipped)

    def probe(self, facts: SparkFacts) -> ClusterFacts:
        """Its running nodes."""
        return probe.probe(facts)

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
        """What the ResourceManager says of an application that waits."""
        return probe.waiting(facts, application)

    def executors(self, facts: SparkFacts) -> int | None:
        """What is asked for."""
        return settings.instances(facts)

    def check_submission(self, facts: SparkFacts, script: str | None) -> None:
        """spark-submit uploads a script of this machine."""

    def remote_driver(self, facts: SparkFacts) -> YarnDriver | None:
        """The application master, in cluster mode."""
        return YarnDriver(facts) if facts.deploy_mode == "cluster" else None
