"""How fast a file comes: a server that sends a byte now and then never runs into a timeout, and is
given up all the same.
"""

from __future__ import annotations

import time

LEAST = 1024
"""Bytes a second, on average."""


class Pace:
    """Of one file, on however many connections; one thread tells, another one looks.

    Args:
        seconds: over which it is measured.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1.0, seconds)
        self.length = 0
        """Bytes that came, of all connections together."""
        self._since, self._before = time.monotonic(), 0

    def came(self, count: int) -> None:
        """So many bytes more."""
        self.length += count

    def begin(self) -> None:
        """Measure from now on: until now nothing was to come."""
        self._since, self._before = time.monotonic(), self.length

    @property
    def too_slow(self) -> bool:
        """True once too little came for too long."""
        now = time.monotonic()
        if now - self._since < self.seconds:
            return False
        enough = self.length - self._before >= LEAST * self.seconds
        if enough:
            self._since, self._before = now, self.length
        return not enough
