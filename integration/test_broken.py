"""What a user is told when the interpreter cannot start on a node, instead of an EOFException among
a hundred stack frames.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from lanes import cannot_run

from integration.beds import _namespaces
from integration.beds._namespaces import Node
from integration.conftest import Lane
from integration.running import SparkPython

pytestmark = pytest.mark.timeout(1800)
"""Six sessions in one fixture, most of which wait for Spark to try four times."""

WORK = "/var/sailor/work"
"""The executors' folder on the nodes."""

DAMAGES = {
    "glibc": ("the node's glibc is too old for what was shipped", "GLIBC_9."),
    "architecture": ("the executors' interpreter is for another architecture", "bin/python"),
    "library": ("the executors' Python cannot start: a shared library is missing", "gib"),
    "gone": ("the executors' interpreter is not there", "No such file or directory"),
}


@pytest.fixture(scope="module")
def broken(
    standalone: Lane, store: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Each damage in a session of its own, of one process; then whether a healthy launch is told
    anything.
    """
    run = SparkPython(store=store, folder=tmp_path_factory.mktemp("broken"))
    told: dict[str, Any] = run.checked(
        "broken.py", standalone.master, ",".join([*DAMAGES, "cut", "none"]), timeout=900
    ).result
    return told


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_names_node_cause_and_cure(broken: dict[str, Any], damage: str) -> None:
    what, words = DAMAGES[damage]
    error = broken[damage]["error"]
    assert (error["class"], error["what"]) == ("VerifyError", what)
    assert words in error["value"]
    assert "127.0.0.1" in error["value"], "the node's address"
    assert error["cause"]
    assert error["cure"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_users_own_first_action_is_explained_while_it_fails(
    broken: dict[str, Any], damage: str
) -> None:
    what, words = DAMAGES[damage]
    assert broken[damage]["action"], "it failed in Spark's words"
    [line] = [line for line in broken[damage]["told"] if what in line]
    assert words in line
    assert " -> " in line, "with its cure"


def test_an_archive_that_was_cut_is_refused_where_the_driver_unpacks_it(
    broken: dict[str, Any],
) -> None:
    error = broken["cut"]["error"]
    assert (error["class"], error["what"]) == (
        "LaunchError",
        "the archive cannot be unpacked on the driver",
    )
    assert error["cure"]


def test_a_healthy_launch_is_told_nothing(broken: dict[str, Any]) -> None:
    assert (broken["none"]["action"], broken["none"]["error"], broken["none"]["told"]) == (
        "",
        None,
        [],
    )


@pytest.mark.parametrize("arguments", [(), ("stop",)], ids=["uncaught", "stopped"])
def test_a_script_that_ends_with_its_first_failure_is_explained_too(
    spark_python: SparkPython, arguments: tuple[str, ...]
) -> None:
    ended = spark_python.run("uncaught.py", *arguments)
    assert ended.code == 1
    assert "Traceback" in ended.stderr
    assert "coffee_boat: error: the executors' interpreter is not there" in ended.stderr


# disks


@contextmanager
def disk(nodes: tuple[Node, ...], options: str) -> Iterator[None]:
    """Another disk under the executors' folders of the nodes."""
    roots = [
        (
            "nsenter",
            f"--target={_namespaces.first_process(node)}",
            "--mount",
            "--pid",
            "--root",
            "--",
        )
        for node in nodes
    ]
    for root in roots:
        subprocess.run(
            [*root, "mount", "-t", "tmpfs", "-o", f"mode=1777,{options}", "disk", WORK], check=True
        )
    try:
        yield
    finally:
        for root in roots:
            subprocess.run([*root, "umount", "--lazy", WORK], check=True)


def test_a_nodes_disk_that_is_mounted_noexec(standalone: Lane, spark_python: SparkPython) -> None:
    with disk(our_nodes(standalone), "noexec"):
        told = spark_python.checked("broken.py", standalone.master, "none", timeout=600).result[
            "none"
        ]
    assert told["error"]["what"] == "the executors' interpreter may not be run"
    assert "127.0.0.1" in told["error"]["value"]
    assert [line for line in told["told"] if told["error"]["what"] in line]


def test_executors_that_cannot_unpack_take_no_task_and_the_driver_is_told_why(
    standalone: Lane, spark_python: SparkPython
) -> None:
    """The disks have room for what is sent, and not for what it becomes."""
    with disk(our_nodes(standalone), "size=300m"):
        said = spark_python.checked("no_room.py", standalone.master).result
    told = [line for line in said["told"] if "a node cannot unpack the environment" in line]
    assert 1 <= len(told) <= 2, "once a node, whatever Spark tries again"
    assert all("MiB free" in line for line in told)
    assert all("127.0.0.1" in line for line in told), "the node's address"
    assert said["stages"] > 0
    assert said["taken"] == 0


def our_nodes(lane: Lane) -> tuple[Node, ...]:
    if not lane.nodes:
        cannot_run("SPARK_BED_MASTER names a cluster whose nodes are not ours to mount disks on")
    return lane.nodes
