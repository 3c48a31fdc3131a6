"""What prune leaves alone, and what is said while another process is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from coffee_boat._support.store import Store
from coffee_boat.cli.main import boat

SESSION = """
import sys
from coffee_boat._support.store import Store
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.chunks import make
from coffee_boat.archive.unpack import unpack
from coffee_boat.model import Lock, Target
def fill(writer):
    writer.file("lib/a.py", b"1", executable=False)
    return (0, 0)
store, target = Store(sys.argv[1]), Target("3.11.7", glibc=(2, 28))
archive = assemble([make(store, ["a"], "a", fill)], target=target, lock=Lock(target, ()), has_python=True, inputs={}, store=store)
print(archive.path, unpack(archive, store), flush=True)
sys.stdin.read()
"""  # noqa: E501
HOLDER = """
import sys
from coffee_boat._support.store import Store
with Store(sys.argv[1]).lock("tree abc"):
    print("held", flush=True)
    sys.stdin.read()
"""
WAITER = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
import sys
from coffee_boat._support.store import Store
with Store(sys.argv[1]).lock("tree abc"):
    print("mine")
"""


@contextmanager
def running(source: str, store: Store) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that says a line, and ends with its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-c", source, str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline()
        process.communicate("")
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


def age(store: Store) -> None:
    """As if all was made long ago, on a file system that is mounted with noatime."""
    then = time.time() - 40 * 86400
    for path in store.root.rglob("*"):
        os.utime(path, (then, then), follow_symlinks=False)


def prune(store: Store, *words: str) -> str:
    done = CliRunner().invoke(boat, ["cache", "prune", "--store", str(store.root), *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_what_a_session_runs_from_is_not_pruned_until_it_ends(store: Store) -> None:
    with running(SESSION, store) as (_, said):
        archive, tree = map(Path, said.split())
        age(store)
        tried = prune(store, "--dry-run")
        kinds = {line.split()[1] for line in tried.splitlines() if line.startswith("  ")}
        assert "chunks" in kinds
        assert not kinds & {"archives", "trees"}
        told = " ".join(prune(store).split())
        assert "note: not removed: 2 entries" in told
        assert "running processes of yours use it" in told
        assert archive.is_file()
        assert (tree / "lib/a.py").is_file()
        assert not list((store.root / "chunks").iterdir())  # it is not needed any more
    prune(store)
    assert (archive.exists(), tree.exists()) == (False, False)


def test_what_was_used_lately_stays_where_reading_leaves_no_trace(store: Store) -> None:
    with running(SESSION, store):
        pass
    age(store)
    with running(SESSION, store) as (_, said):
        pass
    prune(store)
    assert [Path(path).exists() for path in said.split()] == [True, True]


def test_a_session_that_was_killed_keeps_nothing(store: Store) -> None:
    with pytest.raises(AssertionError), running(SESSION, store) as (process, said):
        process.kill()
    age(store)
    prune(store)
    assert not any(Path(path).exists() for path in said.split())


@pytest.fixture
def waiter(store: Store) -> Iterator[tuple[subprocess.Popen[str], subprocess.Popen[str], str]]:
    """One process that has a lock, another that waits for it, and what that says first."""
    with running(HOLDER, store) as (holder, _):
        process = subprocess.Popen(
            [sys.executable, "-c", WAITER, str(store.root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        ending = subprocess.Popen(["sh", "-c", f"sleep 30; kill {process.pid}"])
        try:
            assert process.stderr is not None
            yield holder, process, process.stderr.readline()
        finally:
            for each in (ending, process):
                each.kill()
                each.wait()


def test_who_waits_for_another_process_is_told_for_which(
    waiter: tuple[subprocess.Popen[str], subprocess.Popen[str], str],
) -> None:
    holder, process, said = waiter
    assert f"coffee_boat: waiting for process {holder.pid} on " in said
    assert "holds the lock 'tree abc' of the store; Ctrl-C ends the wait" in said
    holder.communicate("")
    assert process.communicate(timeout=30) == ("mine\n", "")


def test_ctrl_c_ends_the_wait(
    waiter: tuple[subprocess.Popen[str], subprocess.Popen[str], str],
) -> None:
    _, process, said = waiter
    assert "waiting for process" in said
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out) == (-signal.SIGINT, "")
    assert "KeyboardInterrupt" in errors
