"""What long work says while it runs: one updating line in a terminal or a notebook, plain lines in
a log. Always on stderr.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Protocol

from coffee_boat._support.redact import redact


class Say(Protocol):
    """Takes one short line about what is being done now."""

    def __call__(self, message: str) -> None:
        """Show it."""


class _Shared:
    """The one line of this process: two would write over each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._open = ExitStack()
        self._say: Say = say_line

    @contextmanager
    def line(self) -> Iterator[Say]:
        """Made for the first who works, taken away with the last, in whichever threads."""
        with self._lock:
            if not self._users:
                self._say = self._open.enter_context(_line())
            self._users += 1
            say = self._say
        try:
            yield say
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._open.close()


def progress() -> AbstractContextManager[Say]:
    """A `Say` for the place we run in; its line is taken away when the work ends, except in a log.

    Work within other work, or beside it in another thread, says it on the line that is there.
    """
    return _SHARED.line()


def say_line(message: str) -> None:
    """One plain line, for logs and for what must stay on the screen."""
    # in one piece: lines of other threads come between two. Work goes on where nobody can be told.
    with suppress(OSError):
        print(redact(f"coffee_boat: {message}") + "\n", end="", file=sys.stderr, flush=True)  # noqa: T201


_SHARED = _Shared()


def _line() -> AbstractContextManager[Say]:
    if _in_notebook():
        return _notebook_line()
    return (
        _terminal_line()
        if sys.stderr is not None and sys.stderr.isatty()
        else nullcontext(say_line)
    )


def _in_notebook() -> bool:
    """As rich sees it: Jupyter's shell, Colab's and Databricks'."""
    if "IPython" not in sys.modules:  # a log needs no rich
        return False
    from rich.console import Console

    return Console(stderr=True).is_jupyter


@contextmanager
def _terminal_line() -> Iterator[Say]:
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("coffee_boat") as status:
        yield lambda message: status.update(f"coffee_boat: {escape(redact(message))}")


@contextmanager
def _notebook_line() -> Iterator[Say]:
    from IPython.display import display

    handle = display({"text/plain": "coffee_boat"}, raw=True, display_id=True)
    try:
        yield lambda message: handle.update(
            {"text/plain": f"coffee_boat: {redact(message)}"}, raw=True
        )
    finally:
        handle.update({"text/plain": ""}, raw=True)
