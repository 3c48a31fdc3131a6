"""Sessions that are taken over, modules that are preloaded, and the start in a node's own
interpreter: what needs no JVM.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import MakeWheel
from small_packages import project

from coffee_boat import Captain, LaunchError, LockError, SettingsError, requirements, settings
from coffee_boat._support.store import Store
from coffee_boat.archive import unpack
from coffee_boat.archive.chunks import chunk_path
from coffee_boat.clusters import kind_of, kind_of_running
from coffee_boat.clusters.preload import preloading
from coffee_boat.interpreter import worker_files
from coffee_boat.model import (
    Archive,
    CondaPin,
    ConfPatch,
    Generation,
    History,
    Lock,
    Manifest,
    Pin,
    Plan,
    Requirement,
    Shipped,
    SparkFacts,
    Target,
)
from coffee_boat.session import reach, record
from coffee_boat.session.classic import ClassicSession
from coffee_boat.session.handed import session_of
from coffee_boat.session.live import LiveSession
from coffee_boat.workflow.pipeline import Pipeline

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"lib/python{MINOR}/site-packages"
FACTS = SparkFacts(version="4.1.0", master="spark://host:7077")
PATCH = ConfPatch(
    "./boat-1/bin/python3.11", {"spark.archives": "a#boat-1"}, {"PYTHONNOUSERSITE": "1"}
)


def pinned(name: str, version: str, *, sha256: str, requires: tuple[str, ...] = ()) -> Pin:
    file = f"{name}-{version}-py3-none-any.whl"
    url = f"https://x.org/{file}"
    return Pin(name, version, filename=file, url=url, sha256=sha256, requires=requires)


LOCK = Lock(
    Target("3.11.7", glibc=(2, 28)),
    (
        pinned("alpha", "1.0", sha256="a" * 64, requires=("beta",)),
        pinned("beta", "2.0", sha256="b" * 64),
    ),
)


# what is known of a session


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def having(**changes: object) -> History:
    """A session that had one generation."""
    first = Generation("./boat-1/bin/python3.11", LOCK, LOCK, environment={"PYTHONHOME": ""})
    return History((replace(first, **changes),))  # type: ignore[arg-type]


def test_another_process_finds_what_a_session_has(store: Store) -> None:
    more = replace(
        LOCK,
        pins=(
            *LOCK.pins,
            Pin(
                "gamma",
                "3.0",
                kind="vcs",
                url="git+https://host/gamma",
                commit="c" * 40,
                direct=True,
            ),
        ),
    )
    known = having(lock=more, layers=("boat-layer-1", "boat-layer-2"), ships_python=False)
    record.remember(store, "app-1", known)
    conf = record.marks(PATCH, LOCK, ships_python=False)
    assert record.recall(Store(store.root), "app-1", conf) == known
    assert all(key.startswith("spark.coffee_boat.") for key in conf)


def test_of_a_session_that_was_only_submitted_the_base_is_known(store: Store) -> None:
    record.remember_lock(store, LOCK)
    assert record.recall(store, "app-2", record.marks(PATCH, LOCK, ships_python=True)) == having(
        environment={}
    )


def test_another_clusters_application_of_the_same_id_is_another_one(store: Store) -> None:
    other = replace(LOCK, pins=LOCK.pins[:1])
    record.remember(store, "app-1", having(base=other, lock=other, layers=("boat-layer-9",)))
    record.remember_lock(store, LOCK)
    assert record.recall(store, "app-1", record.marks(PATCH, LOCK, ships_python=True)) == having(
        environment={}
    )


def test_what_another_captain_added_since_is_seen_and_a_store_that_lags_is_not_believed(
    store: Store,
) -> None:
    conf = record.marks(PATCH, LOCK, ships_python=True)
    one, two = having(layers=("boat-layer-1",)), having(layers=("boat-layer-1", "boat-layer-2"))
    record.remember(store, "app-1", two)
    assert record.latest(store, "app-1", conf, one) == two
    record.remember(store, "app-1", one)
    assert record.latest(store, "app-1", conf, two) == two
    assert record.latest(Store(store.root / "cleaned"), "app-1", conf, two) == two


def test_a_new_base_is_found_by_what_the_session_was_started_with_and_beats_layers_of_the_old_one(
    store: Store,
) -> None:
    conf = record.marks(PATCH, LOCK, ships_python=True)
    more = replace(
        LOCK,
        conda=(
            CondaPin(
                "python",
                "3.11.9",
                "h_0",
                "linux-64",
                "forge",
                "https://forge/python.conda",
                "python.conda",
                "e" * 64,
                record="{}",
            ),
        ),
    )
    renewed = having(
        base=more,
        lock=more,
        bases=2,
        started=LOCK.digest,
        environment={"COFFEE_BOAT_BASE": "./boat-2/bin/python3.11"},
    )
    record.remember(store, "app-1", renewed)
    assert record.recall(store, "app-1", conf) == renewed
    behind = having(layers=("boat-layer-1", "boat-layer-2"))
    assert record.latest(store, "app-1", conf, behind) == renewed
    record.remember(store, "app-1", behind)
    assert record.latest(store, "app-1", conf, renewed) == renewed


class Counting(Store):
    """Notes which small values are read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read: list[tuple[str, object]] = []

    def recall(self, kind: str, key: object) -> Any:
        self.read.append((kind, key))
        return super().recall(kind, key)


def test_each_lock_of_a_session_is_read_once_however_often_it_is_looked_at(store: Store) -> None:
    counting = Counting(store.root)
    conf = record.marks(PATCH, LOCK, ships_python=True)
    session: Any = SimpleNamespace(id="app-1", facts=lambda: replace(FACTS, conf=conf))
    here = LiveSession(session, having(), counting)
    counting.read.clear()
    there = having()
    for number in range(9):  # another captain adds
        more = replace(
            LOCK, pins=(*LOCK.pins, pinned("gamma", f"{number}", sha256=f"{number}" * 64))
        )
        now = there.current
        newest = replace(now, lock=more, layers=(*now.layers, f"boat-layer-{number}"))
        there = there.then(newest)
        record.remember(store, "app-1", there)
        assert here.refresh() == there.current
        assert here.refresh().lock == more
    locks = [key for kind, key in counting.read if kind == "session-lock"]
    assert sorted(locks) == sorted({one.lock.digest for one in there})
    assert here.history == there


def test_what_two_captains_added_at_once_is_united(store: Store) -> None:
    conf = record.marks(PATCH, LOCK, ships_python=True)
    gamma, aleph = pinned("gamma", "3.0", sha256="c" * 64), pinned("aleph", "4.0", sha256="d" * 64)
    theirs = having(
        lock=replace(LOCK, pins=(*LOCK.pins, gamma)),
        layers=("boat-layer-0", "boat-layer-2"),
        environment={"THEIRS": "1"},
    )
    ours = having(
        lock=replace(LOCK, pins=(aleph, *LOCK.pins)),
        layers=("boat-layer-0", "boat-layer-1"),
        environment={"OURS": "1"},
    )
    record.remember(store, "app-1", theirs)
    both = record.latest(store, "app-1", conf, ours)
    assert both.current.layers == ("boat-layer-0", "boat-layer-2", "boat-layer-1")
    assert [pin.name for pin in both.current.lock.pins] == ["aleph", "alpha", "beta", "gamma"]
    assert both.current.environment == {"THEIRS": "1", "OURS": "1"}
    assert [generation.number for generation in both.generations] == [1, 2]
    assert record.latest(store, "app-1", conf, both) == both


def test_what_contradicts_is_not_united(store: Store) -> None:
    conf = record.marks(PATCH, LOCK, ships_python=True)
    theirs, ours = (
        having(
            lock=replace(LOCK, pins=(*LOCK.pins, pinned("gamma", version, sha256=version[0] * 64))),
            layers=(f"boat-layer-{version[0]}",),
        )
        for version in ("3.0", "4.0")
    )
    record.remember(store, "app-1", theirs)
    assert record.latest(store, "app-1", conf, ours) == ours


def test_modules_that_come_too_late_are_named_but_not_those_that_are_preloaded() -> None:
    (finding,) = reach.not_preloaded(("numpy", "pandas"), {"COFFEE_BOAT_PRELOAD": "numpy"})
    assert finding.value == "pandas"
    assert not list(reach.not_preloaded((), {}))


@pytest.mark.parametrize(
    ("python", "spark", "told"),
    [
        ("./boat-1/bin/python3.11", "4.0.0", True),
        ("./boat-1/bin/python3.11", "3.5.9", False),
        ("/store/bin/python3.11", "4.3.0", False),
        ("python3.11", "4.3.0", False),
    ],
    ids=["cluster", "spark_3", "local", "nodes_own"],
)
def test_what_the_drivers_jvm_cannot_plan_in_a_session_taken_over_is_named(
    python: str, spark: str, told: bool
) -> None:
    assert [finding.value for finding in reach.not_planned(python, spark)] == [python] * told


def test_a_plain_session_is_none_of_ours_and_an_unknown_one_is_refused(store: Store) -> None:
    assert record.recall(store, "app-1", {"spark.master": "local"}) is None
    with pytest.raises(LaunchError, match=LOCK.digest[:12]) as error:
        record.recall(store, "app-1", record.marks(PATCH, LOCK, ships_python=True))
    assert "COFFEE_BOAT_STORE" in error.value.cure


def test_only_a_live_classic_session_is_boarded() -> None:
    from pyspark import SparkContext

    with pytest.raises(LaunchError, match="not a Spark session: 'spark' is a str"):
        session_of("spark")
    stopped = SparkContext.__new__(SparkContext)
    stopped._jsc = None
    with pytest.raises(LaunchError, match="was stopped"):
        Captain().board(stopped)


@pytest.mark.parametrize("end", ["stop", "cluster", "jvm"])
def test_a_session_runs_no_more_once_anybody_ended_it(store: Store, end: str) -> None:
    """The cluster and the JVM's end leave Python's SparkContext as it was."""
    from py4j.protocol import Py4JNetworkError

    ended: list[bool] = []

    def is_stopped() -> bool:
        if ended and end == "jvm":
            raise Py4JNetworkError("Answer from Java side is empty")
        return bool(ended) and end == "cluster"

    context: Any = SimpleNamespace(
        _jsc=SimpleNamespace(sc=lambda: SimpleNamespace(isStopped=is_stopped)),
        applicationId="app-1",
    )
    live = LiveSession(ClassicSession(context), having(), store)
    assert live.running
    ended.append(True)
    if end == "stop":
        context._jsc = None
    assert not live.running


def test_a_running_session_gets_its_archive_the_same_way_from_every_cluster_manager() -> None:
    assert kind_of_running("local[2]") is kind_of("local[2]")
    archive = Archive("abcd" * 16, "/a.tar.gz", 1, (), Target("3.11.7"), "0" * 64, True)
    of_no_kind = "somebodys://own"
    for master in ("local-cluster[2,1,1024]", "yarn", "k8s://https://host", of_no_kind):
        patch = kind_of_running(master).patch(
            replace(FACTS, master=master), Shipped(archive, "file:///a.tar.gz"), environment=None
        )
        assert patch == kind_of(FACTS.master).patch(
            FACTS, Shipped(archive, "file:///a.tar.gz"), environment=None
        )


def test_what_is_aboard_stays_in_the_lock_though_this_captain_did_not_ask_for_it(
    make_wheel: MakeWheel, store: Store, tmp_path: Path
) -> None:
    for name in ("alpha", "gamma"):
        make_wheel(name, "1.0", requires=["beta"], folder=tmp_path)
    for version in ("1.0", "2.0"):
        make_wheel("beta", version, folder=tmp_path)
    chosen, _ = settings.load(
        {
            "ship_python": False,
            "offline": True,
            "find_links": [str(tmp_path)],
            "store": str(store.root),
        },
        environ={},
    )
    pipeline = Pipeline(chosen, store)
    have = pipeline.lock(
        Manifest(
            (Requirement("alpha", "alpha"), Requirement("beta==1.0", "beta", specifier="==1.0"))
        ),
        print,
    )
    added = Manifest((Requirement("gamma", "gamma"),))
    misspelt = Manifest((Requirement("gammma", "gammma"),))
    more = pipeline.lock_more(added, added, have, print)
    assert [(pin.name, pin.version) for pin in more.pins] == [
        ("alpha", "1.0"),
        ("beta", "1.0"),
        ("gamma", "1.0"),
    ]
    with pytest.raises(LockError, match="gammma") as refused:
        pipeline.lock_more(misspelt, misspelt, have, print)
    assert "did you mean gamma?" in refused.value.cure


@pytest.mark.usefixtures("pyspark_is_packed")
def test_a_folder_that_was_edited_stays_as_it_is_aboard_unless_it_is_asked_for_again(
    make_wheel: MakeWheel, store: Store, tmp_path: Path
) -> None:
    make_wheel("gamma", "1.0", folder=tmp_path)
    mine = project(tmp_path / "mine", "mine", "1.0")
    (mine / "body.txt").write_text("STATE = 'old'\n")
    chosen, _ = settings.load(
        {
            "ship_python": False,
            "offline": True,
            "find_links": [str(tmp_path)],
            "store": str(store.root),
        },
        environ={},
    )
    pipeline = Pipeline(chosen, store)
    first = Manifest((requirements.parse(str(mine), origin="test"),))
    with pipeline.ahead(first, None) as ahead:
        have, _ = pipeline.base(pipeline.lock(first, print), first, print, ahead)
    (mine / "body.txt").write_text("STATE = 'new'\n")
    added = Manifest((Requirement("gamma", "gamma"),))
    more = pipeline.lock_more(requirements.merge([first, added]), added, have, print)
    assert [pin.name for pin in more.pins] == ["gamma", "mine"]
    assert more.pin("mine") == have.pin("mine"), "what is aboard is what the lock says"
    with pytest.raises(LockError, match="would have to change") as refused:
        pipeline.lock_more(first, first, have, print)
    assert "mine" in refused.value.value


def test_another_version_of_what_is_aboard_is_refused_with_both_named(
    make_wheel: MakeWheel, store: Store, tmp_path: Path
) -> None:
    for version in ("1.0", "2.0"):
        make_wheel("beta", version, folder=tmp_path)
    make_wheel("eager", "1.0", requires=["beta>=2"], folder=tmp_path)
    chosen, _ = settings.load(
        {
            "ship_python": False,
            "offline": True,
            "find_links": [str(tmp_path)],
            "store": str(store.root),
        },
        environ={},
    )
    pipeline = Pipeline(chosen, store)
    have = pipeline.lock(Manifest((requirements.parse("beta<2", origin="test"),)), print)
    for text in ("beta==2.0", "eager"):
        added = Manifest((requirements.parse(text, origin="test"),))
        with pytest.raises(LockError, match="would have to change") as refused:
            pipeline.lock_more(added, added, have, print)
        assert refused.value.value == "beta 1.0 -> 2.0"
        assert text.partition("=")[0] in refused.value.cause


def test_a_plan_of_an_addition_is_of_what_is_missing(
    make_wheel: MakeWheel, store: Store, tmp_path: Path
) -> None:
    make_wheel("alpha", "1.0", folder=tmp_path)
    make_wheel("gamma", "1.0", requires=["alpha"], folder=tmp_path)
    chosen, _ = settings.load(
        {
            "ship_python": False,
            "offline": True,
            "find_links": [str(tmp_path)],
            "store": str(store.root),
        },
        environ={},
    )
    pipeline = Pipeline(chosen, store)
    have = pipeline.lock(Manifest((Requirement("alpha", "alpha"),)), print)
    added = Manifest((Requirement("gamma", "gamma"),))
    change = pipeline.change(pipeline.lock_more(added, added, have, print), have)
    plan = Plan(change, pipeline.items(change))
    assert [pin.name for pin in plan.lock.pins] == ["gamma"]
    assert [pin.name for pin in change.lock.pins] == ["alpha", "gamma"]
    assert [item.label for item in plan.items] == ["gamma 1.0"]
    assert plan.addition == "a layer would be sent"
    assert "a layer would be sent" in str(plan)
    assert pipeline.items(pipeline.change(have, have)) == ()


@pytest.mark.parametrize(
    ("noarch", "addition"),
    [
        (True, "a layer would be sent, unless files outside of site-packages are in shared: then"),
        (False, "a new base would be sent"),
    ],
)
def test_what_a_conda_package_would_be_is_not_said_for_sure_before_it_was_seen(
    noarch: bool, addition: str, store: Store
) -> None:
    chosen, _ = settings.load({"store": str(store.root), "offline": True}, environ={})
    new = CondaPin(
        "shared",
        "1.0",
        "0",
        "noarch",
        "forge",
        "https://example.org/shared-1.0-0.conda",
        "shared-1.0-0.conda",
        "1" * 64,
        noarch_python=noarch,
        size=8_000_000,
    )
    change = Pipeline(chosen, store).change(replace(LOCK, conda=(new,)), LOCK)
    assert str(change).startswith(addition)


def test_what_is_planned_besides_is_not_asked_for(make_wheel: MakeWheel, tmp_path: Path) -> None:
    for name in ("alpha", "gamma"):
        make_wheel(name, "1.0", folder=tmp_path)
    captain = Captain(
        ship_python=False, offline=True, find_links=[str(tmp_path)], store=tmp_path / "store"
    ).add_pip_packages("alpha")
    assert [pin.name for pin in captain.plan(pip=["gamma"]).lock.pins] == ["alpha", "gamma"]
    assert captain.manifest.texts == ["alpha"]
    assert captain.lock is None or [pin.name for pin in captain.lock.pins] == ["alpha"]
    assert [pin.name for pin in captain.plan().lock.pins] == ["alpha"]


# preload: what is set


def test_without_modules_nothing_changes() -> None:
    assert preloading(PATCH, FACTS, ()) is PATCH


def test_a_daemon_of_ours_imports_first_and_then_is_the_users_own() -> None:
    patch = preloading(PATCH, FACTS, ("pandas", "sklearn.ensemble"))
    assert patch.conf == {**PATCH.conf, "spark.python.daemon.module": "coffee_boat_worker.daemon"}
    assert patch.environment == {
        **PATCH.environment,
        "COFFEE_BOAT_PRELOAD": "pandas,sklearn.ensemble",
    }
    assert not patch.findings
    theirs = preloading(
        PATCH, replace(FACTS, conf={"spark.python.daemon.module": "their.daemon"}), ("pandas",)
    )
    assert theirs.environment["COFFEE_BOAT_DAEMON"] == "their.daemon"


def test_what_may_not_survive_a_fork_is_named_with_its_source() -> None:
    findings = preloading(PATCH, FACTS, ("pandas", "torch.nn", "polars")).findings
    assert [finding.value for finding in findings] == ["torch.nn", "polars"]
    assert all("https://" in finding.cause for finding in findings)


def test_without_a_daemon_there_is_nothing_to_preload_in() -> None:
    (finding,) = preloading(
        PATCH, replace(FACTS, conf={"spark.python.use.daemon": "false"}), ("pandas",)
    ).findings
    assert finding.code == "launch.not-preloaded"


@pytest.mark.usefixtures("pyspark_is_packed")
def test_the_captain_takes_modules_and_shows_them_in_the_plan(
    make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheel = make_wheel("alpha", "1.0", folder=tmp_path)
    captain = Captain(ship_python=False, offline=True, store=tmp_path / "store").add_pip_packages(
        str(wheel)
    )
    with pytest.raises(SettingsError, match="'scikit-learn'"):
        captain.preload("alpha", "scikit-learn")
    patch = captain.preload("alpha").preload("json", "alpha").plan("local[2]").patch
    assert patch is not None
    assert patch.environment["COFFEE_BOAT_PRELOAD"] == "alpha,json"
    archive = captain.pack(tmp_path / "env.tar.gz")
    assert {"alpha", "pyspark", "py4j", "coffee_boat_worker"} <= unpack.modules(
        archive, Store(tmp_path / "store")
    )


# on the node


@pytest.fixture
def boat(tmp_path: Path) -> Path:
    """A folder with the worker's files, as on a node."""
    store, folder = Store(tmp_path / "store"), tmp_path / "boat"
    with tarfile.open(
        chunk_path(store, worker_files.chunk(Target(f"{MINOR}.0"), store, has_python=True))
    ) as tar:
        (
            tar.extractall(folder, filter="fully_trusted")
            if sys.version_info >= (3, 12)
            else tar.extractall(folder)
        )
    (folder / "boat.json").write_text(json.dumps({"lock": "abc123"}))
    return folder


def write(folder: Path, **files: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return str(folder)


def python(
    *arguments: str, path: list[str], cwd: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A node's own interpreter, as Spark starts it."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join(path),
        "PYTHONNOUSERSITE": "1",
        **variables,
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


STUB = {
    "their_daemon": (
        "import sys; print('PORT', __name__, *sorted({'early', 'broken', 'ends'} &"
        " set(sys.modules)), sys.argv[1:])"
    )
}


def test_the_daemon_has_imported_what_was_asked_for_and_its_stdout_is_sparks(
    boat: Path, tmp_path: Path
) -> None:
    modules = write(
        tmp_path / "modules",
        early="import os; print('hello'); os.write(1, b'from C'); value = 1",
        broken="raise ValueError('no such device')",
        ends="raise SystemExit(3)",
        **STUB,
    )
    done = python(
        "-m",
        "coffee_boat_worker.daemon",
        "pyspark.worker",
        path=[str(boat / SITE), modules],
        cwd=tmp_path,
        COFFEE_BOAT_PRELOAD="broken,absent.module,ends,early",
        COFFEE_BOAT_DAEMON="their_daemon",
    )
    assert done.stdout == "PORT __main__ early ['pyspark.worker']\n", done.stderr
    assert "coffee_boat: broken cannot be preloaded: ValueError: no such device" in done.stderr
    assert "coffee_boat: absent.module cannot be preloaded: ModuleNotFoundError" in done.stderr
    assert "coffee_boat: ends cannot be preloaded: SystemExit: 3" in done.stderr
    assert "hello" in done.stderr
    assert "from C" in done.stderr


def test_threads_that_workers_will_not_have_are_named(boat: Path, tmp_path: Path) -> None:
    modules = write(
        tmp_path / "modules",
        early=(
            "import threading, time; threading.Thread(target=time.sleep, args=(1,), name='beat',"
            " daemon=True).start()"
        ),
        **STUB,
    )
    done = python(
        "-m",
        "coffee_boat_worker.daemon",
        path=[str(boat / SITE), modules],
        cwd=tmp_path,
        COFFEE_BOAT_PRELOAD="early",
        COFFEE_BOAT_DAEMON="their_daemon",
    )
    assert "early started threads" in done.stderr
    assert "beat" in done.stderr


SEES = "import sys, late; print(late.value, type(sys.meta_path[-1]).__name__, sys.prefix)"


def test_a_nodes_own_interpreter_finds_layers_and_keeps_its_own_start(
    boat: Path, tmp_path: Path
) -> None:
    own = write(
        tmp_path / "own",
        sitecustomize=(
            "import os, sys; os.environ['OWN'] = __file__; assert"
            " sys.modules['sitecustomize'].__file__ == __file__"
        ),
    )
    write(tmp_path / f"boat-layer-1/{SITE}", late="import os; value = os.environ['OWN']")
    (tmp_path / "boat-layer-1/boat.json").write_text("{}")
    done = python("-c", SEES, path=["./boat/lib/coffee_boat", f"./boat/{SITE}", own], cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.split() == [f"{own}/sitecustomize.py", "LayerFinder", sys.prefix]


def test_pth_files_of_packages_work_in_a_nodes_own_interpreter(boat: Path, tmp_path: Path) -> None:
    (boat / SITE / "acme.pth").write_text("import os; os.environ['ACME'] = 'read'\n")
    done = python(
        "-c",
        "import os; print(os.environ['ACME'])",
        path=[str(boat / "lib/coffee_boat"), str(boat / SITE)],
        cwd=tmp_path,
    )
    assert done.stdout == "read\n", done.stderr


def test_a_python_of_another_minor_version_is_left_alone(boat: Path, tmp_path: Path) -> None:
    (boat / "lib" / f"python{MINOR}").rename(boat / "lib" / "python3.99")
    done = python(
        "-c",
        "import sys; print('coffee_boat_worker.finder' in sys.modules)",
        path=[str(boat / "lib/coffee_boat")],
        cwd=tmp_path,
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_a_cut_archive_is_named_by_its_own_folder(boat: Path, tmp_path: Path) -> None:
    (boat / "boat.json").unlink()
    done = python(
        "-c", "print('alive')", path=[str(boat / "lib/coffee_boat"), str(boat / SITE)], cwd=tmp_path
    )
    assert done.stdout == "alive\n"
    assert f"{boat} has no boat.json" in done.stderr
