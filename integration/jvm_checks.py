"""What programs of the JVM must tell of the functions in `jvm_lane.py`, on each Spark."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from integration.jvm_lane import Door, shipped, told

Completed = subprocess.CompletedProcess[str]

SQL = {
    "tokens": "SELECT 'TOLD tokens', tokenize('hi boo')[0];",
    "word": "SELECT 'TOLD word', * FROM words('a');",
    "pandas": "SELECT 'TOLD pandas', longer(1);",
    "planned": "SELECT 'TOLD planned', * FROM planned('shout');",
    "isolation": "SET spark.sql.artifact.isolation.enabled;",
    "broken": "SELECT broken('these words');",
}
"""The last one fails, and ends what runs them."""
_ROWS = {
    "word": ("TOLD word", "a", "1"),
    "pandas": ("TOLD pandas", "1.5"),
    "planned": ("TOLD planned", "SHOUT"),
    "isolation": ("spark.sql.artifact.isolation.enabled", "false"),
}
SCALA = """
import org.apache.spark.ml.{Pipeline, PipelineModel}
val documents = spark.sql("SELECT * FROM VALUES ('hi boo'), ('boo') AS t(text)")
def tell(what: String, data: org.apache.spark.sql.DataFrame) =
  data.selectExpr("tokens[0]").collect().foreach(row => println(s"TOLD $what ${row.mkString}"))
tell("alone", new com.example.SpacyTokenizePython().transform(documents))
tell("another", spark.newSession().sql("SELECT tokenize('hi') AS tokens"))
"""
SAVED = """
val model = new Pipeline().setStages(Array(new com.example.SpacyTokenizePython())).fit(documents)
model.write.overwrite().save("saved")
tell("pipeline", PipelineModel.load("saved").transform(documents))
"""
_SERVER = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"
_UP = 120.0
"""Seconds until a Thrift server takes connections."""


def check_jar(ended: Completed, arguments: str) -> None:
    """Of the application that ends with an exit code of its own."""
    assert ended.returncode == 7, ended.stderr[-3000:]
    said = told(ended.stdout)
    assert said["arguments"] == [arguments]
    assert said["table"] == ["a | 1", "bcd | 3"]
    assert said["pandas"] == ["0.5", "1.5"]
    assert len(said["call_udf"]) == len(said["alone"]) == len(said["pipeline"]) == 2
    assert all(map(shipped, [*said["call_udf"], *said["alone"], *said["pipeline"]])), said
    assert said["error"] == ["true"], "the text of Python's exception"
    assert "Traceback" not in ended.stdout


def check_spark_sql(door: Door, conf: Path, env: Mapping[str, str], *names: str) -> None:
    """Each of these queries, and the one that fails at the end."""
    queries = " ".join(SQL[name] for name in ("tokens", *names, "broken"))
    words = ("--properties-file", conf, "-e", queries)
    ended = door.run(door.program("spark-sql"), *words, env=env)
    rows = [tuple(line.split("\t")) for line in ended.stdout.splitlines() if "\t" in line]
    assert rows, ended.stderr[-4000:]
    assert rows[0][0] == "TOLD tokens"
    assert shipped(rows[0][1])
    assert rows[1:] == [_ROWS[name] for name in names], ended.stderr[-4000:]
    assert ended.returncode == 1
    assert "ValueError: no such word: these words" in ended.stderr


def check_spark_shell(
    door: Door, conf: Path, env: Mapping[str, str], snippet: Path, *, saves: bool
) -> None:
    """The guide's Transformer, in a pipeline too where executors write to where it is read."""
    typed = f":paste -raw {snippet}\n{SCALA}{SAVED if saves else ''}:quit\n"
    words = ("--properties-file", conf)
    ended = door.run(door.program("spark-shell"), *words, typed=typed, env=env)
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = told(ended.stdout)
    found = {what: len(lines) for what, lines in said.items()}
    assert found == {"alone": 2, "another": 1} | ({"pipeline": 2} if saves else {}), ended.stderr
    assert all(shipped(line) for lines in said.values() for line in lines), said


def check_thrift_server(door: Door, conf: Path, env: Mapping[str, str]) -> None:
    """As a BI tool does: by JDBC, in a session of the server's own."""
    queries = [word for name in ("tokens", "word") for word in ("-e", SQL[name])]
    with _thrift_server(door, conf, env) as url:
        words = ("--silent=true", "--showHeader=false", "--outputformat=tsv2", *queries)
        ended = door.run(door.program("beeline"), "-u", url, "-n", "bi", *words, env=env)
        broken = door.run(
            door.program("beeline"), "-u", url, "-n", "bi", "-e", SQL["broken"], env=env
        )
    rows = [line.split("\t") for line in ended.stdout.splitlines() if line.startswith("TOLD")]
    assert len(rows) == 2, ended.stdout + ended.stderr[-3000:]
    assert shipped(rows[0][1])
    assert rows[1] == ["TOLD word", "a", "1"]
    assert "no such word: these words" in broken.stdout + broken.stderr


@contextmanager
def _thrift_server(door: Door, conf: Path, env: Mapping[str, str]) -> Iterator[str]:
    """Its URL. pip's pyspark has no sbin/start-thriftserver.sh, which does the same."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ("--class", _SERVER, "--properties-file", conf, "spark-internal")
    place = (f"hive.server2.thrift.port={port}", "hive.server2.thrift.bind.host=127.0.0.1")
    words = [*server, *(word for each in place for word in ("--hiveconf", each))]
    log = door.folder / "thrift.log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            list(map(str, [door.program("spark-submit"), *words])),
            cwd=door.folder,
            env=door.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        ) as process,
    ):
        try:
            end = time.monotonic() + _UP
            while not _answers(port) and process.poll() is None and time.monotonic() < end:
                time.sleep(0.3)
            assert _answers(port), log.read_text("utf-8", "replace")[-4000:]
            yield f"jdbc:hive2://127.0.0.1:{port}/"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
