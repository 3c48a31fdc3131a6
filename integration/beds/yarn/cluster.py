"""Up and down: a node for each daemon, and a state folder that tells of them.

STATE/
  lock               held while somebody changes the cluster
  cluster.json       options and addresses, written before anything starts
  namenode/          record, log, mount point and configuration of a node; so datanode/,
                     resourcemanager/, node1/, node2/
  conf/              HADOOP_CONF_DIR of clients
  spark-<version>/   SPARK_CONF_DIR of drivers with that Spark
"""

from __future__ import annotations

import getpass
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.beds import BedFailed, _java, _namespaces, _network, _packages, _state
from integration.beds._http import ask, put
from integration.beds._namespaces import Node
from integration.beds._network import Network
from integration.beds._state import cache_folder, of_the_driver
from integration.beds.yarn import hadoop, settings

_NODE_MANAGERS = ("node1", "node2")
_NODES = {"namenode": 10, "datanode": 11, "resourcemanager": 12, "node1": 21, "node2": 22}
"""Name -> last part of its address.

The first three have the daemon of their name, the others a NodeManager.
"""
_PROGRAMS = {"ip": "iproute2", "mvn": "maven", "java": "openjdk-17-jre-headless"}
_CONF = "conf"


@dataclass(frozen=True)
class Options:
    """What a cluster is to be."""

    sparks: tuple[str, ...]
    """SPARK_HOMEs whose jars the nodes have, so that no application uploads them."""
    cache: str
    """Where Hadoop's jars are kept."""
    system_python: bool = False
    """Nodes keep the distribution's Python."""
    hide: tuple[str, ...] = ()
    """Further paths that nodes do not have."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that was started."""

    state: Path
    options: Options
    network: Network
    java: Path
    """The host's JAVA_HOME."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All of its nodes."""
        return tuple(self.node(name) for name in _NODES)

    @property
    def node_managers(self) -> tuple[Node, ...]:
        """The nodes that run executors."""
        return tuple(self.node(name) for name in _NODE_MANAGERS)

    def node(self, name: str) -> Node:
        """The node of this name.

        Raises:
            BedFailed: there is none.
        """
        if name not in _NODES:
            raise BedFailed(f"no node {name!r}, there are: {', '.join(_NODES)}")
        return Node(
            name=name,
            address=self._address(name),
            folder=self.state / name,
            hide=(*of_the_driver(self.state), *map(Path, self.options.hide)),
            show=self._shown_on(name),
            system_python=self.options.system_python,
            network=self.network,
        )

    @property
    def manager_url(self) -> str:
        """The ResourceManager's web server."""
        return f"http://{settings.manager_ui(self._address('resourcemanager'))}"

    @property
    def hdfs_url(self) -> str:
        """The NameNode's web server."""
        return f"http://{settings.hdfs_ui(self._address('namenode'))}"

    @property
    def exports(self) -> dict[str, str]:
        """What a driver's environment has to say; with the first Spark's settings."""
        return self.exports_for(self.options.sparks[0])

    def exports_for(self, spark_home: str) -> dict[str, str]:
        """The same, with another Spark of the options."""
        return {
            "HADOOP_CONF_DIR": str(self.state / _CONF),
            "SPARK_CONF_DIR": str(self.state / f"spark-{_version(spark_home)}"),
            "SPARK_LOCAL_IP": self.network.gateway,
        }

    @property
    def healthy(self) -> bool:
        """True if every node is there: its process, and as HDFS and YARN see it."""
        return (
            all(node.process is not None and node.process.alive for node in self.nodes)
            and self._hdfs_is_ready()
            and self.running_nodes() == len(_NODE_MANAGERS)
        )

    def running_nodes(self) -> int:
        """How many NodeManagers the ResourceManager counts; 0 if it does not answer."""
        told = ask(f"{self.manager_url}/ws/v1/cluster/nodes?states=RUNNING")
        return len((told.get("nodes") or {}).get("node", []))

    @property
    def summary(self) -> str:
        """One line for people."""
        return (
            f"YARN {self.manager_url}, {self.running_nodes()} of {len(_NODE_MANAGERS)} nodes"
            f" running; HDFS {self.hdfs_url}{'' if self._hdfs_is_ready() else ' (not ready)'}"
        )

    def logs(self) -> list[tuple[str, Path]]:
        """What can be read, by title: the daemons' logs, then those of the containers."""
        return [
            *((node.name, node.log) for node in self.nodes),
            *(entry for node in self.node_managers for entry in _container_logs(node)),
        ]

    def start(self) -> None:
        """Write its configuration, start its nodes, and wait until they serve."""
        self._configure()
        for node in self.nodes:
            _namespaces.start(
                node,
                hadoop.daemon("nodemanager" if node.name in _NODE_MANAGERS else node.name),
                {"JAVA_HOME": str(_java.ON_NODE), **_java.handed_on()},
            )
        self._wait()
        self._make_folders()

    def _configure(self) -> None:
        namenode, manager = self._address("namenode"), self._address("resourcemanager")
        for node in self.nodes:
            conf = node.folder / _CONF
            settings.write_for_daemon(
                conf,
                namenode=namenode,
                datanode=self._address("datanode"),
                manager=manager,
                address=node.address,
                home=node.home,
            )
        settings.write_for_clients(self.state / _CONF, namenode=namenode, manager=manager)
        for home in self.options.sparks:
            settings.write_for_spark(
                self.state / f"spark-{_version(home)}", jars_on_node=_jars_on_node(home)
            )

    def _shown_on(self, name: str) -> tuple[tuple[Path, str], ...]:
        lib = hadoop.folder_of_jars(Path(self.options.cache))
        sparks = (
            [(Path(home, "jars"), _jars_on_node(home)) for home in self.options.sparks]
            if name in _NODE_MANAGERS
            else []
        )
        java = _java.shown_on_nodes(self.java, vector=_java.has_vector_module(self.java))
        return (
            (lib, f"{hadoop.ON_NODE}/lib"),
            (self.state / name / _CONF, f"{hadoop.ON_NODE}/conf"),
            *java,
            *sparks,
        )

    def _make_folders(self) -> None:
        """What an administrator gives to users: a home for this one, and two folders for all.

        By WebHDFS, as HDFS's own user.
        """
        user, root, admin = (
            os.environ.get("HADOOP_USER_NAME") or getpass.getuser(),
            f"{self.hdfs_url}/webhdfs/v1",
            f"user.name={_namespaces.USER}",
        )
        for folder in ("/tmp", "/boats"):
            put(f"{root}{folder}?op=MKDIRS&permission=1777&{admin}")
        put(f"{root}/user/{user}?op=MKDIRS&permission=755&{admin}")
        put(f"{root}/user/{user}?op=SETOWNER&owner={user}&group={user}&{admin}")

    def _wait(self, seconds: float = 150.0) -> None:
        deadline = time.monotonic() + seconds
        while not self.healthy:
            dead = [
                node.name for node in self.nodes if node.process is None or not node.process.alive
            ]
            if dead or time.monotonic() > deadline:
                raise BedFailed(
                    f"{' and '.join(dead) or 'the cluster'} did not come up: {self._tails()}"
                )
            time.sleep(0.25)

    def _hdfs_is_ready(self) -> bool:
        told = ask(f"{self.hdfs_url}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState").get(
            "beans"
        ) or [{}]
        return bool(
            told[0].get("NumLiveDataNodes", 0) >= 1 and told[0].get("FSState") == "Operational"
        )

    def _tails(self) -> str:
        return "\n".join(
            f"--- {path}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            for _, path in self.logs()
            if path.exists()
        )

    def _address(self, name: str) -> str:
        return self.network.address(_NODES[name])


def up(state: Path, options: Options) -> Cluster:
    """Start the cluster, or give the one that runs already with the same options.

    What a killed run left is removed first.

    Raises:
        BedCannotRun: this machine lacks something.
        BedFailed: it did not come up; nothing of it runs any more, its logs are kept.
    """
    return _state.started(state, options, current=current, end=_end, start=_start)


def down(state: Path) -> None:
    """End the cluster, if there is one; its daemons' logs stay."""
    _state.ended(state, _end)


def current(state: Path) -> Cluster | None:
    """The cluster that was started in this folder and not ended since, healthy or not."""
    told = _state.recorded(state)
    return None if told is None else _from_json(told, state)


def default_cache() -> Path:
    """Where Hadoop's jars are kept unless another folder is given."""
    return cache_folder()


def _start(state: Path, options: Options) -> Cluster:
    _namespaces.require()
    _packages.require(_PROGRAMS)
    _network.require()
    hadoop.jars(Path(options.cache))
    cluster = Cluster(state, options, _network.make(state), _java.home())
    _state.record(state, cluster)
    try:
        cluster.start()
    except BaseException:
        _end(state)
        raise
    return cluster


def _end(state: Path) -> None:
    """Whatever of a cluster is there, whole or not: the records tell, not cluster.json."""
    for name in _NODES:
        if (state / name).is_dir():
            _namespaces.stop(Node(name=name, address="", folder=state / name))
            shutil.rmtree(state / name / _CONF, ignore_errors=True)
    if shutil.which("ip"):
        _network.remove(state)
    _state.forget(state)


def _from_json(told: Mapping[str, Any], state: Path) -> Cluster:
    options = Options(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in told["options"].items()
        }
    )
    return Cluster(state, options, Network(**told["network"]), Path(told["java"]))


def _version(spark_home: str) -> str:
    """Of a SPARK_HOME's jars, as "4.1.4"."""
    return next(Path(spark_home).glob("jars/spark-core_*.jar")).stem.rpartition("-")[2]


def _jars_on_node(spark_home: str) -> str:
    return f"/opt/spark-{_version(spark_home)}/jars"


def _container_logs(node: Node) -> Iterator[tuple[str, Path]]:
    try:
        root = Path(f"/proc/{_namespaces.first_process(node)}/root")
    except BedFailed:
        return
    for log in sorted(
        (root / node.home.lstrip("/") / "logs").glob("application_*/container_*/std*")
    ):
        yield f"{node.name}, {log.parent.name}", log
