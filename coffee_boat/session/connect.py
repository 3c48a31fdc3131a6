"""A session of Spark Connect: its driver is a server, which is asked for all that is known."""

from __future__ import annotations

import pickle
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from coffee_boat._support.logs import logger
from coffee_boat._support.progress import Step, progress
from coffee_boat._support.redact import redact_all
from coffee_boat._support.words import human_size
from coffee_boat.errors import Problem, ShipError, VerifyError
from coffee_boat.model import SQL_PYTHON, ConfPatch, NodeFacts, Shipped, SparkFacts
from coffee_boat.session import Answers, Lasting, Versions, record
from coffee_boat.session.jobs import by_value, job_failed
from coffee_boat.session.reading import how_far
from coffee_boat.session.watch import Watch
from coffee_boat.spark import connect
from coffee_boat.worker import startup

_log = logger(__name__)
_PING = 10.0
"""Seconds for a server to say that it knows the session."""
_GRACE = 5.0
"""Seconds that an interrupted job gets to end."""
_PAUSE = 0.2
"""Seconds that a task holds its slot from the second round on, so that others have to take another
one.
"""
_LONGEST_PAUSE = 1.0
_GLANCE = 0.3
"""Seconds between two looks at how far an archive is sent."""
_KEYS = (
    record.LOCK,
    record.PYTHON,
    record.SHIPS_PYTHON,
    "spark.app.id",
    "spark.master",
    SQL_PYTHON,
    "spark.sql.execution.pythonUDF.arrow.enabled",
    "spark.sql.execution.pythonUDTF.arrow.enabled",
)
"""What is read one by one, of a Spark whose client cannot list a session's settings."""


class ConnectSession:
    """Wraps a running SparkSession of Spark Connect; only `send` and `activate` change anything.

    The server tells of no executors, so those that were seen are all that is known.
    """

    def __init__(self, spark: Any) -> None:
        self._spark = spark
        self._sent: dict[str, None] = {}
        self._seen: dict[str, None] = {}
        """Ids of executors that have answered."""
        self._marked = ""
        """What the session's conf has of ours since `activate`: gone where a server that was
        started anew made a new session under the old id (Spark 3.5).
        """

    @property
    def id(self) -> str:
        """The server's id of the session."""
        return str(self._spark.session_id)

    @property
    def alive(self) -> bool:
        """False once it was stopped, or its server does not know it any more, or does not
        answer.
        """
        return self.trouble() is None

    def trouble(self) -> Problem | None:
        """Why it is not alive; None if it is.

        One call without the client's own retries, which take ten minutes.
        """
        client = self._spark.client
        closed = getattr(client, "is_closed", False) or getattr(client, "_closed", False)
        try:
            return None if not closed and self._ping(client) else connect.ended(self.master)
        except Exception as error:  # noqa: BLE001  whatever gRPC raises, nobody answers for it
            known = connect.problem(error, self.master) or connect.ended(self.master)
            _log.info("session %s does not answer: %s", self.id, known)
            return known

    def _ping(self, client: Any) -> bool:
        """Ask for one setting; `Config` is what every server of the protocol has."""
        request = client._config_request_with_metadata()
        pair = request.operation.get_with_default.pairs.add()
        pair.key, pair.value = record.LOCK, ""
        response = client._stub.Config(request, metadata=client._builder.metadata(), timeout=_PING)
        observed = getattr(client, "_server_session_id", None)
        if observed and response.server_side_session_id not in ("", observed):
            return False
        said = {pair.key: pair.value for pair in response.pairs}
        return not self._marked or said.get(record.LOCK) == self._marked

    @property
    def remote(self) -> bool:
        """True: nothing of this process is a part of its driver."""
        return True

    @cached_property
    def master(self) -> str:
        """sc://host:port, without anything secret."""
        builder = self._spark.client._builder
        where = getattr(builder, "endpoint", None) or getattr(builder, "host", "")
        return connect.address(f"{connect.SCHEME}{where}")

    def is_of(self, handed: Any) -> bool:
        """True if it is this session."""
        return handed is self._spark or (
            connect.is_session(handed) and getattr(handed, "session_id", None) == self.id
        )

    def facts(self) -> SparkFacts:
        """What the server says of it. Without secrets: Spark hides those of its settings itself."""
        import pyspark

        conf = self._asked(self._conf)
        return SparkFacts(version=pyspark.__version__, master=self.master, conf=conf)

    def _conf(self) -> dict[str, str]:
        settings = self._spark.conf
        every = getattr(settings, "getAll", None)  # Spark 4
        known = dict(every) if isinstance(every, Mapping) else {}
        missing = [key for key in _KEYS if key not in known]
        said = {key: settings.get(key, None) for key in missing}
        return known | {key: str(value) for key, value in said.items() if value is not None}

    def nodes(self, *, deadline: float) -> tuple[NodeFacts, ...]:  # noqa: ARG002  (of the protocol)
        """None: no function of the JVM's can be run there."""
        return ()

    def archives(self) -> tuple[str, ...]:
        """Names of the archives that this process sent."""
        return tuple(self._sent)

    def lasting(self) -> Lasting:
        """Streams: they run beside the session, without its archives."""
        with suppress(Exception):  # a server that has no streams
            running = self._spark.streams.active
            return Lasting(streams=tuple(str(q.name or q.id) for q in running), functions=False)
        return Lasting(functions=False)

    @cached_property
    def _server(self) -> str:
        return str(self._spark.version)

    def versions(self) -> Versions:
        """Of the client and of the server.

        Raises:
            VerifyError: the session has ended.
        """
        import pyspark

        return Versions(
            driver=pyspark.__version__, jvm=self._asked(lambda: self._server), remote=True
        )

    def executors(self) -> tuple[str, ...]:
        """Ids of those that have answered by now, sorted."""
        return tuple(sorted(self._seen, key=lambda executor: (len(executor), executor)))

    def watched_by(self, watch: Watch) -> None:
        """There is nothing to look at: what the server knows of tasks comes with their failure."""
        watch.end()

    def send(self, shipped: Shipped) -> None:
        """Add an archive to the session: its executors unpack it, under its name, before the tasks
        of the next query.

        A name is taken once, in silence; ours are of the content.

        Raises:
            ShipError: the server does not take it, or the session has ended.
        """
        archive = shipped.archive
        if archive.name in self._sent:
            return
        path = Path(archive.path).absolute()
        thread = _Thread(
            lambda: self._spark.addArtifacts(f"{path.as_uri()}#{archive.name}", archive=True)
        )
        with progress() as say:
            what = f"sending {archive.name} to {self.master}"
            came = 0
            thread.start()
            while thread.is_alive():
                say(Step(what, came=came, size=archive.size))
                thread.join(_GLANCE)
                came = how_far(path) or came
        if thread.error is not None:
            problem = connect.sending(thread.error, self.master, archive.name)
            raise ShipError.of(problem) from thread.error
        self._sent[archive.name] = None
        _log.info("sent %s, %s, to %s", archive.name, human_size(archive.size), self.master)

    def place(self, name: str) -> str:
        """Where executors' Python has what was sent under a name: in the folder that it works in,
        which is the session's.
        """
        return f"./{name}"

    def activate(self, patch: ConfPatch, marks: Mapping[str, str] | None = None) -> None:
        """Let all queries from now on run under another interpreter, functions that were made
        before among them.

        Variables cannot be set there: of those only the newest base is heeded.

        Args:
            patch: its interpreter and its variables.
            marks: settings to find in the session's conf later.

        Raises:
            VerifyError: the session has ended.
        """
        newest, *_ = patch.environment.get(startup.BASE, "").split(":")
        python = newest or patch.python
        settings = {**(marks or {}), SQL_PYTHON: python}

        def set_all() -> None:
            for key, value in settings.items():
                self._spark.conf.set(key, value)

        self._asked(set_all)
        self._marked = (marks or {}).get(record.LOCK, self._marked)
        _log.info("session %s runs %s from now on", self.id, python)

    def ask(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        deadline: float,
        patient: bool = True,  # noqa: ARG002  (of the protocol) nobody tells of busy slots here
    ) -> Answers:
        """Run a function once or more on every executor that comes to be seen: a first job with a
        task a slot, then more, in which tasks hold their slots, until none shows a new one.

        Args:
            function: of an importable module; it travels by value, with what it uses of its own
                module.
            deadline: seconds; then what is still running of it is interrupted.

        Raises:
            VerifyError: a job fails, or the session has ended.
        """
        end = time.monotonic() + deadline
        payload = by_value(function, arguments)
        answers: dict[str, Any] = {}
        slots = rounds = 0
        while (left := end - time.monotonic()) > 0:
            known = len(answers)
            slots = slots or self._slots(left)
            tasks = max(slots, 2 * known if rounds else 1)
            pause = min(_PAUSE * rounds, _LONGEST_PAUSE)
            rounds += 1
            for executor, answer in self._round(payload, tasks, pause, end - time.monotonic()):
                answers.setdefault(executor, answer)
            if len(answers) == known or len(answers) >= slots:
                break
        self._seen |= dict.fromkeys(answers)
        return Answers(answers, (), rounds, complete=False)

    def _slots(self, left: float) -> int:
        """How many tasks run at once, by a small job of the JVM's; 1 if it does not end in time."""
        from pyspark.sql.connect.functions import spark_partition_id

        def count() -> int:  # of partitions that Spark chooses itself, one a slot
            rows = self._spark.range(0, 1 << 12).select(spark_partition_id().alias("p")).collect()
            return 1 + max(int(row[0]) for row in rows)

        return self._within(left, count) or 1

    def _round(
        self, payload: bytes, tasks: int, pause: float, left: float
    ) -> list[tuple[str, Any]]:
        """What the tasks of one job said; nothing, if it did not end in time."""
        from pyspark.sql.connect.functions import udf

        def say() -> list[tuple[str, Any]]:
            # no Arrow: what brings pyarrow may be what is asked for
            look = udf(_look(payload, pause), "binary", useArrow=False)
            rows = self._spark.range(0, tasks, 1, tasks).select(look("id").alias("said")).collect()
            return [pickle.loads(bytes(row[0])) for row in rows]  # noqa: S301  our own function's

        return self._within(left, say) or []

    def _within(self, left: float, call: Callable[[], Any]) -> Any:
        """What a call says; None if it takes longer: then it is interrupted.

        Raises:
            VerifyError: it fails.
        """
        tag = f"coffee_boat-{uuid.uuid4().hex}"

        def tagged() -> Any:
            with suppress(AttributeError):  # Spark 3.4
                self._spark.addTag(tag)
            return call()

        thread = _Thread(tagged)
        thread.start()
        thread.join(max(left, 0.0))
        if thread.is_alive():
            stopper = _Thread(lambda: self._spark.interruptTag(tag))
            stopper.start()
            stopper.join(_GRACE)
            thread.join(_GRACE)
            return None
        if thread.error is not None:
            self._raise(thread.error)
        return thread.said

    def _asked(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            known = connect.asking(error, self.master)
            if known is None:
                raise
            raise VerifyError.of(known) from error

    def _raise(self, error: BaseException) -> NoReturn:
        from pyspark.errors import PySparkException

        known = connect.problem(error, self.master)
        if known is not None:
            raise VerifyError.of(known) from error
        if not isinstance(error, PySparkException):
            raise error
        (text,) = redact_all(str(error))
        raise job_failed(text) from error


class _Thread(threading.Thread):
    """A call in a thread of its own, with what it said or raised. The user's own thread keeps its
    tags.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(name="coffee_boat-connect", daemon=True)
        self._call = call
        self.said: Any = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.said = self._call()
        except Exception as error:  # noqa: BLE001  carried to the caller's thread
            self.error = error


def _look(payload: bytes, pause: float) -> Callable[[Any], bytes]:
    """What runs in a task. A nested function travels by value."""

    def look(_: Any) -> bytes:
        import pickle
        import time

        executor_id, function, arguments = pickle.loads(payload)  # noqa: S301  made by by_value
        said = pickle.dumps((executor_id(), function(*arguments)))
        time.sleep(pause)
        return said

    return look
