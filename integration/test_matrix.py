"""Each supported pair of Python and Spark: the snippet and the Report, on executors that are processes of their own."""

from __future__ import annotations

import pytest

from integration.running import SparkPython
from integration.venvs import SPARKS, NoInterpreterError, venv_for


@pytest.mark.parametrize(("spark", "python"), [(spark, python) for spark, pythons in SPARKS.items() for python in pythons])
def test_the_snippet_works(spark: str, python: str, spark_python: SparkPython) -> None:
    try:
        venv = venv_for(python, spark)
    except NoInterpreterError as reason:
        pytest.skip(str(reason))  # not cannot_run: a machine need not have four Pythons
    told = spark_python.checked("snippet.py", "local-cluster[2,1,1024]", python=venv / "bin" / "python").result
    (answers,) = told["rounds"]
    assert len({answer["folder"] for answer in answers["rdd"]}) == 2
    assert all(answer["inside"] for answer in answers["rdd"]), answers
    assert answers["udf"] == ["2004-06/2006-08 2004"]
    assert told["ok"], told["report"]
