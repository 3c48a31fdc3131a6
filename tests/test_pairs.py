"""Which Python goes with which Spark: what is asked of the installed pyspark, what of the table,
and when a launch asks.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from coffee_boat import settings
from coffee_boat._support.pythons import NEWEST
from coffee_boat._support.store import Store
from coffee_boat.errors import BuildError, LaunchError
from coffee_boat.model import Lock, Target
from coffee_boat.spark import install
from coffee_boat.spark.pairs import RELEASES, Declared
from coffee_boat.workflow.target import Executors

OWN = sys.version_info[:2]
AFTER = f"3.{OWN[1] + 1}"


@pytest.fixture(autouse=True)
def no_other_python_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(
    ("spark_version", "python"),
    [
        ("3.5.0", (3, 10)),
        ("3.5.9", (3, 11)),
        ("3.5.1-amzn-1", (3, 11)),
        ("3.5.0.dev0", (3, 10)),
        ("3.5.3.0-34", (3, 10)),
        ("4.0.0", (3, 10)),
        ("4.0.0", (3, 13)),
        ("4.1.4", (3, 14)),
        ("4.1.0-preview1", (3, 12)),
        ("4.2.1", (3, 10)),
        ("4.3.0", (3, 14)),
    ],
)
def test_a_vendor_s_spark_runs_with_what_its_release_says(
    spark_version: str, python: tuple[int, int]
) -> None:
    assert install.compatible(spark_version, python) == ()


@pytest.mark.parametrize(
    ("spark_version", "python", "reason"),
    [
        ("3.5.1-amzn-1", (3, 12), "Python up to 3.11: its functions for pandas"),
        ("3.5.0", (3, 14), "Python up to 3.11: its functions for pandas"),
        ("4.3.0-vendor", (3, 10), "Spark 4.3 needs Python 3.11"),
        ("4.10.0", (3, 10), "needs Python 3.11"),
        ("3.4.4", (3, 11), "older"),
        ("2.4.8", (3, 11), "older"),
        ("main-SNAPSHOT", (3, 11), "vendor"),
    ],
)
def test_what_is_known_to_fail_is_refused_with_the_reason(
    spark_version: str, python: tuple[int, int], reason: str
) -> None:
    with pytest.raises(LaunchError) as error:
        install.compatible(spark_version, python)
    assert reason in error.value.cause
    assert spark_version in error.value.value
    assert error.value.cure


@pytest.mark.parametrize(
    ("spark_version", "python", "reason"),
    [
        ("4.0.1", (3, 14), "Spark 4.0 declares Python up to 3.13"),
        ("4.10.0", (3, 12), "the newest that coffee_boat knows the Pythons of"),
        ("5.0.0", (3, 13), "the newest that coffee_boat knows the Pythons of"),
    ],
)
def test_what_nobody_knows_is_told_and_refused_only_where_that_is_set(
    spark_version: str, python: tuple[int, int], reason: str
) -> None:
    (finding,) = install.compatible(spark_version, python)
    assert reason in finding.cause
    assert finding.value == f"Spark {spark_version}, Python 3.{python[1]}"
    with pytest.raises(LaunchError, match="nobody says") as error:
        install.compatible(spark_version, python, refuse_unknown=True)
    assert "untested_python" in error.value.cause


def says(requires: str, *minors: int) -> Declared:
    return Declared(SpecifierSet(requires), tuple((3, minor) for minor in minors))


def test_what_the_installed_pyspark_declares_comes_before_the_table() -> None:
    assert install.compatible("4.3.0", (3, 10), said=says(">=3.10", 10, 11)) == ()
    assert install.compatible("4.3.9", (3, 15), said=says(">=3.12", 12, 15)) == ()
    with pytest.raises(LaunchError) as error:
        install.compatible("4.1.0", (3, 11), said=says(">=3.12", 12, 13))
    assert error.value.cause == "this pyspark declares Requires-Python >=3.12"
    (finding,) = install.compatible("4.1.0", (3, 13), said=says(">=3.10", 10, 12))
    assert finding.cause == "this pyspark declares Python up to 3.12"


def test_a_spark_newer_than_those_tried_is_told_and_refused_only_where_that_is_set() -> None:
    (finding,) = install.compatible("5.1.0", (3, 15), said=says(">=3.12", 12, 15))
    assert finding.code == "launch.spark-untested"
    assert "the newest that it was tried with; nothing is known against it" in finding.cause
    with pytest.raises(LaunchError, match="not tried with this Spark") as error:
        install.compatible("5.1.0", (3, 15), said=says(">=3.12", 12, 15), refuse_unknown=True)
    assert "untested_python" in error.value.cause
    with pytest.raises(LaunchError, match="does not run"):
        install.compatible("5.1.0", (3, 11), said=says(">=3.12", 12, 15))


def test_what_was_found_after_a_release_holds_whatever_it_declares() -> None:
    with pytest.raises(LaunchError, match="does not run"):
        install.compatible("3.5.9", (3, 13), said=says(">=3.8", 8, 11))


def test_the_cure_for_an_installed_pyspark_names_the_one_to_install() -> None:
    with pytest.raises(LaunchError) as error:
        install.compatible("4.3.0", (3, 10), said=says(">=3.11", 11, 14))
    assert error.value.cure.startswith("pip install 'pyspark==4.2.*', which runs with Python 3.10")
    with pytest.raises(LaunchError) as error:
        install.compatible("3.5.9", (3, 12), said=says(">=3.8", 8, 11))
    assert error.value.cure.startswith("pip install 'pyspark==4.0.*', which runs with Python 3.12")


def test_the_cure_for_a_vendor_s_spark_names_a_python_that_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, code in (("python3.11", 1), ("python3.10", 0)):  # one that only says no, as pyenv's
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError) as error:
        install.compatible("3.5.1-amzn-1", (3, 12))
    assert error.value.cure == (
        f"run the driver with Python 3.10 to 3.11: {tmp_path}/python3.10 is here"
    )
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(LaunchError) as error:
        install.compatible("3.5.1-amzn-1", (3, 12))
    assert error.value.cure.endswith("uv venv --python 3.11 makes one")


def test_each_release_of_the_table_has_its_source_and_they_are_in_order() -> None:
    assert all(one.source for one in RELEASES)
    assert [one.spark for one in RELEASES] == sorted(one.spark for one in RELEASES)
    for one, after in pairwise(RELEASES):
        assert one.oldest <= after.oldest, "no Spark goes back to an older Python"


def test_a_shipped_python_newer_than_those_tried_is_told_and_refused_only_where_that_is_set(
    store: Store,
) -> None:
    def executors(untested: str) -> Executors:
        return Executors(
            settings.load({}, environ={"COFFEE_BOAT_UNTESTED_PYTHON": untested})[0], store
        )

    newer, tried = (Lock(Target(f"3.{minor}.1")) for minor in (NEWEST[1] + 1, NEWEST[1]))
    [finding] = executors("warn").untried(newer)
    assert finding.code == "build.python-untested"
    assert "nothing is known against it" in finding.cause
    executors("warn").refuse_unfit(newer)
    executors("refuse").refuse_unfit(tried)
    with pytest.raises(BuildError, match="not tried with this Python") as error:
        executors("refuse").refuse_unfit(newer)
    assert error.value.value == newer.target.python
    assert "untested_python" in error.value.cause


# the pyspark that is there


def driver(site: Path, *, requires: str = "", minors: Sequence[int] = (), module: str = "") -> Path:
    """A folder with a pyspark, and with its metadata if anything is declared."""
    (site / "pyspark").mkdir(parents=True)
    (site / "pyspark/__init__.py").write_text(module or "raise ImportError('no such module')\n")
    (site / "pyspark/version.py").write_text('__version__: str = "4.1.4"\n')
    info = site / "pyspark-4.1.4.dist-info"
    if requires or minors:
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: pyspark\nVersion: 4.1.4\n"
            + (f"Requires-Python: {requires}\n" if requires else "")
            + "".join(f"Classifier: Programming Language :: Python :: 3.{m}\n" for m in minors)
        )
    return site


def launched(site: Path, store: Path, **settings: str) -> str:
    """What `launch_ship` says to a driver with this pyspark that asks for what cannot be had."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from coffee_boat import Captain\n"
        "from coffee_boat.errors import BoatError\n"
        "captain = Captain(store=sys.argv[2], offline=True).add_pip_packages('no-such-package')\n"
        "try:\n    captain.launch_ship()\n"
        "except BoatError as error:\n    print(type(error).__name__, error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, site, store],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": str(store), "HOME": str(store), **settings},
    )
    return ran.stderr + ran.stdout


def test_a_launch_asks_before_anything_is_made_and_without_importing_what_cannot_be(
    tmp_path: Path,
) -> None:
    site = driver(tmp_path / "site", requires=f">={AFTER}", minors=[OWN[1] + 1])
    said = launched(site, tmp_path / "store")
    assert "LaunchError this Spark does not run with this Python: Spark 4.1.4, Python" in said
    assert f"declares Requires-Python >={AFTER}" in said
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["leases"]


def test_the_pyspark_in_a_zip_that_spark_submit_imports_declares_what_its_distribution_does(
    tmp_path: Path,
) -> None:
    site = driver(tmp_path / "site", requires=f">={AFTER}", minors=[OWN[1] + 1])
    submitted = site / "pyspark/python/lib/pyspark.zip"
    submitted.parent.mkdir(parents=True)
    with zipfile.ZipFile(submitted, "w") as archive:
        for name in ("__init__.py", "version.py"):
            archive.write(site / "pyspark" / name, f"pyspark/{name}")
    said = launched(submitted, tmp_path / "store", PYTHONPATH=str(site))
    assert "LaunchError this Spark does not run with this Python: Spark 4.1.4, Python" in said
    assert f"declares Requires-Python >={AFTER}" in said


def test_a_pyspark_that_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    said = launched(driver(tmp_path / "site"), tmp_path / "store")
    assert "LaunchError pyspark cannot be imported: no such module" in said
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["leases"]


def test_a_pair_that_nobody_knows_is_told_by_a_launch_and_refused_where_that_is_set(
    tmp_path: Path,
) -> None:
    site = driver(tmp_path / "site", requires=">=3.8", minors=[8, OWN[1] - 1])
    told = "nobody says that this Spark runs with this Python: Spark 4.1.4, Python"
    assert f"warning: {told}" in launched(site, tmp_path / "store")
    said = launched(site, tmp_path / "store", COFFEE_BOAT_UNTESTED_PYTHON="refuse")
    assert f"LaunchError {told}" in said


def test_metadata_of_another_pyspark_is_not_taken(tmp_path: Path) -> None:
    """As where SPARK_HOME comes first on sys.path and an older pyspark is installed."""
    other = driver(tmp_path / "other", requires=f">={AFTER}")
    site = driver(tmp_path / "site")
    said = launched(site, tmp_path / "store", PYTHONPATH=str(other))
    assert "LaunchError pyspark cannot be imported" in said


@pytest.mark.parametrize(
    ("requires", "outcome", "said"),
    [
        (f">={AFTER}", "failed", f"this pyspark declares Requires-Python >={AFTER}"),
        (">=3.8", "warning", f"this pyspark declares Python up to 3.{OWN[1] - 1}"),
    ],
)
def test_boat_check_tells_of_the_pair(
    tmp_path: Path, requires: str, outcome: str, said: str
) -> None:
    site = driver(tmp_path / "site", requires=requires, minors=[OWN[1] - 1])
    ran = subprocess.run(
        [Path(sys.executable).with_name("boat"), "check", "--store", tmp_path / "store"],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(site), "HOME": str(tmp_path), "PYTHONPATH": str(site)},
        cwd=tmp_path,
    )
    lines = [line for line in ran.stdout.splitlines() if line.split()[:2] == ["spark", outcome]]
    assert any(said in line for line in lines), ran.stdout
