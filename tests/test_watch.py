"""Watching a session that does not come up.

What is told of one that runs: integration/test_broken.py.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coffee_boat._support.wording import told_in
from coffee_boat.cli import words
from coffee_boat.model import Finding
from coffee_boat.session.status_store import Jobs, News
from coffee_boat.session.watch import Watch

PENDING = Finding(
    "cluster.pod-pending",
    "a pod stays Pending",
    value="exec-1",
    cause="0/2 nodes are available: 2 Insufficient memory",
    cure="ask for less",
)


class Told:
    """What a watch told, and whom it asked."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.asked: list[str | None] = []
        self.enough = threading.Event()

    def waiting(self, application: str | None) -> list[Finding]:
        self.asked.append(application)
        if len(self.asked) >= 3:
            self.enough.set()
        return [PENDING]

    def tell(self, finding: Finding, context: Any) -> None:
        assert context is None
        self.findings.append(finding)


def test_the_cluster_is_asked_before_there_is_a_context_and_tells_once() -> None:
    told = Told()
    watch = Watch(waiting=told.waiting, explain=lambda _: None, tell=told.tell, patience=0.01)
    try:
        assert told.enough.wait(20)
    finally:
        watch.end()
    assert set(told.asked) == {None}
    assert told.findings == [PENDING]


def test_nobody_is_asked_at_once_and_nothing_is_told_after_the_end() -> None:
    told = Told()
    patient = Watch(waiting=told.waiting, explain=lambda _: None, tell=told.tell)
    ended = Watch(waiting=told.waiting, explain=lambda _: None, tell=told.tell, patience=0)
    ended.end()
    assert patient.look() is False, "there is nothing to look at"
    time.sleep(0.6)
    patient.end()
    assert told.findings == []


def test_executors_that_cannot_be_counted_end_no_watch() -> None:
    told, looked = Told(), threading.Event()

    class Odd:
        def look(self, context: Any) -> bool:
            looked.set()
            raise ValueError(context)

    odd: Any = Odd()
    watch = Watch(
        waiting=told.waiting, explain=lambda _: None, tell=told.tell, arriving=odd, patience=0.01
    )
    try:
        assert looked.wait(20)
        assert told.enough.wait(20), "it looks on"
    finally:
        watch.end()
    assert told.findings == [PENDING]


# a Spark that is not as we know it, and one that hangs


class Context:
    """Of a SparkContext what a watch looks at: its JVM answers in the given way."""

    def __init__(self, answer: Any) -> None:
        self._jvm = SimpleNamespace(java=SimpleNamespace(util=SimpleNamespace(ArrayList=answer)))
        self._jsc = object()


def foreign() -> Any:
    raise TypeError("'JavaPackage' object is not callable")


def test_a_spark_that_keeps_other_books_is_said_once_and_watched_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("py4j", reason="needs pyspark: pip install coffee_boat[local]")
    told = Told()
    tracebacks: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", tracebacks.append)
    watch = Watch(waiting=lambda _: [], explain=lambda _: None, tell=told.tell)
    context: Any = Context(foreign)
    watch.follow(context)
    end = time.monotonic() + 10
    while not told.findings and time.monotonic() < end:
        time.sleep(0.05)
    watch.leave()
    time.sleep(0.6)
    watch.end()
    assert [(finding.what, finding.severity) for finding in told.findings] == [
        ("this session is not watched", "note")
    ]
    assert "'JavaPackage' object is not callable" in str(told.findings[0])
    assert tracebacks == []


HANGING = """
import sys, threading, time
from types import SimpleNamespace
from coffee_boat.session.status_store import Jobs, News
from coffee_boat.session.watch import Watch

hangs = threading.Event()
def answer():
    hangs.set()
    time.sleep(60)
context = SimpleNamespace(_jsc=object(), _jvm=SimpleNamespace(java=SimpleNamespace(util=SimpleNamespace(ArrayList=answer))))
watch = Watch(waiting=lambda _: [], explain=lambda _: None, tell=print)
watch.follow(context)
assert hangs.wait(20)
if sys.argv[1:]:
    watch.leave()
    context._jsc = None  # stopped
print("the end")
"""  # noqa: E501


@pytest.mark.parametrize("arguments", [(), ("stop",)], ids=["exit", "stop"])
def test_a_jvm_that_hangs_holds_up_neither_stop_nor_exit(arguments: tuple[str, ...]) -> None:
    pytest.importorskip("py4j", reason="needs pyspark: pip install coffee_boat[local]")
    root = Path(__file__).resolve().parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", HANGING, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert (ran.stdout, ran.stderr) == ("the end\n", "")


def test_what_failed_last_is_told_before_a_context_stops() -> None:
    pytest.importorskip("py4j", reason="needs pyspark: pip install coffee_boat[local]")
    found = Finding("executor.interpreter-missing", "an interpreter is not there")
    told: list[tuple[Finding, Any]] = []
    watch = Watch(
        waiting=lambda _: [],
        explain=lambda _: found,
        tell=lambda finding, context: told.append((finding, context)),
    )
    job = SimpleNamespace(
        status=lambda: SimpleNamespace(toString=lambda: "FAILED"),
        jobId=lambda: 0,
        jobGroup=lambda: SimpleNamespace(isDefined=lambda: False),
        stageIds=lambda: SimpleNamespace(size=lambda: 1, apply=lambda _: 0),
    )
    reason = SimpleNamespace(isDefined=lambda: True, get=lambda: "no python3")
    heard: list[float] = []
    books = SimpleNamespace(
        jobsList=lambda _: SimpleNamespace(size=lambda: len(heard), apply=lambda _: job),
        lastStageAttempt=lambda _: SimpleNamespace(failureReason=lambda: reason),
        executorList=lambda _: SimpleNamespace(size=lambda: 1),
    )
    context: Any = Context(list)
    context._jvm.java.util.ArrayList = lambda: SimpleNamespace(add=lambda _: None)
    context._jvm.org = SimpleNamespace(
        apache=SimpleNamespace(
            spark=SimpleNamespace(JobExecutionStatus=SimpleNamespace(valueOf=str))
        )
    )
    bus = SimpleNamespace(waitUntilEmpty=heard.append)
    context._jsc = SimpleNamespace(
        sc=lambda: SimpleNamespace(statusStore=lambda: books, listenerBus=lambda: bus)
    )
    watch.follow(context)
    watch.leave()
    watch.end()
    assert told == [(found, context)]


# what it costs


class Counted:
    """An object of the JVM's: each method is a call, which is counted."""

    def __init__(self, calls: list[str], **answers: Any) -> None:
        self._calls, self._answers = calls, answers

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self._calls.append(name)
            answer = self._answers[name]
            return answer(*arguments) if callable(answer) else answer

        return call


class Books:
    """Of a session: Spark's status store, newest first, and what was asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failed: list[Any] = []
        self.running: list[Any] = []
        self.reason = self.some("no python3")
        self.tasks: list[Any] = []
        self.executors = [self.executor("driver"), self.executor("1")]
        store = self.java(
            jobsList=lambda wanted: self.seq(
                [*reversed(self.failed if wanted == ["FAILED"] else self.running)]
            ),
            lastStageAttempt=lambda _: self.java(failureReason=self.reason),
            taskList=lambda *_: self.seq([*reversed(self.tasks)]),
            executorList=lambda live: self.seq(
                [one for one in self.executors if one.isActive() or not live]
            ),
        )
        spark = self.java(statusStore=store, isLocal=False)
        made = SimpleNamespace(JobExecutionStatus=SimpleNamespace(valueOf=str))
        self.context: Any = SimpleNamespace(
            _jvm=SimpleNamespace(
                java=SimpleNamespace(util=SimpleNamespace(ArrayList=Wanted)),
                org=SimpleNamespace(apache=SimpleNamespace(spark=made)),
            ),
            _jsc=SimpleNamespace(sc=lambda: spark),
        )

    def java(self, **answers: Any) -> Any:
        return Counted(self.calls, **answers)

    def seq(self, items: list[Any]) -> Any:
        return self.java(size=len(items), apply=items.__getitem__)

    def some(self, text: str | None) -> Any:
        return self.java(isDefined=text is not None, get=text)

    def job(self, number: int, *, lost: int = 0, group: str | None = None) -> Any:
        stages = self.seq([number])
        return self.java(
            jobId=number, jobGroup=self.some(group), stageIds=stages, numFailedTasks=lost
        )

    def task(self, number: int, why: str | None) -> Any:
        return self.java(taskId=number, host="h", executorId="1", errorMessage=self.some(why))

    def executor(self, name: str, why: str | None = None) -> Any:
        said = {"id": name, "hostPort": "h:35001", "removeReason": self.some(why)}
        return self.java(isActive=why is None, **said)

    def spent(self) -> int:
        """The calls since the last time that they were counted."""
        count = len(self.calls)
        self.calls.clear()
        return count


class Wanted(list[str]):
    add = list.append


def looking(books: Books) -> tuple[Callable[[], News], list[str]]:
    """One look, and what all looks told."""
    pytest.importorskip("py4j", reason="needs pyspark: pip install coffee_boat[local]")
    told: list[str] = []
    jobs = Jobs(books.context)
    return lambda: jobs.look(told.append), told


def test_what_was_told_is_not_asked_for_again() -> None:
    books = Books()
    books.failed = [books.job(number) for number in range(30)]
    look, told = looking(books)
    assert look() == News(running=False, changed=True)
    first = books.spent()
    for _ in range(5):
        assert look() == News()
        assert books.spent() <= 14, "whatever has failed before"
    books.failed.append(books.job(30))
    books.reason = books.some("no space")
    look()
    assert books.spent() <= 26 < first
    assert told == ["no python3"] * 20 + ["no space"]


def test_jobs_that_run_cost_three_calls_each_and_their_tasks_only_those_that_failed_since() -> None:
    books = Books()
    books.running = [books.job(number) for number in range(20)]
    look, told = looking(books)
    assert look() == News(running=True, changed=True)
    books.spent()
    look()
    assert books.spent() <= 14 + 3 * 20
    books.tasks = [books.task(number, "killed" if number else None) for number in range(20)]
    books.running = [books.job(0, lost=19)]
    look()
    assert told == ["Lost task (h executor 1): killed"] * 19
    books.spent()
    look()
    assert books.spent() <= 14 + 3
    books.tasks.append(books.task(20, "killed by the kernel"))
    books.running = [books.job(0, lost=20)]
    look()
    assert told[19:] == ["Lost task (h executor 1): killed by the kernel"]


def test_an_executor_that_ended_before_it_took_a_task_is_told_once() -> None:
    books = Books()
    look, told = looking(books)
    look()
    books.executors[1:] = [books.executor("1", "app-1/1 has no room"), books.executor("2")]
    for _ in range(3):
        look()
    books.executors[2:] = [books.executor("2", "app-1/2 has no room")]
    look()
    books.executors.append(books.executor("3", "killed"))
    look()
    assert told == [
        "Lost executor (h executor 1): app-1/1 has no room",
        "Lost executor (h executor 3): killed",
    ]


def test_a_job_that_fails_after_later_ones_is_told_and_ours_is_not() -> None:
    books = Books()
    look, told = looking(books)
    books.failed = [books.job(5)]
    look()
    books.failed = [books.job(3), books.job(4, group="coffee_boat-1"), *books.failed]
    books.reason = books.some("no space")
    look()
    assert told == ["no python3", "no space"]


def test_it_looks_less_often_where_nothing_is_new() -> None:
    pytest.importorskip("py4j", reason="needs pyspark: pip install coffee_boat[local]")
    books = Books()
    books.running = [books.job(0)]
    watch = Watch(waiting=lambda _: [], explain=Finding, tell=lambda *_: None)
    watch.follow(books.context)
    time.sleep(3.0)
    looks = books.calls.count("jobsList") // 2
    watch.end()
    assert 1 <= looks <= 5, "four a second would be twelve"


def test_a_watch_tells_in_the_words_of_who_started_it() -> None:
    told: list[str] = []
    done = threading.Event()

    def tell(finding: Finding, _: object) -> None:
        told.append(str(finding))
        done.set()

    finding = Finding("cluster.no-room", "there is no room", cure="captain.plan()")
    with told_in(words.in_magic):
        watch = Watch(waiting=lambda _: (finding,), explain=lambda _: None, tell=tell, patience=0.0)
    assert done.wait(30)
    watch.end()
    assert told == ["there is no room -> %boat plan"]
