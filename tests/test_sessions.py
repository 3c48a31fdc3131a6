"""One captain from launch to close, and beside another one: a stand-in of pyspark, so no JVM.

What real Spark does with it: integration/test_launch.py, integration/test_live.py.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from small_packages import wheel
from test_launch import home, spark  # noqa: F401  fixtures

from coffee_boat import (
    Captain,
    LaunchError,
    LockError,
    RequirementError,
    SettingsError,
    VerifyError,
)
from coffee_boat._support.store import Store
from coffee_boat.model import Arrival, NodeFacts
from coffee_boat.session import nodes, record
from coffee_boat.workflow import lockfile

NOBODY = "spark://127.0.0.1:1"
"""A master that nobody is."""
AtOnce = Callable[..., "list[BaseException | None]"]
UNREACHABLE = "the cluster's master cannot be reached"


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Captain]]:
    """Captains of one store, which are closed at the end."""
    monkeypatch.setenv("COFFEE_BOAT_PREFLIGHT", "warn")
    for name, version in (("alpha", "1.0"), ("beta", "2.0")):
        wheel(tmp_path / "wheels", name, version)
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(
            Captain(
                ship_python=False,
                offline=True,
                find_links=[str(tmp_path / "wheels")],
                store=tmp_path / "store",
                **more,
            )
        )


@pytest.fixture
def context(spark: Any, home: Path) -> Callable[[str], Any]:  # noqa: F811
    """Starts a SparkContext on a master."""
    (home / "lib/pyspark/bin").mkdir()
    (home / "lib/pyspark/bin/spark-submit").write_text("")
    (home / "lib/pyspark/bin/spark-submit").chmod(0o755)
    spark.Context.applicationId, spark.Context.version = "app-1", "4.1.0"
    spark.Context._initialize_context = lambda _self, jconf: Running(jconf)
    spark.Context.getConf = lambda self: SimpleNamespace(getAll=self._jsc.conf.items)
    spark.Context.listArchives = property(lambda self: [*self.archives])
    spark.Context.archives = []
    spark.Context.addArchive = lambda self, uri: self.archives.append(uri)
    spark.Context.listFiles = property(lambda self: [*self.files])
    spark.Context.files = []
    spark.Context.addFile = lambda self, uri: self.files.append(uri)
    spark.Session.getActiveSession = lambda: None
    return lambda master: spark.Context(master=master)


class Running:
    """What a SparkContext of pyspark has of the JVM's, as far as a captain asks it here."""

    def __init__(self, conf: Mapping[str, str]) -> None:
        self.conf = dict(conf)

    def sc(self) -> Running:
        return self

    def isStopped(self) -> bool:  # noqa: N802  Spark's name
        return False

    def isLocal(self) -> bool:  # noqa: N802
        return True

    def statusStore(self) -> Running:  # noqa: N802
        return self

    def executorList(self, _active: bool) -> Running:  # noqa: N802
        return self

    def getPersistentRDDs(self) -> Running:  # noqa: N802
        return self

    def size(self) -> int:
        return 0


# what is told


def test_each_launch_tells_what_it_meets_and_one_launch_tells_it_once(
    new: Callable[[], Captain],
    context: Callable[[str], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def told() -> int:
        return capsys.readouterr().err.count(f"warning: {UNREACHABLE}")

    captain = new()
    captain.launch_ship(master=NOBODY)
    first = context(NOBODY)
    assert told() == 1, "the launch, and the session that it was for"
    first.stop()
    second = context(NOBODY)
    assert told() == 1, "the next session of the same launch"
    second.stop()
    captain.launch_ship(master=NOBODY)
    assert told() == 1
    captain.order(master=NOBODY)
    assert told() == 1
    captain.order(master=NOBODY)
    assert told() == 1


@pytest.mark.usefixtures("pyspark_is_packed")
def test_each_archive_tells_what_is_odd_about_it(
    new: Callable[[], Captain], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(tmp_path / "wheels", "alpha-too", "1.1", module="alpha")
    captain = new().add_pip_packages("alpha", "alpha-too")
    for name in ("one", "two"):
        captain.pack(tmp_path / f"{name}.tar.gz")
        assert capsys.readouterr().err.count("alpha.py") == 1


# after close


def test_a_closed_captain_has_no_session_and_what_is_added_is_for_the_next_one(
    new: Callable[[], Captain], context: Callable[[str], Any]
) -> None:
    captain, before = new().add_pip_packages("alpha"), list(sys.path)
    captain.launch_ship()
    running = context("local[1]")
    assert captain.running
    assert len(sys.path) == len(before) + 1
    captain.close()
    assert not captain.running
    with pytest.raises(VerifyError, match="no session runs"):
        captain.verify()
    captain.add_pip_packages("beta").preload("beta").forget("alpha")
    assert sys.path == before
    assert captain.manifest.texts == ["beta"]
    running.stop()


def test_a_closed_captain_can_take_over_the_session_again_also_one_of_a_lock_file(
    new: Callable[[], Captain], context: Callable[[str], Any], tmp_path: Path
) -> None:
    before = list(sys.path)
    text = lockfile.text_of(new().add_pip_packages("alpha").plan().lock)
    (tmp_path / "pylock.toml").write_text(text, "utf-8")
    captain = new().add_lock(tmp_path / "pylock.toml")
    captain.launch_ship()
    running = context("local[1]")
    captain.close()
    captain.board(running)
    assert captain.running
    assert len(sys.path) == len(before) + 1
    captain.close()
    assert sys.path == before
    text = lockfile.text_of(new().add_pip_packages("beta").plan().lock)
    (tmp_path / "pylock.toml").write_text(text, "utf-8")
    with pytest.raises(LaunchError, match="lock file"):
        new().add_lock(tmp_path / "pylock.toml").board(running)


# a session that runs


def test_a_board_that_fails_or_that_has_ended_leaves_the_captain_what_its_settings_say(
    new: Callable[..., Captain], context: Callable[[str], Any]
) -> None:
    ours = new().plan().lock.target
    new(platform="manylinux_2_17_x86_64").add_pip_packages("alpha").launch_ship()
    running = context("local[1]")
    one = new().add_pip_packages("not-there")
    with pytest.raises(LockError, match="not-there"):
        one.board(running)
    assert not one.running
    two = new().add_pip_packages("alpha").board(running)
    assert two.lock is not None
    assert two.lock.target.glibc == (2, 17)
    running.stop()
    for captain in (one.forget("not-there"), two):
        assert captain.plan().lock.target == ours
    two.launch_ship()
    context("local[1]")
    assert two.running
    assert two.lock.target == ours


def test_what_is_asked_for_in_a_session_is_looked_at_as_that_session_is(
    new: Callable[..., Captain], context: Callable[[str], Any], tmp_path: Path
) -> None:
    new().add_pip_packages("alpha").launch_ship()  # the nodes' own interpreter
    captain = Captain(offline=True, store=tmp_path / "store").board(context("local[1]"))
    try:
        with pytest.raises(SettingsError) as caught:
            captain.add_conda_packages("zlib")
        assert caught.value.code == "settings.conda-python-fixed"
    finally:
        captain.close()


def test_what_the_driver_cannot_have_of_an_addition_is_told_as_executors_have_it(
    new: Callable[..., Captain],
    context: Callable[[str], Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    captain = new().add_pip_packages("alpha").launch_ship()
    running = context("local[1]")
    shutil.rmtree(tmp_path / "store/trees")
    (tmp_path / "store/trees").touch()
    captain.add_pip_packages("beta", wait=0.0)
    assert len(running.archives) == 1
    assert captain.manifest.texts == ["alpha", "beta"]
    assert isinstance(captain.report, Arrival)
    assert [pin.name for pin in captain.report.added] == ["beta"]
    assert "the packages are on the executors, and not importable" in capsys.readouterr().err


# two captains


def test_of_two_captains_with_the_same_tree_each_keeps_it_until_its_own_close(
    new: Callable[[], Captain], context: Callable[[str], Any]
) -> None:
    before = list(sys.path)
    one, two = new().add_pip_packages("alpha"), new()
    one.launch_ship()
    two.board(context("local[1]"))
    one.close()
    assert importlib.util.find_spec("alpha") is not None, "the other one has it aboard"
    two.close()
    assert sys.path == before


def test_what_a_captain_asks_for_besides_is_importable_here_once_it_boards(
    new: Callable[..., Captain], context: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coffee_boat.workflow.attach._WAIT", 0.0)
    new().add_pip_packages("alpha").launch_ship()
    running = context("local[1]")
    captain = new().add_pip_packages("beta").board(running)
    assert importlib.util.find_spec("beta") is not None
    captain.close()
    assert importlib.util.find_spec("beta") is None


def test_verify_knows_the_new_base_that_another_captain_gave_the_session(
    new: Callable[..., Captain], context: Callable[[str], Any], tmp_path: Path
) -> None:
    captain = new().add_pip_packages("alpha").launch_ship()
    context("local[1]")
    store = Store(tmp_path / "store")
    assert captain.lock is not None
    kept = record.recall(store, "app-1", {record.LOCK: captain.lock.digest})
    assert kept is not None
    theirs = new().add_pip_packages("alpha", "beta").plan().lock
    now = replace(kept.current, base=theirs, lock=theirs, bases=2, started=captain.lock.digest)
    record.remember(store, "app-1", kept.then(now))
    report = captain.verify(deadline=0.0)
    assert [pin.name for pin in report.lock.pins] == ["alpha", "beta"]


# two threads


@pytest.fixture
def at_once() -> Iterator[AtOnce]:
    """What each call raised, all begun at one moment in threads that take turns all the time."""

    def begun(*calls: Callable[[], object]) -> list[BaseException | None]:
        barrier = Barrier(len(calls))

        def begin(call: Callable[[], object]) -> None:
            barrier.wait()
            call()

        with ThreadPoolExecutor(len(calls)) as pool:
            return [ended.exception() for ended in [pool.submit(begin, call) for call in calls]]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield begun
    sys.setswitchinterval(before)


def test_what_a_thread_adds_is_wanted_whatever_another_one_adds_and_takes_back(
    new: Callable[[], Captain], at_once: AtOnce
) -> None:
    captain, names = new(), [f"package-{number:02}" for number in range(40)]

    def add() -> None:
        for name in names:
            captain.add_pip_packages(name)

    def add_and_forget() -> None:
        for name in names:
            captain.add_pip_packages(f"other-{name}").forget(f"other-{name}")

    assert at_once(add, add_and_forget) == [None, None]
    assert captain.manifest.texts == names


def test_of_many_threads_that_contradict_each_other_one_is_heard(
    new: Callable[[], Captain], at_once: AtOnce
) -> None:
    captain = new()
    raised = at_once(
        *(partial(captain.add_pip_packages, f"alpha=={number}.0") for number in range(8))
    )
    assert [type(error) for error in raised if error is not None] == [RequirementError] * 7
    assert len(captain.manifest.texts) == 1


def test_what_another_thread_adds_while_a_context_starts_is_sent_after_it(
    new: Callable[..., Captain],
    context: Callable[[str], Any],
    spark: Any,  # noqa: F811
) -> None:
    captain = new().add_pip_packages("alpha").launch_ship()
    starts = spark.Context._initialize_context

    def meanwhile(self: Any, jconf: Any) -> Any:
        with ThreadPoolExecutor() as pool:
            pool.submit(captain.add_pip_packages, "beta").result(timeout=60)
        return starts(self, jconf)

    spark.Context._initialize_context = meanwhile
    captain.close()
    captain.launch_ship()
    running = context("local[1]")
    assert captain.running
    assert captain.lock is not None
    assert [pin.name for pin in captain.lock.pins] == ["alpha", "beta"]
    assert len(running.archives) == 1, "beta, and alpha in what the session began with"


def test_a_lock_file_that_is_added_meanwhile_is_refused_as_in_a_session_that_runs(
    new: Callable[..., Captain],
    context: Callable[[str], Any],
    spark: Any,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock, starts = tmp_path / "pylock.toml", spark.Context._initialize_context
    lock.write_text(lockfile.text_of(new().add_pip_packages("beta").plan().lock), "utf-8")
    captain = new()

    def meanwhile(self: Any, jconf: Any) -> Any:
        captain.add_lock(lock)
        return starts(self, jconf)

    spark.Context._initialize_context = meanwhile
    captain.launch_ship()
    running = context("local[1]")
    assert "a lock file cannot be added to a running session" in capsys.readouterr().err
    running.stop()
    assert captain.plan().lock.pins == ()
    assert captain.add_lock(lock).lock is not None


def test_what_cannot_be_had_of_it_is_told_and_is_not_asked_for(
    new: Callable[..., Captain],
    context: Callable[[str], Any],
    spark: Any,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    captain, starts = new(), spark.Context._initialize_context

    def meanwhile(self: Any, jconf: Any) -> Any:
        captain.add_pip_packages("not-there")
        return starts(self, jconf)

    spark.Context._initialize_context = meanwhile
    captain.add_pip_packages("alpha").launch_ship()
    context("local[1]")
    assert captain.running
    assert captain.manifest.texts == ["alpha"]
    assert "error: what was asked for while the session started" in capsys.readouterr().err


def test_a_launch_has_what_two_threads_added(
    new: Callable[[], Captain], context: Callable[[str], Any], at_once: AtOnce
) -> None:
    captain, names = new(), ["alpha", "beta"]
    assert at_once(*(partial(captain.add_pip_packages, name) for name in names)) == [None, None]
    captain.launch_ship()
    running = context("local[1]")
    assert captain.lock is not None
    assert [pin.name for pin in captain.lock.pins] == names
    running.stop()


@pytest.mark.usefixtures("pyspark_is_packed")
def test_what_another_cluster_says_of_its_nodes_changes_nothing_of_a_running_session(
    new: Callable[..., Captain], context: Callable[[str], Any], tmp_path: Path
) -> None:
    captain = new(platform="auto").add_pip_packages("alpha")
    captain.launch_ship()
    running = context("local[*]")
    assert captain.lock is not None
    before = captain.lock.target
    nodes.remember(Store(tmp_path / "store"), NOBODY, [NodeFacts("a", "aarch64", (2, 28))])
    captain.plan(master=NOBODY)
    captain.order(master=NOBODY)
    assert captain.plan(pip=["beta"]).lock.target == before
    captain.add_pip_packages("beta", wait=0)
    assert captain.lock.target == before
    running.stop()


@pytest.mark.usefixtures("pyspark_is_packed")
def test_what_was_built_before_the_master_was_known_is_built_for_its_nodes(
    new: Callable[..., Captain], context: Callable[[str], Any], tmp_path: Path
) -> None:
    captain = new(platform="auto").add_pip_packages("alpha")
    captain.launch_ship()
    nodes.remember(Store(tmp_path / "store"), NOBODY, [NodeFacts("a", "aarch64", (2, 28))])
    running = context(NOBODY)
    assert captain.lock is not None
    assert captain.lock.target.platform == "manylinux_2_28_aarch64"
    running.stop()


def test_what_could_not_be_imported_here_is_once_it_is_asked_for_again(
    new: Callable[[], Captain],
    context: Callable[[str], Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    captain = new().add_pip_packages("alpha").launch_ship()
    running = context("local-cluster[1,1,1024]")
    trees = tmp_path / "store" / "trees"
    trees.rename(tmp_path / "away")
    trees.touch()
    captain.add_pip_packages("beta", wait=0)
    assert "not importable on the driver" in capsys.readouterr().err
    assert importlib.util.find_spec("beta") is None
    trees.unlink()
    (tmp_path / "away").rename(trees)
    captain.add_pip_packages("beta", wait=0)
    assert importlib.util.find_spec("beta") is not None
    assert importlib.util.find_spec("alpha") is not None
    assert len(running.archives) == 1, "executors are sent nothing again"
    captain.close()


def test_what_another_captain_removed_stays_out_when_this_one_adds(
    new: Callable[[], Captain],
    context: Callable[[str], Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wheel(tmp_path / "wheels", "gamma", "3.0")
    first = new().add_pip_packages("alpha", "beta").launch_ship()
    running = context("local-cluster[1,1,1024]")
    second = new().add_pip_packages("beta").board(running)
    first.remove_pip_packages("beta", wait=0)
    second.add_pip_packages("gamma", wait=0)
    assert second.lock is not None
    assert {pin.name for pin in second.lock.pins} == {"alpha", "gamma"}
    assert "beta" in capsys.readouterr().err.rpartition("another captain")[2]
    second.add_pip_packages("beta", wait=0)
    assert {pin.name for pin in second.lock.pins} == {"alpha", "beta", "gamma"}


def test_a_plan_leaves_what_another_captain_removed_as_it_was_asked_for(
    new: Callable[[], Captain], context: Callable[[str], Any]
) -> None:
    first = new().add_pip_packages("alpha", "beta").launch_ship()
    running = context("local-cluster[1,1,1024]")
    second = new().board(running)
    second.remove_pip_packages("beta", wait=0)
    first.plan()
    assert first.manifest.texts == ["alpha", "beta"]


def test_what_another_captain_removed_stays_out_after_edited_code_was_looked_for(
    new: Callable[[], Captain], context: Callable[[str], Any], tmp_path: Path
) -> None:
    code = tmp_path / "mine.py"
    code.write_text("answer = 1\n")
    wheel(tmp_path / "wheels", "gamma", "3.0")
    first = new().add_pip_packages("alpha", "beta").add_local(code).launch_ship()
    running = context("local-cluster[1,1,1024]")
    second = new().board(running)
    second.remove_pip_packages("beta", wait=0)
    code.write_text("answer = 2\n")
    first.refresh(wait=0)
    first.add_pip_packages("gamma", wait=0)
    assert first.lock is not None
    assert "beta" not in {pin.name for pin in first.lock.pins}
    assert "gamma" in {pin.name for pin in first.lock.pins}
