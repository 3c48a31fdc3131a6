"""Channels of conda that an attacker writes: what their lists say ends no process and takes no
time, and none of them can put a package in the place of another channel's.
"""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

from coffee_boat import Captain, LockError
from coffee_boat.errors import BuildError
from coffee_boat.model import grammar

pytestmark = pytest.mark.once

BASE: dict[str, Any] = {
    "build": "0",
    "build_number": 0,
    "depends": [],
    "name": "evil",
    "sha256": "a" * 64,
    "size": 10,
    "subdir": "noarch",
    "version": "1.0",
    "noarch": "generic",
    "license": "MIT",
}
PYTHON = {**BASE, "name": "python", "version": platform.python_version(), "build": "0_cpython"}
DEEP = "x " + "(" * 5000 + ">1" + ")" * 5000


def channel(folder: Path, *records: dict[str, Any]) -> str:
    """The URL of one whose list is just so."""
    for subdir, listed in (
        ("noarch", records),
        ("linux-64", [{**PYTHON, "subdir": "linux-64", "noarch": None}]),
    ):
        (folder / subdir).mkdir(parents=True)
        files = {f"{r['name']}-{r['version']}-{number}.conda": r for number, r in enumerate(listed)}
        text = json.dumps({"info": {"subdir": subdir}, "packages": {}, "packages.conda": files})
        (folder / subdir / "repodata.json").write_text(text)
    return folder.as_uri()


@pytest.fixture
def captain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Captain:
    monkeypatch.setenv("CONDARC", os.devnull)
    return Captain(store=tmp_path / "store")


@pytest.mark.parametrize(
    "records",
    [
        [{**BASE, "depends": [DEEP]}],
        [{**BASE, "constrains": [DEEP]}],
        [{**BASE, "extra_depends": {"a": [DEEP]}}],
        [{**BASE, "depends": ["x " + "(>1|" * 5000 + ">1" + ")" * 5000]}],
        [{**BASE, "depends": ["python " + "(" * 600 + ">1" + ")" * 600]}],
        [{**BASE, "depends": ["two >=1"]}, {**BASE, "name": "two", "depends": [DEEP]}],
        [{**BASE, "build": "a" * 300}],
        [{**BASE, "build": "a" * 128, "version": "1." + "a" * 110}],
    ],
)
def test_what_a_list_says_is_bounded_and_the_record_is_named(
    records: list[dict[str, Any]], captain: Captain, tmp_path: Path
) -> None:
    captain.add_conda_packages("python", "evil", channel=channel(tmp_path / "c", *records))
    with pytest.raises(LockError, match="cannot be taken"):
        captain.plan()


@pytest.mark.parametrize(
    "records",
    [
        [{**BASE, "depends": ["x " + "(" * 600 + ">1" + ")" * 600]}],
        [{**BASE, "depends": ["two >1"]}, {**BASE, "name": "two", "depends": [DEEP]}],
        [{**BASE, "depends": ["c::two"]}, {**BASE, "name": "two", "depends": [DEEP]}],
        [{**BASE, "depends": ["\xa0Two"]}, {**BASE, "name": "two", "depends": [DEEP]}],
        [{**BASE, "depends": ["https://h/c/noarch/two-1-0.conda"]}],
    ],
)
def test_what_no_package_serves_is_an_error_as_any(
    records: list[dict[str, Any]], captain: Captain, tmp_path: Path
) -> None:
    captain.add_conda_packages("python", "evil", channel=channel(tmp_path / "c", *records))
    with pytest.raises(LockError, match="no set of conda packages"):
        captain.plan()


def test_a_long_or_strange_licence_costs_no_time_and_speaks_to_no_terminal(
    captain: Captain, tmp_path: Path
) -> None:
    evil = {**BASE, "license": "\x1b[31m" + "x" * 1_000_000}
    captain.add_conda_packages("python", "evil", channel=channel(tmp_path / "c", evil))
    started = time.process_time()
    plan = captain.plan()
    assert "\x1b" not in str(plan) + repr(plan) + plan._repr_html_()
    assert time.process_time() - started < 10


def test_an_error_speaks_to_no_terminal() -> None:
    said = str(
        BuildError("build.test", "it failed", value="\x1b]0;x\x07 \u202ex", cause="a\x9bb\r")
    )
    assert not {"\x1b", "\x07", "\u202e", "\x9b", "\r"} & set(said)
    assert "\\x1b]0;x" in said


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("numpy >=1", "numpy"),
        ("python 2.7*|>=3.5", "python"),
        ("c/linux-64::third[build=x]", "third"),
        ("enum34; python_version<3.4", "enum34"),
        (" THIRD", "third"),
        ("(x)", ""),
        ("/tmp/x-1-0.conda", ""),
    ],
)
def test_what_a_package_needs_is_named(text: str, name: str) -> None:
    assert grammar.related(text) == name
