"""What becomes of programs that are run for us, and of what they start, when we do not wait for
their end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coffee_boat._support.run import run

BREEDS = 'sleep 300 & echo $! > "$0/born"; echo $$ > "$0/self"; wait'
"""A program that waits for one of its own. sh lets that one ignore SIGINT."""


def until(said: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not said():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def number(path: Path) -> int:
    assert until(lambda: path.is_file() and path.read_text().strip() != ""), path
    return int(path.read_text())


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="needs Linux's /proc")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for path in (tmp_path / "born", tmp_path / "self"):
        said = path.read_text() if path.is_file() else ""
        if said and runs(int(said)):
            os.kill(int(said), signal.SIGKILL)


def test_a_program_that_takes_too_long_is_ended_with_what_it_started(folder: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run(["sh", "-c", BREEDS, str(folder)], timeout=1.0)
    assert until(lambda: not runs(number(folder / "self")), 2.0)
    assert until(lambda: not runs(number(folder / "born")), 2.0)


def test_what_a_program_left_behind_is_ended_too_when_it_holds_us_up(folder: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run(["sh", "-c", BREEDS.replace("wait", ""), str(folder)], timeout=1.0)
    assert until(lambda: not runs(number(folder / "born")), 2.0)


DIRECTLY = """
import sys
import threading
from coffee_boat._support.run import run
run(["sh", "-c", sys.argv[1], sys.argv[2]])
"""
AHEAD = """
import sys
import threading
from coffee_boat._support.run import run
from coffee_boat.workflow.prefetch import Ahead
with Ahead() as ahead:
    ahead.begin("a", lambda: run(["sh", "-c", sys.argv[1], sys.argv[2]]))
    ahead.take("a", list)
"""
COMPILING = """
import sys
import threading
from pathlib import Path
from coffee_boat.interpreter.bytecode import compile_tree
Path(sys.argv[2], "python").write_text('#!/bin/sh\\nexec sh -c "$WORDS" "$FOLDER"\\n')
Path(sys.argv[2], "python").chmod(0o755)
compile_tree(sys.argv[2] + "/python", Path(sys.argv[2]), ["a.py"])
"""
CLEANS = 'trap "echo > $0/cleaned; exit 1" INT; ' + BREEDS.replace("sleep 300", "true")


SLOW = """
import subprocess, time
begin = subprocess.Popen.__init__
def begin_and_go_on_later(self, *arguments, **options):
    begin(self, *arguments, **options)
    time.sleep(0.7)
subprocess.Popen.__init__ = begin_and_go_on_later
"""
"""A program runs before who started it goes on: as on a machine with much to do."""
CREW = """
import sys
from coffee_boat._support.crew import Crew
from coffee_boat._support.futures import results
from coffee_boat._support.run import run
with Crew(1, "a") as crew:
    results([crew.submit(lambda: run(["sh", "-c", sys.argv[1], sys.argv[2]]))])
"""
HEARS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""A shell starts what it puts into the background with SIGINT ignored."""
LATE = """
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
"""
"""Another thread gets the signal, so that no wait of the main one ends by it: as where it comes
just before the wait.
"""
AGAIN = """
import os, signal
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
os.execvp("sh", ["sh", "-c", os.environ["THEN"], os.environ["FOLDER"]])
"""


def interrupted(source: str, words: str, folder: Path) -> tuple[int, str]:
    """Exit code and stderr of a script that gets what Ctrl-C in its terminal sends, once its
    program runs.
    """
    late = {"THEN": words, "AGAIN": AGAIN, "LATER": sys.executable}
    if source.startswith(LATE):
        words = 'exec "$LATER" -S -c "$AGAIN"'
    script = subprocess.Popen(
        [sys.executable, "-c", HEARS + source, words, str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **late, "WORDS": words, "FOLDER": str(folder)},
    )
    try:
        number(folder / "self")
        os.killpg(script.pid, signal.SIGINT)
        said = script.communicate(timeout=60)[1]
        return script.returncode, said
    finally:
        script.kill()
        script.wait()


@pytest.mark.parametrize("slow", ["", SLOW], ids=["at once", "slow"])
@pytest.mark.parametrize(
    "source", [DIRECTLY, AHEAD, COMPILING, CREW], ids=["one", "ahead", "compiling", "crew"]
)
def test_ctrl_c_ends_a_program_and_what_it_started(folder: Path, source: str, slow: str) -> None:
    code, said = interrupted(slow + source, BREEDS, folder)
    assert (code, "KeyboardInterrupt" in said) == (-signal.SIGINT, True), said
    assert until(lambda: not runs(number(folder / "self")), 2.0)
    assert until(lambda: not runs(number(folder / "born")), 2.0)


def test_what_threads_still_run_when_a_process_ends_is_ended(folder: Path) -> None:
    source = AHEAD.replace(
        'ahead.take("a", list)', "while not Path(sys.argv[2], 'self').exists(): pass"
    )
    ended = subprocess.run(
        [sys.executable, "-c", "from pathlib import Path" + source, BREEDS, str(folder)],
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0
    assert until(lambda: not runs(number(folder / "self")), 2.0)
    assert until(lambda: not runs(number(folder / "born")), 2.0)


ENDING = """
import atexit, sys, time
from pathlib import Path
atexit.register(time.sleep, 0.5)
from coffee_boat._support.run import run
from coffee_boat.workflow.prefetch import Ahead
"""


def test_no_thread_starts_a_program_when_its_process_ends(folder: Path) -> None:
    source = ENDING + (
        "def two():\n"
        "    try:\n"
        "        run(['sh', '-c', 'echo > $0; sleep 300', sys.argv[2] + '/began'])\n"
        "    finally:\n"
        "        time.sleep(0.2)\n"
        "        run(['sh', '-c', sys.argv[1], sys.argv[2]])\n"
        "with Ahead() as ahead:\n"
        "    ahead.begin('a', two)\n"
        "    while not Path(sys.argv[2], 'began').exists(): pass\n"
    )
    argv = [sys.executable, "-c", source, BREEDS, str(folder)]
    assert subprocess.run(argv, timeout=60, check=False).returncode == 0
    time.sleep(0.3)
    assert not (folder / "self").exists()


def test_a_process_ends_though_what_its_thread_ran_left_something_behind(folder: Path) -> None:
    """In a session of its own, so that nothing of ours reaches it: as ssh, or a server for builds,
    with our pipe.
    """
    left = 'setsid sh -c \'echo $$ > "$0/self"; exec sleep 300\' "$0" & exit 0'
    source = ENDING + (
        "with Ahead() as ahead:\n"
        "    ahead.begin('a', lambda: run(['sh', '-c', sys.argv[1], sys.argv[2]]))\n"
        "    while not Path(sys.argv[2], 'self').exists(): pass\n"
    )
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", source, left, str(folder)], timeout=60, check=False
    )
    assert ended.returncode == 0
    assert time.monotonic() - begun < 30


def test_a_fork_leaves_alone_what_threads_of_its_parent_run(folder: Path) -> None:
    source = ENDING + (
        "import os, threading\n"
        "with Ahead() as ahead:\n"
        "    ahead.begin('a', lambda: run(['sh', '-c', sys.argv[1], sys.argv[2]]))\n"
        "    while not Path(sys.argv[2], 'self').exists(): pass\n"
        "    if not os.fork():\n"
        "        one = threading.Thread(target=run, args=(['true'],))\n"
        "        one.start()\n"
        "        one.join()\n"
        "        sys.exit(0)\n"
        "    assert os.wait()[1] == 0\n"
        "    os.kill(int(Path(sys.argv[2], 'self').read_text()), 0)\n"
        "    time.sleep(0.5)\n"
        "    state = Path('/proc', Path(sys.argv[2], 'self').read_text().strip(), 'stat')\n"
        "    assert state.read_text().rpartition(')')[2].split()[0] != 'Z'\n"
    )
    argv = [sys.executable, "-W", "ignore", "-c", source, BREEDS, str(folder)]
    assert subprocess.run(argv, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("late", ["", LATE], ids=["at once", "late"])
@pytest.mark.parametrize("source", [DIRECTLY, AHEAD, COMPILING], ids=["one", "ahead", "compiling"])
def test_ctrl_c_lets_programs_clean_up(folder: Path, source: str, late: str) -> None:
    """Within a second, which a busy machine may not give it: it is tried a few times."""
    for attempt in ("first", "second", "third"):
        place = folder / attempt
        place.mkdir()
        code, said = interrupted(
            late + source, CLEANS.replace("wait", "while :; do sleep 0.1; done"), place
        )
        assert (code, "KeyboardInterrupt" in said) == (-signal.SIGINT, True), said
        assert until(lambda: not runs(number(place / "self")), 5.0)  # noqa: B023
        if (place / "cleaned").is_file():
            return
    pytest.fail("it was killed before it could clean up")


BEGINNING = """
import signal
from coffee_boat._support.crew import Crew
submit = Crew.submit
def submit_and_interrupt(self, *arguments):
    future = submit(self, *arguments)
    signal.raise_signal(signal.SIGINT)
    return future
Crew.submit = submit_and_interrupt
"""


def test_ctrl_c_while_programs_are_being_begun_leaves_none(folder: Path) -> None:
    """They may end before they say anything."""
    script = subprocess.run(
        [sys.executable, "-c", HEARS + BEGINNING + COMPILING, BREEDS, str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "WORDS": BREEDS, "FOLDER": str(folder)},
    )
    assert (script.returncode, "KeyboardInterrupt" in script.stderr) == (-signal.SIGINT, True)
    for path in (folder / "self", folder / "born"):
        said = path.read_text() if path.is_file() else ""
        assert not said or until(lambda: not runs(int(said)), 2.0)  # noqa: B023


@pytest.mark.parametrize("stdin", [None, "six\n", "six\n" * 100_000])
def test_ctrl_c_that_another_thread_gets_ends_what_waits(stdin: str | None) -> None:
    """The kernel may give a signal to any thread, or just before we wait: no wait is for ever."""

    def interrupt() -> None:
        time.sleep(0.3)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    begun = time.monotonic()
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run([sys.executable, "-c", "import time; time.sleep(20)"], stdin=stdin)
    assert time.monotonic() - begun < 15


def test_what_is_read_is_all_of_it_and_a_program_may_not_read_it() -> None:
    text = "a line of text\n" * 100_000
    read = run([sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"], stdin=text)
    assert read.stdout == f"{len(text)}\n"
    assert run([sys.executable, "-c", "print('well')"], stdin=text).stdout == "well\n"
