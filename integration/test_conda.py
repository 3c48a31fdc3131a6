"""Conda packages on nodes that have neither conda nor the driver's files: from a channel that is made here, of PyPI's wheels and this CPython."""

from __future__ import annotations

import shutil
import subprocess
import sys
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
    return channels.fill(folder / "forge", *python, *wheels, *channels.small_packages())


@pytest.mark.parametrize("where", ["standalone", "local"])
def test_a_function_uses_packages_of_conda_and_of_pip_and_every_executor_tells_their_channels(
    where: str, forge: str, spark_python: SparkPython, request: pytest.FixtureRequest
) -> None:
    lane: Lane | None = request.getfixturevalue("standalone") if where == "standalone" else None
    assert shutil.which("conda") is None
    told: Any = spark_python.checked("conda.py", lane.master if lane else "local[2]", forge, MINOR).result
    assert told["answers"] == ["2 1984-06? 1,234,567"]
    assert told["ok"], told["report"]
    assert len(told["nodes"]) == (2 if lane else 1)
    for node in told["nodes"]:
        assert node["conda"] == ""
        assert node["inside"] or not lane
        assert node["home"] == f"{node['prefix']}/share/activated"
        assert node["mode"] == "on"
        assert node["text"] == node["binary"] == f"{node['prefix']}/share/native"
        assert node["script"] == "native 2.0"
    for packages in told["conda"]:
        assert {packages[name][1] for name in ("python", "numpy", "edtf", "activated")} == {forge}
    assert all(told["pip"])
