"""What long work shows: one line that moves in a terminal and in each kind of notebook, lines now
and then in a log.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, suppress
from pathlib import Path
from threading import Barrier, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from small_packages import serving, wheel
from terminals import Terminal, in_a_terminal
from test_launch import home, spark  # noqa: F401  fixtures
from test_sessions import context, new  # noqa: F401  fixtures
from test_wheels import fetch, remote

from coffee_boat import BuildError, Captain
from coffee_boat._support import doors
from coffee_boat._support.progress import Step, Tally, progress, say_line
from coffee_boat._support.store import Store
from coffee_boat.clusters import executors
from coffee_boat.model import Archive, Chunk, SparkFacts, Target
from coffee_boat.session.arriving import Arriving
from coffee_boat.workflow.starting import Starting

BIG = 400_000
"""Bytes of a wheel that takes a while."""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """For redirect_stderr, which does not last from a fixture to its test."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


@pytest.fixture
def notebook(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A shell of the class that is named, whose displays are kept in display_pub.outputs."""
    pytest.importorskip("IPython")
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    module, _, name = request.param.rpartition(".")
    kind: Any = type(name, (InteractiveShell,), {"__module__": module})
    shell = kind.instance()
    shell.display_pub = CapturingDisplayPublisher(parent=shell)
    yield shell
    shell.history_manager.end_session()
    kind.clear_instance()


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A folder with a small wheel and a big one."""
    folder = tmp_path / "files"
    wheel(folder, "small", "1.0")
    with wheel(folder, "large", "1.0").open("ab") as file:
        file.write(bytes(BIG))
    return folder


def until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not there():
        assert time.monotonic() < end, "it never was"
        time.sleep(0.01)


def lines(shell: Any) -> list[str]:
    """The lines that were shown, each by the id under which it is updated."""
    shown = [output["transient"]["display_id"] for output in shell.display_pub.outputs]
    return list(dict.fromkeys(shown))


# a terminal


def test_a_terminal_tells_packages_and_bytes_of_all_the_rate_and_what_is_slow(
    terminal: Terminal, big: Path, store: Store
) -> None:
    told = re.compile(
        r"coffee_boat: fetching 1 of 2 packages, 1\d\d of 40\d kB, [\d.]+ kB/s, large 1\.0"
    )
    with serving(big) as index:
        index.halfway["/files/large-1.0-py3-none-any.whl"] = lambda: until(
            lambda: any(map(told.fullmatch, terminal.shown))
        )
        with redirect_stderr(terminal), progress() as say:
            fetch(remote(big, index, "large", "small"), store, said=SimpleNamespace(append=say))
    assert any(map(told.fullmatch, terminal.shown)), terminal.shown
    assert terminal.seen == "", "nothing is left of it"
    assert all(len(frame.splitlines()) <= 1 for frame in terminal.frames), "it is one line"


def test_a_download_that_fails_takes_the_line_away(
    terminal: Terminal, big: Path, store: Store
) -> None:
    with serving(big) as index:
        lock = remote(big, index, "small")
        (big / "small-1.0-py3-none-any.whl").unlink()
        refused = pytest.raises(BuildError, match="not there any more")
        with refused, redirect_stderr(terminal), progress() as say:
            fetch(lock, store, said=SimpleNamespace(append=say))
    assert "coffee_boat: fetching 0 of 1 package, 0 of " in terminal.shown[0]
    assert terminal.seen == ""


def test_a_line_is_never_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    with redirect_stderr(Terminal(40)) as narrow, progress() as say:
        say(Step("fetching", 12, 103, "package", 120_000_000, 405_000_000, slow="torch 2.5.1"))
        say(Step("naming 名前" * 20))
    assert narrow.shown == [
        "coffee_boat: fetching 12 of 103 pack...",
        narrow.shown[1],
    ]
    assert all(len(frame.splitlines()) <= 1 for frame in narrow.frames)
    assert narrow.shown[1].endswith("...")


def test_what_others_write_meanwhile_stays_whole(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = sys.stdout
    with redirect_stderr(terminal), progress() as say:
        say(Step("working"))
        assert sys.stdout is ours, "a program's own streams stay as they are"
        sys.stdout.write("a product\n")
        say_line("note: odd")
        terminal.write("26/11/29 WARN Utils: of the JVM\n")
        assert "coffee_boat: note: odd" in terminal.seen
        until(lambda: terminal.seen.endswith("coffee_boat: working"))
        terminal.write("without an end")
        until(lambda: terminal.seen.endswith("coffee_boat: working"))
    assert terminal.seen.splitlines() == [
        "coffee_boat: note: odd",
        "26/11/29 WARN Utils: of the JVM",
        "without an end",
    ]
    assert capsys.readouterr().out == "a product\n"


def test_more_lines_at_once_run_into_nothing_where_a_jvm_writes_too(terminal: Terminal) -> None:
    first = "26/11/29 18:10:09 WARN Utils: Service 'SparkUI' could not bind on port 4040. Again."
    with redirect_stderr(terminal), progress() as say:
        say(Step("Spark starts; executors unpack 114.7 MB", among=True))
        terminal.write(f"{first}\nshort\n")
        until(lambda: terminal.seen.endswith("114.7 MB"))
    assert terminal.seen.splitlines() == [first[:80], first[80:], "short"]


def test_two_threads_share_the_line_and_the_last_one_takes_it_away(terminal: Terminal) -> None:
    barrier = Barrier(2)

    def work() -> None:
        with progress() as say:
            barrier.wait()
            say(Step("working"))
            barrier.wait()

    threads = [Thread(target=work) for _ in range(2)]
    with redirect_stderr(terminal):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert terminal.seen == ""
        with progress() as say:
            say(Step("more"))
    assert terminal.written.count("\x1b[J") == 2, "one for the threads, one after them"


def test_threads_that_say_at_once_write_whole_lines(terminal: Terminal) -> None:
    names = {f"package-{number}": 1000 for number in range(8)}
    with redirect_stderr(terminal), progress() as say:
        tally = Tally(say, "fetching", "package", names)

        def work(name: str) -> None:
            for length in range(0, 1000, 10):
                tally.came(name, length)
            say_line(f"note: {name}")
            tally.end(name)

        threads = [Thread(target=work, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        say(Step("packing"))
    notes = terminal.seen.splitlines()
    assert sorted(notes) == [f"coffee_boat: note: {name}" for name in names]


def test_ctrl_c_takes_the_line_away_at_once(big: Path, tmp_path: Path) -> None:
    """In a terminal of its own, while a server sends nothing."""
    go_on = threading.Event()
    with serving(big) as index:
        index.halfway["/files/large-1.0-py3-none-any.whl"] = lambda: go_on.wait(30)
        argv = [sys.executable, "-c", PROGRAM, str(tmp_path / "store"), index.url]
        with in_a_terminal(argv, {**os.environ}) as ran:
            ran.until(lambda seen: "fetching 0 of 1 package" in seen)
            ran.process.send_signal(signal.SIGINT)
            ran.until(lambda seen: "fetching 0 of 1" not in seen)
            go_on.set()
            seen = ran.ended()
    assert not [line for line in seen.splitlines() if re.match("coffee_boat: |fetch|resolv", line)]
    assert "KeyboardInterrupt" in seen
    assert ran.process.returncode != 0


PROGRAM = """
import sys
from coffee_boat import Captain
captain = Captain(ship_python=False, store=sys.argv[1], index_url=sys.argv[2])
captain.add_pip_packages("large")
captain.pack(sys.argv[1] + ".tar.gz")
"""


# a notebook


@pytest.mark.parametrize(
    "notebook",
    ["ipykernel.zmqshell.ZMQInteractiveShell", "google.colab._shell.Shell"],
    indirect=True,
)
@pytest.mark.usefixtures("pyspark_is_packed")
def test_each_kind_of_notebook_has_one_line_that_is_updated_and_empty_at_the_end(
    notebook: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(tmp_path / "wheels", "alpha", "1.0")
    notebook.user_ns["captain"] = captain = Captain(
        ship_python=False,
        offline=True,
        store=tmp_path / "store",
        find_links=[str(tmp_path / "wheels")],
    )
    captain.add_pip_packages("alpha")
    notebook.run_cell(f"captain.pack({str(tmp_path / 'env.tar.gz')!r})", silent=True)
    texts = [output["data"]["text/plain"] for output in notebook.display_pub.outputs]
    assert len(lines(notebook)) == 1
    assert any(text.startswith("coffee_boat: resolving 1 requirement for") for text in texts)
    assert all(text.startswith("coffee_boat") for text in texts[:-1])
    assert texts[-1] == ""
    assert "coffee_boat: " not in capsys.readouterr().err
    notebook.display_pub.outputs.clear()
    notebook.run_cell(f"captain.pack({str(tmp_path / 'more.tar.gz')!r})", silent=True)
    texts = [output["data"]["text/plain"] for output in notebook.display_pub.outputs]
    assert not any("packing" in text for text in texts), "nothing is packed the second time"


# a log


@pytest.mark.usefixtures("pyspark_is_packed")
@pytest.mark.parametrize("notebook", ["IPython.terminal.TerminalInteractiveShell"], indirect=True)
def test_a_shell_in_a_log_has_no_display(
    notebook: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.user_ns["captain"] = Captain(ship_python=False, offline=True, store=tmp_path / "store")
    notebook.run_cell(f"captain.pack({str(tmp_path / 'env.tar.gz')!r})", silent=True)
    assert notebook.display_pub.outputs == []
    assert "\x1b" not in capsys.readouterr().err


def test_a_log_has_a_line_of_what_lasts_and_one_now_and_then_if_it_came_further() -> None:
    with redirect_stderr(io.StringIO()) as log:
        door = doors.Log(first=1.0, every=0.1)
        first, second = Step("fetching", 1, 3), Step("fetching", 2, 3)
        door.show("short", Step("resolving"), 0.9)
        assert log.getvalue() == "", "a short step has none"
        door.show("one", first, 1.1)
        door.show("one still", first, 1.2)
        door.show("two", second, 1.2)
        assert log.getvalue() == "one\n", "that was a moment ago"
        time.sleep(0.11)
        door.show("one still", first, 1.4)
        door.show("two", second, 1.4)
        door.close()
    assert log.getvalue() == "one\ntwo\n"


def test_a_log_has_nothing_of_what_is_short(
    big: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(big) as index, progress() as say:
        fetch(remote(big, index, "large", "small"), store, said=SimpleNamespace(append=say))
    assert capsys.readouterr().err == ""


def test_a_terminal_that_can_do_nothing_is_a_log(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with redirect_stderr(terminal), progress() as say:
        say(Step("working"))
        time.sleep(0.15)
    assert terminal.written == []


def test_a_plain_line_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that fetch would write into each other's lines."""
    pieces: list[str] = []

    class Log(io.StringIO):
        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stderr", Log())
    say_line("fetching six")
    assert [piece for piece in pieces if piece] == ["coffee_boat: fetching six\n"]


# a session that starts


def test_a_session_that_is_taken_over_with_more_to_add_has_one_line(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    terminal: Terminal,
) -> None:
    one, two = new().add_pip_packages("alpha"), new().add_pip_packages("alpha")
    one.launch_ship()
    running = context("local[1]")
    with redirect_stderr(terminal):
        two.board(running)
    assert terminal.written.count("\x1b[J") == 1


@pytest.mark.parametrize("fails", [False, True], ids=["starts", "fails"])
def test_spark_starts_and_executors_unpack_until_the_context_is_there_or_is_not(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    spark: Any,  # noqa: F811
    terminal: Terminal,
    fails: bool,
) -> None:
    made = spark.Context._initialize_context

    def initialize(it: Any, jconf: Any) -> Any:
        assert "coffee_boat: Spark starts; executors unpack " in terminal.seen
        if fails:
            raise KeyboardInterrupt
        return made(it, jconf)

    spark.Context._initialize_context = initialize
    new().add_pip_packages("alpha").launch_ship()
    with suppress(KeyboardInterrupt), redirect_stderr(terminal):
        context("local-cluster[2,1,1024]")
    assert "Spark starts" not in terminal.seen
    assert any("Spark starts; executors unpack" in line for line in terminal.shown)


@pytest.mark.usefixtures("context")
def test_a_submission_tells_that_spark_starts_before_the_terminal_is_spark_submits(
    new: Callable[[], Captain],  # noqa: F811
    home: Path,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    (home / "lib/pyspark/bin/spark-submit").write_text("#!/bin/sh\necho submitted >&2\n")
    (home / "job.py").write_text("")
    captain = new().add_pip_packages("alpha")
    assert captain.submit(home / "job.py", master="local-cluster[2,1,1024]") == 0
    told = capfd.readouterr().err.splitlines()
    at = told.index("submitted")
    assert told[at - 1].startswith("coffee_boat: Spark starts; executors unpack "), told


def starting() -> Starting:
    chunk = Chunk("c", 1, 160_000_000, 1)
    archive = Archive("a", "/boat.tar.gz", 1, (chunk,), Target("3.11.7"), "", True)
    return Starting(archive, wanted=2, has_executors=True)


@pytest.mark.parametrize("notebook", ["ipykernel.zmqshell.ZMQInteractiveShell"], indirect=True)
def test_a_notebook_tells_of_executors_after_the_cell_and_keeps_the_last_word(
    notebook: Any,
) -> None:
    def texts() -> list[str]:
        found = [output["data"]["text/plain"] for output in notebook.display_pub.outputs]
        notebook.display_pub.outputs.clear()
        return found

    notebook.user_ns |= {"start": starting(), "stopped": starting()}
    notebook.run_cell("start.begin(); start.ready(1); start.up()", silent=True)
    assert texts() == [
        "coffee_boat",
        "coffee_boat: Spark starts; executors unpack 160.0 MB",
        "coffee_boat: 1 of 2 executors ready; executors unpack 160.0 MB",
        "",
        "coffee_boat",
        "coffee_boat: 1 of 2 executors ready; executors unpack 160.0 MB",
    ]
    notebook.user_ns["start"].ready(2)
    notebook.user_ns["start"].end()
    assert texts() == ["coffee_boat: 2 of 2 executors ready"]
    notebook.run_cell("stopped.begin(); stopped.up(); stopped.end()", silent=True)
    assert texts()[-1] == "", "they never came"


@pytest.mark.parametrize("prompt", [False, True], ids=["program", "prompt"])
def test_a_program_has_one_line_when_executors_are_ready_and_a_prompt_none(
    prompt: bool,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(sys, "ps1", raising=False)  # IPython's shells set it
    if prompt:
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    start = starting()
    with redirect_stderr(terminal):
        start.begin()
        start.up()
        assert terminal.seen == ""
        terminal.write("\r[Stage 0:>        (0 + 0) / 2]\r")
        start.ready(1)
        start.ready(2)
    told = "[Stage 0:>        (0 + 0) / 2]" if prompt else "coffee_boat: 2 of 2 executors ready"
    assert terminal.seen == told


class Books:
    """What a driver's JVM knows of its executors: id -> tasks that it had, cores that are free."""

    def __init__(self, found: dict[str, tuple[int, Any]], *, has_cores: bool = True) -> None:
        self.found, self._has_cores = found, has_cores

    def context(self) -> Any:
        return SimpleNamespace(_jsc=SimpleNamespace(sc=lambda: self))

    def statusStore(self) -> Any:  # noqa: N802  Spark's name
        rows = [
            SimpleNamespace(id=lambda name=name: name, totalTasks=lambda tasks=tasks: tasks)
            for name, (tasks, _) in {"driver": (0, 1), **self.found}.items()
        ]
        listed = SimpleNamespace(size=lambda: len(rows), apply=rows.__getitem__)
        return SimpleNamespace(executorList=lambda _active: listed)

    def schedulerBackend(self) -> Any:  # noqa: N802
        def cores(name: str) -> Any:
            if not self._has_cores:
                raise TypeError("'JavaPackage' object is not callable")
            return SimpleNamespace(toString=lambda: f"Some({self.found[name][1]})")

        return SimpleNamespace(getExecutorAvailableCpus=cores)


def test_an_executor_is_ready_when_it_has_unpacked_and_not_when_it_registers() -> None:
    told: list[int] = []
    books = Books({"0": (0, "0E-9")})
    arriving = Arriving(2, told.append)
    assert not arriving.look(books.context()), "it unpacks: it has no core to give"
    books.found = {"0": (1, 0), "1": (0, 0)}
    assert not arriving.look(books.context()), "one runs tasks"
    assert told == [1]
    books.found["1"] = (0, "1.000000000")
    assert arriving.look(books.context())
    assert told == [1, 2]


def test_where_spark_has_other_books_an_executor_is_ready_that_has_registered() -> None:
    told: list[int] = []
    other = Books({"0": (0, 0), "1": (0, 0)}, has_cores=False)
    assert Arriving(2, told.append).look(other.context())
    assert told == [2]


@pytest.mark.parametrize(
    ("master", "conf", "wanted"),
    [
        ("local-cluster[2,1,1024]", {}, 2),
        ("yarn", {}, 2),
        ("yarn", {"spark.executor.instances": "7"}, 7),
        ("k8s://https://host:6443", {"spark.executor.instances": "3"}, 3),
        ("yarn", {"spark.dynamicAllocation.enabled": "true"}, None),
        ("spark://host:7077", {}, None),
        ("local[4]", {}, None),
    ],
)
def test_how_many_executors_are_waited_for(
    master: str, conf: dict[str, str], wanted: int | None
) -> None:
    assert executors(SparkFacts("4.1.0", master, "client", conf)) == wanted


class _Written(list[str]):
    """What a platform puts in the place of stderr, that has no more than this."""

    def write(self, text: str) -> None:
        self.append(text)

    def flush(self) -> None:
        pass


def test_a_stderr_that_is_no_file_is_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = _Written()
    closed = io.StringIO()
    closed.close()
    for stream in (written, closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress() as say:
            say(Step("a"))
            if stream is not closed:
                say_line("told")
    monkeypatch.undo()
    assert "".join(written) == "coffee_boat: told\n"
    assert not capsys.readouterr().out
