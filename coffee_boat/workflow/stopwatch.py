"""Seconds spent in each part of an addition."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds spent in each part of an addition; a launch has the first three."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(("resolve", "fetch", "build", "send", "arrive"), 0.0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of the block to a part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started
