"""Functions that the driver's JVM starts Python for, and functions that pyspark sends as Arrow
data.
"""

from __future__ import annotations

import pytest

from integration.running import SparkPython

pyspark = pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
SPARK = tuple(map(int, pyspark.__version__.split(".")[:2]))


@pytest.mark.turn(1)
@pytest.mark.skipif(SPARK < (4, 0), reason="Spark 3.5 plans nothing in Python")
def test_what_the_driver_plans_runs_the_shipped_python_on_both_sides(
    spark_python: SparkPython,
) -> None:
    told = spark_python.checked("planning.py", "planning", "local-cluster[2,1,1024]").result
    root = told["root"]
    for name in ("table function", "data source", "table function of an addition"):
        planned, ran = told[name]
        assert planned.startswith(f"{root}/boat-"), name
        assert "/boat-" in ran, name
        assert not ran.startswith(root), name
    for name, ran in told["ran"].items():
        assert "/boat-" in ran, name
        assert not ran.startswith(root), name


@pytest.mark.turn(0)
@pytest.mark.skipif(SPARK < (4, 2), reason="Arrow is not the default before Spark 4.2")
def test_a_driver_with_arrow_and_a_ship_without_are_named_and_both_cures_work(
    spark_python: SparkPython,
) -> None:
    ended = spark_python.checked("planning.py", "arrow", "local-cluster[1,1,1024]")
    told = ended.result
    assert (
        "functions made by udf or udtf will fail on executors: pyarrow not installed"
        in ended.stderr
    )
    assert "No module named 'pyarrow'" in told["without"]
    assert all("/boat-" in ran for value in ("false", "true") for ran in told[value])
    assert "pandas" not in told["aboard"]
    assert told["eval type"] == 101, (
        "the second cure ran as Arrow: pyspark.util.PythonEvalType.SQL_ARROW_BATCHED_UDF"
    )
