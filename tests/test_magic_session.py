"""%boat while a session runs in the kernel, and after its JVM ended: a stand-in of pyspark, so no
JVM.

What real Spark does with it: integration/test_notebook.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("IPython")

from IPython.core.interactiveshell import InteractiveShell
from small_packages import wheel
from test_connect import GrpcError, Server
from test_launch import home, spark  # noqa: F401  fixtures
from test_magic import boat, shell  # noqa: F401  a fixture
from test_sessions import context, new  # noqa: F401  fixtures

from coffee_boat import BoatError, Captain, LaunchError, SettingsError
from coffee_boat._support.store import Store
from coffee_boat.cli import notebooks
from coffee_boat.cli.options import Where
from coffee_boat.cli.watching import Watch
from coffee_boat.magic import load


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


# another kernel of the same notebook


@pytest.fixture
def kernel(
    tmp_path: Path,
    context: Callable[[str], Any],  # noqa: F811
    spark: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[], Any]]:
    """Starts kernels of one notebook, one after the other; a JVM ends with each."""
    for key, value in (
        ("IPYTHONDIR", str(tmp_path / "ipython")),
        ("JPY_SESSION_NAME", str(tmp_path / "notebook.ipynb")),
        ("COFFEE_BOAT_STORE", str(tmp_path / "store")),
        ("COFFEE_BOAT_OFFLINE", "1"),
        ("COFFEE_BOAT_FIND_LINKS", str(tmp_path / "wheels")),
    ):
        monkeypatch.setenv(key, value)
    for name, version in (("alpha", "1.0"), ("beta", "2.0")):
        wheel(tmp_path / "wheels", name, version)
    spark.Context.sparkContext = property(lambda self: self)
    shells = []

    def start() -> Any:
        for one in shells:
            one.user_ns["captain"].close()
            spark.Context._active_spark_context = None
        shells.append(InteractiveShell())
        load(shells[-1])
        return shells[-1]

    yield start
    for one in shells:
        one.user_ns["captain"].close()
        one.history_manager.end_session()


def test_a_connect_session_of_the_kernel_is_taken_over(kernel: Callable[[], Any]) -> None:
    one = kernel()
    stopped, one.user_ns["spark"] = Server(), Server()
    stopped.is_stopped = True
    one.user_ns = {"old": stopped, **one.user_ns}
    one.user_ns["spark"].fails = GrpcError("[INVALID_HANDLE.SESSION_CLOSED]")
    with pytest.raises(LaunchError, match="Spark Connect session has ended"):
        boat(one, "launch")  # it is ours to take over, and says why it cannot be


def test_another_kernel_takes_what_the_notebook_launched_last(
    kernel: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    first = kernel()
    boat(first, "add alpha --no-ship-python")
    boat(first, "launch --master local[3] --conf spark.app.password=hunter2 --conf spark.x=1")
    first.user_ns["captain"].add_pip_packages("beta", wait=0.0)
    boat(first, "launch")  # takes over what runs
    capsys.readouterr()
    second = kernel()
    assert ("kept of before", "alpha, beta: %boat launch --last") in boat(second, "status").rows
    boat(second, "launch --last")
    made = second.user_ns["captain"]
    assert made.manifest.texts == ["alpha", "beta"]
    assert made.running
    assert second.user_ns["sc"].master == "local[3]"
    conf = second.user_ns["sc"]._jsc.conf
    assert conf["spark.x"] == "1"
    assert "spark.app.password" not in conf
    assert "nothing was asked for" not in capsys.readouterr().err


def test_a_launch_of_nothing_says_so_and_what_the_notebook_had(
    kernel: Callable[[], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = kernel()
    with pytest.raises(SettingsError, match="nothing is kept") as caught:
        boat(first, "launch --last --master local[1]")
    assert caught.value.cure == "%boat add NAME, then %boat launch"
    boat(first, "launch --no-ship-python --master local[1]")
    assert "nothing was asked for" in capsys.readouterr().err
    first.user_ns["captain"].add_pip_packages("alpha", wait=0.0)
    boat(first, "launch")
    capsys.readouterr()
    second = kernel()
    boat(second, "launch --no-ship-python --master local[1]")
    told = capsys.readouterr().err
    assert "nothing was asked for" in told
    assert "%boat launch --last takes what this notebook had: alpha" in told
    kept = next((tmp_path / "store/keys/notebook").iterdir()).read_text()
    assert "alpha" in kept


def test_the_token_of_a_connect_server_is_not_kept_and_the_server_has_to_be_named_again(
    tmp_path: Path,
) -> None:
    store, manifest = Store(tmp_path / "store"), Captain().add_pip_packages("six").manifest
    where = Where("sc://host/;token=hunter2", conf={})
    assert notebooks.keep(store, "n", notebooks.Kept(manifest, None, {}, where)) == ["master"]
    kept = notebooks.recall(store, "n")
    assert kept is not None
    with pytest.raises(SettingsError, match="not kept whole: master"):
        kept.at(Where())
    assert kept.at(Where("sc://other")).master == "sc://other"
    files = [path.read_text() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not any("hunter2" in text for text in files)


def test_no_password_is_kept(tmp_path: Path) -> None:
    url = "lib @ https://me:hunter2@example.org/lib-1-py3-none-any.whl"
    manifest = Captain().add_pip_packages(url, "six").manifest
    store = Store(tmp_path / "store")
    settings = {"index_url": "https://me:hunter2@example.org/simple", "python": "3.11"}
    where = Where("local[1]", conf={"spark.secret": "hunter2", "spark.x": "1"})
    left = notebooks.keep(store, "n", notebooks.Kept(manifest, None, settings, where))
    assert left[0].startswith("lib @ https://")
    assert left[1:] == ["index_url", "spark.secret"]
    kept = notebooks.recall(store, "n")
    assert kept is not None
    assert kept.manifest.texts == ["six"]
    assert (kept.settings, kept.where.conf) == ({"python": "3.11"}, {"spark.x": "1"})
    with pytest.raises(SettingsError, match="index_url"):
        kept.refuse_half(())  # packages would come from another index
    kept.refuse_half({"index_url"})
    files = [path.read_text() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not any("hunter2" in text for text in files)


# code of one's own


@pytest.fixture
def helpers(
    running: Captain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """A module that the session has: writes it; gives the version that the captain sent."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> str:
        if text:
            (tmp_path / "helpers.py").write_text(text, "utf-8")
        return next((pin.version for pin in running.lock.pins if pin.name == "helpers"), "")

    write("x = 1\n")
    running.add_local("helpers.py", wait=0)
    return write


def test_what_is_watched_is_sent_before_the_next_cell(
    shell: Any,  # noqa: F811
    helpers: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    boat(shell, "watch")
    boat(shell, "watch on")  # twice is as once
    first = helpers("x = 2\n")
    capsys.readouterr()
    assert shell.run_cell("1 + 1").success
    second = helpers("")
    assert second != first
    assert capsys.readouterr().err.count("sent again: helpers (") == 1
    shell.run_cell("1 + 1")
    assert "sent again" not in capsys.readouterr().err
    boat(shell, "watch off")
    helpers("x = 3\n")
    shell.run_cell("1 + 1")
    assert helpers("") == second


def test_a_cell_runs_though_code_cannot_be_sent_and_that_is_told_once(
    shell: Any,  # noqa: F811
    helpers: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    boat(shell, "watch")
    helpers("x = 2\n")
    Path("helpers.py").rename("others.py")
    for told in (1, 0):
        capsys.readouterr()
        assert shell.run_cell("found = 1 + 1").success
        assert capsys.readouterr().err.count("your code was not sent") == told
    assert shell.user_ns["found"] == 2


def test_what_is_watched_stays_as_a_rollback_left_it_until_it_is_edited(
    shell: Any,  # noqa: F811
    helpers: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    boat(shell, "watch")
    first = helpers("x = 2\n")
    boat(shell, "refresh")
    second = helpers("")
    assert shell.run_cell("_ = captain.rollback(wait=0)").success
    capsys.readouterr()
    assert shell.run_cell("1 + 1").success
    assert helpers("") == first
    assert capsys.readouterr().err == ""
    helpers("x = 3\n")
    shell.run_cell("1 + 1")
    assert helpers("") not in (first, second)
    helpers("x = 2\n")
    capsys.readouterr()
    shell.run_cell("1 + 1")
    assert helpers("") == second
    told = capsys.readouterr().err
    assert "in force again: helpers (executors have it from before" in told
    assert "sent again" not in told


@pytest.mark.parametrize("error", [OSError("no space left"), ValueError("odd")])
def test_a_cell_runs_whatever_a_look_at_the_code_meets(
    error: Exception,
    shell: Any,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    def captain() -> Captain:
        raise error

    watch = Watch(shell, captain)
    watch.turn(on=True)
    for told in (1, 0):
        assert shell.run_cell("found = 1 + 1").success
        said = "".join(capsys.readouterr())
        assert said.count(f"warning: your code was not sent: {error}") == told
        assert "Traceback" not in said
    watch.turn(on=False)


def test_a_refresh_tells_what_it_sent(
    shell: Any,  # noqa: F811
    helpers: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = helpers("x = 2\n")
    boat(shell, "refresh")
    assert "sent again: helpers (" in capsys.readouterr().err
    assert helpers("") != first
    boat(shell, "refresh")
    assert "nothing was edited since it was sent" in capsys.readouterr().err
