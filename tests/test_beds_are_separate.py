"""A bed that imported coffee_boat could not prove anything about it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

BEDS = Path(__file__).resolve().parent.parent / "integration" / "beds"


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


def test_there_are_beds() -> None:
    assert (BEDS / "standalone" / "__main__.py").is_file()


@pytest.mark.parametrize(
    "path", sorted(BEDS.rglob("*.py")), ids=lambda path: str(path.relative_to(BEDS))
)
def test_a_bed_uses_the_standard_library_and_other_beds_parts_only(path: Path) -> None:
    assert all(
        name == "integration.beds" or name.startswith("integration.beds.")
        for name in imported(path)
    ), imported(path)
