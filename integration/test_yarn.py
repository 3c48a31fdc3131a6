"""A real YARN and HDFS, on nodes that have no Python and see nothing of the driver's files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lanes import cannot_run

from integration import conda_lane, crowd_wheels, jvm_lane
from integration.beds import _java, _namespaces
from integration.beds.yarn import hadoop
from integration.crowd_checks import check_all
from integration.running import DRIVERS, SparkPython, refusals
from integration.yarn_lane import OTHER_SPARKS, YarnLane, pythons, yarn_lane

pytestmark = pytest.mark.timeout(1200)  # on a machine that others use, too

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def yarn() -> Iterator[YarnLane]:
    with yarn_lane() as lane:
        yield lane


@pytest.fixture(scope="module")
def told(yarn: YarnLane, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One session in client mode: the snippet, then an addition; and what each of our nodes has
    localized since.
    """
    there = SparkPython(store=store, folder=tmp_path_factory.mktemp("yarn"))
    before = localized(yarn)
    told = there.checked(
        "cluster_client.py", "yarn", "plan", env=yarn.environment, timeout=1100
    ).result
    return {
        **told,
        "localized": {node: found - before[node] for node, found in localized(yarn).items()},
    }


def localized(yarn: YarnLane) -> Mapping[str, set[tuple[str, str]]]:
    """Inode and path of each archive that a NodeManager keeps unpacked, by node; empty for a
    cluster that is not ours.
    """
    nodes = yarn.cluster.node_managers if yarn.cluster else ()
    return {
        node.name: set(
            _found(
                yarn.on_node(
                    node,
                    "find",
                    f"{node.home}/local",
                    "-name",
                    "boat.json",
                    "-path",
                    "*/filecache/*",
                    "-printf",
                    "%i %h\\n",
                )
            )
        )
        for node in nodes
    }


def _found(said: str) -> Iterator[tuple[str, str]]:
    """Lines of `find`, without what it says of folders that went meanwhile."""
    for line in said.splitlines():
        inode, _, folder = line.partition(" ")
        if inode.isdigit():
            yield inode, folder


# the nodes are foreign


@pytest.mark.parametrize(
    "path",
    [
        sys.executable,
        str(CHECKOUT),
        str(Path.home() / ".cache"),
        "/usr/bin/python3",
        "/usr/lib/python3",
    ],
)
def test_a_node_has_no_file_of_the_drivers(yarn: YarnLane, path: str) -> None:
    for node in yarn.ours.node_managers:
        assert "No such file" in yarn.on_node(node, "ls", "-d", path)


def test_a_node_has_a_network_of_its_own(yarn: YarnLane) -> None:
    one, other = yarn.ours.node_managers
    assert one.address in (addresses := yarn.on_node(one, "cat", "/proc/net/fib_trie"))
    assert other.address not in addresses


# client mode


def test_both_packages_work_on_both_nodes(told: Any) -> None:
    assert len({answer["host"] for answer in told["before"]}) == 2
    assert {(answer["sum"], answer["edtf"]) for answer in told["before"]} == {(42, "1984-06?")}
    assert told["udf"] == "2004-06/2006-08 2004"
    assert told["ok"], told["report"]


def test_nodes_run_the_shipped_interpreter_and_have_no_other(yarn: YarnLane, told: Any) -> None:
    assert yarn.ours
    for answer in told["before"]:
        assert "/boat-" in answer["executable"]
        assert answer["pythons"] == []
        assert answer["user"] == _namespaces.UID


def test_the_application_unpacks_it_once_a_node(yarn: YarnLane, told: Any) -> None:
    unpacked = re.compile(r"/appcache/application_\d+_\d+/boat-unpacked/[^/]+/\w{32}/tree/")
    for node in yarn.ours.node_managers:
        ran = {answer["real"] for answer in told["before"] if answer["host"] == node.name}
        assert ran, "it ran there"
        assert all(unpacked.search(real) for real in ran), ran
        assert len(told["localized"][node.name]) == 1, "what starts it, for the application"


def test_an_addition_is_seen_by_functions_made_before(told: Any) -> None:
    assert {answer["added"] for answer in told["before"]} == {""}
    assert len({answer["host"] for answer in told["after"]}) == 2
    assert all("/boat-layer-" in answer["added"] for answer in told["after"])
    assert sorted(told["confirmed"]) == ["1", "2"]


@pytest.mark.turn(0)
def test_conda_packages_run_on_both_nodes_and_come_aboard(
    yarn: YarnLane, forge: str, store: Path, tmp_path: Path
) -> None:
    said = conda_lane.told(
        SparkPython(store=store, folder=tmp_path), "yarn", forge, hosts=2, env=yarn.environment
    )
    conda_lane.check_launch(said)
    conda_lane.check_layer(said)
    conda_lane.check_new_base(said)


def test_what_the_driver_plans_runs_on_the_driver_and_on_executors(told: Any, store: Path) -> None:
    planned, ran = told["planned"]
    assert planned.startswith(str(store)), "the store's copy"
    assert "/boat-" in ran
    assert not ran.startswith(str(store))


@pytest.mark.parametrize(
    "spark",
    [
        pytest.param(spark, marks=pytest.mark.turn(place))
        for place, spark in enumerate(OTHER_SPARKS, 1)
    ],
)
def test_other_sparks(yarn: YarnLane, spark_python: SparkPython, spark: str) -> None:
    python = pythons()[spark]
    if python is None:
        cannot_run(
            f"no Python {' or '.join(OTHER_SPARKS[spark])} for Spark {spark} on this machine"
        )
    told = spark_python.checked(
        "cluster_client.py", "yarn", python=python, env=yarn.environment_for(python), timeout=1100
    ).result
    assert len({answer["host"] for answer in told["before"]}) == 2
    assert all("/boat-layer-" in answer["added"] for answer in told["after"])
    assert told["ok"], told["report"]


def test_executors_that_come_later_have_base_and_additions_where_a_node_unpacks_once(
    yarn: YarnLane, spark_python: SparkPython
) -> None:
    env = {**yarn.environment, "COFFEE_BOAT_NODE_STORE": "on"}
    told = spark_python.checked("cluster_growing.py", "yarn", env=env, timeout=1100).result
    assert len(told["first"]) == 1
    assert len(told["executors"]) > 1, told["report"]
    assert all("/boat-layer-" in file for file in told["added"])
    assert all("/usercache/" in root and "/coffee_boat-node-" in root for root in told["roots"])
    assert not any("/appcache/" in root for root in told["roots"]), "an application's own folder"
    assert told["ok"], told["report"]


@pytest.mark.turn(1)
def test_functions_made_before_follow_what_the_session_has(
    yarn: YarnLane, spark_python: SparkPython, tmp_path: Path, kinds_of_functions: str
) -> None:
    crowd_wheels.write(tmp_path / "wheels")
    words = ("yarn", tmp_path / "wheels", kinds_of_functions)
    told = spark_python.checked("generations.py", *words, env=yarn.environment, timeout=1100).result
    check_all(told)


def test_a_second_application_uploads_and_localizes_nothing(
    yarn: YarnLane, spark_python: SparkPython
) -> None:
    stage = f"hdfs:///tmp/boats-{os.getpid()}"
    first, second = spark_python.checked(
        "cluster_staged.py", "yarn", stage, env=yarn.environment, timeout=1100
    ).result["applications"]
    assert first["id"] != second["id"]
    assert len(first["stage"]) == 1
    assert second["stage"] == first["stage"], "the same file, of the same time"
    assert second["archives"] == first["archives"]
    assert second["archives"].startswith("hdfs://")
    assert len(first["nodes"]) == 2
    assert second["nodes"] == first["nodes"], "the same folder, inode and time on each node"
    assert all("/usercache/" not in folder for folder, *_ in first["nodes"].values()), (
        "kept for every user"
    )


# cluster mode


def test_in_cluster_mode_the_drivers_python_is_the_shipped_one_and_its_end_is_told(
    yarn: YarnLane, store: Path, tmp_path: Path
) -> None:
    ended = boat(
        *(
            "launch",
            "--pip",
            "pyarrow",
            "--pip",
            "edtf",
            "--master",
            "yarn",
            "--deploy-mode",
            "cluster",
        ),
        *(
            "--conf",
            "spark.executor.memory=512m",
            "--conf",
            "spark.ui.enabled=false",
            "--conf",
            "spark.yarn.queue=harbour" if yarn.cluster else "spark.app.name=job",
        ),
        *(str(DRIVERS / "cluster_job.py"), "7"),
        folder=tmp_path,
        env={
            **yarn.environment,
            "COFFEE_BOAT_STORE": str(store),
            "PYSPARK_DRIVER_PYTHON": "/nowhere/python",
            "PYSPARK_PYTHON": "./nowhere/bin/python3",
        },
    )
    assert ended.returncode == 7, ended.stderr[-4000:]
    assert "ended with exit code 7" in ended.stderr
    assert "the last words of the driver" in ended.stderr
    said = ended.stderr.partition("RESULT ")[2].partition("\n")[0]
    assert '"driver": {"host": "node' in said or yarn.cluster is None
    assert said.count("/bin/python3") >= 3
    assert "/nowhere" not in said
    assert str(store) not in said


@pytest.mark.turn(2)
def test_in_cluster_mode_a_jar_calls_functions_and_its_exception_is_told(
    yarn: YarnLane, store: Path, tmp_path: Path
) -> None:
    jvm_lane.write_code(tmp_path)
    main = ("--class", "com.example.Main", str(jvm_lane.compiled(tmp_path)), "fail")
    quiet = ("--conf", "spark.executor.memory=512m", "--conf", "spark.ui.enabled=false")
    words = ("launch", *jvm_lane.ASKED, "--master", "yarn", "--deploy-mode", "cluster", *quiet)
    variables = {**yarn.environment, "COFFEE_BOAT_STORE": str(store)}
    ended = boat(*words, *main, folder=tmp_path, env=variables)
    assert ended.returncode == 1, ended.stderr[-4000:]
    assert "java.lang.IllegalStateException: at the end" in ended.stderr
    said = jvm_lane.told(ended.stderr)
    assert said["error"] == ["true"]
    assert all(map(jvm_lane.shipped, said["call_udf"])), said


def boat(*arguments: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SPARK_", "PYSPARK_", "HADOOP_"))
    }
    command = [str(Path(sys.executable).with_name("boat")), *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env={**kept, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=1100,
    )


# what cannot work is said at once


SETTINGS = {
    "spark.yarn.queue=nowhere": "YARN has no such queue",
    "spark.executor.memory=400m": "Spark needs more memory than it was given",
    "spark.executor.memory=900g": "an executor of this size fits nowhere in this YARN",
    "spark.hadoop.yarn.resourcemanager.address=127.0.0.1:9": (
        "YARN's ResourceManager cannot be reached"
    ),
    "spark.hadoop.fs.defaultFS=hdfs://127.0.0.1:9": "HDFS cannot be reached",
}


def test_settings_that_do_not_fit_and_no_configuration(
    yarn: YarnLane, spark_python: SparkPython
) -> None:
    attempts = [{"conf": dict([setting.split("=", 1)])} for setting in SETTINGS]
    told = refusals(
        spark_python,
        "yarn",
        *attempts,
        {"without": list(yarn.environment)},
        env=yarn.environment,
    )
    assert [each["what"] for each in told] == [
        *SETTINGS.values(),
        "YARN cannot be found: HADOOP_CONF_DIR is not set",
    ]
    assert all(each["seconds"] < 10 for each in told), told


def test_hdfs_in_safe_mode(yarn: YarnLane, spark_python: SparkPython) -> None:
    administer(yarn, "-safemode", "enter")
    try:
        error = refused(yarn.environment, spark_python, "HDFS is in safe mode and takes no files")
    finally:
        administer(yarn, "-safemode", "leave")
    assert "It was turned on manually" in error, "the cluster's own words"


def test_a_full_folder(yarn: YarnLane, spark_python: SparkPython) -> None:
    home = f"/user/{os.environ.get('USER', 'root')}"
    administer(yarn, "-setSpaceQuota", "1m", home)
    try:
        refused(yarn.environment, spark_python, "your folder in HDFS is at its quota")
    finally:
        administer(yarn, "-clrSpaceQuota", home)


def refused(environment: Any, spark_python: SparkPython, what: str) -> str:
    """The error's text; it comes before anything is resolved or built, in seconds."""
    (told,) = refusals(spark_python, "yarn", {}, env=environment)
    assert told["what"] == what, told
    assert told["seconds"] < 10
    return str(told["error"])


def administer(yarn: YarnLane, *arguments: str) -> None:
    """hdfs dfsadmin, as HDFS's own user."""
    node, hadoop_folder = yarn.ours.node("namenode"), hadoop.ON_NODE
    java = [
        f"{_java.ON_NODE}/bin/java",
        "-cp",
        f"{hadoop_folder}/conf:{hadoop_folder}/lib/*",
        "org.apache.hadoop.hdfs.tools.DFSAdmin",
    ]
    yarn.on_node(node, *java, *arguments)


# a stage that several users share

ADMIN = _namespaces.USER
STORY = {
    "opened": f"be {ADMIN} mode 1777",
    "alice": "be alice ship one",
    "once": "times . ship one times .",
    "bob": "be bob ship one",
    "planted": "plant two be alice ship two",
    "old": f"be {ADMIN} age 100 be alice leftovers 90",
    "used": "be bob ship one be alice leftovers 90 times .",
    "pruned": "prune 90 times .",
    "open": f"be {ADMIN} mode 777 be alice ship three",
    "safe mode": f"be {ADMIN} safemode ENTER be alice ship four be {ADMIN} safemode LEAVE",
    "full": f"be {ADMIN} quota 1000000 be alice ship five be {ADMIN} quota 0",
    "closed": "mode 755 be bob ship six times .",
}


@pytest.fixture(scope="module")
def story(
    yarn: YarnLane, store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, list[Any]]:
    """What each step of each chapter gave, but for `be`."""
    assert yarn.ours.healthy
    there = SparkPython(store=store, folder=tmp_path_factory.mktemp("stage"))
    words = {chapter: text.split() for chapter, text in STORY.items()}
    given = iter(
        there.checked(
            "staging.py",
            f"hdfs:///shared-{os.getpid()}",
            *(word for each in words.values() for word in each),
            env=yarn.environment,
        ).result["steps"]
    )
    steps = {
        chapter: [(what, next(given)) for what in each[::2]] for chapter, each in words.items()
    }
    return {
        chapter: [outcome for what, outcome in each if what != "be"]
        for chapter, each in steps.items()
    }


def test_an_archive_in_hdfs_is_uploaded_once_for_all(story: Mapping[str, list[Any]]) -> None:
    (alices,), (before, again, after), (bobs,) = story["alice"], story["once"], story["bob"]
    assert alices["uri"].startswith("hdfs://")
    assert alices["uri"].count(":") == 2, "with the NameNode's address: executors need no default"
    assert alices["findings"] == again["findings"] == []
    assert {alices["uri"], again["uri"], bobs["uri"]} == {alices["uri"]}
    assert (
        list(before.items())
        == list(after.items())
        == [(alices["uri"].rpartition("/")[2], next(iter(before.values())))]
    )
    assert bobs["findings"] == ["the archive in the stage belongs to alice"]


def test_an_archive_that_another_user_planted_is_refused(story: Mapping[str, list[Any]]) -> None:
    _, refused_ = story["planted"]
    assert refused_["error"] == "the stage holds something else under the archive's name"
    assert "its owner, bob" in refused_["cause"]


def test_an_archive_that_somebody_used_stays_and_the_others_go(
    story: Mapping[str, list[Any]],
) -> None:
    (name,) = story["once"][0]
    _, old = story["old"]
    assert name in old
    _, left, times = story["used"]
    assert name not in left
    assert any(each.startswith(f".{name}.used-bob") for each in times)
    done, after = story["pruned"]
    assert done["removed"] == []
    assert [reason.partition(":")[0] for reason in done["kept"]] == [
        "the stage may not be read or written by you"
    ], "what bob planted: the sticky bit is for that"
    assert after == times


def test_a_folder_that_everybody_may_write_is_named(story: Mapping[str, list[Any]]) -> None:
    assert story["open"][-1]["findings"] == ["everybody may write the stage's folder"]


@pytest.mark.parametrize(
    ("chapter", "step", "what", "words"),
    [
        ("safe mode", 1, "HDFS is in safe mode and takes no files", "It was turned on manually"),
        ("full", 1, "there is no space in the stage", "DiskSpace quota"),
        ("closed", 1, "the stage may not be read or written by you", "user=bob"),
    ],
)
def test_what_hdfs_refuses_is_told_in_its_own_words_and_leaves_nothing(
    story: Mapping[str, list[Any]], chapter: str, step: int, what: str, words: str
) -> None:
    error = story[chapter][step]
    assert error["error"] == what
    assert words in error["cause"]
    assert "\tat " not in error["cause"]
    assert error["cure"]
    assert not any(re.fullmatch(r".+\.[0-9a-f]{32}", name) for name in story["closed"][-1]), (
        "an upload that broke off"
    )
