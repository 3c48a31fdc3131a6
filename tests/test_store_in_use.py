"""What prune leaves alone, and what is said while another process is waited for."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_packages import wheel

from coffee_boat import settings
from coffee_boat._support.store import Store
from coffee_boat.cli.main import boat
from coffee_boat.requirements import pip_packages
from coffee_boat.workflow.built import build
from coffee_boat.workflow.expose import importable
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.tools import Tools

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
    return cache(store, "prune", *words)


def cache(store: Store, *words: str) -> str:
    done = CliRunner().invoke(boat, ["cache", *words, "--store", str(store.root)])
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


def test_what_a_session_may_unpack_later_is_not_pruned(
    store: Store, pyspark_is_packed: None, tmp_path: Path
) -> None:
    """What is large waits on the driver for its import."""
    url = wheel(tmp_path / "wheels", "boat-large", "1.0").as_uri()
    said = {"store": str(store.root), "ship_python": False, "offline": True}
    tools = Tools.of(settings.load(said, environ={})[0])
    built = build(tools, Request((pip_packages([f"boat-large @ {url}"], origin="t"),)), print)
    chunks = [replace(chunk, unpacked=300_000_000) for chunk in built.archive.chunks]
    what = importable(tools, built.lock, chunks, print)
    shutil.rmtree(tmp_path / "wheels")
    age(store)
    prune(store)
    try:
        for _ in range(2):  # what waits is judged again with each addition
            tools.views.board(built.lock, {}, what.later)
        assert importlib.import_module("boat_large").VERSION == "1.0"
    finally:
        tools.views.close()


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


# builds


BUILDER = """
import sys
from coffee_boat._support.store import Store
store = Store(sys.argv[1])
with store.lease(), store.scratch() as scratch:
    scratch.write_text("half")
    assert store.use("chunks", "{}.gz")
    print(scratch, flush=True)
    sys.stdin.read()
""".format("a" * 64)


@pytest.fixture
def old(store: Store) -> Path:
    """Something in the store that was not used for long."""
    for name in "ab":
        with store.publish("chunks", f"{name * 64}.gz") as scratch:
            scratch.write_text("x", "utf-8")
    age(store)
    return store.path("chunks", f"{'a' * 64}.gz")


@pytest.mark.parametrize("words", [["prune", "--days", "0"], ["clear", "--yes"]])
def test_what_a_build_uses_is_left_there_until_it_ends(
    store: Store, old: Path, words: list[str]
) -> None:
    other = old.with_name(f"{'b' * 64}.gz")
    with running(BUILDER, store) as (_, said):
        done = cache(store, *words)
        assert (old.exists(), other.exists()) == (True, False)
        assert Path(said.strip()).exists()
        assert "running processes of yours use it: a session, or a build" in " ".join(done.split())
        if words[0] == "prune":
            tried = cache(store, *words, "--dry-run")
            assert "would remove 0 entries" in tried
    cache(store, *words)
    assert not old.exists()


def test_what_is_made_while_a_build_runs_is_left_too(store: Store, old: Path) -> None:
    with store.lease():
        with store.publish("trees", "c" * 64) as made:
            made.mkdir()
            (made / "file").write_text("x", "utf-8")
            os.utime(made / "file", (1, 1))  # as it was packed
        cache(store, "prune", "--days", "0")
        assert store.has("trees", "c" * 64)
        assert not old.exists()


def test_a_build_that_was_killed_keeps_nothing_and_leaves_nothing(store: Store, old: Path) -> None:
    with pytest.raises(AssertionError), running(BUILDER, store) as (process, said):
        process.kill()
    half = Path(said.strip())
    assert half.exists()
    assert "would remove" in cache(store, "prune", "--dry-run")
    assert half.exists()
    cache(store, "prune", "--days", "0")
    assert not half.parent.exists()
    assert not old.exists()
    assert [path.name for path in (store.root / "leases").iterdir()] == ["gate"]


def test_what_a_killed_build_left_goes_whatever_its_age(store: Store) -> None:
    with pytest.raises(AssertionError), running(KILLED, store) as (process, _):
        process.kill()
    assert len(list((store.root / "tmp").iterdir())) == 1
    assert "removed 1 entry" in cache(store, "prune")
    assert not list((store.root / "tmp").iterdir())


KILLED = """
import sys
from coffee_boat._support.store import Store
with Store(sys.argv[1]).scratch() as scratch:
    print(scratch, flush=True)
    sys.stdin.read()
"""


def test_folders_of_other_programs_are_never_listed(store: Store) -> None:
    names = ("tmpabcd1234", "boat-abcd1234", "boat-pyspark-abcd1234", "boat-abcd1235")
    for name in names:
        folder = store.root / "tmp" / name
        folder.mkdir(parents=True)
        (folder / "theirs").write_text("x", "utf-8")
    (store.root / "tmp" / "boat-abcd1236").symlink_to(store.root / "tmp" / "boat-abcd1235")
    age(store)
    assert not list(store.entries())
    cache(store, "prune", "--days", "0")
    cache(store, "clear", "--yes")
    assert len(list((store.root / "tmp").iterdir())) == len(names) + 1


def test_locks_that_nobody_has_go(store: Store) -> None:
    with store.lock("one"):
        with store.lock("two"):
            pass
        assert len(list((store.root / "locks").glob("*.lock"))) == 2
        cache(store, "prune")
        assert len(list((store.root / "locks").glob("*.lock"))) == 1
    cache(store, "prune")
    assert not list((store.root / "locks").iterdir())
    with store.lock("one"):
        pass


def test_what_is_left_of_a_thread_at_the_end_of_its_process_goes(store: Store) -> None:
    source = (
        "import sys, threading\n"
        "from coffee_boat._support.store import Store\n"
        "from coffee_boat._support.crew import Crew\n"
        "begun = threading.Event()\n"
        "def works():\n"
        "    with Store(sys.argv[1]).scratch() as scratch:\n"
        "        scratch.mkdir()\n"
        "        begun.set()\n"
        "        threading.Event().wait()\n"
        "Crew(1, 'test').submit(works)\n"
        "begun.wait()\n"
    )
    subprocess.run([sys.executable, "-c", source, str(store.root)], check=True, timeout=20)
    assert not list((store.root / "tmp").iterdir())


THREADS = """
import sys, threading, time
from pathlib import Path
from coffee_boat._support.scratch import scratch

def work():
    while True:
        try:
            with scratch(Path(sys.argv[1])) as path:
                path.write_text("x")
                time.sleep(0.0005)
        except OSError:
            time.sleep(0.001)

for _ in range(6):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.25)
"""


def test_threads_that_work_while_a_process_ends_leave_nothing(tmp_path: Path) -> None:
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        subprocess.run([sys.executable, "-c", THREADS, str(folder)], check=True, timeout=60)
        assert not list(folder.iterdir())
