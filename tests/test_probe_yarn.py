"""Asking YARN and HDFS before anything is sent: small daemons on this machine, told what to say,
and a HADOOP_CONF_DIR that names them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from coffee_boat.clusters import probe, waiting
from coffee_boat.clusters.yarn.hadoop import configuration
from coffee_boat.errors import LaunchError
from coffee_boat.model import ClusterFacts, SparkFacts

INFO = {"clusterInfo": {"haState": "ACTIVE", "resourceManagerVersion": "3.4.2"}}
BLOCK = 128 * 1024**2


def node(host: str, memory: int = 8192, used: int = 0) -> dict[str, Any]:
    return {
        "nodeHostName": host,
        "usedMemoryMB": used,
        "availMemoryMB": memory - used,
        "usedVirtualCores": 0,
        "availableVirtualCores": 4,
    }


def queue(name: str, *below: dict[str, Any], state: str = "RUNNING", **more: Any) -> dict[str, Any]:
    return {
        "queueName": name,
        "state": state,
        **more,
        **({"queues": {"queue": list(below)}} if below else {}),
    }


def capacity(*below: dict[str, Any]) -> dict[str, Any]:
    return {"scheduler": {"schedulerInfo": {"type": "capacityScheduler", **queue("root", *below)}}}


@dataclass
class Said:
    """What the daemons answer.

    A path that is not here is HTTP 404; an answer that is a number is that status.
    """

    manager: dict[str, Any] = field(
        default_factory=lambda: {
            "/ws/v1/cluster/info": INFO,
            "/ws/v1/cluster/nodes": {"nodes": {"node": [node("n1"), node("n2")]}},
            "/ws/v1/cluster/scheduler": capacity(queue("default"), queue("batch", queue("night"))),
            "/conf": {"property": {"value": "16384"}},
        }
    )
    namenode: dict[str, Any] = field(
        default_factory=lambda: {
            "NameNodeStatus": {"State": "active"},
            "NameNodeInfo": {"Safemode": ""},
            "FSNamesystemState": {
                "CapacityRemaining": 100 * BLOCK,
                "CapacityTotal": 200 * BLOCK,
                "NumLiveDataNodes": 3,
            },
            "GETFILESTATUS": {"FileStatus": {}},
            "CHECKACCESS": {},
            "GETCONTENTSUMMARY": {"ContentSummary": {"spaceQuota": -1, "spaceConsumed": 5}},
        }
    )


@dataclass
class Yarn:
    """A cluster: RPC ports that accept, and web servers."""

    said: Said
    conf: Path

    def probe(self, **conf: str) -> ClusterFacts:
        return probe(self.facts(**conf))

    def facts(self, **conf: str) -> SparkFacts:
        return SparkFacts(
            "4.1.1",
            "yarn",
            conf={f"spark.{key.replace('_', '.')}": value for key, value in conf.items()},
        )

    def refused(self, **conf: str) -> LaunchError:
        started = time.monotonic()
        with pytest.raises(LaunchError) as caught:
            self.probe(**conf)
        assert time.monotonic() - started < 10
        assert all((caught.value.what, caught.value.value, caught.value.cause, caught.value.cure))
        return caught.value


@contextmanager
def serving(answers: Mapping[str, Any]) -> Iterator[int]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = parse_qs(url.query)
            key = (
                asked["qry"][0].rpartition("=")[2]
                if "qry" in asked
                else asked["op"][0]
                if "op" in asked
                else url.path
            )
            answer = answers.get(key, 404)
            status, body = (
                answer
                if isinstance(answer, tuple)
                else (answer, {})
                if isinstance(answer, int)
                else (200, answer)
            )
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"beans": [body]} if "qry" in asked else body).encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def write(folder: Path, name: str, settings: Mapping[str, object]) -> None:
    said = "".join(
        f"<property><name>{key}</name><value>{value}</value></property>"
        for key, value in settings.items()
    )
    (folder / f"{name}-site.xml").write_text(
        f'<?xml version="1.0"?><configuration>{said}</configuration>'
    )


@pytest.fixture
def yarn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yarn]:
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
    monkeypatch.setenv("HADOOP_USER_NAME", "ada")
    said = Said()
    with (
        serving(said.manager) as manager,
        serving(said.namenode) as namenode,
        socket.create_server(("127.0.0.1", 0)) as rpc,
    ):
        port = rpc.getsockname()[1]
        write(tmp_path, "core", {"fs.defaultFS": f"hdfs://127.0.0.1:{port}"})
        write(
            tmp_path,
            "hdfs",
            {"dfs.namenode.http-address": f"127.0.0.1:{namenode}", "dfs.replication": 3},
        )
        yarn = {
            "hostname": "127.0.0.1",
            "address": f"${{yarn.resourcemanager.hostname}}:{port}",
            "webapp.address": f"${{yarn.resourcemanager.hostname}}:{manager}",
        }
        write(
            tmp_path, "yarn", {f"yarn.resourcemanager.{key}": value for key, value in yarn.items()}
        )
        yield Yarn(said, tmp_path)


def refusal_of_hdfs(message: str) -> tuple[int, dict[str, Any]]:
    return 403, {
        "RemoteException": {
            "exception": "AccessControlException",
            "message": f"{message}\n\tat org.apache.hadoop",
        }
    }


def dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


# what it is


def test_the_running_nodes(yarn: Yarn) -> None:
    found = yarn.probe()
    assert (found.master, found.manager) == ("yarn", "YARN 3.4.2, 2 nodes, 8 cores, 16.0 GiB")
    assert [node.host for node in found.nodes] == ["n1", "n2"]
    assert found.findings == ()


def test_the_active_one_of_two_is_asked(yarn: Yarn) -> None:
    standby = {"/ws/v1/cluster/info": {"clusterInfo": {"haState": "STANDBY"}}}
    with serving(standby) as other:
        told = {
            key: value
            for key, value in configuration({}).settings.items()
            if key.startswith("yarn.")
        }
        port, web = (
            told["yarn.resourcemanager.address"].rpartition(":")[2],
            told["yarn.resourcemanager.webapp.address"].rpartition(":")[2],
        )
        addresses = {"rm1": ("127.0.0.1", other), "rm2": ("127.0.0.1", web)}
        ha: dict[str, object] = {
            "yarn.resourcemanager.ha.enabled": "true",
            "yarn.resourcemanager.ha.rm-ids": "rm1, rm2",
        }
        for name, (host, number) in addresses.items():
            ha |= {
                f"yarn.resourcemanager.address.{name}": f"{host}:{port}",
                f"yarn.resourcemanager.webapp.address.{name}": f"{host}:{number}",
            }
        write(yarn.conf, "yarn", ha)
        assert len(yarn.probe().nodes) == 2
        yarn.said.manager["/ws/v1/cluster/info"] = standby["/ws/v1/cluster/info"]
        assert yarn.refused().code == "cluster.yarn-not-active"


def test_a_name_service_has_two_namenodes(yarn: Yarn, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "dfs.ha.namenodes.harbour": "a,b",
        "dfs.namenode.rpc-address.harbour.a": "h1:8020",
        "dfs.namenode.rpc-address.harbour.b": "h2:8020",
    }
    write(yarn.conf, "hdfs", {**settings, "dfs.namenode.http-address.harbour.b": "0.0.0.0:50070"})
    write(yarn.conf, "core", {"fs.defaultFS": "hdfs://harbour"})
    assert [(one.host, one.port, one.url) for one in configuration({}).namenodes()] == [
        ("h1", 8020, "http://h1:9870"),
        ("h2", 8020, "http://h2:50070"),
    ]


def test_both_folders_are_read_and_the_first_that_has_a_file_counts(
    yarn: Yarn, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("yarn")
    (yarn.conf / "yarn-site.xml").rename(other / "yarn-site.xml")
    write(other, "core", {"fs.defaultFS": "hdfs://other:8020"})
    monkeypatch.setenv("YARN_CONF_DIR", str(other))
    assert yarn.probe().nodes
    assert configuration({}).namenodes()[0].host == "127.0.0.1"


# what is not there


def test_no_configuration(
    yarn: Yarn, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path_factory.mktemp("empty")))
    assert yarn.refused().code == "cluster.hadoop-conf-missing"
    monkeypatch.delenv("HADOOP_CONF_DIR")
    monkeypatch.delenv("SPARK_HOME", raising=False)
    monkeypatch.delenv("SPARK_CONF_DIR", raising=False)
    assert yarn.refused().code == "cluster.hadoop-conf-unset"


@pytest.mark.parametrize(
    "line",
    [
        "export HADOOP_CONF_DIR={}",
        'HADOOP_CONF_DIR="{}"',
        "export HADOOP_CONF_DIR=${{HADOOP_CONF_DIR:-{}}}",
    ],
)
def test_what_spark_env_says_is_taken(
    yarn: Yarn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str
) -> None:
    (tmp_path / "spark-env.sh").write_text(f"# HADOOP_CONF_DIR=/nowhere\n{line.format(tmp_path)}\n")
    monkeypatch.delenv("HADOOP_CONF_DIR")
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    assert yarn.probe().nodes


def test_sparks_own_settings_are_laid_over_the_files(yarn: Yarn) -> None:
    conf = SparkFacts(
        "4.1.1",
        "yarn",
        conf={"spark.hadoop.yarn.resourcemanager.address": f"127.0.0.1:{dead_port()}"},
    )
    with pytest.raises(LaunchError, match="ResourceManager cannot be reached"):
        probe(conf)


def test_a_file_that_is_no_xml(yarn: Yarn) -> None:
    (yarn.conf / "yarn-site.xml").write_text("<configuration>")
    error = yarn.refused()
    assert error.code == "cluster.hadoop-conf-unreadable"
    assert error.value.endswith("yarn-site.xml")


def test_a_file_that_includes_another(yarn: Yarn) -> None:
    (yarn.conf / "yarn-site.xml").rename(yarn.conf / "common.xml")
    include = (
        '<configuration xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include'
        ' href="{}"/></configuration>'
    )
    (yarn.conf / "yarn-site.xml").write_text(include.format("common.xml"))
    assert yarn.probe().nodes
    (yarn.conf / "yarn-site.xml").write_text(include.format("gone.xml"))
    assert configuration({}).get("fs.defaultFS").startswith("hdfs://")


def included(*includes: str, more: str = "") -> str:
    parts = "".join(
        f'<xi:include href="{href}">{fallback}</xi:include>'
        for href, _, fallback in (include.partition(" ") for include in includes)
    )
    return (
        f'<configuration xmlns:xi="http://www.w3.org/2001/XInclude">{parts}{more}</configuration>'
    )


def test_an_include_that_fails_takes_no_other_with_it(yarn: Yarn) -> None:
    (yarn.conf / "yarn-site.xml").rename(yarn.conf / "common.xml")
    (yarn.conf / "broken.xml").write_text("<configuration>")
    (yarn.conf / "itself.xml").write_text(included("itself.xml"))
    (yarn.conf / "yarn-site.xml").write_text(
        included("gone.xml", "broken.xml", "http://example.org/x.xml", "itself.xml", "common.xml")
    )
    found = yarn.probe()
    assert len(found.nodes) == 2
    assert [finding.value for finding in found.findings] == [
        "gone.xml",
        "broken.xml",
        "http://example.org/x.xml",
        "itself.xml",
    ]
    assert all(finding.cause and finding.cure for finding in found.findings)


def test_what_is_included_falls_back_and_goes_as_deep_as_it_goes(yarn: Yarn) -> None:
    (yarn.conf / "yarn-site.xml").rename(yarn.conf / "9.xml")
    for number in range(1, 9):
        (yarn.conf / f"{number}.xml").write_text(included(f"{number + 1}.xml"))
    fallback = (
        "<xi:fallback><property><name>yarn.a</name><value>1</value></property><xi:include"
        ' href="1.xml"/></xi:fallback>'
    )
    (yarn.conf / "yarn-site.xml").write_text(
        included(
            f"gone.xml {fallback}", more="<property><name>yarn.b</name><value>2</value></property>"
        )
    )
    found = yarn.probe()
    assert (len(found.nodes), found.findings) == (2, ())
    assert (configuration({}).get("yarn.a"), configuration({}).get("yarn.b")) == ("1", "2")
    (yarn.conf / "gone.xml").write_text(
        included(more="<property><name>yarn.a</name><value>3</value></property>")
    )
    assert configuration({}).get("yarn.a") == "3"


@pytest.mark.parametrize("name", ["default", "ClientProtocol"])
def test_where_hadoop_goes_through_a_proxy_no_port_is_tried(yarn: Yarn, name: str) -> None:
    factory = {
        f"hadoop.rpc.socket.factory.class.{name}": "org.apache.hadoop.net.SocksSocketFactory",
        "hadoop.socks.server": "localhost:1080",
    }
    write(yarn.conf, "core", {"fs.defaultFS": f"hdfs://127.0.0.1:{dead_port()}", **factory})
    write(yarn.conf, "yarn", {"yarn.resourcemanager.address": f"127.0.0.1:{dead_port()}"})
    (finding,) = yarn.probe().findings
    assert "SocksSocketFactory" in finding.cause
    assert waiting(yarn.facts(), "application_1_0002") == ()
    write(
        yarn.conf,
        "core",
        {
            **factory,
            f"hadoop.rpc.socket.factory.class.{name}": (
                "org.apache.hadoop.net.StandardSocketFactory"
            ),
        },
    )
    assert yarn.refused().code == "cluster.yarn-unreachable"


def test_a_namenode_that_has_no_address_is_not_asked_here(yarn: Yarn) -> None:
    write(yarn.conf, "core", {"fs.defaultFS": "hdfs://harbour"})
    write(
        yarn.conf,
        "hdfs",
        {"dfs.ha.namenodes.harbour": "a,b", "dfs.namenode.rpc-address.harbour.b": "h2:8020"},
    )
    assert [one.host for one in configuration({}).namenodes()] == ["h2"]
    write(yarn.conf, "hdfs", {"dfs.ha.namenodes.harbour": "a,b"})
    assert configuration({}).namenodes() == ()
    assert yarn.probe().nodes


def test_a_spark_env_that_cannot_be_read(
    yarn: Yarn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "spark-env.sh").symlink_to(
        "/proc/self/mem"
    )  # a file that not even root reads from its beginning
    monkeypatch.delenv("HADOOP_CONF_DIR")
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    assert yarn.refused().code == "cluster.hadoop-conf-unset"


def test_a_user_whom_this_machine_has_no_name_for(yarn: Yarn) -> None:
    asks = (  # before its own files cannot be read
        "import encodings.idna, http.client, os, urllib.request; from coffee_boat import"
        " clusters, model; from coffee_boat.clusters.yarn import hadoop"
    )
    script = (
        "os.setuid(54321); print(repr(hadoop.configuration({}).user),"
        " len(clusters.probe(model.SparkFacts('4.1.1', 'yarn')).nodes))"
    )
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    nameless = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HADOOP_USER_NAME", "LOGNAME", "USER", "LNAME", "USERNAME")
    }
    # not below pytest's own folder, which every pytest that starts closes to others
    with tempfile.TemporaryDirectory() as readable:
        Path(readable).chmod(0o755)
        conf = shutil.copytree(yarn.conf, Path(readable, "conf"))
        conf.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", f"{asks}; {script}"],
            env={**nameless, "HADOOP_CONF_DIR": str(conf)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout == "'' 2\n", done.stderr


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/ws/v1/cluster/nodes", {"nodes": {"node": [{"nodeHostName": "n1"}]}}),
        ("/ws/v1/cluster/nodes", {"nodes": {"node": [{**node("n1"), "availMemoryMB": "much"}]}}),
        ("/ws/v1/cluster/nodes", {"nodes": ["n1"]}),
        ("/ws/v1/cluster/scheduler", {"scheduler": ["default"]}),
    ],
)
def test_a_manager_that_tells_in_another_way_is_left_to_spark(
    yarn: Yarn, path: str, answer: dict[str, Any]
) -> None:
    yarn.said.manager[path] = answer
    assert [
        finding.what for finding in yarn.probe(yarn_queue="nope", executor_memory="900g").findings
    ] == ["queue and memory were not looked at beforehand"]


@pytest.mark.parametrize(
    "answer",
    [
        {"apps": {"app": ["one"]}},
        {"apps": ["one"]},
        {"app": "one"},
        {"apps": {"app": [{"name": "job", "startedTime": "now"}]}},
    ],
)
def test_an_application_that_is_told_in_another_way_ends_no_watch(
    yarn: Yarn, answer: dict[str, Any]
) -> None:
    yarn.said.manager |= {
        "/ws/v1/cluster/apps": answer,
        "/ws/v1/cluster/apps/application_1_0002": answer,
    }
    assert (
        waiting(yarn.facts(app_name="job"), None)
        == waiting(yarn.facts(), "application_1_0002")
        == ()
    )


def test_a_web_port_that_speaks_another_language(yarn: Yarn) -> None:
    def answer(server: socket.socket) -> None:
        with server.accept()[0] as connection:
            connection.sendall(b"SSH-2.0\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        conf = {
            "spark.hadoop.yarn.resourcemanager.webapp.address": (
                f"127.0.0.1:{server.getsockname()[1]}"
            )
        }
        assert [
            finding.severity for finding in probe(SparkFacts("4.1.1", "yarn", conf=conf)).findings
        ] == ["note"]


def test_nobody_at_the_managers_port(yarn: Yarn) -> None:
    write(yarn.conf, "yarn", {"yarn.resourcemanager.address": f"127.0.0.1:{dead_port()}"})
    error = yarn.refused()
    assert error.code == "cluster.yarn-unreachable"
    assert "Connection refused" in error.cause
    assert str(yarn.conf) in error.cure


@pytest.mark.parametrize("answer", [401, (403, {}), [], 404])
def test_a_manager_that_says_nothing_is_left_to_spark(yarn: Yarn, answer: object) -> None:
    yarn.said.manager["/ws/v1/cluster/info"] = answer
    found = yarn.probe(yarn_queue="nope", executor_memory="900g")
    assert [finding.what for finding in found.findings] == [
        "queue and memory were not looked at beforehand"
    ]


def test_what_is_no_name_of_a_host_is_told_as_one_that_nobody_has(yarn: Yarn) -> None:
    error = yarn.refused(hadoop_yarn_resourcemanager_address=".example.org:8032")
    assert error.code == "cluster.yarn-unreachable"


# queues


@pytest.mark.parametrize(
    "name", ["default", "root.default", "batch.night", "root.batch.night", "night"]
)
def test_a_queue_by_its_name_or_path(yarn: Yarn, name: str) -> None:
    assert yarn.probe(yarn_queue=name).nodes


def test_no_such_queue(yarn: Yarn) -> None:
    error = yarn.refused(yarn_queue="nope")
    assert error.code == "cluster.no-such-queue"
    assert "one of: default, batch.night" in error.cure
    assert yarn.refused(yarn_queue="batch").cause == "it is a parent of other queues"


def test_who_names_no_queue_is_placed_by_the_administrators_rules(yarn: Yarn) -> None:
    yarn.said.manager["/ws/v1/cluster/scheduler"] = capacity(queue("batch"))
    assert yarn.probe().nodes
    assert yarn.refused(yarn_queue="nope").code == "cluster.no-such-queue"


def test_queues_that_are_made_when_they_are_named(yarn: Yarn) -> None:
    yarn.said.manager["/ws/v1/cluster/scheduler"] = capacity(
        queue("default"), queue("users", autoCreationEligibility="flexible")
    )
    assert yarn.probe(yarn_queue="root.users.ada").nodes
    yarn.said.manager["/ws/v1/cluster/scheduler"] = {
        "scheduler": {"schedulerInfo": {"type": "fairScheduler"}}
    }
    assert yarn.probe(yarn_queue="ada").nodes


def test_a_queue_that_was_stopped(yarn: Yarn) -> None:
    yarn.said.manager["/ws/v1/cluster/scheduler"] = capacity(
        queue("default", state="STOPPED"), queue("batch")
    )
    error = yarn.refused()
    assert (error.value, error.cause) == ("spark.yarn.queue=default", "its state is STOPPED")


# memory


def test_more_memory_than_a_node_has(yarn: Yarn) -> None:
    error = yarn.refused(executor_memory="8g")
    assert error.value == "spark.executor.memory=8g, 9011m with its overhead"
    assert error.cause.startswith("the largest node offers 8g")
    taken = error.cure.rpartition("=")[2]
    assert yarn.probe(executor_memory=taken).nodes, "what is advised fits"


def test_more_memory_than_the_scheduler_gives(yarn: Yarn) -> None:
    yarn.said.manager["/conf"] = {"property": {"value": "2048"}}
    assert "the cluster gives a container 2g at most" in yarn.refused(executor_memory="4g").cause
    assert yarn.refused(yarn_am_memory="2g").what.startswith("the application master")
    with pytest.raises(LaunchError, match="the driver of this size"):
        probe(
            SparkFacts("4.1.1", "yarn", deploy_mode="cluster", conf={"spark.driver.memory": "2g"})
        )
    with pytest.raises(LaunchError, match="an executor of this size"):
        probe(SparkFacts("4.1.1", "yarn", conf={"spark.executor.pyspark.memory": "1g"}))


@pytest.mark.parametrize(
    ("version", "conf", "size"),
    [
        (
            "4.1.1",
            {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "7g"},
            "8576m",
        ),
        (
            "3.5.9",
            {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": str(7 * 1024**3)},
            "8576m",
        ),
        ("4.1.1", {"spark.executor.minMemoryOverhead": "8g"}, "9g"),
        (
            "4.1.1",
            {"spark.executor.memory": "6g", "spark.executor.memoryOverheadFactor": "0.5"},
            "9g",
        ),
    ],
)
def test_memory_is_reckoned_as_this_spark_does(
    yarn: Yarn, version: str, conf: dict[str, str], size: str
) -> None:
    with pytest.raises(LaunchError, match="an executor of this size") as caught:
        probe(SparkFacts(version, "yarn", conf=conf))
    assert caught.value.value.endswith(f"{size} with its overhead")


@pytest.mark.parametrize(
    ("version", "conf"),
    [
        ("4.1.1", {"spark.memory.offHeap.enabled": "false", "spark.memory.offHeap.size": "7g"}),
        ("3.5.9", {"spark.executor.minMemoryOverhead": "8g"}),
        (
            "4.1.1",
            {"spark.yarn.am.memoryOverheadFactor": "20", "spark.yarn.am.minMemoryOverhead": "8g"},
        ),
    ],
)
def test_what_this_spark_does_not_look_at_does_not_count(
    yarn: Yarn, version: str, conf: dict[str, str]
) -> None:
    assert probe(SparkFacts(version, "yarn", conf=conf)).nodes


def test_nodes_that_others_use(yarn: Yarn) -> None:
    yarn.said.manager["/ws/v1/cluster/nodes"] = {"nodes": {"node": [node("n1", used=7168)]}}
    assert [finding.what for finding in yarn.probe().findings] == [
        "no node has room for an executor now"
    ]
    yarn.said.manager["/ws/v1/cluster/nodes"] = {"nodes": None}
    assert [finding.what for finding in yarn.probe().findings] == [
        "no node of this YARN is running"
    ]


# HDFS


def test_hdfs_that_is_not_there(yarn: Yarn) -> None:
    write(yarn.conf, "core", {"fs.defaultFS": f"hdfs://127.0.0.1:{dead_port()}"})
    assert yarn.refused().code == "cluster.hdfs-unreachable"


def test_safe_mode_in_its_own_words(yarn: Yarn) -> None:
    yarn.said.namenode["NameNodeInfo"] = {
        "Safemode": "Safe mode is ON. The reported blocks 0 needs additional 3 blocks"
    }
    assert (
        yarn.refused().cause == "Safe mode is ON. The reported blocks 0 needs additional 3 blocks"
    )


def test_a_full_hdfs(yarn: Yarn) -> None:
    yarn.said.namenode["FSNamesystemState"]["CapacityRemaining"] = BLOCK - 1
    error = yarn.refused()
    assert (error.what, error.value) == ("HDFS is full", "128m of 25.0 GiB are free")
    yarn.said.namenode["FSNamesystemState"]["NumLiveDataNodes"] = 0
    assert yarn.refused().code == "cluster.no-live-datanode"


def test_a_quota_that_is_used_up(yarn: Yarn) -> None:
    yarn.said.namenode["GETCONTENTSUMMARY"] = {
        "ContentSummary": {"spaceQuota": 3 * BLOCK + 4, "spaceConsumed": 5}
    }
    assert yarn.refused().code == "cluster.hdfs-quota-reached"
    yarn.said.namenode["GETCONTENTSUMMARY"]["ContentSummary"]["spaceQuota"] += 1
    assert yarn.probe().nodes


def test_a_folder_that_may_not_be_made_or_written(yarn: Yarn) -> None:
    words = 'Permission denied: user=ada, access=WRITE, inode="/user":hdfs:supergroup:drwxr-xr-x'
    yarn.said.namenode["CHECKACCESS"] = refusal_of_hdfs(words)
    assert yarn.refused().code == "cluster.hdfs-folder-forbidden"
    yarn.said.namenode["GETFILESTATUS"] = (
        404,
        {"RemoteException": {"message": "File does not exist: /user/ada"}},
    )
    error = yarn.refused()
    assert (error.what, error.value, error.cause) == (
        "you have no folder in HDFS, and may not make it",
        "/user/ada",
        words,
    )
    assert "spark.yarn.stagingDir" in error.cure
    assert yarn.probe(yarn_stagingDir="s3a://bucket/staging").nodes, (
        "another file system's is not looked at"
    )


def test_with_kerberos_no_folder_is_looked_for(yarn: Yarn) -> None:
    write(
        yarn.conf,
        "core",
        {**configuration({}).settings, "hadoop.security.authentication": "kerberos"},
    )
    yarn.said.namenode["CHECKACCESS"] = refusal_of_hdfs("Permission denied: user=dr.who")
    assert yarn.probe().nodes


def test_files_of_this_machines_own_disk(yarn: Yarn) -> None:
    write(yarn.conf, "core", {"hadoop.tmp.dir": "/tmp"})
    assert [finding.what for finding in yarn.probe().findings] == [
        "YARN's nodes are given files of this machine's own disk"
    ]


# an application that waits


def test_why_an_application_waits(yarn: Yarn) -> None:
    told = {
        "id": "application_1_0002",
        "name": "job",
        "state": "ACCEPTED",
        "queue": "default",
        "startedTime": 2,
        "diagnostics": "Queue's AM resource limit exceeded.\nDetails",
    }
    yarn.said.manager["/ws/v1/cluster/apps"] = {
        "apps": {
            "app": [
                told,
                {**told, "startedTime": 1, "diagnostics": "older"},
                {**told, "name": "other", "startedTime": 3},
            ]
        }
    }
    yarn.said.manager["/ws/v1/cluster/apps/application_1_0002"] = {"app": told}
    for facts, application in (
        (yarn.facts(app_name="job"), None),
        (yarn.facts(), "application_1_0002"),
    ):
        (finding,) = waiting(facts, application)
        assert (finding.value, finding.cause) == (
            "application_1_0002 is ACCEPTED in queue default",
            "Queue's AM resource limit exceeded.",
        )
    yarn.said.manager["/ws/v1/cluster/apps"] = {"apps": None}
    assert waiting(yarn.facts(app_name="job"), None) == ()
    write(yarn.conf, "yarn", {"yarn.resourcemanager.address": f"127.0.0.1:{dead_port()}"})
    assert waiting(yarn.facts(), None)[0].severity == "error"
