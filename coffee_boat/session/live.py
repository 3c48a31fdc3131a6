"""A running session and its generations, kept in step with the store and with other captains."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

from coffee_boat._support.logs import logger
from coffee_boat._support.store import Store
from coffee_boat.errors import StoreError
from coffee_boat.model import Archive, ConfPatch, Generation, History, Lock
from coffee_boat.session import Session, record
from coffee_boat.worker import startup

_log = logger(__name__)


class LiveSession:
    """A running session and what is known to be installed there.

    A store that cannot be written serves this process all the same.
    """

    def __init__(self, session: Session, history: History, store: Store) -> None:
        self.session = session
        self._store = store
        self._history = history
        self._id = session.id
        now = history.current
        _log.info("session %s: generation %d (%s)", self._id, now.number, now.why)
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
        self._history = record.latest(self._store, self._id, facts.conf, self._history)
        return self._history.current

    def add_layer(self, lock: Lock, layer: Archive, why: str) -> None:
        """Keep that a layer was sent, for other processes that go on with the session.

        Args:
            lock: all that is installed with it.
            why: what was asked for.
        """
        now = self._history.current
        self._follow("layer", replace(now, lock=lock, layers=(*now.layers, layer.name)), why)

    def switch(self, lock: Lock, patch: ConfPatch, why: str) -> None:
        """Let everything that starts from now on run in a new base, which was sent: also functions
        that were made before.

        Their interpreter stays the first base's, which becomes the new one's when it starts
        (worker/startup.py): the variables are part of what keys Python workers, so Spark starts
        fresh ones.

        Args:
            lock: of the new base, which has all that is installed.
            patch: its interpreter and its variables.
            why: what was asked for.
        """
        now = self._history.current
        environment = {**now.environment, **patch.environment, startup.BASE: patch.python}
        self.session.activate(ConfPatch(now.python, environment=environment))
        self._follow(
            "base",
            replace(
                now,
                base=lock,
                lock=lock,
                environment=environment,
                bases=now.bases + 1,
                started=now.started or now.base.digest,
            ),
            why,
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Of several captains and processes that add to the same session one does so at a time;
        with a store that cannot be written, nobody else is there.
        """
        with ExitStack() as stack:
            with suppress(StoreError):
                stack.enter_context(self._store.lock(f"session {self._id}"))
            yield

    def _follow(self, kind: str, generation: Generation, why: str) -> None:
        self._remember(self._history.then(replace(generation, why=why, when=time.time())))
        now = self._history.current
        _log.info("session %s: generation %d, a %s (%s)", self._id, now.number, kind, why)

    def _remember(self, history: History) -> None:
        self._history = history
        with suppress(StoreError):
            record.remember(self._store, self._id, history)
