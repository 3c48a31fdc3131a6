"""Python functions in programs of the JVM on the other Sparks, one of them with another Scala: a
jar and spark-sql in every run; with --every-pair also spark-shell and the Thrift server.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lanes import cannot_run

from integration.jvm_checks import (
    check_jar,
    check_spark_shell,
    check_spark_sql,
    check_thrift_server,
)
from integration.jvm_lane import (
    ASKED,
    CLUSTER,
    PANDAS,
    PLANNED,
    QUIET,
    Door,
    compiled,
    transformer,
    without_python,
    write_code,
)
from integration.venvs import SPARKS, NoInterpreterError, newest_for


@pytest.fixture(
    params=[  # test_jvm_door.py is about the newest
        pytest.param(spark, marks=pytest.mark.turn(place))
        for place, spark in enumerate(tuple(SPARKS)[:-1], 1)
    ]
)
def spark(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def door(spark: str, store: Path, tmp_path: Path) -> Door:
    """In a folder with the code."""
    try:
        python = newest_for(spark)
    except NoInterpreterError as reason:
        cannot_run(f"Spark {spark}: {reason}")
    write_code(tmp_path)
    return Door(tmp_path, store, python)


@pytest.fixture
def every(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--every-pair"):
        pytest.skip("make test-matrix runs it")  # not cannot_run: nothing is missing here


def test_a_jar_and_spark_sql_call_functions(door: Door, spark: str, tmp_path: Path) -> None:
    jar = compiled(tmp_path, door.python)
    main = ("--class", "com.example.Main", jar, "exit", tmp_path / "saved", "b c")
    ended = door.boat("launch", *ASKED, *PANDAS, "--master", CLUSTER, *QUIET, *main)
    check_jar(ended, f"exit | {tmp_path}/saved | b c")

    names, more = ["word", "pandas", "isolation"], PANDAS
    if not spark.startswith("3."):
        names, more = [*names, "planned"], [*PANDAS, *PLANNED]
    conf = door.settings(CLUSTER, *more)
    check_spark_sql(door, conf, without_python(tmp_path / "programs"), *names)


@pytest.mark.usefixtures("every")
def test_a_transformer_of_the_guide_in_spark_shell(door: Door, tmp_path: Path) -> None:
    conf, alone = door.settings(CLUSTER), without_python(tmp_path / "programs")
    (tmp_path / "snippet.scala").write_text(transformer(), "utf-8")
    check_spark_shell(door, conf, alone, tmp_path / "snippet.scala", saves=True)


@pytest.mark.usefixtures("every")
def test_sessions_of_a_thrift_server_have_functions(door: Door, tmp_path: Path) -> None:
    conf, alone = door.settings(CLUSTER), without_python(tmp_path / "programs")
    check_thrift_server(door, conf, alone)
