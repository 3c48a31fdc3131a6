"""Whether a slot can be had on the executors that have not answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

_GRACE = 2.0
"""Seconds in which no slot becomes free: then the tasks there are no short ones."""


class Crowded:
    """Asked now and then whether waiting is in vain.

    Args:
        full: executors that are live -> True where each slot is taken.
    """

    def __init__(self, full: Callable[[], Mapping[str, bool]]) -> None:
        self._full = full
        self._since: float | None = None

    def __call__(
        self, answered: Collection[str], ours: Callable[[], Collection[str]] = tuple
    ) -> bool:
        """True if each executor without an answer has been seen full of others' tasks, and nothing
        else, for a while.

        Args:
            answered: ids of executors.
            ours: tells those where a task of ours runs, which may unpack what was sent. It costs a
                call to the JVM a task, so it is asked last.
        """
        missing = {one: taken for one, taken in self._full().items() if one not in answered}
        if not missing or not all(missing.values()) or not missing.keys().isdisjoint(ours()):
            self._since = None
            return False
        now = time.monotonic()
        self._since = self._since or now
        return now - self._since >= _GRACE
