"""Two distributions that bring one module by different files: Python takes one, and it is said."""

from __future__ import annotations

from pathlib import Path

import hostile
import pytest
from hostile import NODOT
from test_installed import TARGET, pin_of

from coffee_boat._support.store import Store
from coffee_boat.archive.assemble import assemble
from coffee_boat.model import Finding, Lock
from coffee_boat.pip.chunks import wheel_chunk

EXTENSION = f".cpython-{NODOT}-x86_64-linux-gnu.so"


def said(one: list[str], two: list[str], folder: Path, store: Store) -> list[Finding]:
    """What is said of an archive of two wheels with these files."""
    wheels = [
        hostile.wheel(folder, name, files=dict.fromkeys(files, "same"))
        for name, files in (("one", one), ("two", two))
    ]
    packed = [wheel_chunk(wheel, pin_of(wheel), TARGET, store) for wheel in wheels]
    archive = assemble(
        packed, target=TARGET, lock=Lock(TARGET), has_python=False, inputs={}, store=store
    )
    return list(archive.findings)


@pytest.mark.parametrize(
    ("one", "two", "module", "winner"),
    [
        (["shared.py"], ["shared/__init__.py"], "shared", "two"),
        (["shared/__init__.py"], ["shared.py"], "shared", "one"),
        (["shared.abi3.so"], ["shared/__init__.py"], "shared", "two"),
        (["shared/x.py"], [f"shared/x{EXTENSION}"], "shared.x", "two"),
        (["shared/x.abi3.so"], ["shared/x.py"], "shared.x", "one"),
        (["shared/x.abi3.so"], [f"shared/x{EXTENSION}"], "shared.x", "two"),
        (["shared/x.so"], ["shared/x.abi3.so"], "shared.x", "two"),
        (["x.pyc"], ["x.py"], "x", "two"),
        (["shared/__init__.py"], [f"shared/__init__{EXTENSION}"], "shared", "two"),
        (["x.py"], ["x.py", "x.abi3.so"], "x", "two"),
    ],
)
def test_a_module_that_one_hides_from_another_is_told(
    one: list[str], two: list[str], module: str, winner: str, tmp_path: Path, store: Store
) -> None:
    [finding] = said(one, two, tmp_path, store)
    assert finding.code == "build.module-shadowed"
    assert finding.value == f"one 1.0 and two 1.0: {module}"
    assert f"the module of {winner} 1.0 is" in finding.cause


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (["shared/x.py"], ["shared/y.py"]),  # a namespace package
        (["shared.py"], ["shared.pyi"]),
        (["shared/__init__.py"], ["shared/x.py"]),
        (["x.py", "x.abi3.so", "x/__init__.py"], ["y.py"]),  # its own affair
        (["x.py"], ["x.py"]),
        (["x.py"], ["x.cpython-39-x86_64-linux-gnu.so"]),  # another Python's
        (["a-b/x.py"], ["a-b/x.so"]),  # nothing can import it
    ],
)
def test_what_hides_nothing_is_not_told(
    one: list[str], two: list[str], tmp_path: Path, store: Store
) -> None:
    assert said(one, two, tmp_path, store) == []


def test_a_module_that_spark_imports_by_itself_is_told_if_another_package_brings_it(
    tmp_path: Path, store: Store
) -> None:
    [finding] = said(
        ["one/__init__.py"], ["numpy/__init__.py", "google/cloud/x.py"], tmp_path, store
    )
    assert finding.what == "a package brings a module that others import by themselves"
    assert finding.value == "two 1.0: numpy"
    assert "numpy (of numpy or intel-numpy" in finding.cause
