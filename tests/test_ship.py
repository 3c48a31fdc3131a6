from __future__ import annotations

import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from coffee_boat.errors import ShipError
from coffee_boat.model import Archive, Target
from coffee_boat.ship import ship

NAME = "boat-" + "ab" * 6 + ".tar.gz"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    path = tmp_path / "an archive.tar.gz"
    path.write_bytes(b"chunks" * 500_000)  # more than one block
    return Archive(id="ab" * 32, path=str(path), size=path.stat().st_size, chunks=(), target=Target("3.11.7"), lock_digest="0" * 64, has_python=True)


@pytest.fixture
def memory() -> fsspec.AbstractFileSystem:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    return files


def test_without_a_stage_spark_sends_the_local_file(archive: Archive, tmp_path: Path) -> None:
    shipped = ship(archive, None)
    assert shipped.uri == (tmp_path / "an archive.tar.gz").as_uri()
    assert " " not in shipped.uri
    assert shipped.archive is archive


@pytest.mark.parametrize("stage", ["memory://boats/team", "memory://boats/team/"])
def test_a_stage_gets_the_archive_and_nothing_else(archive: Archive, memory: fsspec.AbstractFileSystem, stage: str) -> None:
    shipped = ship(archive, stage)
    assert shipped.uri == f"memory://boats/team/{NAME}"
    assert memory.find("/boats") == [f"/boats/team/{NAME}"]
    assert memory.cat_file(f"/boats/team/{NAME}") == Path(archive.path).read_bytes()


def test_a_folder_that_all_nodes_mount(archive: Archive, tmp_path: Path) -> None:
    shipped = ship(archive, (tmp_path / "shared").as_uri())
    assert shipped.uri == f"{(tmp_path / 'shared').as_uri()}/{NAME}"
    assert [p.name for p in (tmp_path / "shared").iterdir()] == [NAME]
    assert (tmp_path / "shared" / NAME).read_bytes() == Path(archive.path).read_bytes()


def test_what_is_there_is_not_uploaded_again(archive: Archive, tmp_path: Path) -> None:
    stage = (tmp_path / "shared").as_uri()
    ship(archive, stage)
    before = (tmp_path / "shared" / NAME).stat()
    ship(archive, stage)
    after = (tmp_path / "shared" / NAME).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: b"X" + data[1:]], ids=["size", "digest"])
def test_other_bytes_under_the_name_are_refused_and_kept(archive: Archive, memory: fsspec.AbstractFileSystem, change: object) -> None:
    other = change(Path(archive.path).read_bytes())  # type: ignore[operator]
    memory.pipe_file(f"/boats/{NAME}", other)
    with pytest.raises(ShipError, match="holds something else") as error:
        ship(archive, "memory://boats")
    assert f"delete memory://boats/{NAME}" in error.value.cure
    assert memory.cat_file(f"/boats/{NAME}") == other


def test_a_stage_that_cannot_be_written_leaves_nothing(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ShipError, match="cannot be read or written") as error:
        ship(archive, (tmp_path / "file").as_uri() + "/boats")
    assert "Error" in error.value.cause
    assert sorted(p.name for p in tmp_path.iterdir()) == ["an archive.tar.gz", "file"]


class FullDisk(MemoryFileSystem):  # type: ignore[misc]
    """Takes the first half of a file and says nothing."""

    protocol = "fulldisk"

    def put_file(self, lpath: str, rpath: str, **how: object) -> None:
        data = Path(lpath).read_bytes()
        self.pipe_file(rpath, data[: len(data) // 2])


def test_half_an_upload_is_refused_and_taken_away(archive: Archive, memory: fsspec.AbstractFileSystem) -> None:
    fsspec.register_implementation("fulldisk", FullDisk, clobber=True)
    with pytest.raises(ShipError, match="upload is not complete"):
        ship(archive, "fulldisk://boats")
    assert memory.find("/") == []


def test_a_missing_driver_names_what_to_install(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ShipError, match="not installed") as error:
        ship(archive, "s3://bucket/boats")
    assert "s3fs" in error.value.cause


def test_a_stage_may_be_a_path(archive: Archive, tmp_path: Path) -> None:
    shipped = ship(archive, str(tmp_path / "shared"))
    assert shipped.uri == (tmp_path / "shared" / f"{archive.name}.tar.gz").as_uri()
    assert (tmp_path / "shared" / f"{archive.name}.tar.gz").read_bytes() == Path(archive.path).read_bytes()


@pytest.mark.parametrize(("stage", "what"), [("nonsense://x/y", "cannot be used"), ("s3://key:hunter2@bucket/x", "holds credentials")])
def test_stages_that_cannot_be_meant(archive: Archive, stage: str, what: str) -> None:
    with pytest.raises(ShipError, match=what) as error:
        ship(archive, stage)
    assert error.value.cure
    assert "hunter2" not in str(error.value)


def test_an_archive_that_was_cleaned_away(archive: Archive) -> None:
    Path(archive.path).unlink()
    with pytest.raises(ShipError, match="not there any more"):
        ship(archive, None)
