"""What is taken back: by its name, or by its place where only a build tells the name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_packages import project

from coffee_boat import Captain, RequirementError

REPOSITORY = "git+https://host.example/team/tool@v1.2"


@pytest.fixture
def captain(tmp_path: Path) -> Iterator[Captain]:
    with Captain(ship_python=False, offline=True, store=tmp_path / "store") as captain:
        yield captain


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose name its build tells, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return project(tmp_path / "mine", "mine", "1.0", static=False)


def texts(captain: Captain) -> list[str]:
    return captain.manifest.texts


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        (REPOSITORY, REPOSITORY),
        (f"{REPOSITORY} ; python_version>'3'", REPOSITORY),
        (f"{REPOSITORY}#subdirectory=a", f"{REPOSITORY}#subdirectory=a"),
        (f"tool @ {REPOSITORY}", REPOSITORY),
        ("https://host.example/archive/v1.zip", "https://host.example/archive/v1.zip"),
    ],
)
def test_a_url_is_taken_back_as_it_was_written(captain: Captain, asked: str, taken: str) -> None:
    captain.add_pip_packages("beta", asked)
    assert texts(captain.forget(taken)) == ["beta"]
    captain.add_pip_packages(asked)
    assert texts(captain.forget(asked)) == ["beta"]


def test_a_url_with_a_token_is_taken_back_as_it_is_shown(captain: Captain) -> None:
    captain.add_pip_packages("beta", "git+https://user:hunter2@host.example/team/tool")
    with pytest.raises(RequirementError, match="not asked for") as refused:
        captain.forget("tool")
    assert "hunter2" not in str(refused.value)
    shown = refused.value.cause.rpartition(" ")[2]
    assert shown.startswith("git+https://")
    assert texts(captain.forget(shown)) == ["beta"]


@pytest.mark.parametrize("spelling", ["./mine", "mine/", "{folder}", "file://{folder}"])
@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
def test_a_folder_is_taken_back_by_its_path_also_when_it_is_gone(
    captain: Captain, folder: Path, spelling: str, gone: bool
) -> None:
    captain.add_pip_packages("beta", "./mine[extra]")
    if gone:
        shutil.rmtree(folder)
    assert texts(captain.forget(spelling.format(folder=folder))) == ["beta"]


@pytest.mark.usefixtures("pyspark_is_packed")
def test_a_folder_is_taken_back_by_the_name_that_a_plan_told(
    captain: Captain, folder: Path
) -> None:
    plan = captain.add_pip_packages("./mine").plan()
    assert [pin.name for pin in plan.lock.pins] == ["mine"]
    assert texts(captain.forget("mine")) == []


def test_what_was_not_asked_for_is_refused_with_what_was(captain: Captain, folder: Path) -> None:
    captain.add_pip_packages("beta", REPOSITORY, "./mine")
    for wrong in ("", "gamma", "./other", ".", "git+https://host.example/team", "beta>=9"):
        with pytest.raises(RequirementError, match="not asked for") as refused:
            captain.forget("beta", wrong)
        assert REPOSITORY in refused.value.cause
        assert folder.as_uri() in refused.value.cause
    assert len(texts(captain)) == 3, "all of them are taken back, or none"
