"""local[...]: the executor is the driver's own JVM."""

from __future__ import annotations

import re
from pathlib import Path

from coffee_boat._support import host
from coffee_boat.clusters import settings
from coffee_boat.errors import LaunchError
from coffee_boat.model import ClusterFacts, ConfPatch, Finding, NodeFacts, Shipped, SparkFacts

_MASTER = re.compile(r"local(\[(\d+|\*)(\s*,\s*\d+)?\])?")
"""As org.apache.spark.SparkMasterRegex."""
_NO_CLUSTER_MODE = "the driver and its executors are one process here"


class Local:
    """Runs the environment where it lies unpacked: in local mode Spark unpacks archives, but never
    into the workers' folder.
    """

    name = "local"
    example = "local[*]"
    runs_in_driver = on_this_machine = True

    def matches(self, master: str) -> bool:
        """local, local[2], local[*,3]."""
        return _MASTER.fullmatch(master) is not None

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:
        """Absolute paths into `environment`; nothing is sent."""
        settings.refuse_cluster_mode(facts, _NO_CLUSTER_MODE)
        if environment is None:
            raise LaunchError(
                "launch.not-unpacked-here",
                "the environment is not unpacked on this machine",
                value=shipped.archive.name,
                cause="local[*] runs it from the store",
                cure="call launch_ship again",
            )
        archive = shipped.archive
        python = (
            str(environment / archive.python)
            if archive.has_python
            else facts.python or f"python{archive.target.minor}"
        )
        packages = None if archive.has_python else settings.python_path(archive, str(environment))
        return settings.patch(facts, python=python, packages=packages, conf={})

    def probe(self, facts: SparkFacts) -> ClusterFacts:
        """This machine."""
        settings.refuse_cluster_mode(facts, _NO_CLUSTER_MODE)
        return this_machine(facts)

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:  # noqa: ARG002  (of the protocol)
        """Nothing that is not known."""
        return ()

    def check_submission(self, facts: SparkFacts, script: str | None) -> None:
        """The driver runs here, and Spark itself says what is wrong with its script."""

    def remote_driver(self, facts: SparkFacts) -> None:
        """There is no cluster mode."""


def this_machine(facts: SparkFacts) -> ClusterFacts:
    """Where the cluster is this machine."""
    return ClusterFacts(
        facts.master,
        f"Spark {facts.version} on this machine",
        (NodeFacts("this machine", host.architecture(), host.glibc()),),
    )
