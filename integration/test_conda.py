"""Conda packages on nodes that have neither conda nor the driver's files: from a channel that is made here, of PyPI's wheels and this CPython."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

import conda_channel as channels

from integration.conftest import Lane, cannot_run
from integration.running import SparkPython

MINOR = channels.MINOR


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a channel with all of Python, numpy, edtf and what they need, and packages that are hard to move."""
    if reason := channels.why_no_python():
        cannot_run(reason)
    folder = tmp_path_factory.mktemp("conda")
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest", str(folder / "wheels"), "numpy", "edtf"], check=True)
    wheels = map(channels.from_wheel, sorted((folder / "wheels").glob("*.whl")))
    python = (channels.python_package(), channels.system_libraries(), channels.python_abi())
    return channels.fill(folder / "forge", *python, *wheels, *channels.small_packages(), late())


def late() -> channels.Package:
    """For this platform and minor; it knows where it lies by the prefix that is written into its data."""
    text = "import os, sys\n\n\ndef home():\n    with open(os.path.join(sys.prefix, 'etc', 'late.conf')) as stream:\n        return stream.read()\n"
    return channels.native_module("late", "1.0", text=text, files={"etc/late.conf": channels.File(channels.PLACEHOLDER.encode(), prefix="text")})


@pytest.fixture(scope="module", params=["standalone", "local"])
def told(request: pytest.FixtureRequest, forge: str, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the driver program said, and how many hosts its cluster has."""
    lane: Lane | None = request.getfixturevalue("standalone") if request.param == "standalone" else None
    ended = SparkPython(store=store, folder=tmp_path_factory.mktemp("conda-driver")).checked("conda.py", lane.master if lane else "local[2]", forge, MINOR, timeout=900.0)
    return {**ended.result, "hosts": 2 if lane else 1, "foreign": lane is not None, "forge": forge}


def test_a_function_uses_packages_of_conda_and_of_pip_and_every_executor_tells_their_channels(told: Any) -> None:
    assert shutil.which("conda") is None
    assert told["answers"] == ["2 1984-06? 1,234,567"]
    assert told["ok"], told["report"]
    assert len(told["nodes"]) == told["hosts"]
    for node in told["nodes"]:
        assert node["conda"] == ""
        assert node["inside"] or not told["foreign"]
        assert node["home"] == f"{node['prefix']}/share/activated"
        assert node["mode"] == "on"
        assert node["text"] == node["binary"] == f"{node['prefix']}/share/native"
        assert node["script"] == "native 2.0"
    for packages in told["conda"]:
        assert {packages[name][1] for name in ("python", "numpy", "edtf", "activated")} == {told["forge"]}
    assert all(told["pip"])


def test_modules_of_conda_come_aboard_as_a_layer_of_the_same_workers(told: Any) -> None:
    assert {answer["pure"] for answer in told["before"]} == {""}
    layer = told["layer"]
    assert layer["archive"].startswith("boat-layer-")
    assert {answer["pure"] for answer in layer["answers"]} == {"2.0"}
    assert {answer["prefix"] for answer in layer["answers"]} <= {answer["prefix"] for answer in told["before"]}
    assert layer["ok"]


def test_a_native_package_of_conda_brings_a_new_base_to_functions_that_were_made_before(told: Any) -> None:
    base = told["base"]
    assert not base["layer"]
    assert "as a new base" in base["report"]
    assert {answer["late"] for answer in base["answers"]} == {"1.0"}
    assert {answer["pure"] for answer in base["answers"]} == {"2.0"}
    assert {answer["prefix"] for answer in base["answers"]}.isdisjoint(answer["prefix"] for answer in told["before"])
    assert {f"1.0 {prefix}" for prefix in base["prefixes"]} >= set(base["udf"])
    assert base["again"] == told["answers"]
    assert base["ok"], base["verify"]


def test_another_captain_goes_on_with_the_new_base(told: Any) -> None:
    assert told["boarded"]["layer"]
    assert told["boarded"]["ok"]
