"""The session that a captain's packages are aboard of: what it has, kept in step with the store and
with other captains.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from coffee_boat._support.store import Store
from coffee_boat.errors import StoreError
from coffee_boat.model import Archive, ConfPatch, Lock
from coffee_boat.session import reach, record
from coffee_boat.session.classic import ClassicSession
from coffee_boat.session.record import Aboard
from coffee_boat.spark import jvm
from coffee_boat.worker import startup

if TYPE_CHECKING:
    from pyspark import SparkContext

    from coffee_boat.session import Session


class LiveSession:
    """A running SparkContext and what is known to be aboard.

    A store that cannot be written serves this process all the same.
    """

    def __init__(self, context: SparkContext, aboard: Aboard, store: Store) -> None:
        self._context = context
        self._store = store
        self._aboard = aboard
        self._remember(aboard)

    @property
    def running(self) -> bool:
        """False once the context was stopped, by whomever."""
        return jvm.is_up(self._context)

    @property
    def context(self) -> SparkContext:
        """The context itself."""
        return self._context

    @property
    def session(self) -> Session:
        """What is done with it."""
        return ClassicSession(self._context)

    @property
    def base(self) -> Lock:
        """What it was started with."""
        return self._aboard.base

    def is_of(self, context: SparkContext) -> bool:
        """True if it is the session of this context."""
        return context is self._context

    def aboard(self) -> Lock:
        """What it has by now: another captain may have added to it."""
        facts = reach.facts(self._context)
        self._aboard = record.latest(self._store, self._application, facts.conf, self._aboard)
        return self._aboard.lock

    def note(self, lock: Lock, layer: Archive) -> None:
        """Keep that a layer was sent, for other processes that go on with the session."""
        self._remember(replace(self._aboard, lock=lock, layers=(*self._aboard.layers, layer.name)))

    def switch(self, lock: Lock, patch: ConfPatch) -> None:
        """Let everything that starts from now on run in a new base, which was sent: also functions
        that were made before.

        Their interpreter stays the first base's, which becomes the new one's when it starts
        (worker/startup.py): the variables are part of what keys Python workers, so Spark starts
        fresh ones.

        Args:
            lock: of the new base, which has all that is aboard.
            patch: its interpreter and its variables.
        """
        environment = {**self._aboard.environment, **patch.environment, startup.BASE: patch.python}
        started = self._aboard.started or self._aboard.base.digest
        ClassicSession(self._context).switch(
            ConfPatch(self._aboard.python, environment=environment), {}
        )
        self._remember(
            replace(
                self._aboard,
                base=lock,
                lock=lock,
                environment=environment,
                generation=self._aboard.generation + 1,
                started=started,
            )
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Of several captains and processes that add to the same session one does so at a time;
        with a store that cannot be written, nobody else is there.
        """
        with ExitStack() as stack:
            with suppress(StoreError):
                stack.enter_context(self._store.lock(f"session {self._application}"))
            yield

    @property
    def _application(self) -> str:
        return str(self._context.applicationId)

    def _remember(self, aboard: Aboard) -> None:
        self._aboard = aboard
        with suppress(StoreError):
            record.remember(self._store, self._application, aboard)
