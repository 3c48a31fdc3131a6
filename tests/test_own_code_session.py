"""A person's own code in sessions: a stand-in of pyspark, so no JVM.

What real Spark does with it: integration/test_hot_add.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_packages import project, wheel
from test_connect import Server
from test_launch import home, spark  # noqa: F401  fixtures
from test_own_code import write_at
from test_sessions import context, new  # noqa: F401  fixtures

from coffee_boat import Captain, LockError
from coffee_boat.model import Arrival, ConfPatch
from coffee_boat.session import record


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


def test_a_session_that_is_boarded_later_has_the_code_of_then(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    code: Path,
) -> None:
    captain = new().add_local("helpers.py")
    captain.plan()
    found = {version(captain)}
    for number in (2, 3):  # after what was chosen, and after what was built
        write_at(code, "helpers.py", f"x = {number}\n")
        running = context("local[1]")
        found.add(version(captain.board(running)))
        running.stop()
    assert len(found - {""}) == 3


def test_so_has_a_session_of_a_connect_server(
    new: Callable[[], Captain],  # noqa: F811
    code: Path,
) -> None:
    captain = new().add_local("helpers.py")
    captain.plan()
    for name in ("one", "two"):  # after what was chosen, and after what was built
        write_at(code, "helpers.py", f"x = '{name}'\n")
        now = new().add_local("helpers.py").plan().lock
        patch = ConfPatch("../boat-1/bin/python3")
        server = Server(record.marks(patch, now, ships_python=False))  # it is sent nothing
        server.session_id, server.version = name, "4.1.0"  # needs no pyarrow
        captain.board(server)  # type: ignore[arg-type]
        assert captain.lock == now
        server.server_session = "gone"


def test_what_a_rollback_went_back_from_is_kept_until_it_is_edited_again(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    code: Path,
) -> None:
    captain = new().add_local("helpers.py").launch_ship()
    context("local[1]")
    first = version(captain)
    write_at(code, "helpers.py", "x = 2\n")
    second = version(captain.refresh())
    captain.rollback(wait=0)
    assert version(captain.refresh(keep_rollback=True)) == first
    write_at(code, "helpers.py", "x = 3\n")
    assert version(captain.refresh(keep_rollback=True)) not in (first, second)
    write_at(code, "helpers.py", "x = 2\n")
    assert version(captain.refresh(keep_rollback=True)) == second, "it was edited since"
    captain.rollback(1, wait=0)
    assert version(captain.refresh()) == second, "asked for"


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


def test_refresh_sends_what_was_edited_and_nothing_else(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    code: Path,
) -> None:
    write_at(code, "src/mypkg/__init__.py", "y = 1\n")
    captain = new().add_pip_packages("alpha").add_local("helpers.py", "src/mypkg")
    captain.refresh()  # no session runs: nothing to do
    captain.launch_ship()
    running = context("local[1]")
    captain.refresh()
    assert (captain.report, running.archives) == (None, [])
    before = version(captain), version(captain, "mypkg")
    write_at(code, "helpers.py", "x = 2\n")
    captain.refresh()
    assert version(captain) != before[0]
    assert version(captain, "mypkg") == before[1]
    report = captain.report
    assert isinstance(report, Arrival)
    assert [pin.name for pin in report.added] == ["helpers"]
    assert report.archive is not None
    assert [chunk.label.partition(" ")[0] for chunk in report.archive.chunks] == ["helpers"]
    captain.refresh()
    assert captain.report is report
    assert [one.why for one in captain.generations] == ["launched", "refresh helpers"]


def test_an_edit_that_is_taken_back_is_not_sent_again(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    code: Path,
) -> None:
    captain = new().add_local("helpers.py").launch_ship()
    context("local[1]")
    first = version(captain)
    for text in ("x = 2\n", "x = 1\n"):
        write_at(code, "helpers.py", text)
        captain.add_local("helpers.py", wait=0)  # asked for again: read again
    assert version(captain) == first
    assert isinstance(captain.report, Arrival)
    assert captain.report.archive is None, "executors have it from before"


def test_an_upgrade_leaves_edited_code_as_it_was_sent(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    code: Path,
    tmp_path: Path,
) -> None:
    captain = new().add_pip_packages("alpha").add_local("helpers.py").launch_ship()
    context("local[1]")
    sent = version(captain)
    write_at(code, "helpers.py", "x = 2\n")
    wheel(tmp_path / "wheels", "alpha", "2.0")
    captain.upgrade_pip_packages("alpha==2.0", wait=0)
    assert (version(captain, "alpha"), version(captain)) == ("2.0", sent)
    captain.remove_pip_packages("alpha", wait=0)
    assert (version(captain, "alpha"), version(captain)) == ("", sent)


def test_a_project_that_needs_more_by_now_is_refused_and_the_session_stays(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    code: Path,
) -> None:
    project(code / "tool", "tool", "1.0")
    captain = new().add_local("tool").launch_ship()
    running = context("local[1]")
    project(code / "tool", "tool", "1.1", requires=["beta"])
    with pytest.raises(LockError) as refused:
        captain.refresh()
    assert refused.value.code == "lock.own-code-needs-more"
    assert refused.value.cure == "captain.add_pip_packages('beta'), then captain.refresh()"
    assert version(captain, "tool") == "1.0"
    captain.add_pip_packages("beta", wait=0).refresh()
    assert version(captain, "tool") == "1.1"
    assert len(running.archives) == 3, "beta; the project and what it is composed to"
