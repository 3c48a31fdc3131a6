"""What a channel says of its packages is a stranger's text: it ends no process of the user, and
takes no time and memory without end.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

from conda_metadata import channel, pythons, record

from coffee_boat import Captain
from coffee_boat._support import apart
from coffee_boat._support.words import MIB
from coffee_boat.errors import LockError
from coffee_boat.model import Plan

MINOR = ".".join(platform.python_version_tuple()[:2])
DEEP = f"x {'(' * 5000}>1{')' * 5000}"


def planned(tmp_path: Path, **said: Any) -> Plan:
    """Of `evil 1.0`, of which the channel says so."""
    evil = {**record("evil", "1.0", ["python"], subdir="noarch"), **said}
    folder = channel(tmp_path / "channel", *pythons(f"{MINOR}.4"), evil)
    return Captain(store=tmp_path / "store").add_conda_packages("evil", channel=folder).plan()


@pytest.mark.parametrize(
    "said",
    [
        {"depends": [DEEP]},
        {"constrains": [DEEP]},
        {"depends": [f"x {'(>1|' * 5000}>1{')' * 5000}"]},
        {"extra_depends": {"more": [DEEP]}},
    ],
)
def test_brackets_in_each_other_end_no_process_of_the_user(
    tmp_path: Path, said: dict[str, Any]
) -> None:
    with pytest.raises(LockError) as caught:
        planned(tmp_path, **said)
    assert caught.value.code == "lock.rattler-ended"
    assert "channel" in caught.value.value
    assert "SIG" in caught.value.value
    assert "brackets" in caught.value.cause


def test_a_lock_with_brackets_in_each_other_ends_no_process_of_the_user(tmp_path: Path) -> None:
    conda, wheel = "https://c.invalid/linux-64/python-3.11.7-0.conda", "https://c.invalid/x-1.whl"
    (tmp_path / "pixi.lock").write_text(
        f"""version: 6
environments:
  default:
    channels:
    - url: https://c.invalid/
    packages:
      linux-64:
      - conda: {conda}
      - pypi: {wheel}
packages:
- conda: {conda}
  sha256: {"b" * 64}
- pypi: {wheel}
  name: x
  version: "1"
  sha256: {"a" * 64}
  requires_dist:
  - "x; {"(" * 20000}python_version>'3'{")" * 20000}"
"""
    )
    with pytest.raises(LockError) as caught:
        Captain(store=tmp_path / "store").add_lock(tmp_path / "pixi.lock")
    assert caught.value.code == "lock.rattler-ended"
    assert "pixi.lock" in caught.value.value


# the process apart


def bounds(**changes: Any) -> apart.Bounds:
    return apart.Bounds(**{"seconds": 60, "memory": 400 * MIB, "file": MIB, **changes})


@pytest.mark.parametrize(
    ("call", "limits", "says"),
    [
        (("os", "abort"), {}, "SIGABRT"),
        (("time", "sleep", 60), {"seconds": 2}, "no answer in 2 seconds"),
        (("builtins", "bytearray", 1 << 30), {}, "MemoryError"),
        (("os", "truncate", "/FILE", 2 * MIB), {}, "File too large"),
    ],
)
def test_a_process_apart_is_bounded(
    tmp_path: Path, call: tuple[Any, ...], limits: dict[str, float], says: str
) -> None:
    (tmp_path / "file").touch()
    call = tuple(str(tmp_path / "file") if part == "/FILE" else part for part in call)
    with pytest.raises(apart.EndedError, match=says):
        apart.call(*call, bounds=bounds(**limits))


def test_a_process_apart_answers_and_imports_nothing_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('taken from the working directory')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    assert apart.call("os", "getpid", bounds=bounds()) != os.getpid()
    assert apart.call("os.path", "join", "a", "b", bounds=bounds()) == "a/b"
