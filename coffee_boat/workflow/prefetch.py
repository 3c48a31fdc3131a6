"""Chunks that are made in threads before anybody waits for them: while an index is asked and wheels
are fetched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType

from coffee_boat._support import run
from coffee_boat._support.crew import Crew
from coffee_boat._support.futures import completed, results
from coffee_boat.model import Chunk

Make = Callable[[], "list[Chunk]"]


class Ahead:
    """As many threads as there are cores.

    It only saves time: what fails in it, or was not begun, is made again by who needs it.

    When the block ends, what waits is dropped. What is under way goes on, as long as the process
    does; Ctrl-C ends it, and the programs that it runs.
    """

    def __init__(self) -> None:
        self._crew = Crew(os.cpu_count() or 1, "ahead")
        self._begun: dict[str, Future[list[Chunk]]] = {}
        self._beginning = threading.Lock()

    def begin(self, name: str, make: Make) -> None:
        """Make this in a thread, once for all that is called so."""
        with self._beginning, suppress(RuntimeError):  # no thread to be had, or the block has ended
            if name not in self._begun:
                self._begun[name] = self._crew.submit(make)

    def take(self, name: str, make: Make) -> list[Chunk]:
        """What was begun under this name, waited for; what was not is made now.

        Raises what the making raises.
        """
        begun = self._begun.get(name)
        if begun is None or begun.cancelled():
            return make()
        return results([begun])[0]

    def refuse_failed(self, name: str) -> None:
        """Raise what the making of this raised, if it has ended already: there is no need to wait
        for the rest then.
        """
        begun = self._begun.get(name)
        if begun is not None and begun.done():
            begun.result()

    def makes(self, name: str) -> bool:
        """True if it was begun, and has not ended."""
        begun = self._begun.get(name)
        return begun is not None and not begun.done()

    def settle(
        self, names: Collection[str], ended: Callable[[str], object] = lambda _: None
    ) -> None:
        """Wait for what was begun of these, so that two threads do not make the same; nobody wants
        the others any more.

        Args:
            ended: takes the name of each, as they end.
        """
        with self._beginning:
            begun, self._begun = (
                self._begun,
                {name: future for name, future in self._begun.items() if name in names},
            )
        for name, future in begun.items():
            if name not in names:
                future.cancel()
        called = {future: name for name, future in self._begun.items()}
        for future in completed(called):
            ended(called[future])

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._crew.close(drop=True)
        if isinstance(error, KeyboardInterrupt):
            self._crew.stop()
            run.interrupt()
