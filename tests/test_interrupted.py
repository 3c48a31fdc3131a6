"""Ctrl-C, and servers that stall: `boat` in a process of its own, as in a terminal."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from small_packages import Index, serving, sha256, wheel

from coffee_boat import BuildError, LockError
from coffee_boat._support import crew
from coffee_boat._support.store import Store
from coffee_boat.cli import locking
from coffee_boat.model import Indexes, Lock, Target
from coffee_boat.pip.download import Downloads

SOON = 4.0
"""Seconds; two are promised, on a machine that does nothing else."""
ALPHA = "/files/alpha-1.0-py3-none-any.whl"
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " from coffee_boat.cli.start import main; main()"
)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """With one wheel."""
    wheel(tmp_path / "index", "alpha", "1.0")
    with serving(tmp_path / "index") as made:
        yield made


@contextmanager
def stalling(index: Index, *, times: int = 1000) -> Iterator[threading.Event]:
    """So many first answers come late; set once the first was asked for."""
    asked, go, left = threading.Event(), threading.Event(), [None] * times

    def wait() -> None:
        if left:
            left.pop()
            asked.set()
            go.wait(60)

    index.before[ALPHA] = wait
    try:
        yield asked
    finally:
        go.set()


@contextmanager
def packing(tmp_path: Path, index: Index, name: str = "a") -> Iterator[subprocess.Popen[str]]:
    words = ("pack", "-o", f"{name}.tar.gz", "--pip", "alpha", "--no-ship-python")
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *words, "--index-url", index.url],
        cwd=tmp_path,
        env={**os.environ, "COFFEE_BOAT_STORE": str(tmp_path / "store")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupted(process: subprocess.Popen[str]) -> str:
    """What a process says after one Ctrl-C."""
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert time.monotonic() - begun < SOON
    assert said.endswith("interrupted\n")
    return said


@pytest.mark.usefixtures("pyspark_is_packed")
def test_one_ctrl_c_ends_a_download_that_stalls_and_leaves_nothing(
    tmp_path: Path, index: Index
) -> None:
    with stalling(index) as asked, packing(tmp_path, index) as process:
        assert asked.wait(60)
        interrupted(process)
    assert not list((tmp_path / "store/tmp").iterdir())


@pytest.mark.usefixtures("pyspark_is_packed")
def test_one_ctrl_c_ends_a_wait_for_a_lock_in_a_thread(tmp_path: Path, index: Index) -> None:
    taken = Store(tmp_path / "store").lock(f"fetch {digest(index)}")
    with taken, packing(tmp_path, index) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "waiting for process" in line)
        assert f"process {os.getpid()} on" in said
        interrupted(process)


@pytest.mark.usefixtures("pyspark_is_packed")
def test_nobody_waits_for_a_process_that_waits_for_its_server(tmp_path: Path, index: Index) -> None:
    with stalling(index, times=1) as asked, packing(tmp_path, index):
        assert asked.wait(60)
        with packing(tmp_path, index, "b") as second:
            _, said = second.communicate(timeout=60)
            assert second.returncode == 0, said
    assert "waiting for process" in said
    assert "does not get on with 'fetch" in said


def digest(index: Index) -> str:
    return sha256(index.folder / Path(ALPHA).name)


# servers that drip


@pytest.mark.parametrize("where", ["the body", "the head"])
def test_a_server_that_drips_is_given_up(
    tmp_path: Path, where: str, drip: Callable[[str], str]
) -> None:
    begun = time.monotonic()
    with pytest.raises(BuildError) as caught:
        Downloads(Indexes(timeout=0.6), []).fetch(drip(where), tmp_path / "x", sha256="0" * 64)
    assert caught.value.code == "build.fetch-too-slow"
    assert "less than 1,024 bytes a second for 1 s" in caught.value.cause
    assert time.monotonic() - begun < SOON


@pytest.fixture
def drip() -> Iterator[Callable[[str], str]]:
    """A server that sends a byte now and then: its URL."""
    server, done = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve(head: bytes) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(head)
            with suppress(OSError):  # it was given up
                while not done.wait(0.1):
                    connection.sendall(b"x")

    def started(where: str) -> str:
        length = b"Content-Length: 1000000\r\n\r\n" if where == "the body" else b"X-More: "
        threading.Thread(target=serve, args=[b"HTTP/1.1 200 OK\r\n" + length]).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/x.whl"

    yield started
    done.set()
    server.close()


# threads


def test_what_is_under_way_in_a_crew_is_told_and_what_waits_is_dropped() -> None:
    begun, ended = threading.Event(), threading.Event()

    def works() -> None:
        begun.set()
        try:
            while True:
                crew.sleep(0.01)
        except crew.StoppedError:
            ended.set()
            raise

    def fails() -> None:
        with crew.Crew(1, "test") as one:
            work, waits = one.submit(works), one.submit(begun.clear)
            assert begun.wait(10)
            try:
                raise ZeroDivisionError
            finally:
                futures.extend([work, waits])

    futures: list[object] = []
    with pytest.raises(ZeroDivisionError):
        fails()
    assert ended.is_set()
    assert begun.is_set()


def test_a_process_does_not_wait_for_a_thread_that_waits() -> None:
    source = (
        "import threading\n"
        "from coffee_boat._support.crew import Crew\n"
        "with Crew(1, 'test') as crew:\n"
        "    crew.submit(threading.Event().wait)\n"
        "    raise KeyboardInterrupt\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", source], check=False, capture_output=True, timeout=20
    )
    assert ran.stderr.endswith(b"KeyboardInterrupt\n")


@pytest.mark.parametrize("words", [["cache", "list"], ["--help"], ["--version"]])
def test_an_output_that_is_full_is_told_in_words(tmp_path: Path, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "coffee_boat.cli", *words],
            env={**os.environ, "COFFEE_BOAT_STORE": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == 3
    assert ran.stderr.startswith("error: the output cannot be written: stdout\n  cause: No space")


def test_a_lock_that_is_written_to_a_device_leaves_it_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    lock = Lock(Target("3.11.7", glibc=(2, 28)), ())
    locking.write(lock, str(pipe))
    assert os.read(reader, 100).startswith(b"lock-version")
    os.close(reader)
    assert pipe.is_fifo()
    for name in ("a" * 5000, "b/" * 3000 + "c"):
        with pytest.raises(LockError) as caught:
            locking.write(lock, name)
        assert caught.value.code == "lock.file-unwritable"


# at the very end


@pytest.mark.parametrize("words", [["--version"], ["plan", "--pip", "a b"]])
def test_what_has_ended_is_interrupted_no_more(words: list[str]) -> None:
    """Python takes a while to end: exit handlers, then modules, when it hears signals no more."""
    program = (
        "import atexit, os, signal;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "press = (os.kill, os.getpid(), signal.SIGINT);"
        "Last = type('Last', (), {'__del__': lambda self, p=press: p[0](*p[1:])});"
        "last = Last(); atexit.register(*press);"
        "from coffee_boat.cli.start import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert ran.returncode == (0 if words == ["--version"] else 3), ran
    assert "Traceback" not in ran.stderr
    assert "KeyboardInterrupt" not in ran.stderr
