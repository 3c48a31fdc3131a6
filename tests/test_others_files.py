"""Files of other people: what they put above our folder stops nobody, and what they replace after
it was checked is not what is built.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import MakeWheel

from coffee_boat import RequirementError, SettingsError
from coffee_boat._support import digest, uv
from coffee_boat._support.store import Store
from coffee_boat.archive import unpacking
from coffee_boat.model import Finding, Indexes, Lock, Pin, Target
from coffee_boat.pip import fetch, sources
from coffee_boat.pip.sources import local_file
from coffee_boat.settings import load

_NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

PUT: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path.name),
}


@pytest.fixture
def below(tmp_path: Path) -> Path:
    """A folder of ours in a shared one."""
    folder = tmp_path / "shared" / "ours"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o1777)
    return folder


@as_root
@pytest.mark.parametrize("put", PUT)
@pytest.mark.parametrize("name", ["pyproject.toml", "uv.toml"])
def test_what_a_stranger_put_above_is_named_before_uv_meets_it(
    name: str, put: str, below: Path
) -> None:
    path = below.parent / name
    PUT[put](path)
    os.lchown(path, _NOBODY, _NOBODY)
    with pytest.raises(SettingsError, match="uv would stop at a file") as caught:
        uv.refuse_strangers(below, {})
    assert str(path) in str(caught.value)
    assert "belongs to nobody" in str(caught.value)
    assert "UV_NO_CONFIG=1" in str(caught.value)
    uv.refuse_strangers(below, {"UV_NO_CONFIG": "1"})
    (below / "uv.toml").write_text("")  # a nearer one is all that uv looks at
    uv.refuse_strangers(below, {})


@as_root
@pytest.mark.parametrize("uv_reads", [False, True])
@pytest.mark.parametrize("put", [*PUT, "no TOML", "a setting that does not exist"])
def test_a_strangers_file_that_cannot_be_read_is_passed_over_and_told(
    put: str, uv_reads: bool, below: Path
) -> None:
    path = below.parent / "pyproject.toml"
    texts = {"no TOML": "[", "a setting that does not exist": "[tool.coffee_boat]\njunk = 1\n"}
    if put in texts:
        path.write_text(texts[put])
    else:
        PUT[put](path)
    os.lchown(path, _NOBODY, _NOBODY)
    (below / "home").mkdir()
    environ = {"HOME": str(below / "home"), **({} if uv_reads else {"UV_NO_CONFIG": "1"})}
    refused: SettingsError | None = None
    findings: tuple[Finding, ...] = ()
    try:
        _, findings = load({}, folder=below, environ=environ)
    except SettingsError as error:
        refused = error
    if refused is not None:  # uv itself would stop at it
        assert uv_reads
        assert put not in texts
        assert "UV_NO_CONFIG=1" in refused.cure
        return
    told = [finding for finding in findings if finding.value == str(path)]
    if put in texts:
        assert told
    for finding in told:
        assert "belongs to nobody" in finding.cause


def test_our_own_that_cannot_be_read_is_refused(below: Path) -> None:
    (below / "pyproject.toml").write_text("[")
    with pytest.raises(SettingsError, match="cannot be read"):
        load({}, folder=below, environ={"UV_NO_CONFIG": "1"})


@pytest.mark.parametrize("said", ["PIP_ONLY_BINARY", "UV_NO_BUILD", "config.toml"])
def test_a_projects_file_takes_back_nothing_of_the_users_own_only_binary(
    said: str, tmp_path: Path
) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "c")}
    if said == "config.toml":
        own = tmp_path / "c" / "coffee_boat" / "config.toml"
        own.parent.mkdir(parents=True)
        own.write_text('only-binary = [":all:"]\n')
    else:
        environ[said] = "1" if said == "UV_NO_BUILD" else ":all:"
    project = tmp_path / "pyproject.toml"
    for line in ('no_binary = ["x"]', 'no_binary = ["x"]\nonly_binary = ["y"]'):
        project.write_text(f"[tool.coffee_boat]\n{line}\n")
        settings, findings = load({}, folder=tmp_path, environ=environ)
        assert ":all:" in settings.indexes.only_binary
        assert settings.indexes.no_binary == ()
        assert "settings.no-binary-ignored" in [finding.code for finding in findings]
    allowed, _ = load({"no_binary": ["x"]}, folder=tmp_path, environ=environ)
    assert allowed.indexes.no_binary == ("x",)


def test_a_working_directory_that_was_removed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SettingsError, match="not there any more"):
        load({})


# what is checked is what is used


def _pin(path: Path, **more: str) -> Pin:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Pin("demo", "1.0", filename=path.name, url=path.as_uri(), sha256=sha256, **more)  # type: ignore[arg-type]


def test_a_local_wheel_is_used_from_our_own_copy(
    tmp_path: Path, store: Store, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel(folder=tmp_path)
    pin = _pin(wheel)
    lock = Lock(Target("3.11.7"), (pin,))
    found = fetch.fetch(
        lock, indexes=Indexes(offline=True), store=store, python="python", say=lambda _: None
    )
    wheel.write_bytes(b"another one")
    assert found["demo"] != wheel
    assert hashlib.sha256(found["demo"].read_bytes()).hexdigest() == pin.sha256


def test_a_local_archive_is_copied_before_it_is_checked(tmp_path: Path) -> None:
    archive = tmp_path / "demo-1.0.tar.gz"
    archive.write_bytes(b"good")
    pin = _pin(archive, kind="sdist")
    copy = local_file(pin, tmp_path / "copy.tar.gz")
    archive.write_bytes(b"evil")
    assert copy.read_bytes() == b"good"
    with pytest.raises(sources.BuildError, match="does not match the lock"):
        local_file(pin, tmp_path / "again.tar.gz")


# project folders


def test_a_folder_of_links_and_levels_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "l").symlink_to("l")
    (tmp_path / "a" / ".git").write_bytes(b"\xff\xfe")
    with pytest.raises(RequirementError, match="a project folder"):
        digest.copy_tree(tmp_path / "a", tmp_path / "copy")
    deep = tmp_path / "deep"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    try:
        with pytest.raises(RequirementError, match="a project folder"):
            digest.tree_digest(deep)
    finally:  # pytest's own cleaning up is recursive
        subprocess.run(["rm", "-rf", str(deep)], check=True)


# source archives


def _sdist(path: Path, size: int, tail: bytes = b"") -> Path:
    with (
        gzip.open(path, "wb", compresslevel=1) as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
    ):
        member = tarfile.TarInfo("x-1/zeros")
        member.size = size
        tar.addfile(member, _Zeros(size))
    with path.open("ab") as stream:
        stream.write(tail)
    return path


class _Zeros(io.RawIOBase):
    def __init__(self, left: int) -> None:
        self.left = left

    def read(self, size: int = -1) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


def test_an_archive_is_what_its_name_says_whatever_it_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking.limits, "UNPACKED_FREE", 1 << 20)
    end = b"PK\5\6" + bytes(16) + struct.pack("<H", 8)
    block = b"\x01" + struct.pack("<HH", len(end), len(end) ^ 0xFFFF) + end
    tail = b"\x1f\x8b\x08" + bytes(7) + block + bytes(8)
    for number, more in enumerate((b"", tail)):
        archive = _sdist(tmp_path / f"x-{number}.tar.gz", 64 << 20, more)
        with pytest.raises(tarfile.ReadError, match="may hold"):
            unpacking.check(archive)
        with pytest.raises(tarfile.ReadError, match="may hold"):
            unpacking.unpack(archive, tmp_path / f"out{number}")
    named = tmp_path / "x.zip"
    named.write_bytes(b"#!" + tail)
    with pytest.raises(unpacking.UNREADABLE, match="does not begin as a zip"):
        unpacking.check(named)
