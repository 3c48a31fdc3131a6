"""What is known of a Spark and its cluster, and what is to be set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from coffee_boat._support.redact import redact_setting
from coffee_boat.errors import Finding
from coffee_boat.model.hidden import Redacted

SQL_PYTHON = "spark.sql.execution.pyspark.python"
"""Spark's setting: what executors run SQL's functions with, whatever was captured with them; looked
at each time a query runs (org.apache.spark.sql.internal.SQLConf).
"""


@dataclass(frozen=True, repr=False)
class SparkFacts(Redacted):
    """The Spark that is about to start, as far as the driver knows it."""

    version: str
    """pyspark's __version__, a vendor's suffix and all."""
    master: str
    deploy_mode: str = "client"
    conf: Mapping[str, str] = field(default_factory=dict)
    """The user's own settings, complete."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The driver's PYSPARK_* variables."""
    python: str = ""
    """The driver's own interpreter, absolute; empty if unknown."""


@dataclass(frozen=True)
class NodeFacts:
    """What a node is, as far as an archive cares."""

    host: str
    architecture: str = ""
    """As `uname -m` says it; empty if unknown."""
    glibc: tuple[int, int] | None = None
    """None if unknown, or if the node has another C library."""
    gpu_driver: str = ""
    """Version of NVIDIA's driver; empty if unknown, or without a GPU."""


@dataclass(frozen=True, repr=False)
class ClusterFacts(Redacted):
    """What a cluster said of itself before anything was sent to it."""

    master: str
    manager: str = ""
    """Kind and version, for people: "YARN 3.4.2"."""
    nodes: tuple[NodeFacts, ...] = ()
    """Those that are known; empty where nothing could be asked."""
    findings: tuple[Finding, ...] = ()
    """What looks odd; what cannot work is a LaunchError of the probe."""
    not_known: str = ""
    """Why it could not be asked what it has, for people; empty if it was."""
    keeps_to: str = ""
    """What has executors run on nodes of one machine only, to type: {oci} stands for it as
    container images call it. Empty where nothing does.
    """


@dataclass(frozen=True, repr=False)
class ConfPatch(Redacted):
    """What a kind of cluster wants set: pure data, applied by spark/hook.py only."""

    python: str
    """The executors' interpreter: absolute, or relative to the executor's working directory."""
    conf: Mapping[str, str] = field(default_factory=dict)
    """Final values; user's own values are merged in already."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the executors' Python."""
    findings: tuple[Finding, ...] = ()

    def lines(self) -> list[str]:
        """What is set, one a line: the interpreter, its variables, Spark's settings.

        Without secrets.
        """
        variables, settings = (
            [f"  {key}={redact_setting(key, value)}" for key, value in sorted(part.items())]
            for part in (self.environment, self.conf)
        )
        return [f"  executors run {self.python} with", *variables, "  Spark's settings", *settings]
