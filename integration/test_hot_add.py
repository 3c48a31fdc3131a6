"""Packages that are added to a running session, on nodes that cannot see the driver's files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.beds import standalone as bed
from integration.conftest import Lane, standalone_bed
from integration.running import SparkPython

PROJECT = """
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "brew-{part}"
version = "1.0"

[project.scripts]
brew-{part} = "brew.{part}:bean"

[project.entry-points."brew.beans"]
{part} = "brew.{part}:bean"

[tool.setuptools]
packages = ["brew.{part}"]
package-data = {{ "brew.{part}" = ["beans.txt"] }}
"""


MORE = """
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "brew-more"
version = "1.0"

[tool.setuptools]
py-modules = ["brew.base.more"]
"""
"""A module of the package that brew-base brings."""


LARGE = 9 << 20
"""Bytes from which on a layer is sent as a file, and some."""


@pytest.fixture(scope="module")
def two_slots() -> Iterator[Lane]:
    """Executors with two slots: one for a task that runs on, one for those that come."""
    with standalone_bed("standalone-two-slots", bed.Options(cores=2)) as lane:
        yield lane


def write_projects(folder: Path) -> None:
    for part in ("base", "extra", "large"):
        package = folder / f"brew_{part}" / "brew" / part
        package.mkdir(parents=True)
        (folder / f"brew_{part}" / "pyproject.toml").write_text(PROJECT.format(part=part))
        (package / "__init__.py").write_text(f"def bean():\n    return {part!r}\n")
        (package / "beans.txt").write_text("arabica\n")
    sack = folder / "brew_large" / "brew" / "large" / "beans.txt"
    sack.write_bytes(os.urandom(LARGE))
    module = folder / "brew_more" / "brew" / "base" / "more.py"
    module.parent.mkdir(parents=True)
    module.write_text("MORE = 'robusta'\n")
    (folder / "brew_more" / "pyproject.toml").write_text(MORE)


@pytest.fixture(scope="module")
def told(two_slots: Lane, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("hot_add")
    write_projects(folder)
    ended = SparkPython(store=store, folder=folder).checked("hot_add.py", two_slots.master, folder)
    sack = folder / "brew_large" / "brew" / "large" / "beans.txt"
    return {**ended.result, "sack": hashlib.sha256(sack.read_bytes()).hexdigest()}


def workers(answers: list[list[Any]]) -> set[tuple[str, int]]:
    return {(host, pid) for host, pid, _ in answers}


def test_a_function_made_before_sees_it_in_the_same_workers(told: Any) -> None:
    assert {file for *_, file in told["before"]} == {""}
    assert all("/boat-layer-" in file for *_, file in told["after"])
    assert len({host for host, *_ in told["after"]}) == 2
    assert workers(told["before"]) & workers(told["after"]), (
        "workers that ran before the add serve after it"
    )


def test_a_plan_of_it_sends_and_asks_for_nothing(told: Any) -> None:
    planned = told["planned"]
    assert "a layer would be sent" in planned["text"]
    assert "+ ?" in planned["text"], "a folder has no size before it is built"
    assert sorted(label.split()[0] for label in planned["items"]) == [
        "brew-extra",
        "humanize",
        "rapidfuzz",
    ]
    assert not any("humanize" in text for text in planned["wanted"])
    assert set(planned["seen"]) == {""}


def test_a_task_that_was_running_sees_it(told: Any) -> None:
    [[_, started, seen, file]] = told["running"]
    assert started < told["sent"] < seen
    assert "/boat-layer-" in file


def test_a_worker_that_starts_afterwards_sees_it(told: Any) -> None:
    assert not workers(told["later"]) & (workers(told["before"]) | workers(told["after"]))
    assert all("/boat-layer-" in file for *_, file in told["later"])
    assert told["ok"], told["report"]


def test_every_executor_confirms(told: Any) -> None:
    assert sorted(told["confirmed"]) == ["0", "1"]
    assert list(told["parts"]) == ["resolve", "fetch", "build", "send", "arrive"]


def test_native_modules_come_in_a_layer(told: Any) -> None:
    assert [detail["native"] for detail in told["details"]] == [pytest.approx(800 / 9)] * 2


def test_a_namespace_is_split_between_base_and_layer(told: Any) -> None:
    for detail in told["details"]:
        base, extra = detail["namespace"]
        assert "/boat-layer-" not in base
        assert "/boat-layer-" in extra


def test_a_package_is_of_two_distributions_on_executors_and_on_the_driver(told: Any) -> None:
    assert set(told["more"]["there"]) == {"robusta"}
    assert told["more"]["here"] == "robusta"


def test_metadata_entry_points_and_resources_come_in_a_layer(told: Any) -> None:
    for detail in told["details"]:
        assert detail["version"]
        assert detail["entry_points"] == ["base=base", "extra=extra"]
        assert detail["resource"] == "arabica"


def test_a_large_one_is_a_file_that_executors_unpack_and_the_drivers_jvm_does_not(
    told: Any,
) -> None:
    large = told["large"]
    assert large["with the driver"] == [f"{large['name']}.layer"]
    assert sorted(large["confirmed"]) == ["0", "1"]
    assert {pid for pid, *_ in large["seen"]} & {*large["pids"]}, "workers go on"
    assert {(version, digest) for _, version, digest, *_ in large["seen"]} == {
        ("1.0", told["sack"])
    }
    for *_, file, started in large["seen"]:
        assert f"/{large['name']}/lib/" in file
        assert started == file, "what a task starts has it, too"
    assert f"/{large['name']}/" not in large["here"]
    assert set(large["programs"]) == {"large, then base"}, "nothing was imported there before"
    assert large["ok"]


def test_a_generation_is_composed_of_a_large_one_too(told: Any) -> None:
    composed = told["large"]["composed"]
    assert {digest for _, _, digest, *_ in composed} == {told["sack"]}
    assert all("/boat-gen-" in file for *_, file, _ in composed)


def test_where_other_tasks_keep_all_slots_the_wait_ends_early_and_is_told_once(told: Any) -> None:
    crowded = told["crowded"]
    assert crowded["new"]
    assert crowded["busy"], "the tasks ended before the addition did: it proves nothing"
    assert sorted(crowded["missed"]) == ["0", "1"]
    assert crowded["took"] < 9, "wait is 10 s, and nothing could come of it"
    assert crowded["told"].count("executors have not confirmed the packages yet") == 1
    assert "confirmed by 0 of 2 executors" in crowded["told"]
    assert len(crowded["next job"]) == 4


def test_an_edit_of_ones_own_code_is_what_the_next_job_runs(told: Any) -> None:
    own = told["own"]
    assert "/mine/roastery/" in own["here"], "the driver imports the folder itself"
    assert {level for level, *_ in own["before"]["rdd"]} == {"light"}
    assert set(own["before"]["sql"]) == {"light"}
    assert {level for level, *_ in own["after"]["rdd"]} == {"dark"}
    assert set(own["after"]["sql"]) == {"dark"}, "functions that were used before"
    versions = [{version for _, version, _ in own[when]["rdd"]} for when in ("before", "after")]
    assert [len(some) for some in versions] == [1, 1]
    assert not versions[0] & versions[1]
    assert own["size"] < 10_000
    assert not own["again"], "what is unchanged is not sent"
    assert own["ok"]
