"""Lanes that run side by side: each is run, seen and counted, and one that fails fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from integration import ci, venvs
from integration.side_by_side import Command, Ended, Lane, run, table

pytestmark = pytest.mark.once

INTEGRATION = Path(ci.__file__).parent


def command(code: str, name: str = "it") -> Command:
    return Command(name, (sys.executable, "-c", code))


def ran(lanes: list[Lane], tmp_path: Path, at_once: int = 2) -> dict[str, Ended]:
    return {each.lane.name: each for each in run(lanes, at_once=at_once, logs=tmp_path / "logs")}


def test_a_lane_that_fails_ends_at_its_first_failure_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ill = Lane("ill", (command("print('words'); exit(3)", "first"), command("print('never')")))
    ended = ran([ill, Lane("well", (command("print('=== 2 passed in 0.10s ===')"),))], tmp_path)
    assert (ended["ill"].code, ended["ill"].failed) == (3, True)
    assert (ended["well"].code, ended["well"].failed) == (0, False)
    said = capsys.readouterr().out
    assert "words" in said
    assert "never" not in said
    rows = table(list(ended.values()))
    assert "FAILED: first ended with 3" in rows
    assert "2 passed in 0.10s" in rows


def test_what_cannot_be_started_is_a_failure_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = ran([Lane("gone", (Command("it", ("/there/is/none",)),))], tmp_path)
    assert ended["gone"].failed
    assert "/there/is/none" in capsys.readouterr().out


def test_what_only_prepares_takes_no_place_and_does_not_fail_the_run(tmp_path: Path) -> None:
    path = f"import pathlib, time; path = pathlib.Path({str(tmp_path / 'go')!r})\n"
    wait, go = f"{path}while not path.exists(): time.sleep(0.01)", f"{path}path.touch()"
    prepares = Lane("prepares", (command(f"{wait}\nexit(1)"),), prepares=True)
    later = Lane("later", (command("pass"),), after=("prepares",))
    ended = ran([prepares, later, Lane("one", (command(go),))], tmp_path, at_once=1)
    assert not ended["prepares"].failed
    assert "FAILED" in ended["prepares"].verdict
    assert ended["later"].begun >= sum(ended["prepares"].took)


def test_what_one_lane_at_a_time_may_use_is_used_by_one(tmp_path: Path) -> None:
    held = f"path = {str(tmp_path / 'held')!r}"
    alone = f"import os, time; {held}; os.mkdir(path); time.sleep(0.1); os.rmdir(path)"
    lanes = [Lane(name, (command(alone),), uses=frozenset({"it"})) for name in "abc"]
    assert not any(each.failed for each in ran(lanes, tmp_path, at_once=3).values())


def test_what_runs_is_interrupted_with_the_run(tmp_path: Path) -> None:
    """As pytest is, which takes its clusters down then."""
    lane = f"""
import pathlib, time
folder = pathlib.Path({str(tmp_path)!r})
try:
    (folder / "begun").touch()
    for _ in range(6000):  # one long sleep does not see a signal that comes just before it
        time.sleep(0.01)
except KeyboardInterrupt:
    (folder / "tidy").touch()
"""
    program = f"""
import pathlib, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell's background begins
from integration.side_by_side import Command, Lane, run
lane = Lane("lane", (Command("it", (sys.executable, "-c", {lane!r})), Command("no", ("true",))))
run([lane], at_once=1, logs=pathlib.Path({str(tmp_path)!r}))
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=INTEGRATION.parent) as running:
        end = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < end:
            time.sleep(0.01)
        running.terminate()
        assert running.wait(60) != 0
    assert (tmp_path / "tidy").exists()


def test_each_file_of_tests_is_in_one_lane_and_all_that_a_lane_waits_for_is_there() -> None:
    lanes, _ = ci.all_lanes()
    words = [word for lane in lanes for command in lane.commands for word in command.argv]
    files = sorted(f"integration/{path.name}" for path in INTEGRATION.glob("test_*.py"))
    assert sorted(word for word in words if word.startswith("integration/test_")) == files
    assert {name for lane in lanes for name in lane.after} <= {lane.name for lane in lanes}
    assert len({lane.name for lane in lanes}) == len(lanes)


def test_what_imports_this_checkout_is_not_shared_with_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_TEST_CACHE", str(tmp_path))
    assert venvs.wheels_folder().parent == tmp_path
    assert venvs.folder_of("3.12", "4.1.4").is_relative_to(INTEGRATION.parent)


def test_a_name_that_is_no_lane_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert ci.main(["yarn", "nowhere"]) == 2
    assert "no lane nowhere" in capsys.readouterr().out


def of_tests(*, whole: bool) -> list[str]:
    """What each lane of tests/ gives pytest."""
    lanes, _ = ci.all_lanes(whole=whole)
    commands = [command.argv for lane in lanes for command in lane.commands]
    chosen = [argv[-1] for argv in commands if "test-unit" in argv]
    assert [words.startswith("PYTEST_ARGS=") for words in chosen] == [True] * len(chosen)
    return chosen


def test_this_python_runs_all_tests_and_others_share_those_that_depend_on_one() -> None:
    chosen = of_tests(whole=False)
    assert sum("-m" not in words for words in chosen) == 1
    shares = [words.partition("--share ")[2] for words in chosen if "-m" in words]
    assert all(shares), "each takes a share"
    ends = [share for share in shares if share.endswith("/4")]
    assert len(ends) <= 2
    assert len(set(shares)) == len(shares), "no two the same"


@pytest.mark.parametrize(("minor", "turns"), [("3.10", 4), ("3.12", 8), ("3.13", 8), ("3.14", 4)])
def test_what_a_python_runs_changes_with_each_commit_until_it_ran_all(
    minor: str, turns: int
) -> None:
    minors = ["3.10", "3.11", "3.12", "3.13", "3.14"]
    told = [ci._chosen(minors, "3.11", turn)[minor] for turn in range(7, 7 + turns)]
    shares = {words.partition("--share ")[2] for words in told}
    assert shares == {f"{number}/{turns}" for number in range(1, turns + 1)}


def test_each_lane_has_tests_each_time_and_each_test_has_its_turn(tmp_path: Path) -> None:
    files = sorted(f"integration/{path.name}" for path in INTEGRATION.glob("test_*.py"))
    (tmp_path / "telling.py").write_text(
        "def pytest_collection_finish(session):\n"
        "    for item in session.items:\n"
        "        places = [mark.args[0] for mark in item.iter_markers('turn')]\n"
        "        print('ITEM', item.nodeid.replace(' ', '_'), *places)\n"
    )

    def collected(*words: str) -> dict[str, list[str]]:
        """The places of each test."""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "telling", "--collect-only", "-q", *words],
            cwd=INTEGRATION.parent,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [line.split() for line in done.stdout.splitlines() if line.startswith("ITEM ")]
        return {name: places for _, name, *places in lines}

    every = collected(*files)
    assert set(map(tuple, every.values())) == {(), ("0",), ("1",), ("2",)}
    turns = [{n for n, places in every.items() if places in ([], [str(at)])} for at in range(3)]
    one = "integration/test_conda.py"
    assert {*collected("--turn=7", one)} == {name for name in turns[1] if name.startswith(one)}
    lanes, _ = ci.all_lanes()
    for lane in lanes:
        paths = {word for command in lane.commands for word in command.argv if word in files}
        for part in turns:
            assert not paths or paths & {name.partition("::")[0] for name in part}, lane.name


def test_each_python_runs_all_that_depends_on_one_where_that_is_asked_for() -> None:
    assert not any("--share" in words for words in of_tests(whole=True))


def test_shares_are_all_files_of_tests_each_once() -> None:
    files = ("tests/test_ci.py", "tests/test_house.py", "tests/test_kinds.py")

    def collected(*words: str) -> list[str]:
        argv = (sys.executable, "-m", "pytest", *files, "--collect-only", "-q", "-p", "no:xdist")
        done = subprocess.run(
            [*argv, *words], cwd=INTEGRATION.parent, capture_output=True, text=True, check=True
        )
        return sorted(line.split("::")[0] for line in done.stdout.splitlines() if "::" in line)

    first, second = collected("--share", "1/2"), collected("--share", "2/2")
    assert not {*first} & {*second}
    assert sorted(first + second) == collected()
    assert {*first, *second} == {*files}
