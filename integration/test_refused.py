"""What a standalone cluster cannot do is said in seconds, before anything is made for it; and what
it says of itself is right.
"""

from __future__ import annotations

import os
import platform

import pytest
from lanes import cannot_run

from integration.beds import standalone as bed
from integration.conftest import Lane
from integration.running import SparkPython, refusals


@pytest.fixture
def ui(standalone: Lane) -> str:
    """The setting with the port of the master's UI, which a bed chooses."""
    if not standalone.nodes:
        cannot_run("SPARK_BED_MASTER names a cluster whose UI is not known")
    cluster = bed.current(standalone.nodes[0].folder.parent)
    assert cluster is not None
    return f"spark.master.ui.port={cluster.ui_url.rpartition(':')[2]}"


def test_what_cannot_work_is_told_in_seconds_and_nothing_is_built_for_it(
    standalone: Lane, ui: str, spark_python: SparkPython
) -> None:
    name, _, port = ui.partition("=")
    nobody, too_large, too_small = refusals(
        spark_python,
        standalone.master,
        {"master": "spark://127.0.0.1:1"},
        {"conf": {name: port, "spark.executor.memory": "64g"}},
        {"conf": {"spark.executor.memory": "100m"}},
    )
    assert nobody["what"] == "the cluster's master cannot be reached"
    assert "an executor fits on no worker" in too_large["error"]
    assert "spark.executor.memory=2g" in too_large["error"]
    assert too_small["what"] == "Spark needs more memory than it was given"
    for told in (nobody, too_large, too_small):
        assert told["seconds"] < 30, "on a busy machine; it takes far less"


@pytest.mark.usefixtures("own_java")
def test_what_the_cluster_and_its_nodes_say(
    standalone: Lane, ui: str, spark_python: SparkPython, capsys: pytest.CaptureFixture[str]
) -> None:
    told = spark_python.checked("probing.py", standalone.master, ui).result
    assert told["manager"].startswith("Spark standalone, 2 workers, 2 cores")
    assert sorted(told["nodes"]) == [node.address for node in standalone.nodes]
    [busy] = told["findings"]
    assert busy.startswith("no worker has room for an executor now")
    assert told["waiting"] == [], "this session itself is who uses them"
    glibc = [int(part) for part in os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")[:2]]
    assert told["asked"], "without Python"
    assert all(
        answer in [[node.name, platform.machine(), glibc] for node in standalone.nodes]
        for answer in told["asked"]
    )
    with capsys.disabled():
        print(f"\na standalone cluster was asked in {told['seconds']:.3f} s")
