"""Work in threads that is begun before anybody waits for it: packing, while requirements are resolved and wheels are fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """As many threads as there are cores. Begun work ends, what waits is dropped when the block ends before it was taken."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="coffee_boat-ahead")
        self._begun: dict[str, Future[Made]] = {}

    def begin(self, name: str, work: Callable[[], Made]) -> None:
        """Do this in a thread, once for all that is called so."""
        if name not in self._begun:
            self._begun[name] = self._pool.submit(work)

    def take(self, name: str, work: Callable[[], Made]) -> Made:
        """What was begun under this name, waited for; what was not is done now. Raises what the work raises."""
        begun = self._begun.get(name)
        return work() if begun is None else begun.result()

    def settle(self) -> None:
        """Wait until nothing is under way, so that two threads do not do the same. Failures are for who takes the work, or does it again."""
        seen = 0
        while seen < len(self._begun):  # what was begun may begin more
            seen = len(self._begun)
            wait(list(self._begun.values()))

    def __enter__(self) -> Ahead[Made]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
