"""Archives that somebody else made: `boat unpack` and `boat exec` write nowhere but in the folder,
and say in a sentence what they refuse.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from coffee_boat.archive import unpack
from coffee_boat.cli.main import boat

Add = Callable[..., None]


def folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def device(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.devmajor, entry.devminor = tarfile.CHRTYPE, 1, 3
    return entry


def file(name: str, size: int = 4) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry


ARCHIVES = {
    "a file behind links": (
        [folder("x"), folder("x/y"), link("x/y/l", "../.."), link("x/y/l/z", "../.."), file("z/e")],
        "'x/y/l/z' lies behind a link",
    ),
    "a folder in place of a link": (
        [folder("a"), link("l", "a"), folder("l")],
        "'l' lies behind a link",
    ),
    "an absolute name": ([file("/tmp/escaped")], "leads out of it"),
    "a name that goes up": ([file("../escaped")], "leads out of it"),
    "a link that leads out": ([link("l", "../../etc")], "leads out of it"),
    "a hard link": (
        [file("a"), link("b", "a", tarfile.LNKTYPE)],
        "'b' is neither a file, a folder",
    ),
    "a device": ([device("null")], "'null' is neither a file, a folder nor a symbolic link"),
    "a file without its folder": (
        [file("a/b")],
        "'a/b' does not lie in a folder that stands before",
    ),
    "a file below a file": ([file("a"), file("a/b")], "'a/b' does not lie in a folder that stands"),
}


def archive_of(path: Path, entries: list[tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"evil" * (entry.size // 4)))
    return path


@pytest.mark.parametrize("kind", ARCHIVES)
def test_nothing_is_written_outside(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(tmp_path / "store"))
    entries, words = ARCHIVES[kind]
    (tmp_path / "a/b/c").mkdir(parents=True)
    archive = archive_of(tmp_path / "evil.tar.gz", entries)
    for command in (
        ["unpack", str(archive), str(tmp_path / "a/b/c/env")],
        ["exec", str(archive), "x"],
    ):
        done = CliRunner().invoke(boat, command)
        assert done.exit_code == 3, done.output
        assert "this is not an archive that boat pack wrote" in done.stderr
        assert words in done.stderr
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"evil"
    ]
    assert not list((tmp_path / "a/b/c").iterdir())
    assert not list((tmp_path / "store/trees").glob("*"))


def test_what_would_fill_the_disk_is_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "bomb.tar.gz", [file("zeros", 4 << 20), file("more", 4 << 20)])
    (tmp_path / "env").mkdir()
    with pytest.raises(tarfile.ReadError, match=r"it has more than 5.* in it"):
        unpack.write_entries(archive, tmp_path / "env", most=5 << 20)
    assert not (tmp_path / "env/more").exists()


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 64 << 20
    archive = archive_of(tmp_path / "header.tar.gz", [entry])
    with pytest.raises(tarfile.ReadError, match="a header claims 67,108,864 bytes"):
        unpack.write_entries(archive, tmp_path)


def block(name: str, kind: bytes, size: int, content: bytes = b"") -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    padding = bytes(-len(content) % tarfile.BLOCKSIZE)
    return entry.tobuf(tarfile.GNU_FORMAT) + content + padding


def pax(**said: str) -> bytes:
    content = b""
    for key, value in said.items():
        record = f" {key.replace('_', '.')}={value}\n".encode()
        size = next(n for n in range(1000) if n == len(str(n)) + len(record))
        content += str(size).encode() + record
    return block("x", tarfile.XHDTYPE, len(content), content)


HEADERS = {
    "a folder of less than nothing": block("d", tarfile.DIRTYPE, -(1 << 60)),
    "less than nothing by pax": pax(size=str(-(1 << 60))) + block("d", tarfile.DIRTYPE, 0),
    "a long name of less than nothing": block("n", tarfile.GNUTYPE_LONGNAME, -(1 << 60)),
    "a long name": block("n", tarfile.GNUTYPE_LONGNAME, 4, b"name") + block("f", b"0", 0),
    "for all entries": block("g", tarfile.XGLTYPE, 0) + block("f", b"0", 0),
    "sparse": block("s", tarfile.GNUTYPE_SPARSE, 0),
    "sparse by pax": pax(GNU_sparse_major="1", GNU_sparse_minor="0")
    + block("f", b"0", 1024, b"9999999\n" + b"1\n" * 508),
    "headers in a row": pax(path="a") * 2000 + block("f", b"0", 0),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_that_ours_have_not_are_refused_before_they_are_read(
    kind: str, tmp_path: Path
) -> None:
    archive = tmp_path / "evil.tar.gz"
    archive.write_bytes(gzip.compress(HEADERS[kind] + bytes(2 * tarfile.BLOCKSIZE)))
    done = CliRunner().invoke(boat, ["unpack", str(archive), str(tmp_path / "env")])
    assert done.exit_code == 3, done.output
    assert "this is not an archive that boat pack wrote" in done.stderr
    assert re.search("claims -1,|headers that ours have not|recursion", done.stderr), done.stderr


def test_an_archive_that_may_not_be_read_or_is_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = CliRunner().invoke(boat, ["unpack", str(tmp_path / "folder"), str(tmp_path / "env")])
    assert done.exit_code == 3
    assert "cause: Is a directory" in done.stderr
    if os.geteuid():
        archive = archive_of(tmp_path / "a.tar.gz", [file("a")])
        archive.chmod(0)
        done = CliRunner().invoke(boat, ["exec", str(archive), "x"])
        assert "cause: Permission denied" in done.stderr
