"""What is said of a large environment before it is sent."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from coffee_boat import Captain, LockError, SettingsError
from coffee_boat._support.store import Store
from coffee_boat.clusters import large
from coffee_boat.model import (
    ClusterFacts,
    ExecutorFacts,
    Lock,
    NodeFacts,
    Pin,
    PlanItem,
    Report,
    SparkFacts,
    Target,
)
from coffee_boat.session import gpus
from coffee_boat.worker import facts as worker_facts
from coffee_boat.workflow.preflight import Preflight

LOCK = Lock(Target("3.11.7"), (Pin("numpy", "2.0"), Pin("torch", "2.9.1")))
GB = 1_000_000_000


def facts(master: str, **conf: str) -> SparkFacts:
    said = {key.replace("_", "."): value for key, value in conf.items()}
    return SparkFacts("4.1.0", master, conf=said)


def test_a_build_for_gpus_is_named_with_what_it_weighs_and_the_build_without() -> None:
    items = [
        PlanItem("torch 2.9.1", "fetch", 900_000_000),
        PlanItem("nvidia-cublas-cu12 12.8", "fetch", 600_000_000),
        PlanItem("nvidia-cudnn-cu12 9.10", "fetch", 700_000_000),
        PlanItem("python 3.11.7", "pack", 17_000_000),
    ]
    (found,) = large.cuda(items)
    assert found.value == "torch 2.9.1: 2 packages of CUDA are 1.3 GB of 2.2 GB"
    assert 'torch_backend="cpu"' in found.cure
    assert found.severity == "note"
    assert list(large.cuda(items[:1])) == []
    assert list(large.cuda(items[1:])) == [], "CUDA of something else"


@pytest.mark.parametrize("master", ["yarn", "k8s://https://host:6443"])
def test_a_large_library_meets_the_default_beside_the_jvm(master: str) -> None:
    (found,) = large.memory(LOCK, facts(master, spark_executor_memory="8g"))
    assert found.value.startswith("torch; beside the JVM an executor has 819m")
    assert "spark.executor.memoryOverhead=" in found.cure
    (small,) = large.memory(LOCK, facts(master))
    assert "384m" in small.value
    assert list(large.memory(LOCK, facts(master, spark_executor_memoryOverhead="2g"))) == []
    assert list(large.memory(LOCK, facts("spark://host:7077"))) == []
    assert list(large.memory(Lock(LOCK.target, LOCK.pins[:1]), facts(master))) == []


def test_a_driver_that_would_send_much_is_told_of_a_stage() -> None:
    many = facts("k8s://https://host:6443", spark_executor_instances="20")
    (found,) = large.egress(300_000_000, many, 0, stage=None)
    assert found.value == "20 executors, 300.0 MB each: 6.0 GB"
    assert "spark.files.fetchTimeout (60s)" in found.cause
    assert list(large.egress(300_000_000, many, 0, stage="s3://b/x")) == []
    assert list(large.egress(300_000_000, many, 0, stage="file:///shared/boats")) == [found]
    assert list(large.egress(100_000_000, many, 0, stage=None)) == []
    assert list(large.egress(9 * GB, facts("yarn"), 50, stage=None)) == []
    (nodes,) = large.egress(3 * GB, facts("spark://h:7077"), 4, stage=None)
    assert nodes.value == "4 executors, 3.0 GB each: 12.0 GB"


PROC = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Sat Aug 19 01:15:15 UTC 2023\n"
    "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
)
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n"


def test_the_drivers_version_is_read_from_the_file_that_it_makes(tmp_path: Path) -> None:
    file = tmp_path / "version"
    for text, version in (
        (PROC.format("535.104.05"), "535.104.05"),
        (OPEN, "570.86.15"),
        ("", ""),
        ("no such module\n", ""),
    ):
        file.write_text(text)
        assert worker_facts.gpu_driver(str(file)) == version
    assert worker_facts.gpu_driver(str(tmp_path / "none")) == ""


@pytest.mark.parametrize(
    ("runtime", "driver", "cure"),
    [
        ("nvidia-cuda-runtime-cu12 12.8.90", "515.65.01", "cu118"),
        ("nvidia-cuda-runtime 13.0.48", "570.86.15", "cu128"),
        ("nvidia-cuda-runtime-cu12 12.8.90", "418.40", "cpu"),
        ("nvidia-cuda-runtime-cu12 12.8.90", "535.104.05", ""),
        ("nvidia-cuda-runtime-cu12 12.8.90", "", ""),
        ("numpy 2.0", "418.40", ""),
    ],
)
def test_a_driver_of_a_gpu_that_is_too_old_for_the_cuda_is_told(
    runtime: str, driver: str, cure: str
) -> None:
    lock = Lock(LOCK.target, (Pin(*runtime.split()),))
    executor = ExecutorFacts(
        *("1", "gpu-host", "3.11.7", "/x", "/x", "/x", (), "", {}, "4.1.0", "2.36", "x86_64"),
        gpu_driver=driver,
    )
    found = list(gpus.drivers([executor], lock))
    assert len(found) == bool(cure)
    for one in found:
        assert f"driver {driver} on gpu-host" in one.value
        assert f'torch_backend="{cure}"' in one.cure


def test_the_next_plan_knows_the_gpu_drivers_of_nodes_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    """From what executors said the last time, in the store."""
    lock = Lock(LOCK.target, (Pin("nvidia-cuda-runtime-cu12", "12.8.90"),))
    store, master = Store(tmp_path), "spark://host:7077"
    cluster = ClusterFacts(master, nodes=(NodeFacts("gpu-host"),))
    said = ExecutorFacts(
        *("1", "gpu-host", "3.11.7", "/x", "/x", "/x", (), "", {}, "4.1.0", "2.36", "x86_64"),
        gpu_driver="515.65.01",
    )
    assert Preflight(store).gpus(lock, cluster) == ()
    report = Report((said,), (), lock, "4.1.0", "4.1.0", 1.0)
    assert "NVIDIA driver: 515.65.01 on gpu-host" in str(report)
    assert "NVIDIA" not in str(replace(report, executors=(replace(said, gpu_driver=""),)))
    Preflight(store).remember(master, report)
    (found,) = Preflight(store).gpus(lock, cluster)
    assert found.code == "cluster.gpu-driver-too-old"
    assert "driver 515.65.01 on gpu-host; nvidia-cuda-runtime-cu12 12.8.90" in found.value
    assert 'torch_backend="cu118"' in found.cure


def test_the_build_of_torch_is_asked_for_as_uv_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that answers nothing sees whom uv asks."""
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(300).decode("latin-1").partition("\r")[0])

        threading.Thread(target=serve, daemon=True).start()
        monkeypatch.setenv("COFFEE_BOAT_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        for backend, host in (("cpu", "download.pytorch.org"), (None, "")):
            asked.clear()
            captain = Captain(ship_python=False, store=tmp_path, torch_backend=backend)
            captain.add_pip_packages("torch")
            with pytest.raises(LockError):
                captain.plan()
            assert any(host in line for line in asked)
            assert host or not any("pytorch" in line for line in asked)
        server.shutdown(socket.SHUT_RDWR)


def test_a_build_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        Captain(store=tmp_path, torch_backend="gpu")
    assert refused.value.code == "settings.unknown-torch-backend"
