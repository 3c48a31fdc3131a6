"""Python functions in programs of the JVM: an application's jar, spark-sql and spark-shell, on
executors that are processes of their own and on nodes that have no Python.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from integration import jar as extension
from integration.beds import _java
from integration.conftest import Lane
from integration.jvm_lane import ASKED, PANDAS, compiled, shipped, told, write_code
from integration.running import plain_environment

CLUSTER = "local-cluster[1,1,1024]"
QUIET = ["--conf", "spark.ui.enabled=false"]
TOOLS = "awk basename bash cat chmod cut dirname env expr grep gzip head hostname id ls mkdir nice"
TOOLS += " ps readlink rm sed sh stty tar tr tput uname which"
"""What Spark's scripts and Hadoop's run; no Python."""
SCALA = """
import org.apache.spark.ml.{Pipeline, PipelineModel}
val documents = spark.sql("SELECT * FROM VALUES ('hi boo'), ('boo') AS t(text)")
def tell(what: String, data: org.apache.spark.sql.DataFrame) =
  data.selectExpr("tokens[0]").collect().foreach(row => println(s"TOLD $what ${row.mkString}"))
tell("alone", new com.example.SpacyTokenizePython().transform(documents))
"""
SAVED = """
val model = new Pipeline().setStages(Array(new com.example.SpacyTokenizePython())).fit(documents)
model.write.overwrite().save("saved")
tell("pipeline", PipelineModel.load("saved").transform(documents))
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("application"))


@pytest.fixture
def run(store: Path, tmp_path: Path) -> Run:
    """Runs a program in a folder with the code, with nothing of Spark in the environment."""
    write_code(tmp_path)

    def runner(
        *argv: object, typed: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(map(str, argv)),
            cwd=tmp_path,
            env={**plain_environment(Path(sys.executable), store), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            input=typed,
        )

    return runner


@pytest.fixture
def boat(run: Run) -> Run:
    """Runs `boat`."""
    return lambda *words: run(sys.executable, "-m", "coffee_boat.cli", *words)


@pytest.fixture
def without_python(tmp_path: Path) -> dict[str, str]:
    """Variables of a shell that has no Python."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in TOOLS.split():
        found = shutil.which(name)
        if found is not None:
            (folder / name).symlink_to(found)
    return {"PATH": str(folder), "JAVA_HOME": str(_java.home())}


# an application's jar


def test_a_jar_calls_functions_and_ends_with_its_own_exit_code(
    boat: Run, application: Path, tmp_path: Path
) -> None:
    main = ("--class", "com.example.Main", application, "exit", tmp_path / "saved", "b c")
    ended = boat("launch", *ASKED, *PANDAS, "--master", CLUSTER, *QUIET, *main)
    assert ended.returncode == 7, ended.stderr[-3000:]
    said = told(ended.stdout)
    assert said["arguments"] == [f"exit | {tmp_path}/saved | b c"]
    assert said["table"] == ["a | 1", "bcd | 3"]
    assert said["pandas"] == ["0.5", "1.5"]
    assert len(said["call_udf"]) == len(said["alone"]) == len(said["pipeline"]) == 2
    assert all(map(shipped, [*said["call_udf"], *said["alone"], *said["pipeline"]])), said
    assert said["error"] == ["true"], "the text of Python's exception"
    assert "Traceback" not in ended.stdout


def test_what_comes_out_of_main_is_shown_as_a_jvm_shows_it(boat: Run, application: Path) -> None:
    words = ("--master", "local[1]", *QUIET, "--class", "com.example.Main", application, "raise")
    ended = boat("launch", *ASKED, *words)
    assert ended.returncode == 1, ended.stderr[-3000:]
    text = 'Exception in thread "main" java.lang.IllegalStateException: out of main\n\tat com.ex'
    assert text in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "py4j" not in ended.stderr


def test_a_jar_runs_on_nodes_without_python(boat: Run, application: Path, standalone: Lane) -> None:
    main = ("--class", "com.example.Main", application, "plain")
    ended = boat("launch", *ASKED, "--master", standalone.master, *QUIET, *main)
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = told(ended.stdout)
    assert all(map(shipped, said["call_udf"])), said
    assert said["table"] == ["a | 1", "bcd | 3"]


# where Spark starts by itself


def settings(boat: Run, master: str, folder: Path) -> Path:
    planned = ("--function", "planned=mypkg.text:Planned")
    words = ("--driver", "jvm", "--master", master, *QUIET, "--format", "properties")
    ended = boat("conf", *ASKED, *planned, *words)
    assert ended.returncode == 0, ended.stderr[-3000:]
    (folder / "jvm.conf").write_text(ended.stdout + "spark.ui.enabled=false\n", "utf-8")
    return folder / "jvm.conf"


def program(name: str) -> Path:
    """One of the pyspark that is installed."""
    import pyspark

    return Path(pyspark.__file__).parent / "bin" / name


def test_spark_sql_calls_functions_where_no_python_is(
    boat: Run, run: Run, standalone: Lane, without_python: dict[str, str], tmp_path: Path
) -> None:
    conf = settings(boat, standalone.master, tmp_path)
    queries = "SELECT 'TOLD tokens', tokenize('hi boo')[0]; SELECT 'TOLD word', * FROM words('a');"
    queries += " SELECT 'TOLD planned', * FROM planned('shout');"
    ended = run(program("spark-sql"), "--properties-file", conf, "-e", queries, **without_python)
    said = {
        line.split("\t")[0]: line.split("\t")[1:]
        for line in ended.stdout.splitlines()
        if line.startswith("TOLD")
    }
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert shipped(said.pop("TOLD tokens")[0])
    assert said == {"TOLD word": ["a", "1"], "TOLD planned": ["SHOUT"]}


@pytest.mark.parametrize("cluster", [CLUSTER, "spark://"])
def test_a_transformer_of_the_guide_names_a_function_in_and_out_of_a_pipeline(
    boat: Run,
    run: Run,
    request: pytest.FixtureRequest,
    without_python: dict[str, str],
    tmp_path: Path,
    cluster: str,
) -> None:
    here = cluster == CLUSTER  # what is saved is written by executors
    master = cluster if here else request.getfixturevalue("standalone").master
    conf = settings(boat, master, tmp_path)
    (tmp_path / "snippet.scala").write_text(snippet(), "utf-8")
    typed = f":paste -raw {tmp_path}/snippet.scala\n{SCALA}{SAVED if here else ''}:quit\n"
    ended = run(program("spark-shell"), "--properties-file", conf, typed=typed, **without_python)
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = told(ended.stdout)
    assert all(map(shipped, said["alone"])), said
    assert len(said["alone"]) == 2
    assert len(said.get("pipeline", [])) == (2 if here else 0)
    assert all(map(shipped, said.get("pipeline", []))), said


def snippet() -> str:
    """The class of the guide, as a file of Scala."""
    guide = Path(__file__).parent.parent / "docs" / "guides" / "jvm.md"
    found = re.search(r"```scala\n(class SpacyTokenizePython.*?)```", guide.read_text(), re.DOTALL)
    assert found is not None
    return f"""package com.example
import org.apache.spark.ml.Transformer
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.{{DefaultParamsReadable, DefaultParamsWritable, Identifiable}}
import org.apache.spark.sql.{{DataFrame, Dataset}}
import org.apache.spark.sql.functions.{{call_udf, col}}
import org.apache.spark.sql.types.{{ArrayType, StringType, StructType}}
{found[1]}"""


# the jar that lies in the repository


def test_the_extension_is_what_its_source_gives(tmp_path: Path) -> None:
    if shutil.which("javac") is None:
        pytest.skip("no javac on PATH")  # not cannot_run: who changes the source needs one
    extension.write(tmp_path / "made.jar", extension.classes(extension.SOURCE), extension.SOURCE)
    with zipfile.ZipFile(tmp_path / "made.jar") as made, zipfile.ZipFile(extension.JAR) as kept:
        assert made.namelist() == kept.namelist()
        assert all(made.read(name) == kept.read(name) for name in made.namelist())
