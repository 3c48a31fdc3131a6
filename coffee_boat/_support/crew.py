"""Threads that work beside who waits for them, and end with them.

Those of `concurrent.futures` are waited for when a process ends, whatever they wait for: a server
that does not answer, a lock that somebody else has. One Ctrl-C must end that, too. So these are
told when nobody wants their work any more, and who does not hear it is left behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import Context, copy_context
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 3.0
"""Seconds that what is under way gets to end when something has failed."""
_HASTE = 0.5
"""As many, when the user wants an end."""
_HERE = threading.local()


class StoppedError(Exception):
    """Nobody wants this work any more: other work has failed, or somebody pressed Ctrl-C."""


def stopped() -> bool:
    """True in a thread whose work nobody wants any more."""
    crew: Crew | None = getattr(_HERE, "crew", None)
    return crew is not None and crew.stopped


def go_on() -> None:
    """Raise in a thread whose work nobody wants any more.

    Raises:
        StoppedError: that.
    """
    if stopped():
        raise StoppedError


def sleep(seconds: float) -> None:
    """Wait, in a thread of a crew no longer than its work is wanted.

    Raises:
        StoppedError: it is not.
    """
    crew: Crew | None = getattr(_HERE, "crew", None)
    (threading.Event() if crew is None else crew.ended).wait(seconds)
    go_on()


class Crew:
    """A few threads, begun as they are needed. A failure, or Ctrl-C, in the block ends the others.

    Args:
        size: threads at once.
        name: of the threads.
        patience: seconds that what is under way gets to end when something has failed.
    """

    def __init__(self, size: int, name: str, *, patience: float = PATIENCE) -> None:
        self._size, self._patience = size, patience
        self._name = f"coffee_boat-{name}"
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads = 0
        self._begun: list[Future[Any]] = []
        self._open = True
        self._above: Crew | None = getattr(_HERE, "crew", None)
        self.ended = threading.Event()

    @property
    def stopped(self) -> bool:
        """True once nobody wants what it does."""
        return self.ended.is_set() or (self._above is not None and self._above.stopped)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have it done in one of the threads.

        Raises:
            RuntimeError: the block has ended, or there is no thread to be had.
        """
        if not self._open:
            raise RuntimeError("this crew has ended")
        future: Future[T] = Future()
        self._begun = [one for one in self._begun if not one.done()]
        if self._threads < min(self._size, len(self._begun) + 1):
            # daemons: a process does not wait for them when it ends
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()
            self._threads += 1
        self._begun.append(future)
        self._queue.put((future, work, copy_context()))
        return future

    def close(self, *, drop: bool = False) -> None:
        """Take no more work; the threads end when there is none left.

        Args:
            drop: what was not begun is not done.
        """
        self._open = False
        if drop:
            for future in self._begun:
                future.cancel()
        for _ in range(self._threads):
            self._queue.put(None)

    def stop(self) -> None:
        """Nobody wants the work any more: what was not begun is dropped, the rest is told."""
        self.ended.set()
        self.close(drop=True)

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        self.stop()
        wait(self._begun, self._patience if issubclass(kind, Exception) else _HASTE)

    def _serve(self) -> None:
        _HERE.crew = self
        for work in iter(self._queue.get, None):
            _do(*work)


_Work = tuple["Future[Any]", Callable[[], Any], Context]


def _do(future: Future[T], work: Callable[[], T], context: Context) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = context.run(work)
    except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
        future.set_exception(error)
    else:
        future.set_result(result)
