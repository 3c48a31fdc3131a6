"""A session that changes, and what functions that were made before see: each kind of function after
each kind of change, on nodes that cannot see the driver's files.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration import crowd_wheels
from integration.beds import standalone as bed
from integration.conftest import Lane, standalone_bed
from integration.crowd_checks import HAVE, check, check_others
from integration.running import SparkPython

CHECKOUT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.timeout(900)  # on a machine that others use, too
KINDS = (
    "rdd",
    "udf",
    "pandas_udf",
    "mapInPandas",
    "mapInArrow",
    "applyInPandas",
    "registered",
    "sql",
    "udtf",
    "foreachBatch",
    "data source",
)


@pytest.fixture(scope="module")
def foreign() -> Iterator[Lane]:
    with standalone_bed("standalone-generations", bed.Options()) as lane:
        yield lane


@pytest.fixture(scope="module")
def told(foreign: Lane, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("generations")
    crowd_wheels.write(folder / "wheels")
    run = SparkPython(store=store, folder=folder)
    ended = run.checked("generations.py", foreign.master, folder / "wheels", timeout=500)
    print(ended.result["generations"], ended.result["seconds"])
    return ended.result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", HAVE)
def test_a_function_made_before_has_what_the_session_has(
    told: Any, operation: str, kind: str
) -> None:
    check(told["seen"][operation][kind], operation)


@pytest.mark.parametrize("kind", ["rdd", "udf"])
def test_an_addition_is_seen_by_the_workers_that_were_there(told: Any, kind: str) -> None:
    every = [*told["seen"]["before"].values(), told["workers"][kind]]
    before, after = (
        {(one["prefix"], one["pid"]) for seen in some for one in seen}
        for some in (every, [told["seen"]["add"][kind]])
    )
    assert before & after


def test_other_directories_and_processes_data_files_and_programs(told: Any) -> None:
    check_others(told)


def test_an_addition_to_a_composed_generation_is_confirmed_by_each_executor(told: Any) -> None:
    assert sorted(told["confirmed"]) == ["0", "1"]


def test_libraries_that_lean_on_those_of_another_package_come_in_layers_of_their_own(
    told: Any,
) -> None:
    if "hauled" not in told:
        pytest.skip("there is no C compiler here")
    assert set(told["hauled"]) == {21}


def test_what_another_package_needs_is_not_removed(told: Any) -> None:
    refused = told["refused"]["needed"]
    assert refused["code"] == "lock.needed-by-others"
    assert "crewkeel is needed by crewhull" in refused["text"]
    assert refused["generations"][0] == refused["generations"][1]


def test_an_executor_that_cannot_have_a_change_is_named_and_the_one_before_counts(
    told: Any,
) -> None:
    refused, spoilt = told["refused"]["not composed"], told["spoilt"]
    assert refused["code"] == "session.not-composed"
    assert len(spoilt) == 1
    assert f"executor {spoilt[0]}: " in refused["text"]
    assert "Permission denied" in refused["text"]
    assert "wsgiref" in refused["text"]
    assert refused["generations"][0] == refused["generations"][1]
    assert {one["imported"]["crewballast"] for one in told["afterwards"]} == {"3.0"}


def test_a_slice_of_the_soak_finds_nothing_but_the_bug_that_is_put_in(store: Path) -> None:
    """All of it is `make soak`."""
    words = ["--events", "15", "--seed", "1", "--then-break", "old-files", "--store", str(store)]
    done = subprocess.run(
        [sys.executable, "-m", "integration.soak", *words],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
