"""The rules of the house that can be checked by reading imports, and what `import coffee_boat` may
load.
"""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from coffee_boat.model import SENTINEL

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "coffee_boat"

STAGES = {
    "requirements",
    "settings",
    "lock",
    "build",
    "ship",
    "backends",
    "probe",
    "fit",
    "launch",
    "submit",
    "session",
    "driver",
    "verify",
}
ON_TOP = {"__init__", "captain", "pipeline", "preflight", "magic"}
MAY_ALSO_IMPORT = {
    "verify": {"session"},  # a report is made of what a session answers
}


def is_floor(part: str) -> bool:
    return part in {"model", "errors", "worker"} or (part.startswith("_") and part != "__init__")


def part_of(path: Path) -> str:
    """The stage or floor module that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        modules = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0 or part_of(path) == "worker", f"{path}: absolute imports only"
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in modules if name.startswith("coffee_boat.")}
    return found


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_stage_imports_the_floor_and_no_other_stage(path: Path) -> None:
    part = part_of(path)
    above_the_floor = {imported for imported in imported_parts(path) if not is_floor(imported)}
    if is_floor(part):
        assert not above_the_floor
    elif part in STAGES:
        assert above_the_floor - MAY_ALSO_IMPORT.get(part, set()) <= {part}


def test_every_module_is_a_stage_or_on_the_floor_or_on_top() -> None:
    assert {part for part in map(part_of, SOURCES) if not is_floor(part)} <= STAGES | ON_TOP


def test_what_is_installed_is_complete() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in SOURCES}
    assert set(settings["options"]["packages"].split()) == folders | {"coffee_boat.cli"}


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "worker").glob("*.py")), ids=lambda path: path.name
)
def test_the_worker_uses_the_standard_library_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
        assert {name.split(".")[0] for name in names if name} <= sys.stdlib_module_names | {
            "pyspark"
        }


def test_the_worker_names_the_sentinel_as_all_do() -> None:
    said = [
        line
        for path in SOURCES
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("SENTINEL = ")
    ]
    assert len(said) == 4, (
        "in model.py, and in those files of the worker that are used by themselves"
    )
    assert set(said) == {f'SENTINEL = "{SENTINEL}"'}


def test_nothing_is_run_through_a_shell_and_processes_start_in_one_place() -> None:
    commands = sorted((ROOT / "cli").rglob("*.py"))
    assert commands
    for path in [*commands, *(path for path in SOURCES if part_of(path) not in {"_run", "worker"})]:
        assert "subprocess.run" not in path.read_text("utf-8"), f"{path}: use coffee_boat._run.run"
        assert "Popen(" not in path.read_text("utf-8"), f"{path}: use coffee_boat._run.run"


def test_importing_coffee_boat_loads_nothing_heavy() -> None:
    script = "import coffee_boat, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.split()
    assert not {
        "pyspark",
        "py4j",
        "rattler",
        "rich",
        "requests",
        "uv",
        "fsspec",
        "elftools",
        "isal",
        "click",
        "numpy",
    } & set(loaded)


def test_nothing_is_loaded_for_a_network_before_it_is_used() -> None:
    script = "import coffee_boat.captain, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.split()
    assert not {"asyncio", "http.client", "ssl", "requests", "isal.igzip", "elftools"} & set(loaded)


def test_importing_coffee_boat_takes_less_than_100_ms() -> None:
    # The processor's time: a busy machine makes the clock on the wall say nothing.
    script = (
        "import time; t = time.process_time(); import coffee_boat; print(time.process_time() - t)"
    )
    times = [
        float(
            subprocess.run(
                [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT
            ).stdout
        )
        for _ in range(5)
    ]
    assert min(times) < 0.1, times
