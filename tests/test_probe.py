"""Asking a cluster before anything is sent: a master's port and UI on this machine, told what to
say.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from coffee_boat._support.store import Store
from coffee_boat.clusters import probe, waiting
from coffee_boat.errors import LaunchError
from coffee_boat.model import NodeFacts, SparkFacts
from coffee_boat.session import nodes


def worker(
    host: str = "node1", cores: int = 4, memory: int = 8192, used: int = 0, state: str = "ALIVE"
) -> dict[str, Any]:
    """As JsonProtocol.writeWorkerInfo writes it; an application that uses memory has all cores,
    too.
    """
    return {
        "host": host,
        "cores": cores,
        "memory": memory,
        "coresfree": 0 if used else cores,
        "memoryfree": memory - used,
        "state": state,
    }


@contextmanager
def master(
    *workers: dict[str, Any],
    apps: tuple[dict[str, Any], ...] = (),
    url: str | None = None,
    status: str = "ALIVE",
    page: bytes | None = None,
    log: bytes = b"",
) -> Iterator[SparkFacts]:
    """A port for applications, and a UI."""
    with socket.create_server(("127.0.0.1", 0)) as port:
        said = {
            "url": url or f"spark://localhost:{port.getsockname()[1]}",
            "workers": workers,
            "activeapps": apps,
            "status": status,
        }

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(
                    log
                    if self.path.startswith("/log/?appId=app-4&executorId=7&logType=stderr")
                    else page
                    if page is not None
                    else json.dumps(said).encode()
                )

            def log_message(self, *_: object) -> None: ...

        with ThreadingHTTPServer(("127.0.0.1", 0), Page) as ui:
            for each in workers:  # their UIs are this one, too
                each["webuiaddress"] = f"http://127.0.0.1:{ui.server_port}"
            said["finishedexecutors"] = ({"appid": "other", "id": 1}, {"appid": "app-4", "id": 7})
            threading.Thread(target=ui.serve_forever, kwargs={"poll_interval": 0.01}).start()
            try:
                yield SparkFacts(
                    "4.1.1",
                    f"spark://127.0.0.1:{port.getsockname()[1]}",
                    conf={"spark.master.ui.port": str(ui.server_port)},
                )
            finally:
                ui.shutdown()


def with_conf(facts: SparkFacts, **conf: str) -> SparkFacts:
    return SparkFacts(
        facts.version,
        facts.master,
        conf={**facts.conf, **{f"spark.executor.{key}": value for key, value in conf.items()}},
    )


def refused(facts: SparkFacts) -> LaunchError:
    started = time.monotonic()
    with pytest.raises(LaunchError) as caught:
        probe(facts)
    assert time.monotonic() - started < 10
    assert all((caught.value.what, caught.value.value, caught.value.cause, caught.value.cure))
    return caught.value


def test_local_masters_are_this_machine() -> None:
    for name in ("local", "local[*]", "local[2,3]", "local-cluster[2,1,1024]"):
        found = probe(SparkFacts("4.1.1", name))
        assert [bool(node.architecture) for node in found.nodes] == [True]
        assert waiting(SparkFacts("4.1.1", name), None) == ()


def test_a_kind_that_cannot_be_asked_is_taken_as_it_is() -> None:
    assert probe(SparkFacts("4.1.1", "mesos://host:5050")).nodes == ()
    assert waiting(SparkFacts("4.1.1", "mesos://host:5050"), None) == ()


def test_the_live_workers_of_a_standalone_master() -> None:
    with master(
        worker("node1"), worker("node2"), worker("node2"), worker("node3", state="DEAD")
    ) as facts:
        found = probe(facts)
    assert (found.master, found.manager) == (
        facts.master,
        "Spark standalone, 3 workers, 12 cores, 24.0 GiB",
    )
    assert [node.host for node in found.nodes] == ["node1", "node2"]
    assert found.findings == ()


def test_nobody_at_the_masters_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = refused(SparkFacts("4.1.1", f"spark://127.0.0.1:{port}"))
    assert error.code == "launch.master-unreachable"
    assert "Connection refused" in error.cause
    assert waiting(SparkFacts("4.1.1", f"spark://127.0.0.1:{port}"), None) == (), (
        "Spark says that itself"
    )


def test_one_of_several_masters_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = taken.getsockname()[1]
    with master(worker()) as facts:
        both = SparkFacts(
            "4.1.1", facts.master.replace("spark://", f"spark://127.0.0.1:{dead},"), conf=facts.conf
        )
        assert [node.host for node in probe(both).nodes] == ["node1"]


@pytest.mark.parametrize(
    "name",
    [
        "spark://",
        "spark://host",
        "spark://host:x",
        "spark://host:99999",
        "spark://user:secret@host:7077",
        "spark://a:7077,,b:7077",
    ],
)
def test_what_is_no_master(name: str) -> None:
    error = refused(SparkFacts("4.1.1", name))
    assert error.code == "launch.master-invalid"
    assert "secret" not in str(error)


def test_no_live_worker() -> None:
    with master(worker(state="DEAD")) as facts:
        assert "start-worker.sh" in refused(facts).cure


def test_an_executor_that_fits_on_no_worker() -> None:
    with master(
        worker("small", cores=1, memory=1024), worker("large", cores=2, memory=4096)
    ) as facts:
        error = refused(with_conf(facts, memory="5g"))
        assert "5g and 1 core" in error.value
        assert "large, has 4g and 2 cores" in error.cause
        assert "spark.executor.memory=4g" in error.cure
        assert "spark.executor.cores=2" in refused(with_conf(facts, cores="3")).cure
        assert probe(with_conf(facts, memory="4096", cores="2")).nodes, "a number alone counts MiB"


def test_workers_that_others_use() -> None:
    apps = (
        {"id": "app-1", "state": "WAITING", "duration": 9000},
        {"id": "app-2", "state": "RUNNING", "duration": 9000},
        {"id": "app-3", "state": "RUNNING", "duration": 90_000},
    )
    with master(worker(used=8000), apps=apps) as facts:
        (finding,) = probe(facts).findings
        assert finding.code == "cluster.workers-busy"
        assert finding.value == "1g and 1 core wanted, free are node1: 192m and 0 cores"
        assert waiting(facts, "app-1") == (finding,)
        assert waiting(facts, "app-2") == waiting(facts, None) == (), (
            "it may be the application itself that uses them"
        )
        assert "spark.driver.host" in waiting(facts, "app-3")[0].cure


def test_executors_that_end_while_they_start_are_explained_by_their_stderr() -> None:
    log = (
        b"WARN Utils: ...\ntar: boat-0123/lib/libx.so: Cannot write: No space left on device\ntar:"
        b" Error is not recoverable: exiting now\n"
    )
    with master(
        worker(), apps=({"id": "app-4", "state": "RUNNING", "duration": 9000},), log=log
    ) as facts:
        (finding,) = waiting(facts, "app-4")
        assert finding.code == "executor.disk-full"
        assert finding.value == "No space left on device on node1 (executor 7)"
        assert waiting(facts, "app-5") == ()


def test_workers_that_went_away_while_an_application_starts() -> None:
    with master(worker(state="DEAD")) as facts:
        assert [finding.severity for finding in waiting(facts, None)] == ["error"]


@pytest.mark.parametrize(
    "how",
    [{"page": b"<html>"}, {"page": b"[]"}, {"url": "spark://localhost:1"}, {"status": "STANDBY"}],
)
def test_a_ui_that_does_not_tell_of_this_master_says_nothing(how: dict[str, Any]) -> None:
    with master(worker(memory=1), **how) as facts:
        assert probe(facts).nodes == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": [{"state": "ALIVE"}]},
        {"workers": None},
        {"activeapps": ["app-1"]},
        {"workers": [{**worker(), "cores": "many"}]},
    ],
)
def test_a_master_that_tells_in_another_way_is_left_to_spark(wrong: dict[str, Any]) -> None:
    said: dict[str, Any] = {"status": "ALIVE", "workers": [worker()], "activeapps": [], **wrong}
    with master() as facts:
        page = json.dumps({**said, "url": facts.master}).encode()
    with master(page=page, url=facts.master) as other:
        here = other.master.rpartition(":")[2]
        with master(
            page=page.replace(facts.master.rpartition(":")[2].encode(), here.encode())
        ) as ui:
            asked = SparkFacts("4.1.1", other.master, conf=ui.conf)
            assert probe(asked).nodes == ()
            assert waiting(asked, "app-1") == ()


@pytest.mark.parametrize("ui", ["", "http://", "http://node1:x", "http://.node1:8081", None])
def test_a_worker_whose_ui_is_not_known_says_nothing(ui: str | None) -> None:
    with master(worker(), apps=({"id": "app-4", "state": "RUNNING", "duration": 9000},)) as facts:
        page = json.loads(
            urlopen(f"http://127.0.0.1:{facts.conf['spark.master.ui.port']}/json/").read()
        )
    page["workers"][0]["webuiaddress"] = ui
    with master(page=json.dumps(page).encode()) as facts:
        asked = SparkFacts("4.1.1", page["url"], conf=facts.conf)
        assert waiting(asked, "app-4") == ()


# nodes, by their shells


@pytest.mark.parametrize(
    ("line", "node"),
    [
        ("NODE n1 x86_64 glibc 2.36", NodeFacts("n1", "x86_64", (2, 36))),
        (
            "NODE n1 aarch64 ldd (Debian GLIBC 2.36-9+deb12u10) 2.36",
            NodeFacts("n1", "aarch64", (2, 36)),
        ),
        ("NODE n1 x86_64 ldd (GNU libc) 2.28", NodeFacts("n1", "x86_64", (2, 28))),
        ("NODE alpine x86_64 musl libc (x86_64)", NodeFacts("alpine", "x86_64", None)),
        ("NODE n1 x86_64 sh: ldd: not found", NodeFacts("n1", "x86_64", None)),
        ("NODE n1 arm64 ", NodeFacts("n1", "aarch64", None)),
        (
            "NODE n1 x86_64 glibc 2.36 nvidia=535.104.05",
            NodeFacts("n1", "x86_64", (2, 36), "535.104.05"),
        ),
    ],
)
def test_what_a_nodes_shell_says(line: str, node: NodeFacts) -> None:
    assert nodes.read(["a banner", line, line]) == (node,)


def test_this_machines_shell_says_it() -> None:
    done = subprocess.run(["/bin/sh", "-c", nodes.LOOK], capture_output=True, text=True, check=True)
    (node,) = nodes.read(done.stdout.splitlines())
    (own,) = probe(SparkFacts("4.1.1", "local")).nodes
    assert (node.architecture, node.glibc) == (own.architecture, own.glibc)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (" x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023", "535.104.05"),
        (" Open Kernel Module for x86_64  570.86.15  Release Build", "570.86.15"),
        (" no such module", ""),
    ],
)
def test_a_nodes_shell_says_which_gpu_driver_it_has(
    tmp_path: Path, text: str, version: str
) -> None:
    said = f"NVRM version: NVIDIA UNIX{text}\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
    (tmp_path / "version").write_text(said)
    look = nodes.LOOK.replace("/proc/driver/nvidia/version", str(tmp_path / "version"))
    done = subprocess.run(["/bin/sh", "-c", look], capture_output=True, text=True, check=True)
    (node,) = nodes.read(done.stdout.splitlines())
    assert node.gpu_driver == version
    assert node.glibc is not None


def test_nodes_are_remembered_by_cluster(tmp_path: Path) -> None:
    store, old, new = (
        Store(tmp_path),
        NodeFacts("n1", "x86_64", (2, 28)),
        NodeFacts("n1", "x86_64", (2, 36), "535.104.05"),
    )
    assert nodes.recall(store, "yarn") == ()
    nodes.remember(store, "yarn", [old, NodeFacts("n2", "aarch64", None), NodeFacts("unknown")])
    nodes.remember(store, "yarn", [new])
    assert set(nodes.recall(store, "yarn")) == {new, NodeFacts("n2", "aarch64", None)}
    assert nodes.recall(store, "spark://host:7077") == ()
    nodes.remember(
        store, "yarn", [NodeFacts(f"pod{number}", "x86_64", (2, 36)) for number in range(1000)]
    )
    assert len(nodes.recall(store, "yarn")) == 200
    (tmp_path / "file").touch()
    nodes.remember(Store(tmp_path / "file" / "store"), "yarn", [new])
