"""`boat` as a user types it, on an embedded Spark whose two executors are processes of their own.

No network: the wheel is made here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from lanes import require_java

from integration.conftest import Lane
from integration.running import INTERACTIVE, SHELL, check_shell, plain_environment

MASTER = "local-cluster[2,1,1024]"
SMALL = "local-cluster[1,1,1024]"
QUIET = ["--conf", "spark.ui.enabled=false"]
JOB = """
# /// script
# requires-python = ">=3.10"
# dependencies = ["boat-test-package"]
# ///
import sys

import boat_test_package  # the driver, which never had it
from pyspark.sql import SparkSession


def place(_):
    import os

    import boat_test_package

    beside = os.path.exists("mine/hello.txt")
    return f"{boat_test_package.WORD} {sys.executable.startswith(os.getcwd())} {boat_test_package.__file__.startswith(os.getcwd())} {beside}"


spark = SparkSession.builder.getOrCreate()
print("RESULT", sys.argv[1:], sorted(set(spark.sparkContext.parallelize(range(4), 4).map(place).collect())))
spark.stop()
sys.exit(7)
"""  # noqa: E501
RESULT = "RESULT {arguments!r} ['ahoy True True {beside}']"

Boat = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def wanted(tmp_path: Path) -> list[str]:
    """Options that get a small real wheel from a folder."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "boat_test_package-1.0.dist-info"
    files = {
        "boat_test_package.py": "WORD = 'ahoy'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: boat-test-package\nVersion: 1.0\n",
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    rows = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}\n"
        for name, text in files.items()
    ]
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(
        folder / "boat_test_package-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED
    ) as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return ["--offline", "--find-links", str(folder)]


@pytest.fixture
def run(store: Path, tmp_path: Path) -> Boat:
    """Runs a program with nothing of Spark or Python in the environment."""
    (tmp_path / "job.py").write_text(JOB, "utf-8")
    environment = plain_environment(Path(sys.executable), store)

    def runner(*argv: str, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(argv),
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
            input=typed,
        )

    return runner


@pytest.fixture
def boat(run: Boat) -> Boat:
    """Runs `boat`."""
    return lambda *words, **variables: run(
        sys.executable, "-m", "coffee_boat.cli", *words, **variables
    )


@pytest.mark.turn(2)
def test_launch_runs_a_script_with_what_it_says_it_needs_and_ends_with_its_code(
    boat: Boat, wanted: list[str], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as theirs:
        theirs.writestr("hello.txt", "hello")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").write_text(
        f"spark.master {MASTER}\nspark.ui.enabled false\nspark.archives {tmp_path}/mine.zip#mine\n",
        "utf-8",
    )
    done = boat(
        "launch", *wanted, "job.py", "--master", "x y", "-h", SPARK_CONF_DIR=str(tmp_path / "conf")
    )
    assert done.returncode == 7, done.stderr[-3000:]
    assert [line for line in done.stdout.splitlines() if line.startswith("RESULT")] == [
        RESULT.format(arguments=["--master", "x y", "-h"], beside=True)
    ]


@pytest.mark.turn(1)
def test_launch_serves_foreign_nodes(boat: Boat, wanted: list[str], standalone: Lane) -> None:
    done = boat("launch", *wanted, "--master", standalone.master, *QUIET, "job.py")
    assert done.returncode == 7, done.stderr[-3000:]
    assert RESULT.format(arguments=[], beside=False) in done.stdout


@pytest.mark.parametrize(
    "master",
    [
        pytest.param("local[2]", marks=pytest.mark.turn(2)),
        pytest.param("spark://", marks=pytest.mark.turn(1)),
    ],
)
def test_the_shell_uses_what_is_shipped(
    boat: Boat, request: pytest.FixtureRequest, master: str
) -> None:
    if master == "spark://":
        master = request.getfixturevalue("standalone").master
    words = ("launch", "--pip", "edtf", "--master", master, *QUIET)
    check_shell(boat(*words, typed=SHELL, **INTERACTIVE), here=master == "local[2]")


def test_conf_is_all_that_a_plain_spark_submit_needs(
    boat: Boat, run: Boat, wanted: list[str], tmp_path: Path
) -> None:
    require_java()

    def told(form: str) -> str:
        wishes = (*wanted, "--pip", "boat-test-package", "--master", SMALL)
        done = boat("conf", *wishes, "--format", form)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    args, said = shlex.split(told("args")), json.loads(told("json"))
    assert args[:2] == ["--master", said["master"]]
    settings = dict(word.split("=", 1) for word in args if "=" in word)
    assert settings == said["conf"] == _in_yaml(told("k8s-yaml"))
    assert any("/boat-" in archive for archive in settings["spark.archives"].split(","))

    # and the text that Spark reads itself serves it
    (tmp_path / "boat.conf").write_text(told("properties"), "utf-8")
    spark_submit = str(Path(sys.executable).with_name("spark-submit"))
    done = run(
        spark_submit, "--properties-file", str(tmp_path / "boat.conf"), *QUIET, "job.py", "a"
    )
    assert done.returncode == 7, done.stderr[-3000:]
    assert RESULT.format(arguments=["a"], beside=False) in done.stdout


def _in_yaml(text: str) -> dict[str, str]:
    pairs = [
        json.loads(f"{{{line.strip()}}}") for line in text.splitlines() if line.startswith("    ")
    ]
    return {name: value for pair in pairs for name, value in pair.items()}


@pytest.mark.turn(1)
def test_verify_answers_for_every_executor(boat: Boat, wanted: list[str]) -> None:
    done = boat(
        "verify",
        *wanted,
        "--pip",
        "boat-test-package",
        "--master",
        MASTER,
        *QUIET,
        "--deadline",
        "180",
        "--json",
    )
    report = json.loads(done.stdout)
    assert report["ok"], report["findings"]
    assert [
        executor["distributions"].get("boat-test-package") for executor in report["executors"]
    ] == ["1.0", "1.0"]


def test_what_cannot_be_served_is_3(boat: Boat, wanted: list[str]) -> None:
    assert (
        boat(
            "launch", *wanted, "--pip", "boat-test-package==9", "--master", MASTER, "job.py"
        ).returncode
        == 3
    )
    assert boat("launch", *wanted, "--master", "mesos://host", "job.py").returncode == 3


def test_an_archive_runs_outside_of_spark(boat: Boat, run: Boat, tmp_path: Path) -> None:
    (tmp_path / "say.py").write_text(
        "import sys, edtf, json\n"
        "print(json.dumps([sys.prefix, edtf.__file__, sys.argv[1:]]))\n"
        "sys.exit(5)\n"
    )
    packed = boat("pack", "--no-pyspark", "--pip", "edtf", "-o", "boat.tar.gz")
    assert packed.returncode == 0, packed.stderr[-3000:]
    unpacked = boat("unpack", "boat.tar.gz", "here")
    minor = ".".join(map(str, sys.version_info[:2]))
    assert unpacked.stdout.strip() == f"{tmp_path}/here/bin/python{minor}"
    for archive in ("boat.tar.gz", "here"):
        done = boat("exec", archive, "--", "python", "say.py", "--a", "b")
        assert done.returncode == 5, done.stderr[-3000:]
        prefix, module, words = json.loads(done.stdout)
        assert module.startswith(prefix)
        assert words == ["--a", "b"]
        assert (prefix == str(tmp_path / "here")) == (archive == "here")
    bare = boat("exec", "here", "python", "-c", "import pyspark")
    assert "No module named 'pyspark'" in bare.stderr
    shell = run("bash", "-c", "source here/bin/activate && python say.py")
    assert shell.returncode == 5, shell.stderr
