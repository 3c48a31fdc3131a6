"""%boat while a session runs in the kernel, and after its JVM ended: a stand-in of pyspark, so no
JVM.

What real Spark does with it: integration/test_notebook.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("IPython")

from test_launch import home, spark  # noqa: F401  fixtures
from test_magic import boat, shell  # noqa: F401  a fixture
from test_sessions import context, new  # noqa: F401  fixtures

from coffee_boat import BoatError, Captain, LaunchError


@pytest.fixture
def running(
    shell: Any,  # noqa: F811
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
) -> Captain:
    """The notebook's Captain, in whose session alpha is."""
    captain: Captain = new().add_pip_packages("alpha").launch_ship()
    shell.user_ns["captain"] = captain
    context("local[1]")
    assert captain.running
    return captain


@pytest.mark.parametrize(
    "line",
    ["status", "plan", "plan --pip beta", "lock -o -", "pack -o b.tar.gz", "conf", "check", "add"],
)
@pytest.mark.usefixtures("running")
def test_a_command_needs_no_other_session_than_the_one_that_runs(
    shell: Any,  # noqa: F811
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    boat(shell, line)


def test_to_preload_or_forget_nothing_is_no_change(running: Captain) -> None:
    assert running.preload().forget() is running


@pytest.mark.usefixtures("running")
def test_a_launch_that_is_refused_adds_nothing_to_the_session_that_runs(
    shell: Any,  # noqa: F811
) -> None:
    with pytest.raises(LaunchError, match="already up"):
        boat(shell, "launch --pip beta --master local[2]")
    assert shell.user_ns["captain"].manifest.texts == ["alpha"]


# its JVM has ended

ENDED = "session.jvm-ended"


@pytest.fixture
def ended(
    running: Captain,
    spark: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Captain:
    """The captain of a session whose JVM was killed: whatever asks it is refused by the system."""

    def refused(*_: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    class Gone:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            refused()

    up = spark.Context._active_spark_context
    monkeypatch.setattr(spark.Context, "_jvm", Gone())
    monkeypatch.setattr(spark.Context, "version", property(refused))
    up._jsc = Gone()
    return running


def refused(done: Any) -> str:
    """The code of the error that a cell ended with, without a traceback."""
    error = done.error_in_exec
    assert isinstance(error, BoatError), error
    assert "restart the kernel" in error.cure
    return error.code


@pytest.mark.usefixtures("ended")
def test_the_status_says_that_the_jvm_has_ended(shell: Any) -> None:  # noqa: F811
    assert "Spark's JVM has ended: restart the kernel" in str(boat(shell, "status"))


@pytest.mark.parametrize(
    "cell",
    [
        "%boat launch",
        "%boat launch --master local[1]",
        "%boat verify",
        "captain.launch_ship()",
        "captain.verify()",
        "captain.board(sc)",
        "captain.start()",
        "from pyspark import SparkContext; SparkContext(master='local[1]')",
        "from pyspark.sql import SparkSession; SparkSession.builder.getOrCreate()",
    ],
)
@pytest.mark.usefixtures("ended")
def test_whatever_needs_the_jvm_says_that_it_has_ended(
    shell: Any,  # noqa: F811
    spark: Any,  # noqa: F811
    cell: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shell.user_ns["sc"] = spark.Context._active_spark_context
    assert refused(shell.run_cell(cell)) == ENDED
    assert "Traceback" not in capsys.readouterr().out


@pytest.mark.parametrize("line", ["plan", "plan --master local[1]", "lock -o -", "conf", "check"])
@pytest.mark.usefixtures("ended")
def test_what_needs_no_jvm_works_on(
    shell: Any,  # noqa: F811
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    boat(shell, line)


def test_what_is_added_is_for_the_next_session_and_it_is_said_why(
    ended: Captain, capsys: pytest.CaptureFixture[str]
) -> None:
    ended.add_pip_packages("beta")
    assert ended.manifest.texts == ["alpha", "beta"]
    told = capsys.readouterr().err
    assert "Spark's JVM has ended" in told
    assert "captain.board" not in told


def test_a_jvm_that_ends_while_it_is_asked_is_no_traceback_either(
    running: Captain,
    spark: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dies() -> None:
        def refused() -> None:
            raise ConnectionRefusedError(111, "Connection refused")

        system = SimpleNamespace(nanoTime=refused)
        lang = SimpleNamespace(System=system)
        monkeypatch.setattr(spark.Context, "_jvm", SimpleNamespace(java=SimpleNamespace(lang=lang)))
        refused()

    up = spark.Context._active_spark_context
    monkeypatch.setattr(up, "getConf", dies, raising=False)
    with pytest.raises(LaunchError) as caught:
        running.verify()
    assert caught.value.code == ENDED
