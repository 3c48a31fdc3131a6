"""One job in a thread and a job group of its own, so that it can be cancelled."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from coffee_boat._support.redact import redact
from coffee_boat.errors import VerifyError
from coffee_boat.session.status_store import elements
from coffee_boat.spark import jvm
from coffee_boat.worker import facts

if TYPE_CHECKING:
    from pyspark import SparkContext


_GRACE = 5.0
"""Seconds that a cancelled job gets to end."""
_GLANCE = 0.25
"""Seconds between two looks at a job that may wait for slots."""
_TASKS_SHOWN = 100

InVain = Callable[[Collection[str], Callable[[], Collection[str]]], bool]
"""Of the ids of those executors that have answered; the other tells where tasks of ours run."""


class Job:
    """One job in a thread and a job group of its own, so that it can be given up."""

    def __init__(self, context: SparkContext, payload: bytes, *, tasks: int, pause: float) -> None:
        self._context = context
        self._tasks = tasks
        self._group = f"coffee_boat-{uuid.uuid4().hex}"
        self._answers = context.accumulator([], _concatenation())
        self._action = _action(payload, pause, self._answers)
        self._error: Exception | None = None

    def run(self, timeout: float, in_vain: InVain | None = None) -> list[tuple[str, Any]]:
        """What the tasks said; what the finished ones said if the time was over before all had.

        An accumulator brings each answer when its task ends: one executor that hangs does not hide
        the others, as it would in the result of the job.

        Args:
            timeout: seconds.
            in_vain: asked now and then: True to give it up.

        Raises:
            VerifyError: the job failed.
        """
        from pyspark import InheritableThread

        thread = InheritableThread(target=self._submit, daemon=True)
        thread.start()
        try:
            self._wait(thread, timeout, in_vain)
        finally:
            given_up = self._cancel(thread)
            if not thread.is_alive():
                self._forget()
        if self._error is not None and not given_up:
            self._raise(self._error)
        found: list[tuple[str, Any]] = self._answers.value
        return found

    def _wait(self, thread: threading.Thread, timeout: float, in_vain: InVain | None) -> None:
        if in_vain is None:
            thread.join(timeout)
            return
        from py4j.protocol import Py4JError

        end = time.monotonic() + timeout
        while thread.is_alive() and (left := end - time.monotonic()) > 0:
            thread.join(min(left, _GLANCE))
            answered = [executor for executor, _ in self._answers.value]
            with suppress(Py4JError):  # the JVM ends: the job's own failure tells it
                if thread.is_alive() and in_vain(answered, self._runs_on):
                    return

    def _runs_on(self) -> set[str]:
        """Ids of the executors where tasks of it run."""
        return {task.executorId() for task in self._tasks_of_it() if task.status() == "RUNNING"}

    def _tasks_of_it(self) -> list[Any]:
        """Spark's own words on each task that was begun."""
        tracker, store = self._context.statusTracker(), self._context._jsc.sc().statusStore()
        stages = [
            stage
            for job in tracker.getJobIdsForGroup(self._group)
            for stage in getattr(tracker.getJobInfo(job), "stageIds", None) or ()
        ]
        lists = [store.taskList(stage, 0, max(self._tasks, _TASKS_SHOWN)) for stage in stages]
        return [task for tasks in lists for task in elements(tasks)]

    def _submit(self) -> None:
        try:
            self._context.setJobGroup(self._group, "coffee_boat: asks every executor what it runs")
            self._context.parallelize(range(self._tasks), self._tasks).foreachPartition(
                self._action
            )
        except Exception as error:  # noqa: BLE001  carried to the caller's thread
            self._error = error

    def _cancel(self, thread: threading.Thread) -> bool:
        """Cancel until it has ended: a cancel that comes before the job was submitted would be
        lost.
        """
        given_up = thread.is_alive()
        end = time.monotonic() + _GRACE
        while thread.is_alive() and time.monotonic() < end:
            self._context.cancelJobGroup(self._group)
            thread.join(0.2)
        return given_up

    def _forget(self) -> None:
        """Spark keeps every accumulator for as long as the process lives.

        Only of a job that has ended: all of the context's updates come by one connection, which an
        update of one that is not known breaks (pyspark.accumulators.UpdateRequestHandler).
        """
        from pyspark import accumulators

        getattr(accumulators, "_accumulatorRegistry", {}).pop(self._answers.aid, None)

    def _raise(self, error: Exception) -> NoReturn:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        if jvm.has_ended():
            raise VerifyError.of(jvm.ENDED) from error
        if not isinstance(error, (Py4JError, PySparkException)):
            raise error
        raise job_failed(redact(f"{error}\n{self._where()}")) from error

    def _where(self) -> str:
        """The nodes where tasks failed, in the words of Spark's scheduler: from 4.1 on its
        exception may be the task's own, without them.
        """
        return "\n".join(
            sorted(
                {
                    f"Lost task ({task.host()} executor {task.executorId()})"
                    for task in self._tasks_of_it()
                    if task.status() == "FAILED"
                }
            )
        )


def job_failed(text: str) -> VerifyError:
    """The error for a job that asks the executors.

    Args:
        text: Spark's own, without secrets.
    """
    return VerifyError(
        "session.job-failed",
        "a job that asks the executors failed",
        value=text.splitlines()[0],
        cause=text,
        cure="look at the executors' stderr in the Spark UI",
    )


def _concatenation() -> Any:
    """How the accumulator adds.

    A nested class travels by value: executors need not have this module.
    """

    class Concatenation:
        def zero(self, _: list[Any]) -> list[Any]:
            return []

        def addInPlace(self, left: list[Any], right: list[Any]) -> list[Any]:  # noqa: N802  pyspark's AccumulatorParam
            return left + right

    return Concatenation()


def _action(payload: bytes, pause: float, answers: Any) -> Callable[[Iterable[int]], None]:
    """What runs in a task. A nested function travels by value, too."""

    def action(_: Iterable[int]) -> None:
        import pickle
        import time

        executor_id, function, arguments = pickle.loads(payload)  # noqa: S301  made by _by_value
        answers.add([(executor_id(), function(*arguments))])
        time.sleep(pause)

    return action


def by_value(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    """A function and its arguments, pickled so that no executor needs our modules."""
    from pyspark import cloudpickle

    with _whole({facts.__name__, function.__module__}):
        pickled: bytes = cloudpickle.dumps((facts.executor_id, function, arguments))
    return pickled


@contextmanager
def _whole(names: Iterable[str]) -> Iterator[None]:
    """While it lasts, cloudpickle writes the functions of these modules out instead of naming
    them.
    """
    from pyspark import cloudpickle

    known = cloudpickle.list_registry_pickle_by_value()
    modules = [
        sys.modules[name] for name in sorted(names) if name in sys.modules and name not in known
    ]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
