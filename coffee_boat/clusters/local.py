"""local[...] and local-cluster[...]: the cluster is this machine.

In local[...] the executor is the driver's own JVM; local-cluster is set as standalone is.
"""

from __future__ import annotations

from pathlib import Path

from coffee_boat._support import host
from coffee_boat.clusters import settings
from coffee_boat.errors import LaunchError
from coffee_boat.model import ClusterFacts, ConfPatch, Finding, NodeFacts, Shipped, SparkFacts


class LocalBackend:
    """Runs the environment where it lies unpacked: in local mode Spark unpacks archives, but never
    into the workers' folder.
    """

    needs_environment = True

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:
        """Absolute paths into `environment`; nothing is sent."""
        settings.refuse_cluster_mode(facts, "the driver and its executors are one process here")
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


def probe(facts: SparkFacts) -> ClusterFacts:
    """This machine."""
    return ClusterFacts(
        facts.master,
        f"Spark {facts.version} on this machine",
        (NodeFacts("this machine", host.architecture(), host.glibc()),),
    )


def waiting(facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:  # noqa: ARG001  (of the protocol)
    """Nothing that is not known."""
    return ()
