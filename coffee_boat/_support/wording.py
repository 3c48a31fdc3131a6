"""In whose words a cure is told: it is written in Python's; `boat` has options, a notebook has
%boat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Words = Callable[[str], str]

_words: ContextVar[Words | None] = ContextVar("words", default=None)


@contextmanager
def told_in(words: Words) -> Iterator[None]:
    """While the block lasts, cures are put into these words."""
    before = _words.set(words)
    try:
        yield
    finally:
        _words.reset(before)


def told(cure: str) -> str:
    """A cure in the words of whoever reads it now."""
    words = _words.get()
    return cure if words is None else words(cure)
