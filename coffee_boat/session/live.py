"""A running session and its generations, kept in step with the store and with other captains."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import PurePosixPath

from coffee_boat._support.logs import logger
from coffee_boat._support.store import Store
from coffee_boat.errors import StoreError
from coffee_boat.model import Archive, ConfPatch, Generation, History, Lock
from coffee_boat.session import Session, record
from coffee_boat.worker import startup

_log = logger(__name__)


class LiveSession:
    """A running session and what is known to be installed there.

    A store that cannot be written serves this process all the same. Safe in threads.

    Args:
        history: as it begins; or, as far as it is known, of one that others may be changing.
        begins: False where it ran before: what is kept of it is not replaced.
    """

    def __init__(
        self, session: Session, history: History, store: Store, *, begins: bool = True
    ) -> None:
        self.session = session
        self._store = store
        self._history = history
        self._locks: dict[str, Lock] = {}
        """By digest, as the store has them: each is read once, not at each look at the session."""
        self._id = session.id
        self._guard = threading.RLock()
        """Held from where the history is read until it is replaced."""
        now = history.current
        _log.info("session %s: generation %d (%s)", self._id, now.number, now.why)
        if begins:
            self._remember(history)

    @property
    def running(self) -> bool:
        """False once the session was stopped, by whomever."""
        return self.session.alive

    @property
    def history(self) -> History:
        """Its generations, as far as they are known here; `refresh` looks again."""
        return self._history

    def refresh(self) -> Generation:
        """What it has by now: another captain may have added to it."""
        facts = self.session.facts()
        with self._guard:
            self._history = record.latest(
                self._store, self._id, facts.conf, self._history, self._locks
            )
            return self._history.current

    def add_layer(self, lock: Lock, layer: Archive, parts: History, why: str) -> None:
        """Keep that a layer was sent, for other processes that go on with the session.

        Args:
            lock: all that is installed with it.
            parts: with all that was sent.
            why: what was asked for.
        """
        now = self._history.current
        following = replace(now, lock=lock, layers=(*now.layers, layer.name))
        self._follow("layer", following, parts, why)

    def switch(self, lock: Lock, patch: ConfPatch, parts: History, why: str) -> None:
        """Let everything that starts from now on run in a new base, which was sent: also functions
        that were made before.

        Their interpreter stays the first base's, which becomes the new one's when it starts
        (worker/startup.py): the variables are part of what keys Python workers, so Spark starts
        fresh ones.

        Args:
            lock: of the new base, which has all that is installed.
            patch: its interpreter and its variables.
            parts: with all that was sent.
            why: what was asked for.
        """
        now = self._history.current
        following = replace(now, environment={**now.environment, **patch.environment}, composed="")
        self._become(replace(following, base=lock, lock=lock), patch.python, parts, why)

    def compose(self, lock: Lock, launcher: str, folder: str, parts: History, why: str) -> None:
        """The same of an environment that executors compose of what they have (worker/compose.py).

        Args:
            lock: all that it has.
            launcher: the program that composes it and becomes its interpreter.
            folder: of what it is composed by.
            parts: with all that was sent.
            why: what was asked for.
        """
        following = replace(self._history.current, base=lock, lock=lock, composed=folder)
        self._become(following, launcher, parts, why)

    def told(self, number: int, confirmed: Sequence[str], missed: Sequence[str]) -> None:
        """Keep what executors said of a generation; another captain may have added a newer one
        since.
        """
        with self.alone(), self._guard:
            self.refresh()
            self._remember(self._history.told(number, confirmed, missed))

    def _become(self, following: Generation, python: str, parts: History, why: str) -> None:
        now = self._history.current
        newest = _newest_first(python, now.environment.get(startup.BASE, ""))
        following = replace(
            following,
            layers=(),
            environment={**following.environment, startup.BASE: newest},
            bases=now.bases + 1,
            started=now.started or now.base.digest,
        )
        self.session.activate(ConfPatch(now.python, environment=following.environment))
        self._follow("composed" if following.composed else "base", following, parts, why)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Of several captains and processes that add to the same session one does so at a time;
        with a store that cannot be written, nobody else is there.
        """
        with ExitStack() as stack:
            with suppress(StoreError):
                stack.enter_context(self._store.lock(f"session {self._id}"))
            yield

    def _follow(self, kind: str, generation: Generation, parts: History, why: str) -> None:
        with self._guard:
            history = replace(self._history, parts=parts.parts)
            self._remember(history.then(replace(generation, why=why, when=time.time())))
            now = self._history.current
        _log.info("session %s: generation %d: %s (%s)", self._id, now.number, kind, why)

    def _remember(self, history: History) -> None:
        with self._guard, suppress(StoreError):
            self._history = history
            record.remember(self._store, self._id, history)


_KEPT = 8
"""How many interpreters a starting Python is told of, as worker/startup.py needs them."""


def _newest_first(python: str, before: str) -> str:
    if PurePosixPath(python).is_absolute():
        return python
    older = [] if PurePosixPath(before).is_absolute() else before.split(":")
    return ":".join([python, *(one for one in older if one and one != python)][:_KEPT])
