"""spark://host:port[,host:port...]: every executor fetches the archive and unpacks it into its
working directory.
"""

from __future__ import annotations

from pathlib import Path

from coffee_boat.clusters import settings
from coffee_boat.clusters.standalone import probe
from coffee_boat.model import ClusterFacts, ConfPatch, Finding, Shipped, SparkFacts

_NO_CLUSTER_MODE = (
    "Spark's standalone clusters run no Python application in cluster mode (SparkSubmit)"
)


class Standalone:
    """Asks the master's port and its web UI (probe.py)."""

    name = "standalone"
    example = "spark://host:7077"
    runs_in_driver = on_this_machine = False
    keeps_files = shares_folders = True
    plain_files = "spark.files"

    def matches(self, master: str) -> bool:
        """spark://host:7077; what is no host and port is refused by `probe`."""
        return master.startswith("spark://")

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:  # noqa: ARG002  (of the protocol)
        """spark.archives with the user's own kept, and relative paths."""
        settings.refuse_cluster_mode(facts, _NO_CLUSTER_MODE)
        return settings.by_file_server(facts, shipped)

    def probe(self, facts: SparkFacts) -> ClusterFacts:
        """Its live workers."""
        settings.refuse_cluster_mode(facts, _NO_CLUSTER_MODE)
        return probe.probe(facts)

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
        """What became of the workers, and what the master did for the application."""
        return probe.waiting(facts, application)

    def check_submission(self, facts: SparkFacts, script: str | None) -> None:
        """The driver runs here, and Spark itself says what is wrong with its script."""

    def remote_driver(self, facts: SparkFacts) -> None:
        """Of Python there is none: see `patch`."""
