"""What is shown of a session that starts: that Spark starts and what executors unpack, then how
many of them are ready.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack

from coffee_boat._support import doors
from coffee_boat._support.progress import Say, Step, progress
from coffee_boat._support.words import counted, human_size
from coffee_boat.model import Archive


def unpacks(archive: Archive) -> str:
    """What an executor does when it starts."""
    size = human_size(sum(chunk.unpacked for chunk in archive.chunks))
    return f"executors unpack {size}"


class Starting:
    """From before a SparkContext is made until its executors are ready.

    The line that moves is there as long as SparkContext(...) lasts: then the terminal is the
    program's again, which is not to wait for executors. What comes after is shown in a notebook's
    display, or as one line.
    """

    def __init__(self, archive: Archive, *, wanted: int | None, has_executors: bool) -> None:
        """
        Args:
            wanted: how many executors there will be; None if nobody knows.
            has_executors: False where the executor is the driver's own JVM.
        """
        self._unpacks = unpacks(archive)
        self._wanted, self._has_executors = wanted, has_executors
        self._count = 0
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._say: Say | None = None
        self._later: doors.Later | None = None

    def begin(self) -> None:
        """SparkContext(...) goes to Spark now."""
        self._say = self._open.enter_context(progress())
        what = f"Spark starts; {self._unpacks}" if self._has_executors else "Spark starts"
        self._say(Step(what, among=True))

    def ready(self, count: int) -> None:
        """So many executors are ready; called from another thread."""
        with self._lock:
            self._count = count
            if self._later is not None:
                self._show_later(self._later)
            elif self._say is not None:
                self._say(Step(self._told(), among=True))

    def up(self) -> None:
        """SparkContext(...) returns. To be called in its thread."""
        if self._say is None:
            return
        self.end()
        if self._has_executors:
            with self._lock:
                self._later = doors.later()
                self._show_later(self._later)

    def end(self) -> None:
        """Nothing is shown any more."""
        with self._lock:
            if self._later is not None and not self._is_enough():
                self._later.close()
            self._say = self._later = None
        self._open.close()

    def _show_later(self, place: doors.Later) -> None:
        place.show(f"coffee_boat: {self._told()}", last=self._is_enough())

    def _is_enough(self) -> bool:
        return self._count >= (self._wanted or 1)

    def _told(self) -> str:
        if self._wanted is None:
            return f"{counted(self._count, 'executor')} ready"
        ready = f"{min(self._count, self._wanted)} of {counted(self._wanted, 'executor')} ready"
        return ready if self._is_enough() else f"{ready}; {self._unpacks}"
