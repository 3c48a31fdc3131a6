"""When waiting for an executor is in vain."""

from __future__ import annotations

import pytest

from coffee_boat.session import slots
from coffee_boat.session.slots import Crowded


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time; a test moves it on."""
    now = [100.0]
    monkeypatch.setattr(slots.time, "monotonic", lambda: now[0])
    return now


def test_only_a_while_without_a_free_slot_ends_the_wait(at: list[float]) -> None:
    full = {"0": True, "1": True}
    crowded = Crowded(lambda: full)
    assert not crowded(())
    at[0] += 1.9
    assert not crowded(())
    full["1"] = False
    at[0] += 0.2
    assert not crowded(()), "one became free"
    full["1"] = True
    assert not crowded(()), "the time begins anew"
    at[0] += 2.0
    assert crowded(())


def test_who_has_answered_is_not_waited_for(at: list[float]) -> None:
    crowded = Crowded(lambda: {"0": False, "1": True})
    assert not crowded({"0"})
    at[0] += 2.0
    assert crowded({"0"})
    assert not crowded({"1"}), "the other has a free slot"


def test_tasks_of_ours_elsewhere_say_nothing_of_an_executor(at: list[float]) -> None:
    crowded = Crowded(lambda: {"0": True, "1": True})
    assert not crowded({"0"}, lambda: {"0"})
    at[0] += 2.0
    assert crowded({"0"}, lambda: {"0"})


def test_what_our_own_tasks_fill_is_waited_for(at: list[float]) -> None:
    """They may unpack what was sent."""
    crowded = Crowded(lambda: {"0": True})
    assert not crowded((), lambda: {"0"})
    at[0] += 60
    assert not crowded((), lambda: {"0"})
    assert not crowded(()), "the time begins when they end"


def test_where_no_executor_is_there_yet_one_may_come(at: list[float]) -> None:
    crowded = Crowded(dict)
    assert not crowded(())
    at[0] += 60
    assert not crowded(())
