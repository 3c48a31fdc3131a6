"""What `make soak` takes for a fault."""

from __future__ import annotations

from integration.soak_oracle import Change, Ledger, Task, find_faults

OLD, NEW, MORE = {"a": "1", "b": None}, {"a": "2", "b": None}, {"a": "2", "b": "1"}
GENERATIONS = [(10.0, OLD), (20.0, NEW), (30.0, MORE)]
CHANGES = [Change(18.0, 22.0), Change(29.0, 31.0)]


def faults(began: float, ended: float, imported: object, described: object = None) -> list[str]:
    said = Task(1, began, ended, imported, described or imported, 7, "/x", "/x/env")  # type: ignore[arg-type]
    return find_faults(GENERATIONS, Ledger([said], CHANGES))


def test_what_was_in_force_at_any_time_of_the_job_is_right() -> None:
    assert not faults(11, 12, OLD)
    assert not faults(19, 25, OLD)
    assert not faults(17, 19, NEW), "its change had begun"
    assert not faults(15, 32, MORE)
    assert not faults(28, 32, NEW, MORE), "an addition came between the two looks"


def test_what_was_over_or_not_yet_begun_is_a_fault() -> None:
    for began, ended, seen in ((23, 25, OLD), (11, 12, NEW), (32, 33, NEW)):
        (one, other) = faults(began, ended, seen)
        assert "over or not yet" in one
        assert "by import" in one
        assert "by metadata" in other


def test_a_mix_of_two_generations_is_a_fault() -> None:
    (one,) = faults(11, 33, {"a": "1", "b": "1"}, NEW)
    assert one.startswith("a mix: by import a=1 b=1, in a job of 22.0 s submitted under 1, pid 7")
    assert faults(11, 33, OLD, {"a": None, "b": None})


def test_a_change_that_was_done_and_is_in_no_generation_is_a_fault() -> None:
    def told(began: float, ended: float, **wanted: str | None) -> list[str]:
        return find_faults(GENERATIONS, Ledger([], [Change(began, ended, "add b", wanted)]))

    assert not told(29, 31, b="1")
    assert not told(18, 22, a="2"), "what comes later does not undo that it was there"
    (one,) = told(11, 12, b="1")
    assert one == "lost: add b; in force while it was asked for: a=1"
    assert told(32, 33, a=None)
    assert not told(32, 33), "it was refused"
