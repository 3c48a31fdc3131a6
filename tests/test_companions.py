"""Packages that a Spark does not go with, told in a plan with what to type."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from small_packages import wheel

from coffee_boat import Captain
from coffee_boat.model import CondaPin, Lock, Pin, Target
from coffee_boat.spark import companions


def told(spark: str, name: str, version: str) -> list[str]:
    lock = Lock(Target("3.11.7"), (Pin(name, version),))
    return [found.cure for found in companions.odd(lock, spark)]


@pytest.mark.parametrize(
    ("spark", "name", "version", "typed"),
    [
        ("4.2.1", "pandas", "3.0.1", "<3"),
        ("4.0.0", "pandas", "1.5.3", ">=2"),
        ("3.5.1-amzn-1", "numpy", "2.1.0", "<2"),
        ("3.5.1", "pyarrow", "3.0.0", ">=4"),
        ("4.2.1", "pyarrow", "10.0.0", ">="),
    ],
)
def test_what_a_spark_does_not_go_with_is_told(
    spark: str, name: str, version: str, typed: str
) -> None:
    (cure,) = told(spark, name, version)
    assert re.search(rf'captain.add_pip_packages\("{name}(\S+)"\)', cure)
    assert typed in cure
    assert not told(spark, "humanize", "1.0")


@pytest.mark.parametrize(
    ("spark", "name", "version"),
    [
        ("4.2.1", "pandas", "2.3.3"),
        ("4.0.0", "numpy", "2.1.0"),
        ("3.5.1", "numpy", "1.26.4"),
        ("4.0.0", "pandas", "not a version"),
    ],
)
def test_what_fits_or_is_not_known_is_not_told(spark: str, name: str, version: str) -> None:
    assert not told(spark, name, version)


def test_of_conda_packages_the_cure_is_condas() -> None:
    pin = CondaPin("pandas", "3.0.1", "0", "linux-64", "conda-forge", "", "pandas.conda", "")
    lock = Lock(Target("3.11.7"), conda=(pin,))
    (found,) = companions.odd(lock, "4.2.0")
    assert found.cure.startswith('captain.add_conda_packages("pandas <3')


def test_what_the_installed_pyspark_declares_is_told_in_a_plan(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    if not metadata.requires("pyspark"):
        pytest.skip("this pyspark declares nothing")
    wheel(tmp_path, "pyarrow", "0.1")
    captain = Captain(offline=True, find_links=[str(tmp_path)], store=tmp_path / "store")
    captain.add_pip_packages("pyarrow==0.1")
    found = [one for one in captain.plan().findings if one.code == "lock.not-with-this-spark"]
    assert [one.value.partition(" with ")[0] for one in found] == ["pyarrow 0.1"]
    assert "as its metadata says" in found[0].cause
    assert re.search(r'add_pip_packages\("pyarrow>=\d', found[0].cure)


def test_a_pyspark_that_somebody_made_up_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", ModuleType("pyspark"))
    lock = Lock(Target("3.11.7"), (Pin("pandas", "3.0.1"),))
    assert list(companions.odd(lock)) == []
    assert [one.code for one in companions.odd(lock, "4.2.0")] == ["lock.not-with-this-spark"]
