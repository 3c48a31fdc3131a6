"""The configuration of the cluster: what its daemons, its clients and Spark's drivers are told.

Text only; nothing is started here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from integration.beds import _java

Settings = Mapping[str, object]

NODE_MB = 2800
"""What a NodeManager offers.

An application master (896) and one executor of Spark's default size (1408) fit on a node, and two
such executors (2816) do not: an application with two has one on each node.
"""

_NAMENODE_PORT, _NAMENODE_HTTP_PORT, _MANAGER_HTTP_PORT = 8020, 9870, 8088

_LOG4J = """log4j.rootLogger=INFO,out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
"""


def write_for_daemon(
    folder: Path, *, namenode: str, datanode: str, manager: str, address: str, home: str
) -> None:
    """The folder `conf` of a node at this address.

    Nodes are known by their addresses: there is no name server.
    """
    _write(
        folder,
        core=_core(namenode),
        hdfs=_hdfs(namenode, datanode, home),
        yarn={**_yarn(manager, home), "yarn.nodemanager.hostname": address},
        scheduler=_SCHEDULER,
    )
    (folder / "log4j.properties").write_text(_LOG4J)
    for page in (
        "hdfs",
        "datanode",
        "static",
    ):  # hadoop-hdfs.jar has no web pages, and HDFS does not start without their folders
        (folder / "webapps" / page).mkdir(parents=True, exist_ok=True)


def write_for_clients(folder: Path, *, namenode: str, manager: str) -> None:
    """A HADOOP_CONF_DIR."""
    _write(
        folder,
        core=_core(namenode),
        hdfs={"dfs.replication": 1, "dfs.namenode.http-address": hdfs_ui(namenode)},
        yarn=_manager_addresses(manager),
    )


def write_for_spark(folder: Path, *, jars_on_node: str) -> None:
    """A SPARK_CONF_DIR: jars that the nodes have, which spares 400 MB of uploads an application,
    and masters that leave room for executors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "spark.yarn.jars": f"local:{jars_on_node}/*",
        "spark.driver.memory": "512m",
        "spark.yarn.am.memory": "256m",
        "spark.yarn.report.interval": "500ms",
    }
    (folder / "spark-defaults.conf").write_text(
        "".join(f"{key} {value}\n" for key, value in told.items())
    )


def hdfs_ui(namenode: str) -> str:
    """HOST:PORT of the NameNode's web server, which speaks WebHDFS too."""
    return f"{namenode}:{_NAMENODE_HTTP_PORT}"


def manager_ui(manager: str) -> str:
    """HOST:PORT of the ResourceManager's web server."""
    return f"{manager}:{_MANAGER_HTTP_PORT}"


def _core(namenode: str) -> Settings:
    return {
        "fs.defaultFS": f"hdfs://{namenode}:{_NAMENODE_PORT}",
        "hadoop.security.token.service.use_ip": "true",
    }


def _hdfs(namenode: str, datanode: str, home: str) -> Settings:
    return {
        "dfs.replication": 1,
        "dfs.namenode.name.dir": f"file://{home}/name",
        "dfs.namenode.http-address": hdfs_ui(namenode),
        "dfs.namenode.datanode.registration.ip-hostname-check": (
            "false"
        ),  # asks for the name of an address, and there is no name server
        "dfs.namenode.safemode.extension": 0,
        "dfs.namenode.handler.count": 4,
        "dfs.datanode.data.dir": f"file://{home}/data",
        "dfs.datanode.address": f"{datanode}:9866",
        "dfs.datanode.http.address": f"{datanode}:9864",
        "dfs.datanode.ipc.address": f"{datanode}:9867",
        "dfs.datanode.hostname": datanode,  # where WebHDFS sends those who read and write
        "dfs.datanode.handler.count": 4,
        "dfs.heartbeat.interval": 1,
        "dfs.client.block.write.replace-datanode-on-failure.enable": "false",  # there is no other
    }


def _manager_addresses(manager: str) -> Settings:
    return {
        "yarn.resourcemanager.hostname": manager,
        "yarn.resourcemanager.webapp.address": manager_ui(manager),
        "yarn.application.classpath": "",
    }


def _yarn(manager: str, home: str) -> Settings:
    return {
        **_manager_addresses(manager),
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": 200,
        "yarn.resourcemanager.am.max-attempts": 1,
        "yarn.resourcemanager.resource-tracker.client.thread-count": 4,
        "yarn.resourcemanager.scheduler.client.thread-count": 4,
        "yarn.resourcemanager.client.thread-count": 8,
        "yarn.nm.liveness-monitor.expiry-interval-ms": 20000,
        "yarn.scheduler.minimum-allocation-mb": 128,
        "yarn.scheduler.maximum-allocation-mb": NODE_MB,
        "yarn.nodemanager.resource.memory-mb": NODE_MB,
        "yarn.nodemanager.resource.cpu-vcores": 8,
        "yarn.nodemanager.env-whitelist": (
            f"JAVA_HOME,PATH,LANG,TZ,{_java.OPTIONS}"
        ),  # what containers get of the NodeManager's environment
        "yarn.nodemanager.pmem-check-enabled": "false",
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.disk-health-checker.enable": (
            "false"
        ),  # the node's disk is this machine's memory
        "yarn.nodemanager.local-dirs": f"{home}/local",
        "yarn.nodemanager.log-dirs": f"{home}/logs",
        "yarn.nodemanager.localizer.cache.target-size-mb": 1024,
        "yarn.timeline-service.enabled": "false",
    }


_SCHEDULER: Settings = {
    "yarn.scheduler.capacity.root.queues": "default,harbour",
    "yarn.scheduler.capacity.root.default.capacity": 90,
    "yarn.scheduler.capacity.root.default.user-limit-factor": 10,
    "yarn.scheduler.capacity.root.harbour.capacity": 10,
    "yarn.scheduler.capacity.root.harbour.user-limit-factor": 10,
    "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
    "yarn.scheduler.capacity.node-locality-delay": -1,
    # one container a heartbeat: executors spread over the nodes
    "yarn.scheduler.capacity.per-node-heartbeat.multiple-assignments-enabled": "false",
}


def _write(
    folder: Path,
    *,
    core: Settings,
    yarn: Settings,
    hdfs: Settings | None = None,
    scheduler: Settings | None = None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, settings in {
        "core-site": core,
        "hdfs-site": hdfs,
        "yarn-site": yarn,
        "capacity-scheduler": scheduler,
    }.items():
        if settings is not None:
            (folder / f"{name}.xml").write_text(_xml(settings))


def _xml(settings: Settings) -> str:
    properties = "".join(
        f"  <property><name>{escape(name)}</name><value>{escape(str(value))}</value></property>\n"
        for name, value in settings.items()
    )
    return f'<?xml version="1.0"?>\n<configuration>\n{properties}</configuration>\n'
