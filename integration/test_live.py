"""Sessions that run already, with real Spark: taken over, continued by another process, preloaded,
and added to under the nodes' own Python.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from integration.running import SparkPython

CLUSTER = "local-cluster[2,1,1024]"
turn = pytest.mark.turn
SLOW = 480.0
"""Seconds; each of these starts several kinds of Python workers."""


@pytest.mark.parametrize("master", [CLUSTER, pytest.param("local[2]", marks=turn(0))])
@pytest.mark.usefixtures("own_java")
def test_a_session_that_was_started_without_us_gets_the_environment(
    spark_python: SparkPython, master: str
) -> None:
    ended = spark_python.checked("boarding.py", "foreign", master, timeout=SLOW)
    told = ended.result
    assert not any(answer["shipped"] for answer in (*told["rdd before"], told["sql before"]))
    assert told["old rdd"] == told["rdd before"], "an RDD that was acted on keeps its interpreter"
    for answer in (*told["new rdd"], told["old udf"]):
        assert answer["shipped"]
        assert "edtf" in answer["found"]
    assert told["arrival"]
    for answer in (*told["hot"], told["new session"]):
        assert answer["shipped"]
        assert {"edtf", "iniconfig"} <= set(answer["found"])
    before, after = told["by name"]
    assert before == after | {"pid": before["pid"]}
    assert after["shipped"], "SQL finds functions that were asked for before and after"
    assert told["verified"], told["report"]
    assert {"edtf", "iniconfig"} <= set(told["aboard"]), (
        "the second captain knows what the first one brought"
    )
    for finding in (
        "what ran before keeps its interpreter",
        "cached data stays as it was computed: 1",
        "running streams keep their interpreter and their packages: ticks",
    ):
        assert ended.stderr.count(finding) == 1


@turn(2)
def test_one_of_ours_goes_on_in_a_second_captain_and_in_another_process(
    spark_python: SparkPython,
) -> None:
    ended = spark_python.checked("boarding.py", "ours", CLUSTER, timeout=SLOW)
    told = ended.result
    assert told["before"] == [{"found": ["edtf"], "shipped": True, "pid": 0, "preloaded": True}]
    (second,) = told["second"]
    assert second == {
        "found": ["edtf", "iniconfig", "roman"],
        "shipped": True,
        "pid": 0,
        "preloaded": True,
    }
    check_functions(told["by name"])
    assert "error: executors do not have the module of a function: helpers, of spelt" in (
        ended.stderr
    )
    attached = told["attached"]
    assert attached["mapped"] == [second]
    assert attached["aboard"] == told["aboard"]
    assert {"edtf", "iniconfig", "roman"} <= set(attached["aboard"])
    assert attached["nothing new"] == []
    assert attached["verified"], attached["report"]
    assert sorted(told["conf"]) == [
        "spark.coffee_boat.lock",
        "spark.coffee_boat.python",
        "spark.coffee_boat.ship_python",
    ]
    assert "a module to preload is not installed: no_such_module" in ended.stderr


def check_functions(told: Any) -> None:
    """Of a session of SQL, by names, while it runs and what it has changes."""
    before, after = told["asked before"], told["removed"]
    assert (before["found"], after["found"]) == (["edtf", "iniconfig"], ["edtf"])
    assert before["shipped"]
    assert after["shipped"]
    assert told["module"] == [["b"]]
    assert told["table"] == [["a", 1], ["bcd", 3]]
    missing, not_sent, typed = told["refused"]
    assert missing[::2] == ["functions.function-missing", "perhaps gather"]
    assert not_sent[:2] == ["functions.module-not-sent", "mypkg, of misspelt=mypkg:f"]
    assert typed[:2] == ["functions.refused-by-spark", "misspelt -> arra<int>"]
    assert not told["unknown"], "what is refused is not there"
    assert told["edited"] == [["edited"]]


def test_packages_are_added_under_the_nodes_own_python(spark_python: SparkPython) -> None:
    minor = "python{}.{}".format(*sys.version_info[:2])
    distributions_own = {"PATH": "/usr/bin:/bin"} if Path("/usr/bin", minor).exists() else {}
    ended = spark_python.checked(
        "boarding.py", "nodes_python", CLUSTER, env=distributions_own, timeout=SLOW
    )
    told = ended.result
    note = "note: a function is there once there is a SparkSession: waits=told_in_sql"
    assert note in ended.stderr
    assert {"edtf", "iniconfig"} <= set(told["by name"]["found"])
    assert not any(answer["shipped"] for answer in (*told["before"], *told["after"]))
    assert all(answer["found"] == ["edtf"] and answer["preloaded"] for answer in told["before"])
    assert all({"edtf", "iniconfig"} <= set(answer["found"]) for answer in told["after"])
    assert told["same workers"]
    assert told["arrival"]
    assert told["verified"], told["report"]
