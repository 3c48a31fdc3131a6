"""What is made ahead only saves time: it is waited for if it is wanted, and its failures are for
who wants it.
"""

from __future__ import annotations

import threading

import pytest

from coffee_boat.model import Chunk
from coffee_boat.workflow.prefetch import Ahead

MADE = [Chunk("0" * 64, 1, 1, 1, (0, 0), "made")]


def test_what_was_begun_is_made_once() -> None:
    made = []

    def make() -> list[Chunk]:
        made.append(1)
        return MADE

    with Ahead() as ahead:
        ahead.begin("wanted", make)
        ahead.begin("wanted", make)
        assert ahead.take("wanted", list) == MADE
    assert made == [1]


def test_what_was_not_begun_is_made_now() -> None:
    with Ahead() as ahead:
        assert ahead.take("wanted", lambda: MADE) == MADE
    ahead.begin("too late", list)
    assert ahead.take("too late", lambda: MADE) == MADE


def test_a_failure_is_for_who_takes_it() -> None:
    def fails() -> list[Chunk]:
        raise ZeroDivisionError

    with Ahead() as ahead:
        ahead.refuse_failed("wanted")
        ahead.begin("wanted", fails)
        ahead.settle({"wanted"})
        with pytest.raises(ZeroDivisionError):
            ahead.refuse_failed("wanted")
        with pytest.raises(ZeroDivisionError):
            ahead.take("wanted", list)


def test_nobody_waits_for_what_nobody_wants() -> None:
    let_go, begun = threading.Event(), threading.Event()

    def hang() -> list[Chunk]:
        begun.set()
        let_go.wait(20)
        return MADE

    with Ahead() as ahead:
        ahead.begin("guessed wrong", hang)
        assert begun.wait(20)
        ahead.begin("wanted", lambda: MADE)
        ahead.settle({"wanted"})
        assert not let_go.is_set()
        assert ahead.take("wanted", list) == MADE
        let_go.set()
