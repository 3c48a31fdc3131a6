"""Nodes of aarch64, with an archive that was built on another machine: real Spark, whose Python
workers the kernel runs by an emulator.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import conda_channel as channels
import other_python
import pytest
from lanes import cannot_run

from integration.beds import BedCannotRun, aarch64
from integration.conftest import timed
from integration.running import SparkPython
from integration.venvs import cache_folder

pytestmark = pytest.mark.timeout(600)

_TWO, _ONE = (f"local-cluster[{executors},1,1024]" for executors in (2, 1))
_PLATFORM = "manylinux_2_36_aarch64"


@pytest.fixture(scope="module")
def bed() -> Iterator[aarch64.Bed]:
    """Fetched, and registered as long as the tests run."""
    folder = cache_folder() / "beds" / f"test-aarch64-{os.getpid()}"
    try:
        with timed("aarch64: up"):
            made = aarch64.up(folder)
        with aarch64.emulated(made):
            yield made
    except BedCannotRun as reason:
        cannot_run(str(reason))
    finally:
        aarch64.down(folder)


@pytest.fixture(scope="module")
def mirror(bed: aarch64.Bed, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A mirror of standalone builds with one for aarch64, and which version that is."""
    folder = tmp_path_factory.mktemp("mirror")
    return folder, aarch64.standalone(bed, other_python.place(folder))


def told(
    bed: aarch64.Bed, store: Path, folder: Path, master: str, *how: str, env: dict[str, str]
) -> Any:
    there = SparkPython(store=store, folder=folder)
    ran = there.checked("aarch64.py", master, _PLATFORM, bed.root, *how, env=env)
    return ran.result


def check(said: Any) -> None:
    assert said["refused"]["code"] == "cluster.other-architecture"
    assert "x86_64, the environment: aarch64" in said["refused"]["value"]
    assert said["rows"] == [f"aarch64 {number}" for number in range(4)]
    assert said["ok"]
    assert said["machines"] == ["aarch64"]
    assert said["foreign"] == [[]] * said["executors"]
    assert said["added"] == [["aarch64", "1.0 million", "4.12.0"]]
    assert said["upgraded"] == [["aarch64", "1.0 million", "4.13.0"]]


@pytest.mark.turn(0)
def test_a_standalone_build_of_a_mirror_runs_on_nodes_of_aarch64(
    bed: aarch64.Bed, mirror: tuple[Path, str], store: Path, tmp_path: Path
) -> None:
    served = other_python.listed(*mirror)
    check(told(bed, store, tmp_path, _TWO, "standalone", env=served))


@pytest.mark.turn(1)
def test_condas_python_runs_on_nodes_of_aarch64(
    bed: aarch64.Bed, mirror: tuple[Path, str], store: Path, tmp_path: Path
) -> None:
    folder, version = mirror
    channel = channels.fill(
        tmp_path / "forge", _conda_python(other_python.place(folder), version), *_pure()
    )
    said = told(bed, store, tmp_path, _ONE, "conda", channel, env={})
    assert said["conda"] == ["pure", "python"]
    check(said)


def _conda_python(archive: Path, version: str) -> channels.Package:
    """What a standalone archive holds as conda's package of it.

    Debian's Python reads dist-packages, by a site that is frozen into the program; conda's reads
    site-packages.
    """
    site = f"lib/python{aarch64.MINOR}/site-packages"
    files = {}
    with tarfile.open(archive) as packed:
        for entry in packed:
            name = entry.name.removeprefix("python/")
            content = packed.extractfile(entry) if entry.isfile() else None
            if entry.issym():
                files[name] = channels.File(link=entry.linkname)
            elif content is not None:
                files[name] = channels.File(content.read(), bool(entry.mode & 0o100))
    hook = f"import os, site, sys; site.addsitedir(os.path.join(sys.prefix, {site!r}))\n"
    files["lib/python3/dist-packages/site.pth"] = channels.File(hook.encode())
    return channels.Package(
        "python",
        version,
        "0_cpython",
        "linux-aarch64",
        ("__glibc >=2.17",),
        license="PSF-2.0",
        files=files,
        more={"python_site_packages_path": site},
    )


def _pure() -> list[channels.Package]:
    return [channels.module("pure", "1.0")]
