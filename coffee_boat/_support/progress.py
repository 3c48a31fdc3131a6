"""What long work shows while it runs: one line that moves in a terminal or a notebook, lines now
and then in a log (doors.py). Always on stderr.

Who works says a `Step`, from whichever thread; rate and time are reckoned where it is shown.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass

from coffee_boat._support import doors
from coffee_boat._support.redact import redact
from coffee_boat._support.words import counted, human_size

_LOOKS_BACK = 5.0
"""Seconds of which the rate is."""
_LONG, _STILL = 3.0, 10.0
"""Seconds after which it is told how long a step takes, and that nothing came."""


@dataclass(frozen=True)
class Step:
    """What is being done now, and how far it is.

    Args:
        what: "fetching"; whoever says another one begins another step.
        done, total, unit: things of things, as "package"; None if they are not counted.
        came, size: bytes of bytes; None if there are none, or if nobody knows how many.
        slow: what all wait for.
        among: others write to our terminal meanwhile.
    """

    what: str
    done: int = 0
    total: int | None = None
    unit: str = ""
    came: int | None = None
    size: int | None = None
    slow: str = ""
    among: bool = False

    def __str__(self) -> str:
        return self.told("")

    def told(self, pace: str) -> str:
        """For people, with what only time tells."""
        things = "" if self.total is None else f" {self.done:,} of {counted(self.total, self.unit)}"
        return ", ".join(filter(None, (self.what + things, self._bytes(), pace, self.slow)))

    def _bytes(self) -> str:
        if self.came is None:
            return ""
        if self.size is None:
            return _short(self.came)
        came, size = _short(self.came), _short(self.size)
        number, _, unit = came.partition(" ")
        return f"{number if size.endswith(f' {unit}') else came} of {size}"


Say = Callable[[Step], object]
"""Shows a step."""


class Tally:
    """How far work on several things is, said whenever it changes; for several threads.

    Nothing is said of no things.
    """

    def __init__(
        self,
        say: Say,
        what: str,
        unit: str,
        sizes: Mapping[str, int | None],
        *,
        weighs: bool = True,
    ) -> None:
        """
        Args:
            sizes: each thing, as people call it, with its bytes; None where nobody knows.
            weighs: bytes are told, too.
        """
        self._say, self._what, self._unit, self._weighs = say, what, unit, weighs
        self._sizes = dict(sizes)
        self._came: dict[str, int] = {}
        """Of those that are under way, in the order in which they were begun."""
        self._ended: dict[str, int] = {}
        self._lock = threading.Lock()
        if self._sizes:
            self._tell()

    def begin(self, name: str) -> None:
        """It is under way."""
        self.came(name, 0)

    def came(self, name: str, length: int) -> None:
        """So many bytes of it are here by now."""
        with self._lock:
            self._came[name] = length
            self._tell()

    def end(self, name: str) -> None:
        """It is done; what is none of these is not counted."""
        with self._lock:
            if name in self._sizes:
                self._ended[name] = self._sizes[name] or self._came.get(name, 0)
            self._came.pop(name, None)
            self._tell()

    def _tell(self) -> None:
        sizes = self._sizes.values()
        known = [size for size in sizes if size is not None]
        self._say(
            Step(
                self._what,
                len(self._ended),
                len(sizes),
                self._unit,
                sum((*self._ended.values(), *self._came.values())) if self._weighs else None,
                sum(known) if len(known) == len(sizes) else None,
                max(self._came, key=self._left, default=""),
            )
        )

    def _left(self, name: str) -> int:
        """Bytes: what has the most left is what all wait for; of equals, what began first."""
        return (self._sizes.get(name) or 0) - self._came[name]


class _Pace:
    """How fast a step goes on."""

    def __init__(self) -> None:
        self._began = self._moved = time.monotonic()
        self._points: deque[tuple[float, int]] = deque()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def note(self, step: Step) -> None:
        if step.came is None:
            return
        now = time.monotonic()
        if not self._points or step.came != self._points[-1][1]:
            self._moved = now
        self._points.append((now, step.came))
        while now - self._points[0][0] > _LOOKS_BACK and len(self._points) > 2:
            self._points.popleft()

    def told(self, step: Step) -> str:
        if step.came is None:
            long = step.total is None and self.seconds >= _LONG
            return f"{self.seconds:.0f} s" if long else ""
        still = time.monotonic() - self._moved
        if still >= _STILL:
            return f"nothing for {still:.0f} s"
        (since, before), (_, now) = self._points[0], self._points[-1]
        lasted = time.monotonic() - since
        return f"{_short((now - before) / lasted)}/s" if lasted >= 0.5 and now > before else ""


def _short(size: float) -> str:
    """Bytes, as a line has room for them: "7.1 MB", "405 MB"."""
    number, _, unit = human_size(size).partition(" ")
    return f"{float(number):.0f} {unit}" if float(number) >= 10 else f"{number} {unit}"


class _Line:
    """One display, and what it shows. A thread of its own keeps it moving."""

    def __init__(self, door: doors.Door) -> None:
        self._door, self._ended = door, threading.Event()
        self._lock = threading.RLock()
        self._step: Step | None = None
        self._pace = _Pace()
        with suppress(RuntimeError):  # no thread to be had: it moves when another step begins
            threading.Thread(
                target=copy_context().run,
                args=(self._tick,),
                name="coffee_boat-progress",
                daemon=True,
            ).start()

    def say(self, step: Step) -> None:
        with self._lock:
            new = self._step is None or step.what != self._step.what
            if new:
                self._pace = _Pace()
            self._step = step
            self._pace.note(step)
            if new:
                self._show()

    def above(self, text: str) -> None:
        """A whole line that stays."""
        with self._lock:
            self._door.above(text)

    def close(self) -> None:
        with self._lock:
            self._ended.set()
            with suppress(OSError, ValueError):
                self._door.close()

    def _tick(self) -> None:
        while not self._ended.wait(self._door.pause):
            with self._lock:
                self._show()

    def _show(self) -> None:
        if self._step is None or self._ended.is_set():
            return
        text = redact(f"coffee_boat: {self._step.told(self._pace.told(self._step))}")
        with suppress(OSError, ValueError):  # nobody sees it any more; the work goes on
            self._door.show(text, self._step, self._pace.seconds)


class _Shared:
    """The one line of this process: two would write over each other."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users = 0
        self._open: _Line | None = None

    @contextmanager
    def line(self) -> Iterator[Say]:
        """Made for the first who works, taken away with the last, in whichever threads."""
        with self._lock:
            if self._open is None:
                self._open = _Line(doors.here())
            self._users += 1
            line = self._open
        try:
            yield line.say
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._open = None
                    line.close()

    def above(self, text: str) -> None:
        line = self._open
        if line is None:
            doors.whole_line(text)
        else:
            line.above(text)


_SHARED = _Shared()


def progress() -> AbstractContextManager[Say]:
    """A `Say` for the place we run in; its line is taken away when the work ends, except in a log.

    Work within other work, or beside it in another thread, says it on the line that is there.
    """
    return _SHARED.line()


def say_line(message: str) -> None:
    """One plain line, for logs and for what must stay on the screen."""
    plain_line(redact(f"coffee_boat: {message}"))


def plain_line(text: str) -> None:
    """A line as it is, above one that moves."""
    _SHARED.above(text)
