"""Channels of conda that an attacker writes: what their lists say ends no process and takes no
time, and none of them can put a package in the place of another channel's.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

from conda_channel import File, Package, fill, python_abi, small_python

from coffee_boat import Captain, LockError
from coffee_boat.errors import BuildError
from coffee_boat.model import grammar

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
PYTHON = {**BASE, "name": "python", "version": "3.11.7", "build": "0_cpython"}
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
        [{**BASE, "depends": ["x " + "(" * 600 + ">1" + ")" * 600]}],
        [{**BASE, "depends": ["two >1"]}, {**BASE, "name": "two", "depends": [DEEP]}],
        [{**BASE, "depends": ["c::two"]}, {**BASE, "name": "two", "depends": [DEEP]}],
        [{**BASE, "depends": ["\xa0Two"]}, {**BASE, "name": "two", "depends": [DEEP]}],
        [{**BASE, "depends": ["https://h/c/noarch/two-1-0.conda"]}],
        [{**BASE, "build": "a" * 300}],
        [{**BASE, "build": "a" * 128, "version": "1." + "a" * 110}],
    ],
)
def test_what_a_list_says_is_bounded_before_rattler_reads_it(
    records: list[dict[str, Any]], captain: Captain, tmp_path: Path
) -> None:
    captain.add_conda_packages("python", "evil", channel=channel(tmp_path / "c", *records))
    with pytest.raises(LockError, match="cannot be taken"):
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
    said = str(BuildError("it failed", value="\x1b]0;x\x07 \u202ex", cause="a\x9bb\r"))
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


# one cache for all channels


def packed(captain: Captain, folder: Path) -> bytes:
    captain.pack(folder / "x.tar.gz", overwrite=True)
    with tarfile.open(folder / "x.tar.gz") as archive:
        member = archive.extractfile("share/m")
        assert member is not None
        return member.read()


def evil(folder: Path, content: bytes, *without: str) -> str:
    """A channel with a package of one name, version and build; its list keeps some things back."""
    package = Package("evil", "8.0", files={"share/m": File(content)}, noarch="generic")
    url = fill(folder, small_python(), python_abi(), package)
    for path in folder.glob("*/repodata.json"):
        said = json.loads(path.read_text())
        for record in said["packages.conda"].values():
            for key in without if record["name"] == "evil" else ():
                record.pop(key, None)
        path.write_text(json.dumps(said))
    return url


def test_a_package_is_its_own_channels_whatever_lies_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDARC", os.devnull)
    for name, content, without in (
        ("attacker", b"EVIL", ("sha256", "md5")),
        ("victim", b"GOOD", ()),
        ("unhashed", b"OTHER", ("sha256", "md5")),
    ):
        url = evil(tmp_path / name, content, *without)
        with Captain(store=tmp_path / "store", ship_python=True) as captain:
            captain.add_conda_packages("python", "evil", channel=url)
            assert packed(captain, tmp_path) == content
    files = [
        next((tmp_path / "victim").glob(pattern))
        for pattern in ("linux-64/python-*.conda", "noarch/evil-*.conda")
    ]
    lines = [f"{file.as_uri()}#{hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    (tmp_path / "list.txt").write_text("\n".join(["@EXPLICIT", *lines]))
    with Captain(store=tmp_path / "store") as captain:
        captain.add_lock(tmp_path / "list.txt")
        assert packed(captain, tmp_path) == b"GOOD"


def test_an_md5_is_compared_where_there_is_nothing_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDARC", os.devnull)
    url = evil(tmp_path / "c", b"GOOD", "sha256")
    for path in (tmp_path / "c").glob("noarch/repodata.json"):
        said = json.loads(path.read_text())
        for record in said["packages.conda"].values():
            record["md5"] = "0" * 32
        path.write_text(json.dumps(said))
    with Captain(store=tmp_path / "store") as captain:
        captain.add_conda_packages("python", "evil", channel=url)
        with pytest.raises(BuildError, match="not the one that was locked"):
            captain.pack(tmp_path / "x.tar.gz")
