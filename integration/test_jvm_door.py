"""Python functions in programs of the JVM: an application's jar, spark-sql and spark-shell, on
executors that are processes of their own and on nodes that have no Python.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from integration import jar as extension
from integration.conftest import Lane
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
    shipped,
    told,
    transformer,
    without_python,
    write_code,
)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("application"))


@pytest.fixture
def door(store: Path, tmp_path: Path) -> Door:
    """In a folder with the code."""
    write_code(tmp_path)
    return Door(tmp_path, store)


# an application's jar


def test_a_jar_calls_functions_and_ends_with_its_own_exit_code(
    door: Door, application: Path, tmp_path: Path
) -> None:
    main = ("--class", "com.example.Main", application, "exit", tmp_path / "saved", "b c")
    ended = door.boat("launch", *ASKED, *PANDAS, "--master", CLUSTER, *QUIET, *main)
    check_jar(ended, f"exit | {tmp_path}/saved | b c")


@pytest.mark.turn(0)
def test_what_comes_out_of_main_is_shown_as_a_jvm_shows_it(door: Door, application: Path) -> None:
    words = ("--master", "local[1]", *QUIET, "--class", "com.example.Main", application, "raise")
    ended = door.boat("launch", *ASKED, *words)
    assert ended.returncode == 1, ended.stderr[-3000:]
    text = 'Exception in thread "main" java.lang.IllegalStateException: out of main\n\tat com.ex'
    assert text in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "py4j" not in ended.stderr


@pytest.mark.turn(1)
def test_a_jar_runs_on_nodes_without_python(
    door: Door, application: Path, standalone: Lane
) -> None:
    main = ("--class", "com.example.Main", application, "plain")
    ended = door.boat("launch", *ASKED, "--master", standalone.master, *QUIET, *main)
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = told(ended.stdout)
    assert all(map(shipped, said["call_udf"])), said
    assert said["table"] == ["a | 1", "bcd | 3"]


# where Spark starts by itself


def test_spark_sql_calls_functions_where_no_python_is(
    door: Door, standalone: Lane, tmp_path: Path
) -> None:
    conf, alone = door.settings(standalone.master, *PLANNED), without_python(tmp_path / "programs")
    check_spark_sql(door, conf, alone, "word", "planned", "isolation")


@pytest.mark.parametrize("cluster", [CLUSTER, "spark://"])
def test_a_transformer_of_the_guide_names_a_function_in_and_out_of_a_pipeline(
    door: Door, request: pytest.FixtureRequest, tmp_path: Path, cluster: str
) -> None:
    here = cluster == CLUSTER  # what is saved is written by executors
    master = cluster if here else request.getfixturevalue("standalone").master
    conf, alone = door.settings(master), without_python(tmp_path / "programs")
    (tmp_path / "snippet.scala").write_text(transformer(), "utf-8")
    check_spark_shell(door, conf, alone, tmp_path / "snippet.scala", saves=here)


def test_sessions_of_a_thrift_server_have_functions(door: Door, tmp_path: Path) -> None:
    conf, alone = door.settings(CLUSTER), without_python(tmp_path / "programs")
    check_thrift_server(door, conf, alone)


# the jar that lies in the repository


def test_the_extension_is_what_its_source_gives(tmp_path: Path) -> None:
    if shutil.which("javac") is None:
        pytest.skip("no javac on PATH")  # not cannot_run: who changes the source needs one
    extension.write(tmp_path / "made.jar", extension.classes(extension.SOURCES), extension.SOURCES)
    with zipfile.ZipFile(tmp_path / "made.jar") as made, zipfile.ZipFile(extension.JAR) as kept:
        assert made.namelist() == kept.namelist()
        assert all(made.read(name) == kept.read(name) for name in made.namelist())
