"""The kinds of clusters: all that is known about one is one file or one folder here, in one object.

To add one: an object with what `Cluster` asks for, and its line in `KINDS`. Nothing else knows a
kind by its name or by the form of its masters; all ask `kind_of` or `kind_of_running`.

    patch                what executors need set: pure data, nothing is read, started or changed
    probe                once, before anything is resolved (master given) or sent
                         (SparkContext(...)); costs a healthy launch no more than 0.1 s, and ends
                         within seconds whatever does not answer
    waiting              again and again while nothing of the application runs yet
    check_submission,    only for spark-submit: what of a script cannot work there, and what becomes
    remote_driver        of a driver that runs in the cluster
    left_behind          only of a kind that keeps executors' working directories on this machine

What asks changes nothing. It may read the process's own environment (HADOOP_CONF_DIR, KUBECONFIG);
imports that take time go inside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from coffee_boat._support.redact import redact
from coffee_boat.clusters import settings
from coffee_boat.clusters.connect import Connect
from coffee_boat.clusters.kubernetes import Kubernetes
from coffee_boat.clusters.local import Local
from coffee_boat.clusters.local_cluster import LocalCluster
from coffee_boat.clusters.standalone import Standalone
from coffee_boat.clusters.yarn import Yarn
from coffee_boat.errors import LaunchError
from coffee_boat.model import ClusterFacts, ConfPatch, Finding, Shipped, SparkFacts


class RunningCluster(Protocol):
    """What is asked of a kind of cluster also while a session runs there."""

    @property
    def runs_in_driver(self) -> bool:
        """True if the driver's own JVM is the executor: then the environment is unpacked on the
        driver's machine, and nothing is sent.
        """

    @property
    def on_this_machine(self) -> bool:
        """True if all executors are on the driver's machine: nobody has to ask what nodes are."""

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:
        """What must be set so that executors run the archive.

        Args:
            environment: the folder that the archive is unpacked in on the driver; only read if
                `runs_in_driver`.

        Raises:
            LaunchError: the user's own settings contradict it.
        """

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
        """Why nothing of the application runs yet, in the cluster's own words; empty if all is well
        or nothing can be asked.

        Called every few seconds from a thread of its own, from before the SparkContext is up until
        its first executor is. What was told is not told again.

        Args:
            facts: with the conf complete, what `patch` set included.
            application: Spark's id of it; None while it is not known yet, as long as
                SparkContext(...) has not returned.
        """


class Cluster(RunningCluster, Protocol):
    """All that is known about one kind of cluster."""

    @property
    def name(self) -> str:
        """For people, in a word: "standalone"."""

    @property
    def example(self) -> str:
        """A master of this kind, for who mistyped one: "spark://host:7077"."""

    def matches(self, master: str) -> bool:
        """True if Spark takes the master for one of this kind."""

    def probe(self, facts: SparkFacts) -> ClusterFacts:
        """What the cluster says of itself.

        Args:
            facts: the Spark that is about to start. With a master given to `launch_ship`, before
                its context exists: then the conf is what is known by then.

        Raises:
            LaunchError: it cannot work: nobody answers, or what is asked for is not to be had
                there. In the cluster's own words where it has any.
        """

    def check_submission(self, facts: SparkFacts, script: str | None) -> None:
        """Refuse what spark-submit would hand to the cluster in vain.

        Args:
            facts: with the conf complete.
            script: a path or a URL; None for an interactive pyspark.

        Raises:
            LaunchError: the driver could not read the script.
        """

    def remote_driver(self, facts: SparkFacts) -> RemoteDriver | None:
        """What follows the driver of one submission; None if it runs on this machine.

        Args:
            facts: with the conf complete, and the deploy mode.
        """


@runtime_checkable
class KeepsFolders(Protocol):
    """A kind of cluster that leaves its executors' working directories on the driver's machine when
    a session ends, with an unpacked environment in each.
    """

    def left_behind(self, *, home: str | None, directory: str, application: str) -> Path:
        """Where they are: a folder an executor in the application's own.

        Args:
            home: SPARK_HOME of the driver's JVM; None if it has none.
            directory: its working directory.
            application: Spark's id of it.
        """


@runtime_checkable
class CountsExecutors(Protocol):
    """A kind of cluster of which the settings say how many executors a session begins with."""

    def executors(self, facts: SparkFacts) -> int | None:
        """How many; None if these settings do not say it.

        Args:
            facts: with the conf complete.
        """


@runtime_checkable
class TakesFilesOnly(Protocol):
    """A kind of cluster of which the session itself sends archives, from the driver's machine."""

    @property
    def takes_files_only(self) -> bool:
        """True."""


@runtime_checkable
class TakesPlainFiles(Protocol):
    """A kind of cluster whose executors can be given a file as it is, and unpack it themselves."""

    @property
    def plain_files(self) -> str:
        """The setting that names such files, separated by commas."""

    @property
    def keeps_files(self) -> bool:
        """True if what an executor leaves on a node is there for later ones; else only what it
        leaves in a folder that somebody named, of a volume.
        """

    @property
    def shares_folders(self) -> bool:
        """True if the executors that an application has on a node work in folders of one folder,
        which goes with them.
        """


class RemoteDriver(Protocol):
    """The driver of one submission, where it runs in the cluster: spark-submit does not say how it
    ended.
    """

    @property
    def conf(self) -> Mapping[str, str]:
        """What must be set besides, so that it is found."""

    def watched(self, say: Callable[[str], None]) -> AbstractContextManager[None]:
        """While the block lasts, say what keeps it from running."""

    def exit_code(self, submitted: int, say: Callable[[str], None]) -> int:
        """Its own exit code, once spark-submit has ended; says what failed.

        Args:
            submitted: spark-submit's, which is taken where the cluster says nothing.
        """


KINDS: tuple[Cluster, ...] = (
    Local(),
    Standalone(),
    Yarn(),
    Kubernetes(),
    LocalCluster(),
    Connect(),
)
"""Each kind, one entry: the only line outside of its own file or folder. No master matches two."""

_OTHER = "its kind is not known, so it is not asked"
_also: tuple[Cluster, ...] = ()


@contextmanager
def also(kind: Cluster) -> Iterator[None]:
    """While the block lasts there is one more kind in this process, which is asked first: how one
    is tried before it has its line in `KINDS`, or is one of somebody else's own.
    """
    global _also  # noqa: PLW0603  threads that watch a session have to see it, too
    _also = (kind, *_also)
    try:
        yield
    finally:
        _also = tuple(one for one in _also if one is not kind)


def kind_of(master: str) -> Cluster:
    """The kind of cluster that a master is of.

    Raises:
        LaunchError: there is none.
    """
    kind = _known(master)
    if kind is not None:
        return kind
    examples = [one.example for one in _kinds()]
    if old := re.fullmatch(r"yarn-(client|cluster)", master.strip()):
        raise LaunchError(
            "launch.master-of-spark-1",
            "the master is written otherwise since Spark 2",
            value=master,
            cause="the master is yarn, and where the driver runs is the deploy mode",
            cure=f"use yarn; with boat launch, --master yarn --deploy-mode {old[1]}",
        )
    raise LaunchError(
        "launch.master-invalid",
        "the master cannot be used",
        value=redact(master),
        cause="a typing mistake, or a kind of master that coffee_boat does not know",
        cure=f"use {', '.join(examples[:-1])} or {examples[-1]}",
    )


def kind_of_running(master: str) -> RunningCluster:
    """The same for a session that runs already, on whatever cluster: what it gets goes by
    addArchive.
    """
    kind = _known(master)
    if kind is not None and (kind.runs_in_driver or takes_files_only(master)):
        return kind
    return _ByAddArchive(kind)


def takes_files_only(master: str) -> bool:
    """True if what is sent has to be a file of this machine: a stage is of no use there."""
    return isinstance(_known(master), TakesFilesOnly)


def plain_files(master: str) -> str | None:
    """The setting that names files which executors get as they are; None if nothing does."""
    kind = _known(master)
    return kind.plain_files if isinstance(kind, TakesPlainFiles) else None


def keeps_files(master: str) -> bool:
    """True if what an executor leaves on a node is there for later ones, wherever it is."""
    kind = _known(master)
    return isinstance(kind, TakesPlainFiles) and kind.keeps_files


def shares_folders(master: str) -> bool:
    """True if the executors that an application has on a node have a folder together."""
    kind = _known(master)
    return isinstance(kind, TakesPlainFiles) and kind.shares_folders


@dataclass(frozen=True)
class _ByAddArchive:
    """Any kind with executors of their own, while a session runs there.

    The cluster manager has no part in it: every executor fetches the archive from the driver and
    unpacks it in SparkFiles' root, which is its working directory
    (org.apache.spark.executor.Executor.updateDependencies).
    """

    kind: Cluster | None
    """None if the session is somebody else's, on a kind that is not known."""
    runs_in_driver: ClassVar[bool] = False

    @property
    def on_this_machine(self) -> bool:
        return self.kind is not None and self.kind.on_this_machine

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:  # noqa: ARG002  (of the protocol)
        return settings.by_file_server(facts, shipped)

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
        return () if self.kind is None else self.kind.waiting(facts, application)


def probe(facts: SparkFacts) -> ClusterFacts:
    """What the cluster says of itself. One of a kind that is not known is taken as it is.

    Raises:
        LaunchError: it cannot work there.
    """
    kind = _known(facts.master)
    return ClusterFacts(facts.master, not_known=_OTHER) if kind is None else kind.probe(facts)


def waiting(facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
    """Why nothing of an application runs yet, as far as the cluster tells."""
    return kind_of_running(facts.master).waiting(facts, application)


def executors(facts: SparkFacts) -> int | None:
    """How many executors a session begins with; None if that is not known."""
    kind = _known(facts.master)
    return kind.executors(facts) if isinstance(kind, CountsExecutors) else None


def left_behind(master: str, *, home: str | None, directory: str, application: str) -> Path | None:
    """Where executors' working directories stay when a session ends; None if they do not, or not on
    this machine. Arguments as `KeepsFolders.left_behind`.
    """
    kind = _known(master)
    if not isinstance(kind, KeepsFolders):
        return None
    return kind.left_behind(home=home, directory=directory, application=application)


def _kinds() -> tuple[Cluster, ...]:
    return (*_also, *KINDS)


def _known(master: str) -> Cluster | None:
    return next((kind for kind in _kinds() if kind.matches(master)), None)
