"""Watching a session that does not come up.

What is told of one that runs: integration/test_broken.py.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coffee_boat.model import Finding
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
    books = SimpleNamespace(
        jobsList=lambda _: SimpleNamespace(size=lambda: 1, apply=lambda _: job),
        lastStageAttempt=lambda _: SimpleNamespace(failureReason=lambda: reason),
    )
    context: Any = Context(list)
    context._jvm.java.util.ArrayList = lambda: SimpleNamespace(add=lambda _: None)
    context._jvm.org = SimpleNamespace(
        apache=SimpleNamespace(
            spark=SimpleNamespace(JobExecutionStatus=SimpleNamespace(valueOf=str))
        )
    )
    context._jsc = SimpleNamespace(sc=lambda: SimpleNamespace(statusStore=lambda: books))
    watch.follow(context)
    watch.leave()
    watch.end()
    assert told == [(found, context)]
