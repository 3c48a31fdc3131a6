"""A classic session: a SparkContext, and its JVM by py4j."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coffee_boat._support.logs import logger
from coffee_boat._support.redact import redact, redact_setting
from coffee_boat.errors import ShipError, VerifyError
from coffee_boat.model import SQL_PYTHON, ConfPatch, NodeFacts, Shipped, SparkFacts
from coffee_boat.session import Answers, Lasting, Versions, nodes
from coffee_boat.session.jobs import Job, by_value
from coffee_boat.session.slots import Crowded
from coffee_boat.session.status_store import DRIVER, elements
from coffee_boat.session.watch import Watch
from coffee_boat.spark.jvm import ENDED, has_ended, is_up, shared_map
from coffee_boat.worker.layers import SUFFIX

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

_log = logger(__name__)
_PAUSE = 0.2
"""Seconds that a task holds its slot from the second round on, so that the others have to take
another one; longer in each round. None in the first: Spark offers all free slots at once, so on an
idle cluster each executor has its tasks before one ends.
"""
_LONGEST_PAUSE = 1.0


class ClassicSession:
    """Wraps a running SparkContext; only `send` and `activate` change anything of it.

    Args:
        sql: the SQL session whose functions, of those that were used before, get another
            interpreter, too; and whose streams are looked at.
    """

    def __init__(self, context: SparkContext, sql: SparkSession | None = None) -> None:
        self._context = context
        self._sql = sql

    @property
    def id(self) -> str:
        """Spark's id of the application."""
        return str(self._context.applicationId)

    @property
    def alive(self) -> bool:
        """False once the context was stopped, by whomever."""
        return is_up(self._context)

    @property
    def master(self) -> str:
        """As Spark has it: "yarn", "local[2]"."""
        return str(self._context.master)

    @property
    def remote(self) -> bool:
        """False: the driver is this process's."""
        return False

    def is_of(self, handed: Any) -> bool:
        """True if it is the session of a SparkContext, or of a SparkSession."""
        return getattr(handed, "sparkContext", handed) is self._context

    def facts(self) -> SparkFacts:
        """What the driver knows of it."""
        import pyspark

        conf = dict(self._context.getConf().getAll())
        return SparkFacts(
            version=pyspark.__version__,
            master=self.master,
            deploy_mode=conf.get("spark.submit.deployMode", "client"),
            conf=conf,
            environment={
                name: value for name, value in os.environ.items() if name.startswith("PYSPARK_")
            },
            python=sys.executable,
        )

    def nodes(self, *, deadline: float) -> tuple[NodeFacts, ...]:
        """What the nodes of its executors say of themselves, by a small job of the JVM's."""
        return nodes.ask(self._context, deadline=deadline)

    def archives(self) -> tuple[str, ...]:
        """Names of the archives that were sent to it, by whomever."""
        files = (uri.rpartition("/")[2] for uri in self._context.listFiles)
        layers = (name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX))
        return (*(uri.rpartition("#")[2] for uri in self._context.listArchives), *layers)

    def lasting(self) -> Lasting:
        """What a change of its interpreter does not reach."""
        streams = self._sql.streams.active if self._sql is not None else []
        return Lasting(
            cached=self._context._jsc.getPersistentRDDs().size(),
            streams=tuple(str(query.name or query.id) for query in streams),
            sql_functions=self._sql is None,
        )

    def versions(self) -> Versions:
        """The Spark versions on the driver's side.

        Raises:
            VerifyError: the context was stopped.
        """
        import pyspark

        self._require_live()
        return Versions(driver=pyspark.__version__, jvm=self._context.version)

    def executors(self) -> tuple[str, ...]:
        """Ids of the executors that are live now, sorted; the driver's only in local mode.

        Raises:
            VerifyError: the context was stopped.
        """
        return tuple(sorted(self._slots(), key=lambda executor: (len(executor), executor)))

    def watched_by(self, watch: Watch) -> None:
        """Let a watch look at it from now on."""
        watch.follow(self._context)

    def send(self, shipped: Shipped) -> None:
        """Add an archive: each executor unpacks it, under its name, before the tasks of the
        next stage that it is given; executors that join later, too. A plain file they fetch, and
        what looks for it there unpacks it.

        A name is taken once by Spark, in silence; ours are of the content, so a second time is the
        same archive.

        Raises:
            ShipError: Spark does not take it.
            VerifyError: the context was stopped.
        """
        from py4j.protocol import Py4JJavaError

        self._require_live()
        try:
            if shipped.plain:
                self._context.addFile(shipped.uri)
            else:
                self._context.addArchive(f"{shipped.uri}#{shipped.archive.name}")
        except Py4JJavaError as error:
            raise ShipError(
                "ship.layer-refused",
                "Spark does not take the archive of the added packages",
                value=shipped.archive.name,
                cause=redact(str(error.java_exception)),
                cure=(
                    "look for a full disk in spark.local.dir on the driver, and for a stage that"
                    " the driver cannot read"
                ),
            ) from error

    def place(self, name: str) -> str:
        """Where executors' Python has what was sent under a name: in local mode, where workers run
        in the driver's working directory, the whole path.
        """
        from pyspark import SparkFiles

        if self._context._jsc.sc().isLocal():
            return str(Path(SparkFiles.getRootDirectory()) / name)
        return f"./{name}"

    def activate(self, patch: ConfPatch, marks: Mapping[str, str] | None = None) -> None:
        """Let functions that are used from now on run under another interpreter, with more
        variables.

        Both are captured with a function when it is first used. Where the variables are the JVM's
        shared map already, functions that were made before see the new ones, too. The conf of a
        context that runs is read by `getConf` only.

        Args:
            patch: its interpreter and its variables; its conf is not looked at.
            marks: settings to find in the conf later.

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
        _log.info(
            "executors run %s with %s from now on",
            patch.python,
            ", ".join(f"{k}={redact_setting(k, v)}" for k, v in sorted(patch.environment.items())),
        )
        for key, value in (marks or {}).items():
            context._conf.set(key, value)
        if self._sql is not None:
            self._sql.conf.set(SQL_PYTHON, patch.python)

    def ask(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        deadline: float,
        patient: bool = True,
    ) -> Answers:
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
            patient: False to end before, once other tasks are seen to keep all slots of the
                executors that are missing.

        Raises:
            VerifyError: a job fails, or the context was stopped; its cause is Spark's own text.
        """
        end = time.monotonic() + deadline
        payload = b""
        answers: dict[str, Any] = {}
        rounds = 0
        crowded = None if patient else Crowded(self._full)
        while (waiting := self._waiting(answers, rounds)) and (left := end - time.monotonic()) > 0:
            rounds += 1
            payload = payload or by_value(function, arguments)
            job = Job(
                self._context,
                payload,
                tasks=waiting,
                pause=min(_PAUSE * (rounds - 1), _LONGEST_PAUSE),
            )
            in_vain = crowded and (lambda now, ours: crowded({*answers, *now}, ours))
            for executor, answer in job.run(left, in_vain):
                answers.setdefault(executor, answer)
            if crowded and crowded(answers):
                break
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
        """Live executors -> tasks that run there at once."""
        return {summary.id(): summary.maxTasks() for summary in self._executors()}

    def _full(self) -> dict[str, bool]:
        """Live executors -> True where no more tasks can run now."""
        return {
            summary.id(): summary.activeTasks() >= summary.maxTasks()
            for summary in self._executors()
        }

    def _executors(self) -> list[Any]:
        """What Spark says of each live executor.

        From the status store, which is right with the UI off; SparkContext's own list of block
        managers lags. Not a public API of Spark:
        org.apache.spark.status.AppStatusStore.executorList, api.v1.ExecutorSummary.
        """
        self._require_live()
        spark = self._context._jsc.sc()
        local = spark.isLocal()
        summaries = spark.statusStore().executorList(True)
        return [one for one in elements(summaries) if local or one.id() != DRIVER]

    def _require_live(self) -> None:
        if not is_up(self._context):
            if has_ended():
                raise VerifyError.of(ENDED)
            raise VerifyError(
                "session.stopped",
                "the Spark session was stopped",
                cause="the session is not running",
                cure="start a SparkContext or SparkSession again",
            )
