"""What long work shows: one line that is updated in a terminal and in each kind of notebook, plain
lines in a log.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from test_launch import home, spark  # noqa: F401  fixtures
from test_sessions import context, new  # noqa: F401  fixtures

from coffee_boat import Captain
from coffee_boat._support.progress import progress, say_line

HIDE_CURSOR = "\x1b[?25l"
"""What begins a line of a terminal that is updated."""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


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


def lines(shell: Any) -> list[str]:
    """The lines that were shown, each by the id under which it is updated."""
    shown = [output["transient"]["display_id"] for output in shell.display_pub.outputs]
    return list(dict.fromkeys(shown))


@pytest.mark.parametrize(
    "notebook",
    ["ipykernel.zmqshell.ZMQInteractiveShell", "google.colab._shell.Shell"],
    indirect=True,
)
@pytest.mark.usefixtures("pyspark_is_packed")
def test_each_kind_of_notebook_has_one_line_that_is_updated_and_empty_at_the_end(
    notebook: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.user_ns["captain"] = Captain(ship_python=False, offline=True, store=tmp_path / "store")
    notebook.run_cell(f"captain.pack({str(tmp_path / 'env.tar.gz')!r})", silent=True)
    texts = [output["data"]["text/plain"] for output in notebook.display_pub.outputs]
    assert len(lines(notebook)) == 1
    assert any(text.startswith("coffee_boat: packing") for text in texts)
    assert texts[-1] == ""
    assert "coffee_boat: packing" not in capsys.readouterr().err


@pytest.mark.usefixtures("pyspark_is_packed")
@pytest.mark.parametrize("notebook", ["IPython.terminal.TerminalInteractiveShell"], indirect=True)
def test_a_shell_in_a_log_has_plain_lines(
    notebook: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.user_ns["captain"] = Captain(ship_python=False, offline=True, store=tmp_path / "store")
    notebook.run_cell(f"captain.pack({str(tmp_path / 'env.tar.gz')!r})", silent=True)
    assert notebook.display_pub.outputs == []
    assert "coffee_boat: packing" in capsys.readouterr().err


def test_a_session_that_is_taken_over_with_more_to_add_has_one_line(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    one, two = new().add_pip_packages("alpha"), new().add_pip_packages("alpha")
    one.launch_ship()
    running = context("local[1]")
    with redirect_stderr(Terminal()) as terminal:
        two.board(running)
    assert terminal.getvalue().count(HIDE_CURSOR) == 1


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


def test_two_threads_share_the_line_and_the_last_one_takes_it_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    barrier = Barrier(2)

    def work() -> None:
        with progress() as say:
            barrier.wait()
            say("working")
            barrier.wait()

    with redirect_stderr(Terminal()) as terminal:
        threads = [Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with progress() as say:
            say("more")
    assert terminal.getvalue().count(HIDE_CURSOR) == 2, "one for the threads, one after them"
