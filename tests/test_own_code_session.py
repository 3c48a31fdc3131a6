"""A person's own code in sessions: a stand-in of pyspark, so no JVM.

What real Spark does with it: integration/test_hot_add.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_launch import home, spark  # noqa: F401  fixtures
from test_own_code import write_at
from test_sessions import context, new  # noqa: F401  fixtures

from coffee_boat import Captain
from coffee_boat.model import Arrival


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a notebook with a module, which is the working directory."""
    monkeypatch.chdir(write_at(tmp_path, "work/helpers.py", "x = 1\n").parent)
    return tmp_path / "work"


def version(captain: Captain, name: str = "helpers") -> str:
    pin = captain.lock.pin(name) if captain.lock is not None else None
    return pin.version if pin is not None else ""


def test_a_session_that_starts_later_has_the_code_of_then(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    code: Path,
) -> None:
    captain = new().add_local("helpers.py").launch_ship()
    first = version(captain)
    context("local[1]").stop()
    assert version(captain) == first != ""
    write_at(code, "helpers.py", "x = 2\n")
    context("local[1]")
    assert version(captain) not in ("", first)


def test_code_is_added_to_a_session_and_an_addition_leaves_it_as_it_was_sent(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    code: Path,
) -> None:
    captain = new().add_pip_packages("alpha").launch_ship()
    running = context("local[1]")
    captain.add_local("helpers.py", wait=0)
    assert isinstance(captain.report, Arrival)
    assert str(captain.report).startswith("Arrival: helpers (local)")
    assert len(running.archives) == 1
    sent = version(captain)
    write_at(code, "helpers.py", "x = 2\n")
    captain.add_pip_packages("beta", wait=0)
    assert version(captain) == sent, "only what was asked for is sent"
    assert len(running.archives) == 2
