"""What the executors of a local cluster leave behind: a stand-in of pyspark, whose executors are
real processes that work where Spark lets them.

What real Spark leaves: integration/test_launch.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_launch import home, spark  # noqa: F401  fixtures
from test_sessions import context, new  # noqa: F401  fixtures

from coffee_boat import Captain

pytest.importorskip("py4j", reason="needs pyspark: pip install coffee_boat[local]")
pytestmark = pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs Linux's /proc")

CLUSTER = "local-cluster[2,1,1024]"
UNPACKED = "boat-0123456789ab"


class Executors:
    """Executors of app-1 below SPARK_HOME/work, each at work in its folder."""

    def __init__(self, work: Path) -> None:
        self.folder = work / "app-1"
        self.processes: list[subprocess.Popen[bytes]] = []

    def add(self, name: str, *entries: str, runs: bool = True, lasts: str = "300") -> Path:
        """One with these in its folder."""
        for entry in entries:
            (self.folder / name / entry).mkdir(parents=True)
        if runs:
            self.processes.append(subprocess.Popen(["sleep", lasts], cwd=self.folder / name))
        return self.folder / name

    def end(self) -> None:
        """As Spark does, which does not wait for them."""
        for process in self.processes:
            threading.Timer(0.3, process.kill).start()


@pytest.fixture
def executors(spark: Any, tmp_path: Path) -> Iterator[Executors]:  # noqa: F811
    """Of the context that is started next; they end with it."""
    made, stop = Executors(tmp_path / "spark" / "work"), spark.Context.stop

    def stopping(running: Any) -> None:
        made.end()
        stop(running)

    spark.Context.stop = stopping
    ensure = spark.Context._ensure_initialized.__func__

    def with_java(kind: Any, *args: Any, **kwargs: Any) -> None:
        ensure(kind, *args, **kwargs)
        bean = SimpleNamespace(getName=lambda: f"{os.getpid()}@host")
        kind._jvm.java.lang = SimpleNamespace(
            System=SimpleNamespace(
                getenv={"SPARK_HOME": str(tmp_path / "spark")}.get,
                getProperty={"user.dir": "/"}.get,
                nanoTime=lambda: 1,
            ),
            management=SimpleNamespace(
                ManagementFactory=SimpleNamespace(getRuntimeMXBean=lambda: bean)
            ),
        )

    spark.Context._ensure_initialized = classmethod(with_java)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


Start = Callable[[str], Any]


def until_gone(folder: Path, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while folder.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return not folder.exists()


def test_the_executors_folders_go_when_the_context_stops(
    new: Callable[[], Captain],  # noqa: F811
    context: Start,  # noqa: F811
    executors: Executors,
) -> None:
    other = executors.folder.with_name("app-0") / "0" / UNPACKED
    other.mkdir(parents=True)
    new().add_pip_packages("alpha").launch_ship()
    running = context(CLUSTER)
    executors.add("0", UNPACKED, "boat-layer-0123456789ab")
    executors.add("1", UNPACKED, lasts="0")
    executors.add("2", "stderr", runs=False)
    running.stop()
    assert not executors.folder.exists()
    assert other.is_dir(), "of another session"


def test_of_a_folder_that_another_cluster_shares_only_what_nobody_works_in_goes(
    new: Callable[[], Captain],  # noqa: F811
    context: Start,  # noqa: F811
    executors: Executors,
) -> None:
    new().add_pip_packages("alpha").launch_ship()
    running = context(CLUSTER)
    ours = executors.add("0", UNPACKED)
    theirs = executors.add("1", UNPACKED, runs=False)
    begun = executors.add("2", "stdout", runs=False)
    # an executor of another driver's: its parent is not ours
    script = f"cd {theirs}; sleep 300 >&- 2>&- & echo $!"
    pid = int(subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True).stdout)
    try:
        running.stop()
        assert not ours.exists()
        assert (theirs / UNPACKED).is_dir()
        assert begun.is_dir(), "perhaps one of theirs that starts just now"
    finally:
        os.kill(pid, 9)


def test_so_do_those_of_a_session_whose_captain_was_closed_before(
    new: Callable[[], Captain],  # noqa: F811
    context: Start,  # noqa: F811
    executors: Executors,
) -> None:
    captain = new().add_pip_packages("alpha").launch_ship()
    running = context(CLUSTER)
    captain.close()
    executors.add("0", UNPACKED)
    running.stop()
    assert until_gone(executors.folder)


def test_a_session_without_our_archive_keeps_what_spark_keeps(
    new: Callable[[], Captain],  # noqa: F811
    context: Start,  # noqa: F811
    executors: Executors,
) -> None:
    captain = new()
    captain.launch_ship()
    captain.close()
    running = context(CLUSTER)
    executors.add("0", "stderr")
    running.stop()
    captain.launch_ship()
    context("spark://127.0.0.1:1").stop()
    time.sleep(0.5)
    assert executors.folder.is_dir()


# without a stop

ENDS = """
import os, sys, threading, warnings
from pathlib import Path
from types import SimpleNamespace as Names
from coffee_boat.session import folders

home, owns, hangs = Path(sys.argv[1]), sys.argv[2] == "owns", sys.argv[3:]
def answer():
    if hangs and threading.current_thread() is not threading.main_thread():
        threading.Event().wait()
    return False
class Context:
    master, applicationId = "local-cluster[1,1,1024]", "app-1"
    _gateway = Names(proc=object() if owns else None)
    _jsc = Names(sc=lambda: Names(isStopped=answer))
    _jvm = Names(
        java=Names(
            io=Names(File=str),
            lang=Names(
                System=Names(getenv=lambda _: str(home), getProperty=lambda _: "/"),
                management=Names(ManagementFactory=Names(
                    getRuntimeMXBean=lambda: Names(getName=lambda: f"{os.getpid()}@host"))),
            ),
        ),
        org=Names(apache=Names(spark=Names(util=Names(ShutdownHookManager=Names(
            registerShutdownDeleteDir=lambda name: print("for the JVM:", name)))))),
    )
    def stop(self):
        print("stopped")
        self._jsc = None
folders.follow(Context())
warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, from Python 3.12 on
if os.fork() == 0:
    sys.exit()
os.wait()
print("the end")
"""


@pytest.mark.parametrize(
    ("arguments", "said", "left"),
    [
        (["owns"], "the end\nstopped\n", False),
        (["attached"], "the end\nfor the JVM: {}\n", True),
        (["owns", "hangs"], "the end\n", True),
    ],
    ids=["its own JVM", "another's JVM", "a JVM that hangs"],
)
def test_a_process_that_ends_without_a_stop_leaves_nothing_and_waits_for_no_jvm(
    tmp_path: Path, arguments: list[str], said: str, left: bool
) -> None:
    folder = tmp_path / "work" / "app-1"
    (folder / "0" / UNPACKED).mkdir(parents=True)
    ran = subprocess.run(
        [sys.executable, "-c", ENDS, str(tmp_path), *arguments],
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert (ran.stdout, ran.stderr) == (said.format(folder), "")
    assert folder.exists() == left
