"""Jobs and tasks, as Spark's status store has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_JOBS_READ, _TASKS_READ = 20, 20
"""The newest ones."""
RUNNING, FAILED = "RUNNING", "FAILED"


@contextmanager
def while_it_lasts() -> Iterator[None]:
    """Stopped while we looked, or the JVM is gone: nothing is left to tell of."""
    from py4j.protocol import Py4JError

    with suppress(Py4JError, OSError, AttributeError):
        yield


# Spark's own books: org.apache.spark.status.AppStatusStore, which is right with the UI off. Not a
# public API.


def executors_wanted(context: Any) -> Any:
    """How many executors Spark wants; None where it is not told."""
    wanted = context._jvm.java.util.ArrayList()
    for status in (RUNNING, FAILED):
        wanted.add(context._jvm.org.apache.spark.JobExecutionStatus.valueOf(status))
    return wanted


def newest_jobs(context: Any, wanted: Any) -> list[Any]:
    """The newest jobs that run or failed, but for those that ask executors what they are: who asks
    is told.
    """
    found = context._jsc.sc().statusStore().jobsList(wanted)
    jobs = [found.apply(index) for index in range(min(int(found.size()), _JOBS_READ))]
    return [job for job in jobs if not _said(job.jobGroup()).startswith("coffee_boat-")]


def failing_tasks(context: Any, jobs: Iterable[Any]) -> Iterator[str]:
    """Why tasks failed in jobs that go on, in the words of Spark's scheduler."""
    store = context._jsc.sc().statusStore()
    for stage in _stages(job for job in jobs if job.numFailedTasks()):
        tasks = store.taskList(stage, 0, _TASKS_READ)
        for task in (tasks.apply(index) for index in range(int(tasks.size()))):
            if _said(task.errorMessage()):
                yield (
                    f"Lost task ({task.host()} executor {task.executorId()}):"
                    f" {_said(task.errorMessage())}"
                )


def reasons(context: Any, jobs: Iterable[Any]) -> Iterator[str]:
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
