"""Waiting for what other threads do, so that Ctrl-C ends it.

Python takes a signal between two steps of the main thread. One that comes when that is already on
its way into a wait without an end is taken after it, which may be never. So each wait ends now and
then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

from coffee_boat._support import crew

T = TypeVar("T")

GLANCE = 0.5
"""Seconds after which a signal is taken that came just before a wait."""


def completed(work: Iterable[Future[T]]) -> Iterator[Future[T]]:
    """Each that has ended, as they end; as `concurrent.futures.as_completed`.

    Raises:
        StoppedError: it is a thread that waits, and nobody wants its work any more.
    """
    waiting = set(work)
    while waiting:
        done, waiting = wait(waiting, GLANCE, FIRST_COMPLETED)
        crew.go_on()
        yield from done


def results(work: Iterable[Future[T]]) -> list[T]:
    """What they give, in this order. Raises what the first that fails has raised."""
    ordered = list(work)
    for one in completed(ordered):
        one.result()
    return [one.result() for one in ordered]


def wait_for(event: threading.Event) -> None:
    """Return once it is set."""
    while not event.wait(GLANCE):
        pass
