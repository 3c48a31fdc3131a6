"""A lock is input: what it says is looked at before it is used. Each is refused with the part that
is wrong, and nothing of it was run, fetched or written.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hostile_locks import COMMIT, DIGEST, HOSTILE, HOSTILE_HEADS, WHEEL, pylock, vcs
from small_packages import project

from coffee_boat import Captain
from coffee_boat._support.store import Store
from coffee_boat.errors import BoatError, BuildError, LockError, RequirementError, StoreError
from coffee_boat.model import CondaPin, Indexes, Lock, Pin, Target, grammar
from coffee_boat.pip import fetch, source_trees
from coffee_boat.pip import pylock as pip_pylock
from coffee_boat.requirements import parse
from coffee_boat.session import record

TARGET = Target(f"{sys.version_info.major}.{sys.version_info.minor}.0")
ALPHA = Pin("alpha", "1.0", filename=WHEEL, url=f"https://x.org/{WHEEL}", sha256=DIGEST)


@pytest.fixture
def captain(tmp_path: Path) -> Captain:
    return Captain(store=str(tmp_path / "store"), offline=True)


@pytest.mark.parametrize(
    "text",
    [*(pylock(source) for source in HOSTILE.values()), *HOSTILE_HEADS.values()],
    ids=[*HOSTILE, *HOSTILE_HEADS],
)
def test_a_hostile_pylock_is_refused(captain: Captain, tmp_path: Path, text: str) -> None:
    project(tmp_path / "project", "alpha", "1.0")
    (tmp_path / "pylock.toml").write_text(text)
    with pytest.raises(LockError) as caught:
        captain.add_lock(tmp_path / "pylock.toml")
    assert caught.value.cause
    assert "pylock" in caught.value.value
    assert all(line.isprintable() for line in str(caught.value).splitlines())
    kept = tmp_path / "store"
    assert not any((kept / kind).exists() for kind in ("wheels", "chunks", "archives", "trees"))


def test_the_message_says_which_part_and_the_rule(captain: Captain, tmp_path: Path) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text(pylock(vcs(commit="--upload-pack=touch x;")))
    with pytest.raises(LockError) as caught:
        captain.add_lock(path)
    assert caught.value.code == "lock.forbidden-value"
    assert caught.value.value == f"alpha 1.0 in {path}: commit '--upload-pack=touch x;'"
    assert caught.value.cause == "a commit is its whole id: 40 or 64 hex digits"


def test_a_lock_as_tools_write_it_is_taken(captain: Captain, tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text(pylock(vcs(more='subdirectory = "sub/folder"\n')))
    captain.add_lock(tmp_path / "pylock.toml")
    assert captain.lock is not None
    assert (captain.lock.pins[0].commit, captain.lock.pins[0].subdirectory) == (
        COMMIT,
        "sub/folder",
    )


def test_gits_options_end_before_what_a_pin_says(tmp_path: Path) -> None:
    """The last door: a pin that no reader of locks has seen."""
    ran = tmp_path / "ran"
    pin = Pin(
        "alpha",
        "1.0",
        "vcs",
        url=f"git+{tmp_path.as_uri()}",
        commit=f"--upload-pack=touch {ran};git-upload-pack",
        direct=True,
    )
    with pytest.raises(BoatError):
        fetch.fetch(
            Lock(TARGET, (pin,)),
            indexes=Indexes(no_index=True),
            store=Store(tmp_path / "store"),
            python=sys.executable,
            say=print,
        )
    assert not ran.exists()


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a\0b"])
def test_nothing_in_the_store_leads_out_of_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="not a valid name"):
        Store(tmp_path).path("wheels", name)


def test_a_wheel_outside_of_the_store_is_never_the_kept_one(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / WHEEL).write_bytes(b"planted")
    with pytest.raises(StoreError):
        fetch.kept(replace(ALPHA, sha256="../../x"), Store(tmp_path / "store"))


def test_a_link_in_a_repository_is_no_way_out(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "sub").symlink_to("/etc")
    pin = Pin("alpha", "1.0", "directory", subdirectory="sub")
    with pytest.raises(BuildError, match="leads out of its project"):
        source_trees.folder_inside(pin, tmp_path / "project")


# our own notes


@pytest.mark.parametrize(
    "change",
    [{"commit": "--x", "kind": "vcs"}, {"sha256": "../x"}, {"filename": "../x"}, {"size": -1}],
    ids=str,
)
def test_a_note_on_a_session_is_looked_at_too(tmp_path: Path, change: dict[str, object]) -> None:
    store = Store(tmp_path / "store")
    lock = Lock(TARGET, (ALPHA,))
    value = {"target": asdict(TARGET), "pins": [{**asdict(ALPHA), **change}], "conda": []}
    store.remember("session-lock", lock.digest, value)
    with pytest.raises(LockError, match="cannot be taken"):
        record.recall(store, "app-1", {record.LOCK: lock.digest})


# conda


def conda_pin(**changes: object) -> CondaPin:
    file = "alpha-1.0-0.conda"
    made = CondaPin(
        "alpha", "1.0", "0", "linux-64", "forge", f"https://x.org/linux-64/{file}", file, DIGEST
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../alpha"},
        {"name": "-alpha"},
        {"version": "1.0/../.."},
        {"build": "../0"},
        {"subdir": "../linux-64"},
        {"filename": "../alpha.conda"},
        {"url": "--x"},
        {"url": "https://x.org/\n.conda"},
        {"sha256": "../x"},
        {"size": -1},
    ],
    ids=str,
)
def test_a_conda_package_is_what_its_grammar_says(change: dict[str, object]) -> None:
    assert grammar.checked_conda(conda_pin(), "pixi.lock") == conda_pin()
    with pytest.raises(LockError, match=r"pixi\.lock"):
        grammar.checked_conda(conda_pin(**change), "pixi.lock")


PIXI = """\
version: 6
environments:
  default:
    channels: []
    packages:
      linux-64:
      - pypi: {location}
packages:
- pypi: {location}
  name: alpha
  version: '1.0'
{more}"""


@pytest.mark.parametrize(
    ("location", "more"),
    [
        ("git+https://x.org/a.git#--upload-pack=touch%20x", ""),
        ("git+https://x.org/a.git#main", ""),
        ("git+https://x.org/a.git", ""),
        ("git+ssh://-oProxyCommand=x/a.git#" + COMMIT, ""),
        (f"https://x.org/{WHEEL}", ""),
        (f"https://x.org/{WHEEL}#sha256=../../x", ""),
        (f"gopher://x.org/{WHEEL}", f"  sha256: {DIGEST}\n"),
        ("https://x.org/%2e%2e%2fx%00.zip", f"  sha256: {DIGEST}\n"),
    ],
)
def test_a_hostile_pixi_lock_is_refused(
    captain: Captain, tmp_path: Path, location: str, more: str
) -> None:
    pytest.importorskip("rattler")
    (tmp_path / "pixi.lock").write_text(PIXI.format(location=json.dumps(location), more=more))
    with pytest.raises(LockError):
        captain.add_lock(tmp_path / "pixi.lock")


# requirements


@pytest.mark.parametrize(
    "text",
    [
        "alpha @ git+ssh://-oProxyCommand=touch%20x/a.git",
        "alpha @ git+ssh://-lx@x.org/a.git",
        "alpha @ git+ext://sh",
        "alpha @ git+https://x.org/a.git@--upload-pack=x",
        "alpha @ git+https://x.org/a.git@%2D-upload-pack=x",
        "alpha @ git+https://x.org/a.git@v1#subdirectory=../../x",
        "alpha @ git+https://x.org/a.git#subdirectory=/etc",
        "alpha @ git+https://x.org/a\x1b.git",
        "alpha @ https://x.org/a\x07/alpha-1.0.tar.gz",
        "alpha @ https://x.org:99999/alpha-1.0.tar.gz",
        "alpha @ https://x.org/alpha-1.0.tar.gz#subdirectory=..",
    ],
)
def test_a_hostile_requirement_is_refused(text: str) -> None:
    with pytest.raises(RequirementError):
        parse(text, origin="test")


@pytest.mark.parametrize(
    "text",
    [
        "git+https://x.org/team/a.git@feature/one#subdirectory=sub/dir",
        "git+ssh://git@x.org/team/a.git@v1.2",
        "git+file:///srv/a.git",
        "alpha @ https://user:p%40ss@x.org:8443/alpha-1.0.tar.gz?token=a%20b",
    ],
)
def test_what_people_write_is_taken(text: str) -> None:
    assert parse(text, origin="test").url


def test_formats_takes_digests_of_either_case(tmp_path: Path) -> None:
    from hostile_locks import wheel

    lock = pip_pylock.read(pylock(wheel(sha256=DIGEST.upper())), TARGET)
    assert lock.pins[0].sha256 == DIGEST
