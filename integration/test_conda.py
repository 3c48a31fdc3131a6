"""Conda packages on nodes that have neither conda nor the driver's files: launched, added to, gone
on with.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

import conda_channel as channels
from lanes import cannot_run

from coffee_boat import Captain
from integration import conda_lane, offline
from integration.beds import _namespaces
from integration.conftest import Lane
from integration.running import SparkPython

pytestmark = pytest.mark.timeout(1200)  # on a machine that others use, too


@pytest.fixture(
    scope="module", params=["standalone", pytest.param("local", marks=pytest.mark.turn(0))]
)
def told(
    request: pytest.FixtureRequest,
    forge: str,
    store: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    there = SparkPython(store=store, folder=tmp_path_factory.mktemp("conda-driver"))
    if request.param == "local":
        return {**conda_lane.told(there, "local[2]", forge, hosts=1), "foreign": False}
    lane: Lane = request.getfixturevalue("standalone")
    return {**conda_lane.told(there, lane.master, forge, hosts=2), "foreign": True}


def test_a_function_uses_packages_of_conda_and_of_pip_and_every_executor_tells_their_channels(
    told: Any,
) -> None:
    assert shutil.which("conda") is None, "this proves nothing where a conda is at hand"
    conda_lane.check_launch(told)
    assert all(node["inside"] for node in told["nodes"]) or not told["foreign"]


def test_a_plan_tells_what_an_addition_would_be(told: Any) -> None:
    conda_lane.check_plans(told)


def test_modules_of_conda_come_aboard_as_a_layer(told: Any) -> None:
    conda_lane.check_layer(told)


def test_a_native_package_of_conda_brings_a_new_base_to_functions_that_were_made_before(
    told: Any,
) -> None:
    conda_lane.check_new_base(told)


def test_a_package_of_conda_is_removed_and_comes_back(told: Any) -> None:
    removed, back = told["removed"], told["back"]
    assert {(answer["pure"], answer["late"]) for answer in removed["answers"]} == {("2.0", "")}
    assert removed["ok"], removed["report"]
    assert {answer["late"] for answer in back["answers"]} == {"1.0"}
    assert back["ok"]
    assert "+late 1.0" in back["changes"]


def test_where_the_folder_cannot_be_written_python_runs_and_what_keeps_its_placeholder_is_named(
    forge: str, store: Path, tmp_path: Path
) -> None:
    if reason := _namespaces.why_not():
        cannot_run(reason)
    packed = (
        Captain(store=store)
        .add_conda_packages(f"python={channels.MINOR}", "numpy", "activated", channel=forge)
        .pack(tmp_path / "env.tar.gz")
    )
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-xzf", packed.path, "-C", str(root)], check=True)
    program = (
        "import numpy, os, sys; from coffee_boat_worker import prefix; print(numpy.arange(3).sum(),"
        " os.environ['ACTIVATED_HOME'], prefix.unsettled(sys.prefix))"
    )
    ran = subprocess.run(
        [*offline.command(root), str(root / packed.python), "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith(f"3 {root}/share/activated [")
    assert "'etc/native.conf'" in ran.stdout
    assert f"{root} cannot be written" in ran.stderr
    assert "still name another folder" in ran.stderr
