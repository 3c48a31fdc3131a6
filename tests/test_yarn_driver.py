"""How an application in YARN's cluster mode ended: a ResourceManager and a NodeManager on this
machine, told what to say.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from coffee_boat.clusters.yarn.driver import YarnDriver
from coffee_boat.model import ConfPatch, SparkFacts
from coffee_boat.spark import submission
from coffee_boat.spark.install import Spark
from coffee_boat.spark.submission import Order
from coffee_boat.workflow import submit

CONTAINER = "container_1_0002_01_000001"
LOG = """Container: {container} on n1:1
LogAggregationType: LOCAL
===
LogType:{stream}
LogLength:9
LogContents:
26/11/26 07:44:35 INFO ApplicationMaster:
{rule}
Default YARN executor launch context:
{rule}
26/11/26 07:44:36 INFO SparkContext: Invoking stop()
{text}
End of LogType:{stream}.
***
"""
FAILED = (
    "Application failed due to AM Container exited with  exitCode: 13\nLast 4096 bytes of stderr"
    " :\nERROR ApplicationMaster: User application exited with status 7\n"
)


class Cluster:
    """Answers of both daemons; `asked` has the tags that were asked for."""

    def __init__(self) -> None:
        self.application: dict[str, Any] | None = {
            "id": "application_1_0002",
            "state": "FINISHED",
            "finalStatus": "FAILED",
            "diagnostics": FAILED,
        }
        self.logs: dict[str, str] = {"stdout": "printed", "stderr": "Traceback\nZeroDivisionError"}
        self.asked: list[str] = []

    def answer(self, path: str) -> bytes | None:
        url = urlsplit(path)
        if url.path == "/ws/v1/cluster/apps":
            self.asked += parse_qs(url.query).get("applicationTags", [])
            return json.dumps(
                {"apps": {"app": [self.application]} if self.application else None}
            ).encode()
        stream = url.path.rpartition("/")[2]
        if url.path.startswith(f"/ws/v1/node/containers/{CONTAINER}/logs/") and stream in self.logs:
            return LOG.format(
                rule="=" * 79, container=CONTAINER, stream=stream, text=self.logs[stream]
            ).encode()
        return None


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    cluster = Cluster()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = cluster.answer(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        address = f"127.0.0.1:{server.server_port}"
        (tmp_path / "yarn-site.xml").write_text(
            f"<configuration><property><name>yarn.resourcemanager.webapp.address</name><value>{address}</value></property></configuration>"
        )
        monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
        assert cluster.application is not None
        cluster.application["amContainerLogs"] = (
            f"http://{address}/node/containerlogs/{CONTAINER}/ada"
        )
        try:
            yield cluster
        finally:
            server.shutdown()


def ended(submitted: int = 1, **conf: str) -> tuple[int, str]:
    said: list[str] = []
    code = YarnDriver(SparkFacts("4.1.1", "yarn", "cluster", conf)).exit_code(
        submitted, said.append
    )
    return code, "\n".join(said)


def test_the_applications_own_code_and_the_end_of_its_log(cluster: Cluster) -> None:
    code, said = ended()
    assert code == 7
    assert said.splitlines()[1:] == [
        "--- stdout",
        "printed",
        "--- stderr",
        "Traceback",
        "ZeroDivisionError",
    ]
    assert "yarn logs -applicationId application_1_0002" in said


def test_a_success_says_nothing(cluster: Cluster) -> None:
    assert cluster.application is not None
    cluster.application |= {"finalStatus": "SUCCEEDED", "diagnostics": ""}
    assert ended(0) == (0, "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("AM Container exited with  exitCode: 13", 13),
        ("AM Container exited with  exitCode: -104", 1),
        ("killed by ada", 1),
    ],
)
def test_what_yarn_says_where_spark_says_nothing(cluster: Cluster, words: str, code: int) -> None:
    assert cluster.application is not None
    cluster.application["diagnostics"] = words
    assert ended()[0] == code


def test_without_a_log_yarns_own_words_are_shown(cluster: Cluster) -> None:
    cluster.logs = {}
    code, said = ended()
    assert code == 7
    assert "User application exited with status 7" in said
    assert cluster.application is not None
    cluster.application |= {"amContainerLogs": "", "diagnostics": "queue is full"}
    assert "queue is full" in ended()[1]


def test_credentials_in_a_log_are_not_shown(cluster: Cluster) -> None:
    cluster.logs["stderr"] = "cannot fetch https://ada:hunter2@host/x"
    assert "hunter2" not in ended()[1]


def test_an_application_that_goes_on_is_named(cluster: Cluster) -> None:
    assert cluster.application is not None
    cluster.application |= {"state": "RUNNING", "finalStatus": "UNDEFINED"}
    code, said = ended(130)
    assert code == 130
    assert "yarn application -kill application_1_0002" in said


def test_what_is_not_known_is_left_to_spark_submit(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended(0, **{"spark.yarn.submit.waitAppCompletion": "false"}) == (0, "")
    cluster.application = None
    assert ended(1) == (1, "")
    monkeypatch.delenv("HADOOP_CONF_DIR")
    assert ended(1) == (1, "")


def test_a_submission_is_marked_and_asked_for(cluster: Cluster, tmp_path: Path) -> None:
    home = tmp_path / "spark"
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "spark-submit"
    program.write_text(f'#!/bin/sh\ncp "$2" {tmp_path}/seen\nexit 1\n')
    program.chmod(0o755)
    (tmp_path / "job.py").write_text("")
    facts = SparkFacts("4.1.1", "yarn", "cluster", {"spark.yarn.tags": "mine"})
    order = submission.order(Spark("4.1.1", str(home)), facts, ConfPatch("./boat-1/bin/python3.11"))
    assert isinstance(order, Order)
    assert submit.run(order, tmp_path / "job.py") == 7
    (tag,) = cluster.asked
    assert f"spark.yarn.tags=mine,{tag}" in (tmp_path / "seen").read_text()
