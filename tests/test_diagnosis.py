"""`boat check --json`: a report that tells enough elsewhere, and no secret."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pages import DOCS, blocks

from coffee_boat._support.redact import redact_setting
from coffee_boat._support.store import Store
from coffee_boat.cli import diagnosis
from coffee_boat.cli.main import boat
from coffee_boat.model import NodeFacts
from coffee_boat.session import nodes

S = "hunter2-S3cr3t"
FREE = {"settings", "environment", "packages", "keys", "conf"}
"""What has keys of the user's machine, or of a list that is shortened in the docs."""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / "conf"))
    for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR", "JAVA_HOME", "SPARK_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "conf").mkdir()


def report(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(boat, ["check", *words, "--json"], prog_name="boat")
    made: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (0 if made["ok"] else 1)
    return made


def keys(value: Any, below: str = "") -> set[str]:
    """Of all objects in a JSON value: "versions.glibc"."""
    if isinstance(value, list):
        return set[str]().union(*(keys(one, below) for one in value))
    if not isinstance(value, dict) or below.rpartition(".")[2] in FREE:
        return set()
    here = {f"{below}.{key}".lstrip(".") for key in value}
    return here.union(*(keys(one, f"{below}.{key}".lstrip(".")) for key, one in value.items()))


def test_it_has_the_keys_that_the_docs_say(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    [shown] = blocks(DOCS / "guides" / "troubleshooting.md", "json")
    (tmp_path / "conf/spark-defaults.conf").write_text("spark.executor.memory 100m\n", "utf-8")
    master = "spark://127.0.0.1:1"
    nodes.remember(Store(tmp_path / "store"), master, [NodeFacts("worker-1", "x86_64", (2, 28))])
    made = report("--master", master)
    assert made["schema"] == diagnosis.SCHEMA
    assert keys(made) == keys(json.loads(shown))
    assert set(json.loads(shown)["settings"]) <= set(made["settings"])
    assert json.loads(shown)["schema"] == diagnosis.SCHEMA


def test_a_cluster_that_cannot_serve_is_told_with_what_is_known_of_it(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    master = "spark://127.0.0.1:1"
    nodes.remember(Store(tmp_path / "store"), master, [NodeFacts("worker-1", "x86_64", (2, 28))])
    made = report("--master", master, "--conf", "spark.executor.memory=100m")
    [failed] = [row for row in made["checks"] if row["status"] == "failed"]
    assert (failed["name"], failed["code"]) == ("cluster", "launch.memory-too-small")
    assert failed["value"]
    assert failed["cause"]
    assert "spark.executor.memory=512m" in failed["cure"]
    cluster = made["cluster"]
    assert (cluster["kind"], cluster["answered"], cluster["nodes"]) == ("standalone", False, [])
    assert cluster["conf"] == {"spark.executor.memory": "100m"}
    assert made["known_nodes"] == [{"host": "worker-1", "architecture": "x86_64", "glibc": "2.28"}]


def test_settings_are_told_with_where_each_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.coffee_boat]\nplatform = "linux_x86_64"\n')
    monkeypatch.setenv("PIP_INDEX_URL", f"https://me:{S}@pypi.corp/simple")
    told = report("--offline", "--extra-index-url", f"https://me:{S}@other/simple")["settings"]
    assert told["store"] == {"value": str(tmp_path / "store"), "from": "COFFEE_BOAT_STORE"}
    assert told["platform"]["from"] == f"{tmp_path}/pyproject.toml: [tool.coffee_boat]: platform"
    assert told["offline"] == {"value": True, "from": "argument: offline"}
    assert told["index_url"] == {"value": "https://***@pypi.corp/simple", "from": "PIP_INDEX_URL"}
    assert told["ship_python"] == {"value": True, "from": "default"}


def test_sparks_files_are_told_with_their_keys(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    assert report()["spark_files"] == []
    (tmp_path / "conf/spark-defaults.conf").write_text(
        f"spark.master local[2]\nspark.hadoop.fs.s3a.secret.key {S}\n"
        f"spark.executor.extraJavaOptions -Dpassword={S} -Xss4m\n"
    )
    (tmp_path / "conf/spark-env.sh").write_text(
        f"# export COMMENT=1\nexport JAVA_HOME='/opt/jdk'\nAWS_SECRET_ACCESS_KEY={S}\n"
        f'export SPARK_DAEMON_JAVA_OPTS="-Dspark.ssl.keyPassword={S}"\n'
    )
    defaults, script = report()["spark_files"]
    assert defaults["file"] == str(tmp_path / "conf/spark-defaults.conf")
    assert defaults["keys"]["spark.master"] == "local[2]"
    assert defaults["keys"]["spark.hadoop.fs.s3a.secret.key"] == "***"
    assert script["file"] == str(tmp_path / "conf/spark-env.sh")
    assert set(script["keys"]) == {"JAVA_HOME", "AWS_SECRET_ACCESS_KEY", "SPARK_DAEMON_JAVA_OPTS"}
    assert script["keys"]["JAVA_HOME"] == "/opt/jdk"


def test_files_that_spark_reads_besides_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    hadoop = tmp_path / "hadoop"
    hadoop.mkdir()
    monkeypatch.setenv("HADOOP_CONF_DIR", str(hadoop))
    for path in ("conf/hive-site.xml", "conf/log4j2.properties.template", "hadoop/core-site.xml"):
        (tmp_path / path).write_text(f"<value>{S}</value>")
    assert report()["spark_files"] == [
        {"file": str(tmp_path / "conf/hive-site.xml"), "keys": None},
        {"file": str(hadoop / "core-site.xml"), "keys": None},
    ]


def test_settings_that_cannot_be_read_are_a_check_of_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_TIMEOUT", "soon")
    made = report("--master", "local[2]")
    [failed] = [row for row in made["checks"] if row["status"] == "failed"]
    assert (failed["name"], failed["value"]) == ("settings", "COFFEE_BOAT_TIMEOUT = 'soon'")
    assert failed["code"].startswith("settings.")
    assert made["environment"]["COFFEE_BOAT_TIMEOUT"] == "soon"
    assert (made["settings"], made["store"], made["cluster"]) == ({}, None, None)
    assert {"python", "resolver"} <= {row["name"] for row in made["checks"]}


def test_the_java_that_is_told_is_the_one_that_spark_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JAVA_HOME is stronger than PATH."""
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    for place, version in (("path", "17"), ("home/bin", "21")):
        java = tmp_path / place / "java"
        java.parent.mkdir(parents=True)
        java.write_text(f"#!/bin/sh\necho 'openjdk version {version}' >&2\n")
        java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"), prepend=os.pathsep)
    assert report()["versions"]["java"] == f"openjdk version 17, {tmp_path}/path/java, on PATH"
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    told = f"openjdk version 21, {tmp_path}/home/bin/java, by JAVA_HOME"
    assert report()["versions"]["java"] == told


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": S,
    "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=x;Value={S}",
    "GOOGLE_APPLICATION_CREDENTIALS": f"/keys/{S}",
    "PIP_INDEX_URL": f"https://me:{S}@pypi.corp/simple",
    "UV_INDEX_CORP_USERNAME": S,
    "UV_INDEX_CORP_PASSWORD": S,
    "HTTPS_PROXY": f"http://me:{S}@proxy:3128",
    "https_proxy": f"http://me:{S}@proxy:3128",
    "COFFEE_BOAT_INDEX_URL": f"https://pypi.corp/simple?token={S}",
    "PYSPARK_SUBMIT_ARGS": f"--conf spark.ssl.keyPassword={S} pyspark-shell",
    "SPARK_AUTH_SECRET": S,
    "HADOOP_OPTS": f"-Djavax.net.ssl.trustStorePassword={S}",
    "CONDA_TOKEN": S,
    "UV_INDEX": f"https://host/t/{S}/simple",
}


def test_no_secret_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "conf/spark-defaults.conf").write_text(
        f"spark.hadoop.fs.s3a.access.key {S}\nspark.hadoop.fs.azure.account.key.x {S}\n"
        f"spark.jars.repositories https://me:{S}@repo/maven\n"
    )
    words = ["check", "--json", "--master", "local[2]", "--conf", f"spark.authenticate.secret={S}"]
    done = CliRunner().invoke(boat, words, prog_name="boat")
    assert S not in done.output
    told = json.loads(done.stdout)["environment"]
    assert set(SECRETS) <= set(told)
    assert told["AWS_SECRET_ACCESS_KEY"] == "***"
    assert told["HTTPS_PROXY"] == "http://***@proxy:3128"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SPARK_HOME", True),
        ("JAVA_HOME", True),
        ("PYTHONPATH", True),
        ("HADOOP_CONF_DIR", True),
        ("KUBECONFIG", True),
        ("no_proxy", True),
        ("UV_KEYRING_PROVIDER", True),
        ("EDITOR", False),
        ("PIPELINE", False),
        ("MY_PASSWORD", False),
        ("PATHOLOGY", False),
    ],
)
def test_variables_that_matter_are_told(name: str, told: bool) -> None:
    assert diagnosis.variables({name: "value"}) == ({name: "value"} if told else {})


def test_the_store_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    before = report()["store"]
    store.remember("made", "for a test", [1, 2, 3])
    after = report()["store"]
    assert (before["folder"], after["folder"]) == (str(store.root), str(store.root))
    assert after["entries"] > before["entries"]
    assert after["size"] > before["size"]
    assert after["free"] > 0


def test_a_machine_without_spark_has_a_report_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    made = report("--master", "local[2]")
    assert (made["ok"], made["versions"]["spark_home"], made["cluster"]) == (False, None, None)
    assert {row["code"] for row in made["checks"] if row["name"] == "spark"} == {
        "launch.no-spark-submit"
    }
    assert made["versions"]["uv"].startswith("uv ")


def test_what_opens_doors_is_hidden_by_its_name_and_inside_of_options() -> None:
    said = {
        "spark.hadoop.fs.azure.sas.c.a.blob.core.windows.net": "sv=1&sig=hunter2",
        "DB_PWD": "hunter2",
        "SAS": "hunter2",
        "spark.driver.extraJavaOptions": "-Ddb.pwd=hunter2 -Dzookeeper.auth=hunter2 -Dx=1",
        "SPARK_MASTER": "spark://h:7077",
    }
    told = diagnosis._shown(said)
    assert "hunter2" not in str(told)
    assert told["SPARK_MASTER"] == "spark://h:7077"
    assert "-Dx=1" in told["spark.driver.extraJavaOptions"]
    assert redact_setting("spark.hadoop.fs.azure.sas.c.a", "hunter2") == "***"
