"""%boat, in an IPython shell of its own: one grammar with `boat`, on the notebook's Captain."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("IPython")

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from small_packages import wheel

from coffee_boat import Captain, SettingsError
from coffee_boat.cli import words
from coffee_boat.errors import LockError, RequirementError, VerifyError
from coffee_boat.magic import load
from coffee_boat.workflow import lockfile


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COFFEE_BOAT_OFFLINE", "1")  # whoever wants an index says so
    made = InteractiveShell()
    load(made)
    yield made
    made.history_manager.end_session()


def texts(captain: Captain) -> list[str]:
    return [requirement.text for requirement in captain.manifest.requirements]


def boat(shell: Any, line: str) -> Any:
    return shell.run_line_magic("boat", line)


def test_add_makes_the_notebooks_captain_and_later_lines_work_on_it(shell: Any) -> None:
    boat(shell, "add edtf 'rapidfuzz>=3'")
    made = shell.user_ns["captain"]
    boat(shell, "add six")
    assert shell.user_ns["captain"] is made
    assert texts(made) == ["edtf", "rapidfuzz>=3", "six"]


def test_options_are_those_of_the_command_line(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("six\n", "utf-8")
    boat(shell, f"add --pip edtf -r {tmp_path}/r.txt --offline")
    assert texts(shell.user_ns["captain"]) == ["edtf", "six"]


@pytest.mark.parametrize("name", ["captain", "boat"])
def test_a_captain_of_the_notebook_is_used_whatever_its_name(shell: Any, name: str) -> None:
    shell.user_ns[name] = Captain()
    boat(shell, "add six")
    assert texts(shell.user_ns[name]) == ["six"]
    assert {key for key, value in shell.user_ns.items() if isinstance(value, Captain)} == {name}


def test_several_captains_and_a_taken_name_are_refused(shell: Any) -> None:
    shell.user_ns["captain"] = "Ahab"
    with pytest.raises(SettingsError, match="captain is taken"):
        boat(shell, "add six")
    shell.user_ns.update(one=Captain(), two=Captain())
    with pytest.raises(SettingsError, match="several Captains: one, two"):
        boat(shell, "add six")
    assert shell.user_ns["captain"] == "Ahab"


def test_settings_that_come_too_late_are_refused_and_secrets_are_not_shown(shell: Any) -> None:
    boat(shell, "add six")
    with pytest.raises(SettingsError, match="has its Captain already") as caught:
        boat(shell, "add edtf --index-url https://me:hunter2@example.org/simple")
    assert "hunter2" not in str(caught.value)
    assert texts(shell.user_ns["captain"]) == ["six"]


@pytest.mark.parametrize(
    "line", ["fly", "add --nosuch", "launch --conf x", "add 'six", "lock extra", "forget"]
)
def test_a_line_that_cannot_be_read_is_a_usage_error(shell: Any, line: str) -> None:
    with pytest.raises(UsageError, match="%boat: "):
        boat(shell, line)
    assert "captain" not in shell.user_ns


def test_help_is_text(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert boat(shell, "--help") is None
    boat(shell, "add --help")
    out = capsys.readouterr().out
    assert "launch" in out
    assert "Usage: %boat add" in out


def test_boat_alone_and_a_question_show_the_help(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert boat(shell, "") is None
    assert "Usage: %boat" in capsys.readouterr().out
    shown = shell.find_line_magic("boat").__doc__
    for command in ("add", "forget", "launch", "plan", "verify"):
        assert f"\n  {command} " in shown


def test_a_cell_has_a_requirement_a_line(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("toolz\n", "utf-8")
    cell = f"""edtf rapidfuzz
# not this one
numpy >=2  # a comment
six ; python_version < "4"

-r {tmp_path}/r.txt
"""
    shell.run_cell_magic("boat", "add --pip humanize", cell)
    made = texts(shell.user_ns["captain"])
    assert [text.replace(" ", "").partition(";")[0] for text in made] == [
        "edtf",
        "humanize",
        "numpy>=2",
        "rapidfuzz",
        "six",
        "toolz",
    ]


def test_what_was_asked_for_can_be_forgotten(shell: Any) -> None:
    boat(shell, "add edtf six")
    assert "edtf" not in str(boat(shell, "forget edtf"))
    assert texts(shell.user_ns["captain"]) == ["six"]
    with pytest.raises(RequirementError):
        boat(shell, "forget edtf")


def test_a_misspelt_name_is_told_at_once_with_the_nearest_and_what_to_type(
    shell: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(tmp_path / "wheels", "my-library", "2.0")
    shell.user_ns["captain"] = Captain(find_links=[str(tmp_path / "wheels")])
    boat(shell, "add my-library")
    assert "warning" not in capsys.readouterr().err
    boat(shell, "add my-libary")
    told = capsys.readouterr().err
    assert "warning: " in told
    assert "did you mean my-library?" in told
    assert "%boat forget name" in told
    assert "captain." not in told
    assert texts(shell.user_ns["captain"]) == ["my-libary", "my-library"], "it is asked for"


def test_a_package_named_as_a_file_beside_the_notebook_is_told_at_once(
    shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").touch()
    wheel(tmp_path / "wheels", "mine", "2.0")
    shell.user_ns["captain"] = Captain(find_links=[str(tmp_path / "wheels")])
    boat(shell, "add mine")
    told = capsys.readouterr().err
    assert "warning: a package has the name of a file of yours: mine" in told
    assert "%boat add --local mine.py" in told


def test_cures_are_in_the_words_of_the_notebook(shell: Any) -> None:
    done = shell.run_cell("%boat verify")
    assert "%boat launch, and ask again" in str(done.error_in_exec)
    done = shell.run_cell("captain.verify()")
    assert "captain.launch_ship(), then start" in str(done.error_in_exec), "Python in Python"


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ('captain.add_pip_packages("edtf", "six")', "%boat add edtf six"),
        ('captain.add_pip_packages("six>=1")', '%boat add "six>=1"'),
        (
            'captain.add_conda_packages("r-base", channel="x")',
            "%boat add --conda r-base --channel x",
        ),
        ("keep it: captain.board(spark)", "keep it: %boat launch (without options)"),
        ('captain.pack("boat.tar.gz")', "%boat pack -o boat.tar.gz"),
        ("captain.launch_ship() and a new SparkContext", "%boat launch"),
        ('Captain(python="3.11")', 'Captain(python="3.11")'),
    ],
)
def test_what_is_typed_in_a_notebook(said: str, typed: str) -> None:
    assert words.in_magic(said) == typed


def test_a_package_is_planned_by_its_name(shell: Any, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "lib", "2.0")
    shell.user_ns["captain"] = Captain(find_links=[str(tmp_path / "wheels")])
    assert [pin.name for pin in boat(shell, "plan lib").lock.pins] == ["lib"]
    assert texts(shell.user_ns["captain"]) == []
    with pytest.raises(UsageError, match="Packages are asked for as: %boat add lib"):
        boat(shell, "lock lib")


def test_a_failure_is_shown_as_its_text_and_fails_the_cell(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    done = shell.run_cell("%boat add 'not a requirement ]['")
    assert isinstance(done.error_in_exec, RequirementError)
    out = capsys.readouterr().out
    assert "RequirementError: " in out
    assert "Traceback" not in out
    assert "magic.py" not in out


@pytest.mark.parametrize("cell", ["%boat plan", "captain.plan()", "captain.launch_ship()"])
def test_an_interrupt_is_one_line_and_leaves_the_captain_as_it_was(
    shell: Any, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        shell.user_ns["captain"] = Captain(index_url=url, offline=False).add_pip_packages("edtf")
        capsys.readouterr()

        def interrupt() -> None:
            accepted.append(silent.accept()[0])
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        done = shell.run_cell(cell)
        accepted[0].close()
    assert type(done.error_in_exec) is KeyboardInterrupt
    told = capsys.readouterr()
    assert told.out.strip() == "interrupted"
    assert "" not in told.err.splitlines(), "an empty line is a red bar in a notebook"
    assert texts(shell.user_ns["captain"]) == ["edtf"]
    assert shell.user_ns["captain"].lock is None


def test_status_is_a_table_and_makes_nothing(shell: Any) -> None:
    before = boat(shell, "status")
    assert "none yet" in str(before)
    assert "captain" not in shell.user_ns
    boat(shell, "add six")
    after = boat(shell, "status")
    assert "six" in str(after)
    assert ">six</td>" in after._repr_html_()


def test_status_shows_no_secrets(shell: Any) -> None:
    boat(shell, "add 'lib @ https://me:hunter2@example.org/lib-1-py3-none-any.whl?token=hunter3'")
    status = boat(shell, "status")
    assert "hunter" in texts(shell.user_ns["captain"])[0]
    for shown in (str(status), repr(status), status._repr_html_()):
        assert "example.org/lib-1-py3-none-any.whl?token=***" in shown
        assert "hunter" not in shown


def test_verify_without_a_session_says_what_to_do(shell: Any) -> None:
    with pytest.raises(VerifyError, match="launch"):
        boat(shell, "verify")


def test_a_plan_is_a_table_and_text_where_there_are_none(shell: Any, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "lib", "2.0")
    plan = boat(shell, f"plan --pip lib --offline --find-links {tmp_path}/wheels")
    assert texts(shell.user_ns["captain"]) == [], "a plan asks for nothing"
    data, _ = shell.display_formatter.format(plan)
    assert data["text/plain"] == str(plan)
    assert ">lib 2.0</td>" in data["text/html"]


def test_a_plan_of_a_lock_file_takes_no_lock(shell: Any, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "lib", "2.0")
    with Captain(offline=True, find_links=[str(tmp_path / "wheels")]) as other:
        text = lockfile.text_of(other.add_pip_packages("lib").plan().lock)
    (tmp_path / "pylock.toml").write_text(text, "utf-8")
    mine = shell.user_ns["captain"] = Captain(offline=True)
    plan = boat(shell, f"plan --lock {tmp_path}/pylock.toml --master local[1]")
    assert [pin.name for pin in plan.lock.pins] == ["lib"]
    assert plan.patch is not None
    assert mine.lock is None
    boat(shell, "add six")
    assert texts(mine) == ["six"], "a captain with a lock file refuses packages"
    with pytest.raises(RequirementError, match="lock file"):
        boat(shell, f"plan --lock {tmp_path}/pylock.toml")
    assert texts(mine) == ["six"]


def test_a_plan_that_is_refused_asks_for_nothing(shell: Any, tmp_path: Path) -> None:
    for wanted in (f"--pip six --lock {tmp_path}/pylock.toml", f"--lock {tmp_path}/pylock.toml"):
        with pytest.raises((LockError, RequirementError)):
            boat(shell, f"plan {wanted}")
        assert texts(shell.user_ns["captain"]) == []
