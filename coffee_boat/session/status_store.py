"""Jobs and tasks, as Spark's status store has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

_JOBS_READ, _TASKS_READ = 20, 20
"""The newest ones."""
_CATCH_UP = 2_000
"""Milliseconds at most until the store knows what has happened."""
_NUMBERS = re.compile(r"[0-9a-f]{6,}|\d+")
"""What differs between two executors that end for the same reason."""


@contextmanager
def while_it_lasts() -> Iterator[None]:
    """Stopped while we looked, or the JVM is gone: nothing is left to tell of."""
    from py4j.protocol import Py4JError

    with suppress(Py4JError, OSError, AttributeError):
        yield


DRIVER = "driver"
"""The id that the driver has among executors."""


def elements(found: Any) -> Iterator[Any]:
    """What a list of Scala's holds; a call to the JVM each."""
    return (found.apply(index) for index in range(int(found.size())))


# Spark's own books: org.apache.spark.status.AppStatusStore, which is right with the UI off. Not a
# public API. What is asked of them is a call to the JVM each, so nothing is asked twice.


def catch_up(context: Any) -> None:
    """Wait, a moment at most, until the store knows what has happened: an action fails before the
    listener that writes the store has heard of it (org.apache.spark.scheduler.LiveListenerBus).
    """
    with while_it_lasts():
        context._jsc.sc().listenerBus().waitUntilEmpty(_CATCH_UP)


@dataclass(frozen=True)
class News:
    """What one look found."""

    running: bool = False
    """True if jobs run."""
    changed: bool = False
    """True if there is anything that the look before did not find."""


class Jobs:
    """The jobs of a session, of which each look gives what is new.

    But for those that ask executors what they are: who asks is told.
    """

    def __init__(self, context: Any) -> None:
        self._failed, self._running = _status(context, "FAILED"), _status(context, "RUNNING")
        self._store = context._jsc.sc().statusStore()
        self._newest = (0, -1)
        """How many have failed, and the newest of them."""
        self._ended: set[int] = set()
        """Those that are known to have failed."""
        self._lost: dict[int, int] = {}
        """How many tasks each of those that run had lost."""
        self._read: set[int] = set()
        """The tasks of which it was told why they failed."""
        self._dead = 0
        """How many executors were lost."""
        self._seen_dead: set[str] = set()
        """Their ids."""
        self._causes: set[tuple[str, str]] = set()
        """Nodes, and why executors ended there: it is told once, whatever Spark tries again."""
        self._ours: dict[int, bool] = {}

    def look(self, tell: Callable[[str], None]) -> News:
        """Tell in the words of Spark's scheduler why jobs and tasks failed, and executors ended."""
        self._tell_dead(tell)
        ended = self._tell_ended(tell)
        running = [
            (number, job)
            for number, job in _newest(self._store.jobsList(self._running))
            if number not in self._ended and not self._is_ours(number, job)
        ]
        before, self._lost = self._lost, {}
        for number, job in running:
            self._lost[number] = lost = int(job.numFailedTasks())
            if lost > before.get(number, 0):
                self._tell_lost(job, tell)
        return News(bool(running), ended or self._lost != before)

    def _is_ours(self, number: int, job: Any) -> bool:
        if number not in self._ours:
            self._ours[number] = _said(job.jobGroup()).startswith("coffee_boat-")
        return self._ours[number]

    def _tell_ended(self, tell: Callable[[str], None]) -> bool:
        found = self._store.jobsList(self._failed)
        count = int(found.size())
        newest = (count, int(found.apply(0).jobId()) if count else -1)
        if newest == self._newest:
            return False
        # A job that began before others may fail after them: as many are looked for as there are
        # more. Spark forgets the oldest when there are very many; then all of the newest are.
        more = count - self._newest[0]
        for number, job in _newest(found):
            if number in self._ended:
                continue
            self._ended.add(number)
            if not self._is_ours(number, job):
                for text in _reasons(self._store, job):
                    tell(text)
            more -= 1
            if more == 0:
                break
        self._newest = newest
        return True

    def _tell_dead(self, tell: Callable[[str], None]) -> None:
        """Also of those that never took a task: then no job knows why."""
        everyone, live = self._store.executorList(False), self._store.executorList(True)
        before, self._dead = self._dead, int(everyone.size()) - int(live.size())
        if self._dead == before:
            return
        for one in elements(everyone):
            name = str(one.id())
            if name in self._seen_dead or one.isActive():
                continue
            self._seen_dead.add(name)
            host, why = str(one.hostPort()).rpartition(":")[0], _said(one.removeReason())
            cause = host, _NUMBERS.sub("", why)
            if cause not in self._causes:
                self._causes.add(cause)
                tell(f"Lost executor ({host} executor {name}): {why}")

    def _tell_lost(self, job: Any, tell: Callable[[str], None]) -> None:
        for stage in _stages(job):
            tasks = self._store.taskList(stage, 0, _TASKS_READ)
            for task in elements(tasks):
                number = int(task.taskId())
                if number not in self._read and (why := _said(task.errorMessage())):
                    self._read.add(number)
                    tell(f"Lost task ({task.host()} executor {task.executorId()}): {why}")


def _status(context: Any, name: str) -> Any:
    """A list with a state that a job may be in."""
    wanted = context._jvm.java.util.ArrayList()
    wanted.add(context._jvm.org.apache.spark.JobExecutionStatus.valueOf(name))
    return wanted


def _newest(found: Any) -> Iterator[tuple[int, Any]]:
    """Jobs with their numbers, the newest first, as Spark has them."""
    for index in range(min(int(found.size()), _JOBS_READ)):
        job = found.apply(index)
        yield int(job.jobId()), job


def _reasons(store: Any, job: Any) -> Iterator[str]:
    """Why a job failed; a stage that was skipped is not known."""
    from py4j.protocol import Py4JJavaError

    for stage in _stages(job):
        with suppress(Py4JJavaError):
            yield _said(store.lastStageAttempt(stage).failureReason())


def _stages(job: Any) -> Iterator[int]:
    stages = job.stageIds()
    yield from map(int, elements(stages))


def _said(option: Any) -> str:
    """The text in a Scala Option; empty if there is none."""
    return str(option.get()) if option.isDefined() else ""


def is_starved(context: Any) -> bool:
    """True if no executor is live though one is wanted: with dynamic allocation, jobs are what
    makes Spark start them.
    """
    spark = context._jsc.sc()
    if (
        spark.isLocal() or int(spark.statusStore().executorList(True).size()) > 1
    ):  # the driver is one of them
        return False
    on_demand = spark.conf().getBoolean("spark.dynamicAllocation.enabled", False)
    return not on_demand or bool(list(spark.statusTracker().getActiveJobIds()))
