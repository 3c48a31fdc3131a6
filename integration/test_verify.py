"""Asking the executors of real sessions: local, local-cluster, busy, broken, and with executors
that come and go.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from coffee_boat.errors import VerifyError
from coffee_boat.model import Lock, Target
from coffee_boat.session.classic import ClassicSession
from coffee_boat.session.verify import verify

pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")

if TYPE_CHECKING:
    from pyspark import SparkContext


def start(master: str, **settings: str) -> SparkContext:
    from pyspark import SparkConf, SparkContext

    conf = SparkConf().setAll(
        [
            ("spark.ui.enabled", "false"),
            *((name.replace("_", "."), value) for name, value in settings.items()),
        ]
    )
    context = SparkContext(master, "coffee_boat", conf=conf)
    context.setLogLevel("OFF")
    return context


@pytest.fixture(scope="module", autouse=True)
def _this_python(own_java: None) -> Iterator[None]:
    """These tests are about asking: what executors run is this process's own interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        yield


# sessions of their own come first, as a process can have one at a time; the very first one's
# settings stay in the JVM


def test_local_mode_has_one_executor_the_driver_and_a_stopped_session_none() -> None:
    context = start("local[2]")
    session = ClassicSession(context)
    try:
        assert session.executors() == ("driver",)
        found = verify(session, None)
        assert [e.executor for e in found.executors] == ["driver"]
        assert found.ok
    finally:
        context.stop()
    with pytest.raises(VerifyError, match="was stopped"):
        verify(session, None)


def test_no_executors_yet_a_job_brings_them_up() -> None:
    context = start(
        "local-cluster[2,1,1024]",
        spark_dynamicAllocation_enabled="true",
        spark_dynamicAllocation_shuffleTracking_enabled="true",
        spark_dynamicAllocation_maxExecutors="2",
    )
    try:
        found = verify(ClassicSession(context), None, deadline=40)
        assert found.executors
        assert found.missed == ()
    finally:
        context.stop()


# one session for the rest


@pytest.fixture(scope="module")
def cluster(_this_python: None) -> Iterator[SparkContext]:
    context = start("local-cluster[2,1,1024]")
    yield context
    context.stop()


@pytest.fixture
def session(cluster: SparkContext) -> ClassicSession:
    """With both executors up: they register one after the other."""
    found = ClassicSession(cluster)
    wait_for(lambda: len(found.executors()) == 2)
    return found


def whereabouts() -> dict[str, Any]:
    """Runs on an executor: the pid of its JVM, and whether it had to import coffee_boat or this
    file.
    """
    pid = os.getpid()
    while b"--executor-id" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return {"jvm": pid, "imported": sorted({"coffee_boat", __name__} & set(sys.modules))}


@contextmanager
def held(context: SparkContext, folder: Path, slots: int) -> Iterator[Callable[[], None]]:
    """A user's job that keeps some slots until the function it gives is called; its result is
    checked at the end.
    """
    from pyspark import InheritableThread

    done: list[int] = []

    def task(number: int) -> int:
        import time
        from pathlib import Path

        Path(folder, f"started-{number}").touch()
        while not Path(folder, "release").exists():
            time.sleep(0.05)
        return number

    thread = InheritableThread(
        target=lambda: done.extend(context.parallelize(range(slots), slots).map(task).collect())
    )
    thread.start()
    wait_for(lambda: len(list(folder.glob("started-*"))) == slots)
    try:
        yield Path(folder, "release").touch
    finally:
        Path(folder, "release").touch()
        thread.join(60)
    assert done == list(range(slots))


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_every_executor_answers_by_value_and_the_callers_properties_stay(
    cluster: SparkContext, session: ClassicSession
) -> None:
    cluster.setJobGroup("mine", "my job", interruptOnCancel=True)
    cluster.setLocalProperty("spark.scheduler.pool", "mine")
    answers = session.ask(whereabouts, deadline=30)
    assert set(answers.by_executor) == set(session.executors())
    assert answers.missed == ()
    assert all(answer["imported"] == [] for answer in answers.by_executor.values())
    assert len({answer["jvm"] for answer in answers.by_executor.values()}) == 2
    properties = [
        cluster.getLocalProperty(name)
        for name in (
            "spark.jobGroup.id",
            "spark.job.description",
            "spark.job.interruptOnCancel",
            "spark.scheduler.pool",
        )
    ]
    assert properties == ["mine", "my job", "true", "mine"]
    assert cluster.statusTracker().getJobIdsForGroup("mine") == []


def test_verify_tells_what_is_not_from_the_ship(session: ClassicSession) -> None:
    found = verify(session, Lock(Target(sys.version.split()[0])))
    assert len(found.executors) == 2
    assert not found.ok
    assert [finding.what for finding in found.findings if finding.severity == "error"] == [
        "another interpreter than the shipped one runs"
    ]
    assert str(Path(sys.executable).resolve()) in found.findings[0].value
    assert found.driver_spark == found.jvm_spark == found.executors[0].pyspark
    assert found.executors[0].distributions["py4j"]


def test_a_module_beside_the_script_is_told_until_it_is_sent(
    cluster: SparkContext,
    session: ClassicSession,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path_factory.mktemp("beside")  # the session serves the file to its end
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    (folder / "boat_beside.py").write_text("def double(x): return 2 * x\n")
    helpers = __import__("boat_beside")
    before = [
        str(finding) for finding in verify(session, None).findings if "boat_beside" in str(finding)
    ]
    assert f'captain.add_local("{folder}/boat_beside.py")' in before[0]
    cluster.addPyFile(str(folder / "boat_beside.py"))
    assert not [
        finding for finding in verify(session, None).findings if "boat_beside" in str(finding)
    ]
    assert cluster.parallelize([1, 2]).map(helpers.double).collect() == [2, 4]


def test_a_busy_cluster_never_holds_verify_up_and_its_job_goes_on(
    cluster: SparkContext, session: ClassicSession, tmp_path: Path
) -> None:
    with held(cluster, tmp_path, slots=2):
        started = time.monotonic()
        found = verify(session, None, deadline=2)
        assert time.monotonic() - started < 10
    assert found.missed == session.executors()
    assert not found.ok
    assert "did not answer" in str(found)


def test_executors_that_get_free_in_time_are_waited_for(
    cluster: SparkContext, session: ClassicSession, tmp_path: Path
) -> None:
    with held(cluster, tmp_path, slots=1) as release:
        early = session.ask(whereabouts, deadline=4)
        assert len(early.by_executor) == 1
        assert len(early.missed) == 1
        threading.Timer(1, release).start()
        late = session.ask(whereabouts, deadline=60)
        assert (len(late.by_executor), late.missed) == (2, ())


@pytest.mark.parametrize(
    ("script", "words", "cure"),
    [
        (None, "error", "PYSPARK_PYTHON"),
        (
            (
                "echo 'python3: error while loading shared libraries: libpython3.11.so.1.0: cannot"
                " open shared object file: No such file or directory' >&2; exit 127"
            ),
            "libpython3.11.so.1.0",
            "archive",
        ),
        (
            "echo '/usr/bin/python3: No module named pyspark' >&2; exit 1",
            "No module named pyspark",
            "PYSPARK_PYTHON",
        ),
        ("exit 1", "daemon", "stderr"),
    ],
)
def test_a_python_that_cannot_start_is_explained(
    cluster: SparkContext,
    session: ClassicSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str | None,
    words: str,
    cure: str,
) -> None:
    python = tmp_path / "python3"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    monkeypatch.setattr(cluster, "pythonExec", str(python))
    with pytest.raises(VerifyError) as caught:
        verify(session, None, deadline=60)
    assert words in caught.value.value
    assert cure in caught.value.cure
    assert "(executor " in caught.value.value


def test_an_executor_that_hangs_does_not_hide_the_other(
    cluster: SparkContext, session: ClassicSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    python = tmp_path / "python3"
    python.write_text(
        f"#!/bin/sh\nif mkdir {first} 2>/dev/null; then exec sleep 12; fi\nexec {sys.executable}"
        ' "$@"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(cluster, "pythonExec", str(python))
    answers = session.ask(whereabouts, deadline=10)
    assert len(answers.by_executor) == 1
    assert len(answers.missed) == 1


def test_an_executor_that_was_killed_is_replaced_in_the_list(session: ClassicSession) -> None:
    before = session.ask(whereabouts, deadline=30).by_executor
    victim, answer = next(iter(before.items()))
    os.kill(answer["jvm"], signal.SIGKILL)
    wait_for(lambda: len(set(session.executors()) - {victim}) == 2)
    after = session.ask(whereabouts, deadline=30)
    assert after.missed == ()
    assert victim not in after.by_executor
    assert len(after.by_executor) == 2
