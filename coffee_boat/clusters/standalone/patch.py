"""spark://host:port and local-cluster[n,cores,MiB]: every executor fetches the archive and unpacks
it into its working directory.
"""

from __future__ import annotations

from pathlib import Path

from coffee_boat.clusters import settings
from coffee_boat.model import ConfPatch, Shipped, SparkFacts


class FileServerBackend:
    """Names the archive in spark.archives, and its interpreter relative to the executor's working
    directory.
    """

    needs_environment = False

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:  # noqa: ARG002  (of the protocol)
        """spark.archives with the user's own kept, and relative paths."""
        there = settings.unpacked(shipped.archive)
        archives, findings = settings.merge_archives(
            facts.conf.get("spark.archives", ""), f"{shipped.uri}#{shipped.archive.name}"
        )
        return settings.patch(
            facts,
            python=there.python,
            packages=there.packages,
            conf={"spark.archives": archives, **there.planned},
            findings=findings,
        )


class StandaloneBackend(FileServerBackend):
    """The same for clusters that have no cluster mode."""

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:
        """As FileServerBackend."""
        settings.refuse_cluster_mode(
            facts,
            "Spark's standalone clusters run no Python application in cluster mode (SparkSubmit)",
        )
        return super().patch(facts, shipped, environment=environment)
