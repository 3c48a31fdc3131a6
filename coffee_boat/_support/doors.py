"""Where progress is shown: a terminal, a notebook, a log."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import IO, Any, Protocol

_FIRST, _EVERY = 1.0, 10.0
"""Seconds after which a step has a line in a log, and another one."""


class Door(Protocol):
    """Shows one line; called by one thread at a time."""

    @property
    def pause(self) -> float:
        """Seconds between two looks at what is to be shown."""

    def show(self, text: str, step: object, seconds: float) -> None:
        """Show how far it is.

        Args:
            step: what the text is of; equal ones have come no further.
            seconds: since the step began.
        """

    def above(self, text: str) -> None:
        """A whole line that stays."""

    def close(self) -> None:
        """Take the line away."""


def here() -> Door:
    """The one that we have."""
    if in_notebook():
        return Notebook()
    return Terminal(sys.stderr) if _moves() else Log()


def in_notebook() -> bool:
    """As rich sees it: Jupyter's shell, Colab's and Databricks'."""
    if "IPython" not in sys.modules:  # a log needs no rich
        return False
    from rich.console import Console

    return Console(stderr=True).is_jupyter


def at_a_prompt() -> bool:
    """True if a person types into this process: lines that come later would come into that."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive)


def whole_line(text: str) -> None:
    """On stderr, in one piece: lines of other threads come between two. A process can have none
    (`2>&-`), and print would take stdout then.
    """
    stream: IO[str] | None = sys.stderr
    if stream is not None:
        print(f"{text}\n", end="", file=stream, flush=True)


def _moves() -> bool:
    """True if stderr is a terminal that can; what a platform puts in its place may not say it."""
    try:
        is_terminal = sys.stderr.isatty()
    except (AttributeError, ValueError):  # None, a stranger's object, or closed
        return False
    return is_terminal and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


class Terminal:
    """One line that moves, below the cursor, which stays where it is: what others write there, as
    Spark's JVM or a user's program, gets lines of its own.

    rich's Live does not serve: it takes sys.stdout and sys.stderr of the program away meanwhile,
    sends both to one of the two, and a JVM's line goes on where ours ends.
    """

    pause = 0.1
    _ERASED = "\x1b[J"
    _AMONG = 3
    """Lines below the cursor that it is where others write: so many fit between two looks without
    running into it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._drawn = stream, ""

    def show(self, text: str, step: object, seconds: float) -> None:  # noqa: ARG002  (of the protocol)
        """At once."""
        rows = self._AMONG if getattr(step, "among", False) else 1
        room = "\x1bD" * rows + f"\x1b[{rows}A"
        there = "\r\n" + self._ERASED + "\n" * (rows - 1)
        line = _shortened(text, _width(self._stream) - 1)
        self._drawn = f"{room}\x1b7{there}{line}\x1b8"  # from where the cursor is, and back
        self._write(self._drawn)

    def above(self, text: str) -> None:
        """The line that moves is erased, written again below."""
        self._write(f"{self._ERASED if self._drawn else ''}{text}\n{self._drawn}")

    def close(self) -> None:
        """Nothing is left of it."""
        if self._drawn:
            self._drawn = ""
            self._write(self._ERASED)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class Notebook:
    """One display that is updated in place, and empty at the end; of text alone, so it needs no
    widgets. It is made in the thread of the cell: another one may have no cell.
    """

    pause = 0.5

    def __init__(self) -> None:
        from IPython.display import display

        self._shown = "coffee_boat"
        self._handle: Any = display({"text/plain": self._shown}, raw=True, display_id=True)

    def show(self, text: str, step: object = None, seconds: float = 0.0) -> None:  # noqa: ARG002  (of the protocol)
        """Where it changed."""
        if text != self._shown:
            self._shown = text
            self._handle.update({"text/plain": text}, raw=True)

    def above(self, text: str) -> None:
        """On stderr, which notebooks show apart."""
        whole_line(text)

    def close(self) -> None:
        """A display cannot be taken away."""
        self.show("")


class Log:
    """A line where a step takes longer than a moment, then one now and then if it came further."""

    pause = 0.25

    def __init__(self, *, first: float = _FIRST, every: float = _EVERY) -> None:
        self._first, self._every = first, every
        self._told: object = None
        self._when = 0.0

    def show(self, text: str, step: object, seconds: float) -> None:
        """If it is time."""
        lasts = time.monotonic() - self._when
        begins = seconds < lasts  # since the last line
        if (self._first if begins else self._every) <= min(seconds, lasts) and step != self._told:
            self._told, self._when = step, time.monotonic()
            self.above(text)

    def above(self, text: str) -> None:
        """As any other."""
        whole_line(text)

    def close(self) -> None:
        """What was told stays."""


def _width(stream: IO[str]) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns


def _shortened(text: str, cells: int) -> str:
    """On one line of so many cells."""
    from rich.cells import cell_len, set_cell_size

    text = " ".join(text.split())
    return text if cell_len(text) <= cells else f"{set_cell_size(text, max(0, cells - 3))}..."


class Later(Protocol):
    """Shows what goes on after the call that began it has returned."""

    def show(self, text: str, *, last: bool) -> None:
        """Show it.

        Args:
            last: nothing comes after it.
        """

    def close(self) -> None:
        """It does not come to its end."""


def later() -> Later:
    """For the place we run in. To be called in the thread of that call."""
    return _LaterInNotebook() if in_notebook() else _LaterInLines()


class _LaterInNotebook:
    """A display that is updated, and keeps the last text."""

    def __init__(self) -> None:
        self._display = Notebook()

    def show(self, text: str, *, last: bool) -> None:  # noqa: ARG002  (of the protocol)
        self._display.show(text)

    def close(self) -> None:
        self._display.close()


class _LaterInLines:
    """A line at the end, and one now and then before it; none where a person types by now."""

    def __init__(self) -> None:
        self._when = time.monotonic()

    def show(self, text: str, *, last: bool) -> None:
        if (last or time.monotonic() - self._when >= _EVERY) and not at_a_prompt():
            self._when = time.monotonic()
            # Spark's own "[Stage 0:> ... ]" may stand there, with the cursor at its beginning
            whole_line(f"\x1b[K{text}" if _moves() else text)

    def close(self) -> None:
        pass
