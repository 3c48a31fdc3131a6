"""Looks at a session from a thread of its own, and tells what Spark does not: why nothing runs yet, and why executors' Python does not start.

Spark says the first never or as "Initial job has not accepted any resources", and the second as an EOFException among a hundred stack
frames. Nothing of pyspark is changed for it and no job is run: the driver's own status store is read, a call or two at a time.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from coffee_boat.model import Finding

if TYPE_CHECKING:
    from pyspark import SparkContext

_PAUSE_BUSY = 0.25
"""Seconds between two looks while jobs run."""
_PAUSE_IDLE = 1.0
_PATIENCE = 5.0
_JOBS_READ, _TASKS_READ = 20, 20
"""The newest ones."""
_RUNNING, _FAILED = "RUNNING", "FAILED"


class Watch:
    """Begins before the SparkContext does, and ends with it."""

    def __init__(
        self,
        *,
        waiting: Callable[[str | None], Iterable[Finding]],
        explain: Callable[[str], Finding | None],
        tell: Callable[[Finding, SparkContext | None], None],
        patience: float = _PATIENCE,
    ) -> None:
        """
        Args:
            waiting: asks the cluster why nothing of an application runs yet; None while its id is not known.
            explain: what a failed task's text means.
            tell: takes each kind of finding once, as many nodes may say the same; with the context for what a task's text means.
            patience: seconds without any executor, after which the cluster is asked why; and between two questions.
        """
        self._waiting, self._explain, self._tell = waiting, explain, tell
        self._context: Any = None
        self._ended = threading.Event()
        self._patience, self._asked = patience, time.monotonic()
        self._wanted: Any = None
        self._last_failed = -1
        self._told: set[tuple[str, str]] = set()
        self._looking = threading.Lock()
        threading.Thread(target=self._run, name="coffee_boat-watch", daemon=True).start()

    def follow(self, context: SparkContext) -> None:
        """The context is up. A script's last failure is its end: the last look is then."""
        self._context = context
        atexit.register(self.look)

    @property
    def follows(self) -> bool:
        """True if its context is up."""
        return self._context is not None and not self._stopped()

    def end(self) -> None:
        """Look no more."""
        atexit.unregister(self.look)
        self._ended.set()

    def look(self) -> bool:
        """Tell what is new; before a context stops, too, since what its store knows goes with it.

        Returns:
            True if jobs run.
        """
        context = self._context
        if self._ended.is_set() or context is None or self._stopped():
            return False
        found: list[Finding] = []
        running = False
        with _while_it_lasts(), self._looking:
            running = self._look(context, found)
        for finding in found:
            self._tell_once(finding, context)
        return running

    def _run(self) -> None:
        pause = _PAUSE_BUSY
        while not self._ended.wait(pause) and not self._stopped():
            pause = _PAUSE_BUSY if self.look() or self._context is None else _PAUSE_IDLE
            if time.monotonic() - self._asked >= self._patience:
                self._ask_why()
                self._asked = time.monotonic()

    def _stopped(self) -> bool:
        return self._context is not None and self._context._jsc is None

    # what the driver knows

    def _look(self, context: Any, into: list[Finding]) -> bool:
        if self._wanted is None:
            self._wanted = _wanted(context)
        jobs = _jobs(context, self._wanted)
        running = [job for job in jobs if job.status().toString() == _RUNNING]
        failed = [job for job in jobs if job.status().toString() == _FAILED and job.jobId() > self._last_failed]
        self._last_failed = max([self._last_failed, *(int(job.jobId()) for job in failed)])
        texts = (*_failing_tasks(context, running), *_reasons(context, failed))
        into += [found for text in texts if (found := self._explain(text)) is not None]
        return bool(running)

    # what the cluster knows

    def _ask_why(self) -> None:
        context = self._context
        starved = context is None
        if context is not None:
            with _while_it_lasts():
                starved = _starved(context)
        if starved:
            for finding in self._waiting(None if context is None else str(context.applicationId)):
                self._tell_once(finding, None)

    def _tell_once(self, finding: Finding, context: Any) -> None:
        kind = (finding.what, finding.cause)
        if kind not in self._told and not self._ended.is_set():
            self._told.add(kind)
            self._tell(finding, context)


@contextmanager
def _while_it_lasts() -> Iterator[None]:
    """Stopped while we looked, or the JVM is gone: nothing is left to tell of."""
    from py4j.protocol import Py4JError

    with suppress(Py4JError, OSError, AttributeError):
        yield


# Spark's own books: org.apache.spark.status.AppStatusStore, which is right with the UI off. Not a public API.


def _wanted(context: Any) -> Any:
    wanted = context._jvm.java.util.ArrayList()
    for status in (_RUNNING, _FAILED):
        wanted.add(context._jvm.org.apache.spark.JobExecutionStatus.valueOf(status))
    return wanted


def _jobs(context: Any, wanted: Any) -> list[Any]:
    """The newest jobs that run or failed, but for those that ask executors what they are: who asks is told."""
    found = context._jsc.sc().statusStore().jobsList(wanted)
    jobs = [found.apply(index) for index in range(min(int(found.size()), _JOBS_READ))]
    return [job for job in jobs if not _said(job.jobGroup()).startswith("coffee_boat-")]


def _failing_tasks(context: Any, jobs: Iterable[Any]) -> Iterator[str]:
    """Why tasks failed in jobs that go on, in the words of Spark's scheduler."""
    store = context._jsc.sc().statusStore()
    for stage in _stages(job for job in jobs if job.numFailedTasks()):
        tasks = store.taskList(stage, 0, _TASKS_READ)
        for task in (tasks.apply(index) for index in range(int(tasks.size()))):
            if _said(task.errorMessage()):
                yield f"Lost task ({task.host()} executor {task.executorId()}): {_said(task.errorMessage())}"


def _reasons(context: Any, jobs: Iterable[Any]) -> Iterator[str]:
    """Why jobs failed; a stage that was skipped is not known."""
    from py4j.protocol import Py4JJavaError

    store = context._jsc.sc().statusStore()
    for stage in _stages(jobs):
        with suppress(Py4JJavaError):
            yield _said(store.lastStageAttempt(stage).failureReason())


def _stages(jobs: Iterable[Any]) -> Iterator[int]:
    for job in jobs:
        stages = job.stageIds()
        yield from (int(stages.apply(index)) for index in range(int(stages.size())))


def _said(option: Any) -> str:
    """The text in a Scala Option; empty if there is none."""
    return str(option.get()) if option.isDefined() else ""


def _starved(context: Any) -> bool:
    """True if no executor is live though one is wanted: with dynamic allocation, jobs are what makes Spark start them."""
    spark = context._jsc.sc()
    if spark.isLocal() or int(spark.statusStore().executorList(True).size()) > 1:  # the driver is one of them
        return False
    on_demand = spark.conf().getBoolean("spark.dynamicAllocation.enabled", False)
    return not on_demand or bool(list(spark.statusTracker().getActiveJobIds()))
