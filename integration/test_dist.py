"""`make dist`: what a release would upload is whole, and runs in a new environment."""

from __future__ import annotations

import email
import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest
import small_packages
from pages import ROOT

BIN = Path(sys.executable).parent
IMPORT_ALL = """
import importlib, pkgutil, coffee_boat
names = [m.name for m in pkgutil.walk_packages(coffee_boat.__path__, "coffee_boat.")]
ours = [n for n in names if not n.startswith("coffee_boat.worker.") and n != "coffee_boat.magic"]
for name in ours:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(ours), coffee_boat.__file__)
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder dist/ that `make dist` made in a clean copy of this checkout."""
    checkout = tmp_path_factory.mktemp("dist") / "checkout"
    checkout.mkdir()
    for name in ("coffee_boat", "cli", "tests"):
        left_out = shutil.ignore_patterns("__pycache__", "data", "golden")
        shutil.copytree(ROOT / name, checkout / name, ignore=left_out)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy2(path, checkout)
    venv = Path(sys.prefix)
    done = subprocess.run(
        # with the environment that runs this, which is not made anew
        ["make", "dist", f"VENV={venv}", "-o", f"{venv}/ready"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall("PASSED", done.stdout)) == 2, done.stdout
    return checkout / "dist"


def the(dist: Path, pattern: str) -> Path:
    [found] = dist.glob(pattern)
    return found


def described(dist: Path) -> Message:
    with zipfile.ZipFile(the(dist, "*.whl")) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(wheel.read(name))


def test_an_index_has_all_that_it_shows(dist: Path) -> None:
    about = described(dist)
    assert about["Summary"]
    assert about["License-File"] == "LICENSE"
    assert "Apache-2.0" in (about["License"], about["License-Expression"])
    urls = dict(line.split(", ") for line in about.get_all("Project-URL", []))
    assert {"Documentation", "Changelog", "Source", "Issues"} <= set(urls)
    assert all(url.startswith("https://") for url in urls.values())
    text = about.get_payload()
    assert isinstance(text, str)
    assert text.startswith("# coffee_boat")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert len(targets) > 20
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []


def test_both_files_have_all_of_the_package_and_no_tests(dist: Path) -> None:
    ours = {
        *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("coffee_boat/**/*.py")),
        "coffee_boat/py.typed",
        "coffee_boat/spark/Environment.java",
        "coffee_boat/spark/Functions.java",
        "coffee_boat/spark/coffee_boat.jar",
    }
    commands = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("cli/*.py")}
    with tarfile.open(the(dist, "*.tar.gz")) as source:
        inside = {name.partition("/")[2] for name in source.getnames()}
    assert ours | commands | {"LICENSE", "README.md", "CHANGELOG.md"} <= inside
    assert [name for name in inside if name.startswith("tests")] == []
    with zipfile.ZipFile(the(dist, "*.whl")) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == ours | {f"coffee_boat/{name}" for name in commands}


def pyspark_of_this_environment(folder: Path) -> Path:
    """A folder with nothing else: to install another pyspark is to build 400 MB."""
    for name in ("pyspark", "py4j"):
        [found] = importlib.import_module(name).__path__
        if not (folder / name).exists():
            folder.mkdir(exist_ok=True)
            (folder / name).symlink_to(found)
    return folder


def test_the_wheel_runs_in_a_new_environment(dist: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    uv = [str(BIN / "uv"), "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(venv)], check=True)
    python = str(venv / "bin" / "python")
    wheel = str(the(dist, "*.whl"))
    subprocess.run([*uv, "pip", "install", "--python", python, wheel], check=True)

    def said(*words: str) -> str:
        kept = {key: os.environ[key] for key in ("HOME", "PATH", "LANG") if key in os.environ}
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env={
                **kept,
                "COFFEE_BOAT_STORE": str(tmp_path / "store"),
                "PYTHONPATH": str(pyspark_of_this_environment(tmp_path / "spark")),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    boat = str(venv / "bin" / "boat")
    assert re.fullmatch(r"boat, version [\d.]+\n", said(boat, "--version"))
    assert str(venv) in said(python, "-c", IMPORT_ALL)
    small = small_packages.wheel(tmp_path / "wheels", "alpha", "1.0")
    words = ("--offline", "--no-ship-python", "--pip", str(small), "-o", "env.tar.gz")
    said(boat, "pack", *words)
    with tarfile.open(tmp_path / "env.tar.gz") as packed:
        assert any(name.endswith("site-packages/alpha.py") for name in packed.getnames())
