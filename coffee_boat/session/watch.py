"""Looks at a session from a thread of its own, and tells what Spark does not: why nothing runs yet,
how many executors are ready, and why executors' Python does not start.

Spark says the first never or as "Initial job has not accepted any resources", the second never, and
the third as an EOFException among a hundred stack frames. Nothing of pyspark is changed for it and
no job is run: the driver's own status store is read, a call or two at a time.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from coffee_boat._support.logs import logger
from coffee_boat._support.redact import redact
from coffee_boat.model import Finding
from coffee_boat.session.arriving import Arriving
from coffee_boat.session.status_store import Jobs, News, catch_up, is_starved, while_it_lasts

if TYPE_CHECKING:
    from pyspark import SparkContext


_log = logger(__name__)
_PAUSE_BUSY, _PAUSE_IDLE = 0.25, 1.0
"""Seconds between two looks while jobs run, and while none do."""
_LONGEST_PAUSE = 2.0
"""What each pause that follows a look without news gets longer to."""
_SOON = 120.0
"""Seconds in which executors are looked for as often as while jobs run."""
_PATIENCE = 5.0
_MOMENT, _LONGEST = 5.0, 15.0
"""Seconds that who leaves waits for the last look; and for what is told of it, once the JVM has
answered.
"""


class Watch:
    """Begins before the SparkContext does, and ends with it."""

    def __init__(
        self,
        *,
        waiting: Callable[[str | None], Iterable[Finding]],
        explain: Callable[[str], Finding | None],
        tell: Callable[[Finding, SparkContext | None], None],
        arriving: Arriving | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        """
        Args:
            waiting: asks the cluster why nothing of an application runs yet; None while its id is
                not known.
            explain: what a failed task's text means.
            tell: takes each kind of finding once, as many nodes may say the same; with the context
                for what a task's text means.
            arriving: looks at executors that come, from before the context is up.
            patience: seconds without any executor, after which the cluster is asked why; and
                between two questions.
        """
        self._waiting, self._explain, self._tell = waiting, explain, tell
        self._arriving = arriving
        self._context: Any = None
        self._ended = threading.Event()
        self._began = time.monotonic()
        self._patience, self._asked = patience, self._began
        self._jobs: Jobs | None = None
        self._told: set[tuple[str, str]] = set()
        self._looking = threading.Lock()
        self._leaving, self._seen, self._left = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self._start(self._run)

    def follow(self, context: SparkContext) -> None:
        """The context is up. A script's last failure is its end: the last look is then."""
        self._context = context
        self._start(self._wait_to_leave)  # now: a process that ends starts no more threads
        atexit.register(self.leave)

    @property
    def follows(self) -> bool:
        """True if its context is up."""
        return self._context is not None and not self._stopped()

    def end(self) -> None:
        """Look no more."""
        atexit.unregister(self.leave)
        self._ended.set()
        self._leaving.set()

    def leave(self) -> None:
        """Look once more before the context stops or the process ends, since what its store knows
        goes with it.

        Another thread looks: a call to a JVM that hangs never returns, and nobody is to wait for it
        longer than a moment.
        """
        self._leaving.set()
        if self.follows and self._seen.wait(_MOMENT):
            self._left.wait(_LONGEST)

    def look(self) -> bool:
        """Tell what is new.

        Returns:
            True if jobs run.
        """
        news, found = self._news()
        self._tell_all(found)
        return news.running

    def _news(self) -> tuple[News, list[Finding]]:
        context, found, news = self._context, list[Finding](), News()
        if not self._ended.is_set() and context is not None and not self._stopped():
            with while_it_lasts(), self._looking:
                news = self._look(context, found)
        return news, found

    def _tell_all(self, found: Iterable[Finding]) -> None:
        for finding in found:
            self._tell_once(finding, self._context)

    def _start(self, work: Callable[[], None]) -> None:
        """A thread whose failure costs the user nothing but what it would have told."""

        def guarded() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001  a Spark that is not as we know it may answer in any way
                self._give_up(error)

        threading.Thread(
            target=copy_context().run, args=(guarded,), name="coffee_boat-watch", daemon=True
        ).start()

    def _give_up(self, error: Exception) -> None:
        if not self._leaving.is_set():
            self._tell_once(_not_watched(error), None)
        self.end()

    def _wait_to_leave(self) -> None:
        self._leaving.wait()
        try:
            if self.follows:
                catch_up(self._context)
            _, found = self._news()
            self._seen.set()
            self._tell_all(found)
        finally:
            self._seen.set()
            self._left.set()

    def _run(self) -> None:
        pause = _PAUSE_BUSY
        while not self._ended.wait(pause) and not self._stopped():
            self._look_who_comes()
            news, found = self._news()
            self._tell_all(found)
            pause = self._pause(news, pause)
            if time.monotonic() - self._asked >= self._patience:
                self._ask_why()
                self._asked = time.monotonic()

    def _look_who_comes(self) -> None:
        arriving, enough = self._arriving, False
        if arriving is None:
            return
        try:
            with while_it_lasts():
                enough = arriving.look(self._context)
        except Exception as error:  # noqa: BLE001  as for the watch itself, which goes on
            _log.debug("executors that come are not counted: %s: %s", type(error).__name__, error)
            enough = True
        if enough or (self._context is not None and not self._comes_soon()):
            self._arriving = None

    def _pause(self, news: News, before: float) -> float:
        if self._context is None or self._comes_soon():
            return _PAUSE_BUSY
        shortest = _PAUSE_BUSY if news.running else _PAUSE_IDLE
        return shortest if news.changed else min(max(2 * before, shortest), _LONGEST_PAUSE)

    def _comes_soon(self) -> bool:
        return self._arriving is not None and time.monotonic() - self._began < _SOON

    def _stopped(self) -> bool:
        return self._context is not None and self._context._jsc is None

    # what the driver knows

    def _look(self, context: Any, into: list[Finding]) -> News:
        if self._jobs is None:
            self._jobs = Jobs(context)

        def explain(text: str) -> None:
            if (found := self._explain(text)) is not None:
                into.append(found)

        return self._jobs.look(explain)

    # what the cluster knows

    def _ask_why(self) -> None:
        context = self._context
        starved = context is None
        if context is not None:
            with while_it_lasts():
                starved = is_starved(context)
        if starved:
            for finding in self._waiting(None if context is None else str(context.applicationId)):
                self._tell_once(finding, None)

    def _tell_once(self, finding: Finding, context: Any) -> None:
        kind = (finding.what, finding.cause)
        if kind not in self._told and not self._ended.is_set():
            self._told.add(kind)
            self._tell(finding, context)


def _not_watched(error: Exception) -> Finding:
    return Finding(
        "session.not-watched",
        "this session is not watched",
        value=redact(f"{type(error).__name__}: {error}"),
        cause=(
            "this Spark keeps what it knows of its jobs in another way (py4j says of a class that"
            " is not there: 'JavaPackage' object is not callable)"
        ),
        cure="where tasks fail, look at the executors' stderr in the Spark UI, or captain.verify()",
        severity="note",
    )
