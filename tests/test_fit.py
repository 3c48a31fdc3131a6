"""What an environment needs, held against what a cluster is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coffee_boat._support.store import Store
from coffee_boat.clusters import compatibility
from coffee_boat.errors import LaunchError
from coffee_boat.model import (
    Archive,
    Chunk,
    ClusterFacts,
    Finding,
    NodeFacts,
    SparkFacts,
    Target,
)
from coffee_boat.spark import diagnosis
from coffee_boat.workflow.preflight import Preflight

TARGET = Target("3.11.7", "x86_64", (2, 36))
ARCHIVE = Archive(
    id="a" * 64,
    path="/store/boat.tar.gz",
    size=1,
    chunks=(
        Chunk("b", 1, 1, 1, (2, 35), "python 3.11.7"),
        Chunk("c", 1, 1, 1, (2, 17), "numpy 2.1.0"),
    ),
    target=TARGET,
    lock_digest="d",
    has_python=True,
)
PURE = replace(ARCHIVE, chunks=(Chunk("e", 1, 1, 1, label="edtf 5.0"),), has_python=False)


def cluster(*nodes: NodeFacts) -> ClusterFacts:
    return ClusterFacts("spark://host:7077", nodes=nodes)


FITTING, OLD, ARM = (
    NodeFacts("new1", "x86_64", (2, 36)),
    NodeFacts("old1", "x86_64", (2, 28)),
    NodeFacts("arm1", "aarch64", (2, 36)),
)
UNKNOWN, MUSL = NodeFacts("node1"), NodeFacts("alpine", "x86_64", None)


@pytest.mark.parametrize(
    "nodes", [(), (FITTING,), (UNKNOWN,), (MUSL,), (NodeFacts("a", "amd64", (2, 40)),)]
)
def test_nothing_is_said_where_all_fits_or_nothing_is_known(nodes: tuple[NodeFacts, ...]) -> None:
    assert compatibility.archive(ARCHIVE, cluster(*nodes)) == ()
    assert compatibility.platform(TARGET, cluster(*nodes), ships_python=True) == ()


def test_nodes_whose_glibc_is_too_old() -> None:
    with pytest.raises(LaunchError) as caught:
        compatibility.archive(ARCHIVE, cluster(OLD, replace(OLD, host="old2")))
    assert caught.value.value == "old1, old2: glibc 2.28, python 3.11.7 needs 2.35"
    assert 'platform="manylinux_2_28_x86_64", python="3.11"' in caught.value.cure
    assert "COFFEE_BOAT_PREFLIGHT=warn" in caught.value.cure


def test_nodes_of_another_architecture() -> None:
    with pytest.raises(LaunchError, match="another architecture") as caught:
        compatibility.platform(TARGET, cluster(ARM), ships_python=True)
    assert "COFFEE_BOAT_PREFLIGHT=warn" in caught.value.cure
    with pytest.raises(LaunchError, match="arm1: aarch64, the environment: x86_64"):
        compatibility.archive(ARCHIVE, cluster(ARM))


def test_what_does_not_fit_is_told_only_where_the_user_knows_better(tmp_path: Path) -> None:
    told = Preflight(Store(tmp_path), refuses=False).hold(ARCHIVE, cluster(ARM))
    assert [(finding.what, finding.severity) for finding in told] == [
        ("nodes are of another architecture than the environment", "warning")
    ]
    with pytest.raises(LaunchError, match="another architecture"):
        Preflight(Store(tmp_path)).hold(ARCHIVE, cluster(ARM))


def test_where_some_nodes_fit_the_others_are_told() -> None:
    (architecture,) = compatibility.platform(TARGET, cluster(FITTING, ARM), ships_python=True)
    (glibc,) = compatibility.archive(
        ARCHIVE, cluster(FITTING, OLD, *(replace(OLD, host=f"more{number}") for number in range(5)))
    )
    assert (architecture.severity, glibc.severity) == ("error", "error")
    assert glibc.value.startswith("old1, more0, more1 + 3 others: glibc 2.28")


def test_where_nodes_are_mixed_it_is_said_what_keeps_executors_on_those_that_fit() -> None:
    selector = "spark.kubernetes.executor.node.selector.kubernetes.io/arch={oci}"
    mixed = replace(cluster(FITTING, ARM), keeps_to=selector)
    (finding,) = compatibility.platform(TARGET, mixed, ships_python=True)
    assert selector.format(oci="amd64") in finding.cure
    (finding,) = compatibility.platform(
        replace(TARGET, architecture="aarch64"), mixed, ships_python=True
    )
    assert selector.format(oci="arm64") in finding.cure
    assert 'for the others, Captain(platform="manylinux_2_28_x86_64")' in finding.cure
    with pytest.raises(LaunchError) as caught:  # no node fits: none could be kept to
        compatibility.platform(TARGET, replace(cluster(ARM), keeps_to=selector), ships_python=True)
    assert "selector" not in caught.value.cure


def test_what_nodes_said_the_last_time_refuses_nothing() -> None:
    (finding,) = compatibility.archive(ARCHIVE, cluster(OLD), remembered=True)
    assert finding.severity == "warning"
    assert "the last time" in finding.cause


def test_python_files_alone_run_anywhere() -> None:
    assert compatibility.archive(PURE, cluster(ARM, OLD)) == ()
    assert compatibility.platform(TARGET, cluster(ARM), ships_python=False) == ()
    with pytest.raises(LaunchError):
        compatibility.archive(replace(ARCHIVE, has_python=False), cluster(ARM))


def facts(**conf: str) -> SparkFacts:
    return SparkFacts(
        "4.1.1",
        "yarn",
        conf={f"spark.{key.replace('_', '.')}": value for key, value in conf.items()},
    )


@pytest.mark.parametrize(
    "conf",
    [
        {},
        {"executor_memory": "471859200"},
        {"executor_memory": "450m"},
        {"executor_memory": "1G"},
        {"executor_cores": "2", "task_cpus": "2"},
    ],
)
def test_settings_that_spark_takes(conf: dict[str, str]) -> None:
    compatibility.settings(facts(**conf))


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"executor_memory": "449m"}, "471859200"),
        ({"executor_memory": "512"}, "counts bytes"),
        ({"executor_memory": "1.5g"}, "cannot be read"),
        ({"executor_memory": "2 g"}, "cannot be read"),
        ({"executor_memory": "two"}, "cannot be read"),
        ({"executor_cores": "1", "task_cpus": "2"}, "spark.task.cpus=2"),
    ],
)
def test_settings_that_spark_refuses_with_a_stack_trace(conf: dict[str, str], words: str) -> None:
    with pytest.raises(LaunchError) as caught:
        compatibility.settings(facts(**conf))
    assert words in str(caught.value)
    assert caught.value.cure


def test_the_drivers_memory_counts_where_its_jvm_is_still_to_be_started() -> None:
    compatibility.settings(facts(driver_memory="128m"))
    compatibility.settings(facts(driver_memory="512"), driver_starts=True)
    with pytest.raises(LaunchError, match=r"spark\.driver\.memory=128m"):
        compatibility.settings(facts(driver_memory="128m"), driver_starts=True)


def test_where_an_interpreter_does_not_start_the_nodes_are_asked_once_what_they_are(
    tmp_path: Path,
) -> None:
    told: list[Finding] = []
    text = "bin/python3: version `GLIBC_2.34' not found (TID 1) (node1 executor 1)"
    finding = diagnosis.explain(text)
    assert finding is not None
    session: Any = SimpleNamespace(
        id="app-1",
        master="spark://h:7077",
        nodes=lambda deadline: (OLD,),
    )
    preflight = Preflight(Store(tmp_path), told.extend)
    for _ in range(2):
        preflight.look_into(finding, session, ARCHIVE)
    assert [one.severity for one in told] == ["error"]
    assert "glibc" in told[0].what
