"""Fixtures of the tests against real Spark.

A lane that cannot run says why and is skipped; with CI=true it fails.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from lanes import cannot_run, require_java, tell_at_the_end

from integration import class_data, kubernetes_lane
from integration.beds import BedCannotRun, _java
from integration.beds import kubernetes as kubernetes_bed
from integration.beds import standalone as bed
from integration.beds._namespaces import Node
from integration.kubernetes_lane import KubernetesLane
from integration.running import SparkPython
from integration.venvs import OWN_CACHE, cache_folder

TURNS = 3
"""So many runs, one after the other, have run each test that takes turns."""
_TIMES: list[str] = []
_LANES: dict[str, float] = defaultdict(float)


@dataclass(frozen=True)
class Lane:
    """A standalone cluster to test on."""

    master: str
    nodes: tuple[Node, ...]
    """Empty for a cluster that is not ours."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-pair",
        action="store_true",
        help="test_matrix.py: each supported pair of Python and Spark, not two of them;"
        " test_jvm_sparks.py: also spark-shell and the Thrift server",
    )
    parser.addoption(
        "--turn",
        type=int,
        metavar="N",
        help="of the tests that take turns, those whose turn it is at the N-th time;"
        " without this, all",
    )
    parser.addoption(
        "--every-system",
        action="store_true",
        help="test_examples.py, test_systems.py: also libraries of some hundred MB",
    )
    parser.addoption(
        "--every-function",
        action="store_true",
        help="on YARN, Kubernetes and Connect: each kind of function after each change",
    )


@pytest.fixture(scope="session")
def kinds_of_functions(request: pytest.FixtureRequest) -> str:
    """What `drivers/generations.py` tries where a session takes long."""
    return "every" if request.config.getoption("--every-function") else "few"


@pytest.fixture(scope="session", autouse=True)
def quick_java() -> Iterator[None]:
    """For all JVMs here, those of drivers, daemons and executors: left alone, they read classes for
    half of their time, and optimize what runs once for half of the rest.
    """
    with pytest.MonkeyPatch.context() as patch:
        with timed("class data of Spark"):
            shared = class_data.options(OWN_CACHE)
        patch.setenv(
            _java.OPTIONS,
            " ".join(filter(None, [_java.QUICK, shared, os.environ.get(_java.OPTIONS)])),
        )
        yield


@pytest.fixture(scope="session")
def own_java() -> None:
    """For tests that start Spark without coffee_boat, which would bring its own."""
    require_java()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One store for all tests, empty at the start: what an older checkout built proves nothing."""
    folder = tmp_path_factory.mktemp("store")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def spark_python(store: Path, tmp_path: Path) -> SparkPython:
    """Runs a program of `drivers/` in a process of its own."""
    return SparkPython(store=store, folder=tmp_path)


@pytest.fixture(scope="session")
def standalone() -> Iterator[Lane]:
    """Foreign nodes with Spark's own Python files, as an unpacked Spark has; or the user's cluster
    in SPARK_BED_MASTER.
    """
    own = os.environ.get("SPARK_BED_MASTER")
    if own:
        yield Lane(master=own, nodes=())
    else:
        with standalone_bed("standalone", bed.Options()) as lane:
            yield lane


@pytest.fixture(scope="session")
def standalone_jars_only() -> Iterator[Lane]:
    """Foreign nodes with Spark's jars and no Python file of Spark."""
    with standalone_bed("standalone-jars-only", bed.Options(pyspark_zip=False)) as lane:
        yield lane


@pytest.fixture(scope="module")
def standalone_with_python() -> Iterator[Lane]:
    """Foreign nodes that keep the distribution's own Python."""
    with standalone_bed("standalone-with-python", bed.Options(system_python=True)) as lane:
        yield lane


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a conda channel that is made here: Python, numpy, edtf, and packages that are hard to
    move.
    """
    if find_spec("rattler") is None:
        cannot_run("needs py-rattler: pip install coffee_boat[conda]")
    from integration import conda_lane

    return conda_lane.forge(tmp_path_factory.mktemp("conda"))


@contextmanager
def standalone_bed(name: str, options: bed.Options) -> Iterator[Lane]:
    """A cluster of our own for as long as the block lasts."""
    state = cache_folder() / "beds" / f"test-{name}-{os.getpid()}"
    try:
        with timed(f"{name}: up"):
            cluster = bed.up(state, options)
    except BedCannotRun as reason:
        shutil.rmtree(state, ignore_errors=True)
        cannot_run(str(reason))
    try:
        yield Lane(master=cluster.master_url, nodes=cluster.nodes)
    finally:
        with timed(f"{name}: down"):
            bed.down(state)
        shutil.rmtree(state)


@pytest.fixture(scope="session")
def kubernetes() -> Iterator[KubernetesLane]:
    """Two nodes, and an image without Python; or the user's cluster in KUBECONFIG."""
    theirs = kubernetes_lane.of_the_user()
    if isinstance(theirs, str):
        cannot_run(theirs)
    if theirs is not None:
        yield theirs
        return
    state = cache_folder() / "beds" / f"test-kubernetes-{os.getpid()}"
    try:
        with timed("kubernetes: build"):
            kubernetes_bed.build()
        with timed("kubernetes: up"):
            cluster = kubernetes_bed.up(state)
    except BedCannotRun as reason:
        shutil.rmtree(state, ignore_errors=True)
        cannot_run(str(reason))
    try:
        yield kubernetes_lane.of_the_bed(cluster)
    finally:
        with timed("kubernetes: down"):
            kubernetes_bed.down(state)
        shutil.rmtree(state)


@contextmanager
def timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    _TIMES.append(f"{what} {time.monotonic() - started:.1f} s")


def pytest_configure(config: pytest.Config) -> None:
    """Daemons of a bed outlive the object that started them, and py4j's sockets the JVM: Python
    tells of both when it collects them, in whichever test runs then.
    """
    config.addinivalue_line("filterwarnings", "ignore::ResourceWarning")
    tell_at_the_end(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those whose turn it is; last what waits for a compiler, the smaller first."""
    turn = config.getoption("--turn")
    if turn is not None:
        others = [item for item in items if not _has_its_turn(item, turn)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _has_its_turn(item, turn)]
    compiled = ("test_s3.py", "test_kubernetes.py")
    items.sort(
        key=lambda item: compiled.index(item.path.name) if item.path.name in compiled else -1
    )


def _has_its_turn(item: pytest.Item, turn: int) -> bool:
    """True also for a test that takes no turns."""
    return all(mark.args == (turn % TURNS,) for mark in item.iter_markers("turn"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what each file's tests and their fixtures take."""
    _LANES[report.nodeid.split("::", maxsplit=1)[0]] += report.duration


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print where the time went: CI has a budget a lane."""
    terminalreporter.section("time of each lane")
    for name, seconds in sorted(_LANES.items()):
        if name.startswith("integration/"):
            terminalreporter.line(f"{name} {seconds:.0f} s")
    for line in _TIMES:
        terminalreporter.line(f"  {line}")
