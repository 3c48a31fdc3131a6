"""The kinds of clusters: what each wants set, what it says of itself, and why nothing runs there.

A kind is one file or one folder here, with one line in `_KINDS` and one in `backend_for`:

    needs_environment, patch      Shipped -> ConfPatch: pure data, nothing is read, started or
                                  changed
    probe(facts)                  once, before anything is resolved (master given) or sent
                                  (SparkContext(...)); costs a healthy launch no more than 0.1 s,
                                  and ends within seconds whatever does not answer
    waiting(facts, application)   again and again while nothing of the application runs yet: what
                                  the cluster says about it

The last two ask and change nothing. They may read the process's own environment (HADOOP_CONF_DIR,
KUBECONFIG); imports that take time go inside.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Protocol

from coffee_boat._support.redact import redact
from coffee_boat.clusters import local
from coffee_boat.clusters.kubernetes import probe as kubernetes_probe
from coffee_boat.clusters.kubernetes.patch import KubernetesBackend
from coffee_boat.clusters.local import LocalBackend
from coffee_boat.clusters.standalone import probe as standalone_probe
from coffee_boat.clusters.standalone.patch import FileServerBackend, StandaloneBackend
from coffee_boat.clusters.yarn import probe as yarn_probe
from coffee_boat.clusters.yarn.patch import YarnBackend
from coffee_boat.errors import LaunchError
from coffee_boat.model import ClusterFacts, ConfPatch, Finding, Shipped, SparkFacts

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
                "launch.master-not-supported",
                "this kind of master is not supported yet",
                value=redact(master),
                cause=cause,
                cure=cure,
            )
    cause = "a typing mistake, or a kind of master that coffee_boat does not know"
    raise LaunchError(
        "launch.master-invalid",
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


class Kind(Protocol):
    """One kind of cluster: a module of this folder."""

    def probe(self, facts: SparkFacts) -> ClusterFacts:
        """What the cluster says of itself.

        Args:
            facts: the Spark that is about to start. With a master given to `launch_ship`, before
                its context exists: then the conf is what is known by then.

        Raises:
            LaunchError: it cannot work: nobody answers, or what is asked for is not to be had
                there. In the cluster's own words where it has any.
        """

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
        """Why nothing of the application runs yet, in the cluster's own words; empty if all is well
        or nothing can be asked.

        Called every few seconds from a thread of its own, from before the SparkContext is up until
        its first executor is. What was told is not told again.

        Args:
            facts: with the conf complete, what the backend set included.
            application: Spark's id of it; None while it is not known yet, as long as
                SparkContext(...) has not returned.
        """


_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"local(-cluster)?(\[.*)?"), local),
    (re.compile(r"spark://.*"), standalone_probe),
    (re.compile(r"yarn"), yarn_probe),
    (re.compile(r"k8s://.*"), kubernetes_probe),
)
"""By master, the first that matches."""


def probe(facts: SparkFacts) -> ClusterFacts:
    """What the cluster says of itself. One of a kind that cannot be asked is taken as it is.

    Raises:
        LaunchError: it cannot work there.
    """
    kind = _kind(facts.master)
    return ClusterFacts(facts.master) if kind is None else kind.probe(facts)


def waiting(facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
    """Why nothing of an application runs yet, as far as the cluster tells."""
    kind = _kind(facts.master)
    return () if kind is None else kind.waiting(facts, application)


def _kind(master: str) -> Kind | None:
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(master)), None)
