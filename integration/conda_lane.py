"""What the tests of conda share between clusters: a channel that is made here, and what
drivers/conda.py has to say on each.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import conda_channel as channels
from lanes import cannot_run

from integration.running import SparkPython


def forge(folder: Path) -> str:
    """URL of a channel with all of Python, numpy, edtf and what they need (PyPI's wheels, this
    CPython), and packages that are hard to move.
    """
    if reason := channels.why_no_python():
        cannot_run(reason)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--only-binary",
            ":all:",
            "--dest",
            str(folder / "wheels"),
            "numpy",
            "edtf",
        ],
        check=True,
    )
    wheels = map(channels.from_wheel, sorted((folder / "wheels").glob("*.whl")))
    python = (channels.python_package(), channels.system_libraries(), channels.python_abi())
    return channels.fill(folder / "forge", *python, *wheels, *channels.small_packages(), _late())


def _late() -> channels.Package:
    """For this platform and minor; it knows where it lies by the prefix that is written into its
    data.
    """
    text = (
        "import os, sys\n\n\ndef home():\n    with open(os.path.join(sys.prefix, 'etc',"
        " 'late.conf')) as stream:\n        return stream.read()\n"
    )
    return channels.native_module(
        "late",
        "1.0",
        text=text,
        files={"etc/late.conf": channels.File(channels.PLACEHOLDER.encode(), prefix="text")},
    )


def told(there: SparkPython, master: str, channel: str, *, hosts: int, **how: Any) -> Any:
    """What the driver program said of a cluster with so many hosts."""
    ended = there.checked("conda.py", master, channel, channels.MINOR, hosts, timeout=900.0, **how)
    return {**ended.result, "hosts": hosts, "forge": channel}


def check_launch(said: Any) -> None:
    """A function used packages of conda and of pip; prefixes and activation are the node's; every
    executor tells the channels.
    """
    assert said["answers"] == ["2 1984-06? 1,234,567"]
    assert said["ok"], said["report"]
    assert len(said["nodes"]) == said["hosts"]
    for node in said["nodes"]:
        assert node["conda"] == "", "no conda on the node"
        assert node["home"] == f"{node['prefix']}/share/activated"
        assert node["mode"] == "on"
        assert node["text"] == node["binary"] == f"{node['prefix']}/share/native"
        assert node["script"] == "native 2.0"
    for packages in said["conda"]:
        assert {packages[name][1] for name in ("python", "numpy", "edtf", "activated")} == {
            said["forge"]
        }
    assert all(said["pip"])


def check_plans(said: Any) -> None:
    """What each addition would be was told beforehand, and nothing came of it."""
    pure, late = said["planned"]["pure"], said["planned"]["late"]
    assert "a layer would be sent" in pure["plan"]
    assert [label.split()[0] for label in pure["items"]] == ["pure"]
    assert "a new base would be sent" in late["plan"]
    assert {"python", "late", "humanize"} <= {label.split()[0] for label in late["items"]}
    assert late["size"] > 10 * pure["size"] > 0
    assert {pure["aboard"], late["aboard"]} == {said["lock"]}
    assert {(answer["pure"], answer["late"]) for answer in said["before"]} == {("", "")}


def check_layer(said: Any) -> None:
    """Modules of conda came as a layer; the package has the script of an entry point, too."""
    assert {answer["pure"] for answer in said["before"]} == {""}
    layer = said["layer"]
    assert layer["archive"].startswith("boat-layer-")
    assert {answer["pure"] for answer in layer["answers"]} == {"2.0"}
    assert not any("/boat-gen-" in answer["prefix"] for answer in layer["answers"])
    assert layer["ok"]


def check_new_base(said: Any) -> None:
    """A native package of conda brought a new base, to functions that were made before too; a
    restarted kernel went on with it.
    """
    base = said["base"]
    assert not base["layer"]
    assert "as a new base" in base["report"]
    assert {answer["late"] for answer in base["answers"]} == {"1.0"}
    assert {answer["pure"] for answer in base["answers"]} == {"2.0"}
    assert {answer["prefix"] for answer in base["answers"]}.isdisjoint(
        answer["prefix"] for answer in said["before"]
    )
    assert {f"1.0 {prefix}" for prefix in base["prefixes"]} >= set(base["udf"])
    assert base["again"] == said["answers"]
    assert base["ok"], base["verify"]
    assert said["boarded"]["layer"]
    assert said["boarded"]["ok"]
