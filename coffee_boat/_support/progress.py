"""What long work says while it runs: one updating line in a terminal or a notebook, plain lines in
a log. Always on stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from coffee_boat._support.redact import redact


class Say(Protocol):
    """Takes one short line about what is being done now."""

    def __call__(self, message: str) -> None:
        """Show it."""


@contextmanager
def progress() -> Iterator[Say]:
    """A `Say` for the place we run in; its line is taken away when the work ends, except in a
    log.
    """
    if _in_notebook():
        with _notebook_line() as say:
            yield say
    elif sys.stderr.isatty():
        with _terminal_line() as say:
            yield say
    else:
        yield say_line


def say_line(message: str) -> None:
    """One plain line, for logs and for what must stay on the screen."""
    print(redact(f"coffee_boat: {message}"), file=sys.stderr, flush=True)  # noqa: T201


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


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
