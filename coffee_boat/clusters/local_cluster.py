"""local-cluster[n,cores,MiB]: a standalone cluster of processes beside the driver, which Spark
starts for one session and people use to try things.
"""

from __future__ import annotations

import re
from pathlib import Path

from coffee_boat.clusters import settings
from coffee_boat.clusters.local import this_machine
from coffee_boat.model import ClusterFacts, ConfPatch, Finding, Shipped, SparkFacts

_MASTER = re.compile(r"local-cluster\[\s*(\d+)\s*,\s*\d+\s*,\s*\d+\s*\]")
"""As org.apache.spark.SparkMasterRegex."""
_NO_CLUSTER_MODE = "the driver starts its cluster on its own machine here"


class LocalCluster:
    """Its executors fetch the archive as those of a standalone cluster do."""

    name = "local-cluster"
    example = "local-cluster[2,1,1024]"
    runs_in_driver = False
    on_this_machine = keeps_files = shares_folders = True
    plain_files = "spark.files"

    def matches(self, master: str) -> bool:
        """local-cluster[2, 1, 1024]."""
        return _MASTER.fullmatch(master) is not None

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:  # noqa: ARG002  (of the protocol)
        """spark.archives with the user's own kept, and relative paths."""
        settings.refuse_cluster_mode(facts, _NO_CLUSTER_MODE)
        return settings.by_file_server(facts, shipped)

    def probe(self, facts: SparkFacts) -> ClusterFacts:
        """This machine."""
        settings.refuse_cluster_mode(facts, _NO_CLUSTER_MODE)
        return this_machine(facts)

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:  # noqa: ARG002  (of the protocol)
        """Nothing that is not known."""
        return ()

    def executors(self, facts: SparkFacts) -> int | None:
        """One a worker."""
        found = _MASTER.fullmatch(facts.master)
        return int(found[1]) if found is not None and not settings.on_demand(facts) else None

    def check_submission(self, facts: SparkFacts, script: str | None) -> None:
        """The driver runs here, and Spark itself says what is wrong with its script."""

    def remote_driver(self, facts: SparkFacts) -> None:
        """There is no cluster mode."""

    def left_behind(self, *, home: str | None, directory: str, application: str) -> Path:
        """SPARK_HOME/work/APPLICATION, as org.apache.spark.deploy.worker.Worker has it:
        LocalSparkCluster names it no other folder, and SPARK_WORKER_DIR is read only by a worker
        that is a program of its own.
        """
        return Path(directory, home or ".", "work", application)
