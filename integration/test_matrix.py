"""Pairs of Python and Spark: the snippet and the Report, on executors that are processes of their
own. Two pairs in every run, each supported one with --every-pair.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lanes import cannot_run

from integration import crowd_wheels
from integration.crowd_checks import check_all
from integration.running import SparkPython
from integration.venvs import SPARKS, NoInterpreterError, find_interpreter, venv_for

IN_EVERY_RUN = {"3.5.9": (), "4.1.4": ("3.12",), "4.3.0": ("3.13",)}
"""Pythons with a Spark that no other test gives them. The others add the oldest Spark with its
oldest Python (the functions below), 3.5.9 and 4.1.4 with the newest Python that is here (YARN), and
the newest Spark with this Python.
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "python" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-pair")
        pairs = [
            pytest.param(spark, python, marks=pytest.mark.turn(place))
            for place, (spark, pythons) in enumerate(SPARKS.items())
            for python in (pythons if every else _in_every_run(spark))
        ]
        metafunc.parametrize(("spark", "python"), pairs)


def _in_every_run(spark: str) -> tuple[str, ...]:
    """Where none of the chosen Pythons is here, the newest that is."""
    chosen = IN_EVERY_RUN[spark]
    here = _here(spark)
    return chosen if not chosen or set(chosen) & set(here) else tuple(here[-1:])


def _here(spark: str) -> list[str]:
    return [python for python in SPARKS[spark] if _is_here(python)]


@pytest.mark.parametrize("spark", SPARKS)
def test_a_pair_of_each_spark_can_run_here(spark: str) -> None:
    if not _here(spark):
        cannot_run(
            f"no pair of Spark {spark}: this machine has no Python {' or '.join(SPARKS[spark])}"
        )


def _is_here(python: str) -> bool:
    try:
        find_interpreter(python)
    except NoInterpreterError:
        return False
    return True


def test_the_snippet_works(spark: str, python: str, spark_python: SparkPython) -> None:
    try:
        venv = venv_for(python, spark)
    except NoInterpreterError as reason:
        pytest.skip(
            str(reason)
        )  # not cannot_run: a machine need not have four Pythons, only one that each Spark runs on
    told = spark_python.checked(
        "snippet.py", "local-cluster[2,1,1024]", python=venv / "bin" / "python"
    ).result
    (answers,) = told["rounds"]
    assert len({answer["folder"] for answer in answers["rdd"]}) == 2
    assert all(answer["inside"] for answer in answers["rdd"]), answers
    assert all(answer["pyspark_inside"] for answer in answers["rdd"]), "not of pyspark.zip"
    assert answers["udf"] == ["2004-06/2006-08 2004"]
    assert told["ok"], told["report"]


@pytest.mark.turn(0)
def test_functions_made_before_follow_what_the_session_has(
    spark_python: SparkPython, tmp_path: Path
) -> None:
    """On the oldest Spark, with the oldest Python that is here."""
    spark = next(iter(SPARKS))
    if not (here := _here(spark)):
        pytest.skip(f"no Python for Spark {spark} on this machine")
    venv = venv_for(here[0], spark)
    crowd_wheels.write(tmp_path / "wheels")
    words = ("local-cluster[2,1,1024]", tmp_path / "wheels", "few")
    run = spark_python.checked("generations.py", *words, python=venv / "bin" / "python")
    check_all(run.result)
