"""Shipped -> ConfPatch: what each kind of cluster manager wants set.

Pure data: nothing is read, started or changed here.

A new cluster manager is one module with `needs_environment` and `patch`, and one line in
`backend_for`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Protocol

from coffee_boat._run import redact
from coffee_boat.backends.kubernetes import KubernetesBackend
from coffee_boat.backends.local import LocalBackend
from coffee_boat.backends.preload import preloading
from coffee_boat.backends.standalone import FileServerBackend, StandaloneBackend
from coffee_boat.backends.yarn import YarnBackend
from coffee_boat.errors import LaunchError
from coffee_boat.model import ConfPatch, Shipped, SparkFacts

__all__ = [
    "Backend",
    "KubernetesBackend",
    "LocalBackend",
    "StandaloneBackend",
    "YarnBackend",
    "backend_for",
    "backend_under_way",
    "preloading",
]

# The forms that org.apache.spark.SparkMasterRegex and SparkContext.createTaskScheduler take.
_LOCAL = re.compile(r"local(\[(\d+|\*)(\s*,\s*\d+)?\])?")
_STANDALONE = re.compile(r"spark://.+|local-cluster\[\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\]")


class Backend(Protocol):
    """One kind of cluster manager."""

    @property
    def needs_environment(self) -> bool:
        """True if executors use an environment that is unpacked on the driver's machine."""

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:
        """What must be set so that executors run the archive.

        Args:
            environment: the folder that the archive is unpacked in on the driver; only read if
                `needs_environment`.

        Raises:
            LaunchError: the user's own settings contradict it.
        """


def backend_for(master: str) -> Backend:
    """The backend of a master URL.

    Raises:
        LaunchError: the master is of a kind that is not supported (yet).
    """
    if _LOCAL.fullmatch(master):
        return LocalBackend()
    if _STANDALONE.fullmatch(master):
        return StandaloneBackend()
    if master == "yarn":
        return YarnBackend()
    if master.startswith("k8s://"):
        return KubernetesBackend()
    for prefix, cure in _by_hand().items():
        if master.startswith(prefix):
            cause = (
                "launch_ship serves local[*], spark://, yarn, k8s:// and local-cluster[n,cores,MiB]"
            )
            raise LaunchError(
                "this kind of master is not supported yet",
                value=redact(master),
                cause=cause,
                cure=cure,
            )
    cause = "a typing mistake, or a kind of master that coffee_boat does not know"
    raise LaunchError(
        "the master cannot be used",
        value=redact(master),
        cause=cause,
        cure=(
            "use local[*], spark://host:7077, yarn, k8s://https://host:6443 or"
            " local-cluster[2,1,1024]"
        ),
    )


def backend_under_way(master: str) -> Backend:
    """The backend for an archive that a running session gets, by addArchive.

    The cluster manager has no part in that: every executor fetches the archive from the driver and
    unpacks it in SparkFiles' root, which is its working directory
    (org.apache.spark.executor.Executor.updateDependencies).
    """
    return LocalBackend() if _LOCAL.fullmatch(master) else FileServerBackend()


def _by_hand() -> dict[str, str]:
    """What works without us, by the beginning of the master: Spark's own settings with a packed
    archive.
    """
    python = f"./boat/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    connect = (
        'captain.pack("boat.tar.gz"), then in the session: spark.addArtifacts("boat.tar.gz#boat",'
        f' archive=True); spark.conf.set("spark.sql.execution.pyspark.python", "{python}")'
    )
    return {"sc://": connect}
