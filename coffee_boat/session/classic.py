"""A classic session: a SparkContext, and its JVM by py4j."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from coffee_boat._jvm import shared_map
from coffee_boat._run import redact
from coffee_boat.errors import ShipError, VerifyError
from coffee_boat.model import SQL_PYTHON, ConfPatch, Shipped
from coffee_boat.session import Answers, Versions
from coffee_boat.worker import facts

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

_PAUSE = 0.2
"""Seconds that a task holds its slot from the second round on, so that the others have to take
another one; longer in each round. None in the first: Spark offers all free slots at once, so on an
idle cluster each executor has its tasks before one ends.
"""
_LONGEST_PAUSE = 1.0
_GRACE = 5.0
"""Seconds that a cancelled job gets to end."""
_TASKS_SHOWN = 100
_DRIVER = "driver"


class ClassicSession:
    """Wraps a running SparkContext; only `send` and `switch` change anything of it."""

    def __init__(self, context: SparkContext) -> None:
        self._context = context

    def versions(self) -> Versions:
        """The Spark versions on the driver's side.

        Raises:
            VerifyError: the context was stopped.
        """
        import pyspark

        self._require_live()
        return Versions(driver=pyspark.__version__, jvm=self._context.version)

    @property
    def application(self) -> str:
        """Spark's id of it; unique within one cluster."""
        return str(self._context.applicationId)

    def executors(self) -> tuple[str, ...]:
        """Ids of the executors that are live now, sorted; the driver's only in local mode.

        Raises:
            VerifyError: the context was stopped.
        """
        return tuple(sorted(self._slots(), key=lambda executor: (len(executor), executor)))

    def send(self, shipped: Shipped) -> None:
        """Add an archive: each executor unpacks it, under its name, before its next task; executors
        that join later, too.

        A name is taken once by Spark, in silence; ours are of the content, so a second time is the
        same archive.

        Raises:
            ShipError: Spark does not take it.
            VerifyError: the context was stopped.
        """
        from py4j.protocol import Py4JJavaError

        self._require_live()
        try:
            self._context.addArchive(f"{shipped.uri}#{shipped.archive.name}")
        except Py4JJavaError as error:
            raise ShipError(
                "Spark does not take the archive of the added packages",
                value=shipped.archive.name,
                cause=redact(str(error.java_exception)),
                cure=(
                    "look for a full disk in spark.local.dir on the driver, and for a stage that"
                    " the driver cannot read"
                ),
            ) from error

    def switch(
        self, patch: ConfPatch, marks: Mapping[str, str], session: SparkSession | None = None
    ) -> None:
        """Let functions that are used from now on run under another interpreter, with more
        variables.

        Both are captured with a function when it is first used. Where the variables are the JVM's
        shared map already, functions that were made before see the new ones, too. The conf of a
        context that runs is read by `getConf` only.

        Args:
            patch: its interpreter and its variables; its conf is not looked at.
            marks: settings to find in the conf later.
            session: SQL functions of this session that were used before get the interpreter, too.

        Raises:
            VerifyError: the context was stopped.
        """
        self._require_live()
        context = self._context
        if isinstance(context.environment, dict):
            context.environment = shared_map(
                context._jvm, {**context.environment, **patch.environment}
            )
        else:
            context.environment.update(patch.environment)
        context.pythonExec = patch.python
        for key, value in marks.items():
            context._conf.set(key, value)
        if session is not None:
            session.conf.set(SQL_PYTHON, patch.python)

    def ask(self, function: Callable[..., Any], *arguments: Any, deadline: float) -> Answers:
        """Run a function once or more on every live executor, by small jobs until the live list is
        covered.

        Spark has no way to address an executor, so a job has as many tasks as there are slots. On a
        busy cluster, or where executors come late, more rounds follow, in which each task holds its
        slot for a moment. The caller's job group and local properties stay as they are: the jobs
        run in a thread of their own, which inherits them (scheduler pool) and has its own group.

        Args:
            function: of an importable module; it travels by value, with what it uses of its own
                module.
            deadline: seconds; then what is still running of it is cancelled.

        Raises:
            VerifyError: a job fails, or the context was stopped; its cause is Spark's own text.
        """
        end = time.monotonic() + deadline
        payload = _by_value(function, arguments)
        answers: dict[str, Any] = {}
        rounds = 0
        while (waiting := self._waiting(answers, rounds)) and (left := end - time.monotonic()) > 0:
            rounds += 1
            job = _Job(
                self._context,
                payload,
                tasks=waiting,
                pause=min(_PAUSE * (rounds - 1), _LONGEST_PAUSE),
            )
            for executor, answer in job.run(left):
                answers.setdefault(executor, answer)
        return Answers(
            answers,
            tuple(executor for executor in self.executors() if executor not in answers),
            rounds,
        )

    def _waiting(self, answers: dict[str, Any], rounds: int) -> int:
        """How many tasks the next round has; 0 ends it.

        One even where no executor is live: with dynamic allocation a job is what makes Spark start
        them.
        """
        slots = self._slots()
        missing = [executor for executor in slots if executor not in answers]
        if not slots and not answers:
            return 1
        return max(sum(slots.values()), len(slots), rounds) if missing else 0

    def _slots(self) -> dict[str, int]:
        """Live executors -> tasks that run there at once.

        From the status store, which is right with the UI off; SparkContext's own list of block
        managers lags. Not a public API of Spark:
        org.apache.spark.status.AppStatusStore.executorList, api.v1.ExecutorSummary.
        """
        self._require_live()
        spark = self._context._jsc.sc()
        local = spark.isLocal()
        summaries = spark.statusStore().executorList(True)
        found = [summaries.apply(index) for index in range(summaries.size())]
        return {
            summary.id(): summary.maxTasks()
            for summary in found
            if local or summary.id() != _DRIVER
        }

    def _require_live(self) -> None:
        java = self._context._jsc
        if java is None or java.sc().isStopped():
            raise VerifyError(
                "the Spark session was stopped",
                cause="there is nobody to ask",
                cure="start a SparkContext or SparkSession again",
            )


class _Job:
    """One job in a thread and a job group of its own, so that it can be given up."""

    def __init__(self, context: SparkContext, payload: bytes, *, tasks: int, pause: float) -> None:
        self._context = context
        self._tasks = tasks
        self._group = f"coffee_boat-{uuid.uuid4().hex}"
        self._answers = context.accumulator([], _concatenation())
        self._action = _action(payload, pause, self._answers)
        self._error: Exception | None = None

    def run(self, timeout: float) -> list[tuple[str, Any]]:
        """What the tasks said; what the finished ones said if the time was over before all had.

        An accumulator brings each answer when its task ends: one executor that hangs does not hide
        the others, as it would in the result of the job.

        Raises:
            VerifyError: the job failed.
        """
        from pyspark import InheritableThread

        thread = InheritableThread(target=self._submit, daemon=True)
        thread.start()
        try:
            thread.join(timeout)
        finally:
            given_up = self._cancel(thread)
            if not thread.is_alive():
                self._forget()
        if self._error is not None and not given_up:
            self._raise(self._error)
        found: list[tuple[str, Any]] = self._answers.value
        return found

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

        if not isinstance(error, (Py4JError, PySparkException)):
            raise error
        text = redact(f"{error}\n{self._where()}")
        raise VerifyError(
            "a job that asks the executors failed",
            value=text.splitlines()[0],
            cause=text,
            cure="look at the executors' stderr in the Spark UI",
        ) from error

    def _where(self) -> str:
        """The nodes where tasks failed, in the words of Spark's scheduler: from 4.1 on its
        exception may be the task's own, without them.
        """
        tracker, store = self._context.statusTracker(), self._context._jsc.sc().statusStore()
        stages = [
            stage
            for job in tracker.getJobIdsForGroup(self._group)
            for stage in tracker.getJobInfo(job).stageIds
        ]
        lists = [store.taskList(stage, 0, _TASKS_SHOWN) for stage in stages]
        tasks = [tasks.apply(index) for tasks in lists for index in range(tasks.size())]
        return "\n".join(
            sorted(
                {
                    f"Lost task ({task.host()} executor {task.executorId()})"
                    for task in tasks
                    if task.status() == "FAILED"
                }
            )
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


def _by_value(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
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
