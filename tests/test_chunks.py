"""Chunks: what is written, what is refused, and that the store stays whole."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import signal
import socket
import subprocess
import sys
import tarfile
import tracemalloc
import zlib
from pathlib import Path

import pytest

from coffee_boat._support.store import Store
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.chunks import chunk_path, fill_from_tree, make, recall
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.errors import BuildError
from coffee_boat.model import Archive, Chunk, Lock, Target

TEXT = random.Random(4000).randbytes(4000) + b"text " * 50_000
"""The same in every process: tests are named by it."""


def deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def entries(store: Store, chunk: Chunk) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(chunk_path(store, chunk)) as tar:
        return {entry.name: entry for entry in tar}


def content(store: Store, chunk: Chunk, name: str) -> bytes:
    with tarfile.open(chunk_path(store, chunk)) as tar:
        found = tar.extractfile(name)
        assert found is not None
        return found.read()


def id_of(tar: bytes) -> str:
    """sha256 of the headers, each file's followed by the sha256 of its content."""
    digest, at = hashlib.sha256(), 0
    with tarfile.open(fileobj=io.BytesIO(tar)) as entries:
        for entry in entries:
            digest.update(tar[at : entry.offset_data])
            held = tar[entry.offset_data : entry.offset_data + entry.size]
            digest.update(hashlib.sha256(held).digest() if entry.isreg() else b"")
            at = entry.offset_data + -(-len(held) // 512) * 512
    return digest.hexdigest()


def test_a_chunk_is_known_by_the_digest_of_its_tar(store: Store) -> None:
    def fill(writer: ChunkWriter) -> tuple[int, int]:
        writer.deflated(
            "a/big.bin", deflate(TEXT), crc=zlib.crc32(TEXT), size=len(TEXT), executable=True
        )
        writer.deflated("a/small.bin", deflate(b"small"), crc=zlib.crc32(b"small"), size=5)
        writer.file("a/é.txt", b"hello")
        writer.link("a/again", "big.bin")
        return (2, 17)

    chunk = make(store, ["key"], "a label", fill)

    tar = gzip.decompress(chunk_path(store, chunk).read_bytes())
    assert chunk.id == id_of(tar)
    assert len(tar) % 512 == 0
    assert (chunk.files, chunk.unpacked, chunk.floor, chunk.label) == (
        4,
        len(TEXT) + 10,
        (2, 17),
        "a label",
    )
    assert chunk.size == chunk_path(store, chunk).stat().st_size
    assert deflate(TEXT) in chunk_path(store, chunk).read_bytes()
    assert {name: oct(entry.mode) for name, entry in entries(store, chunk).items()} == {
        "a": "0o755",
        "a/big.bin": "0o755",
        "a/small.bin": "0o644",
        "a/é.txt": "0o644",
        "a/again": "0o777",
    }
    assert content(store, chunk, "a/big.bin") == TEXT
    assert content(store, chunk, "a/small.bin") == b"small"


def test_folders_come_before_what_lies_in_them_once(store: Store) -> None:
    def fill(writer: ChunkWriter) -> None:
        writer.link("a/b/link", "../x")
        writer.file("a/x", b"")
        writer.file("c", b"")

    chunk = make(store, 1, "", fill)
    with tarfile.open(chunk_path(store, chunk)) as tar:
        assert tar.getnames() == ["a", "a/b", "a/b/link", "a/x", "c"]


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a/b.py",
        f"{'n' * 50}/{'m' * 49}",
        f"{'n' * 50}/{'m' * 50}",
        f"{'n' * 99}/a",
        f"{'n' * 100}/a",
        "é/b",
    ],
)
def test_headers_are_those_of_tarfile(name: str) -> None:
    out, expected = io.BytesIO(), b""
    writer = ChunkWriter(out)
    writer.file(name, TEXT, executable=True)
    writer.finish()
    entries = [(name.rpartition("/")[0], tarfile.DIRTYPE, 0)] if "/" in name else []
    for entry, kind, size in [*entries, (name, tarfile.REGTYPE, len(TEXT))]:
        info = tarfile.TarInfo(entry)
        info.type, info.size, info.mode, info.mtime = kind, size, 0o755, 315532800
        expected += info.tobuf(tarfile.PAX_FORMAT)
    assert gzip.decompress(out.getvalue()).startswith(expected + TEXT)


def test_the_same_key_is_filled_once_and_nothing_is_written_again(store: Store) -> None:
    chunk = make(store, {"key": 1}, "x", lambda writer: writer.file("x", b"x"))
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}

    def never(writer: ChunkWriter) -> None:
        raise AssertionError("filled again")

    assert make(store, {"key": 1}, "x", never) == chunk == recall(store, {"key": 1})
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


def test_a_chunk_that_was_removed_is_made_anew(store: Store) -> None:
    first = make(store, 1, "x", lambda writer: writer.file("x", b"x"))
    chunk_path(store, first).unlink()
    assert recall(store, 1) is None
    assert make(store, 1, "x", lambda writer: writer.file("x", b"x")) == first
    assert content(store, first, "x") == b"x"


@pytest.mark.parametrize(
    "name",
    [
        "/abs",
        "../up",
        "a/../../up",
        "./a",
        "a//b",
        "a/./b",
        "",
        "a/",
        "nul\0",
        "n" * 256,
        "é" * 128,
    ],
)
def test_names_that_no_archive_may_have(name: str) -> None:
    with pytest.raises(BuildError, match="name"):
        ChunkWriter(io.BytesIO()).file(name, b"")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "", "y/../../../x", "y/..", "nul\0"])
def test_links_that_lead_out(target: str) -> None:
    with pytest.raises(BuildError, match="out of the archive"):
        ChunkWriter(io.BytesIO()).link("a/link", target)


@pytest.mark.parametrize(
    ("raw", "crc", "size", "cause"),
    [
        (deflate(TEXT), 1, len(TEXT), "CRC"),
        (deflate(TEXT), zlib.crc32(TEXT), len(TEXT) - 1, "length"),
        (deflate(TEXT), zlib.crc32(TEXT), len(TEXT) + 1, "length"),
        (deflate(TEXT) + b"evil", zlib.crc32(TEXT), len(TEXT), "follow"),
        (deflate(TEXT) + b"\0" * 300_000, zlib.crc32(TEXT), len(TEXT), "follow"),
        (deflate(TEXT)[:-2], zlib.crc32(TEXT), len(TEXT), "end|length"),
        (b"\xff" * 3000, 0, 3000, "cannot be read"),
        (deflate(b"small") + b"!", zlib.crc32(b"small"), 5, "follow"),
        (deflate(bytes(50_000_000)), 0, 10, "length"),
        (b"", 0, 0, "no end"),
        (deflate(TEXT), zlib.crc32(TEXT), 2**63 - 1, "length"),
    ],
)
def test_a_deflate_stream_must_be_what_it_promises(
    raw: bytes, crc: int, size: int, cause: str
) -> None:
    with pytest.raises(BuildError) as caught:
        ChunkWriter(io.BytesIO()).deflated("file", raw, crc=crc, size=size)
    assert caught.value.value == "file"
    assert any(word in caught.value.cause for word in cause.split("|"))


def test_no_more_of_a_stream_is_inflated_than_it_promises() -> None:
    raw, writer = deflate(bytes(50_000_000)), ChunkWriter(io.BytesIO())
    tracemalloc.start()
    try:
        with pytest.raises(BuildError, match="length"):
            writer.deflated("lib/bomb", raw, crc=0, size=10_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_tree_is_written_sorted_with_run_bits_and_links(store: Store, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "b" / "__pycache__").mkdir(parents=True)
    (tree / "empty").mkdir()
    (tree / "b" / "__pycache__" / "x.pyc").write_bytes(b"")
    (tree / "b" / "tool").write_bytes(b"#!/bin/sh\n")
    (tree / "b" / "tool").chmod(0o700)
    (tree / "a").write_bytes(b"a")
    (tree / "a").chmod(0o600)
    (tree / "c").symlink_to("b")
    chunk = make(
        store,
        1,
        "",
        lambda writer: fill_from_tree(
            writer, tree, prefix="lib/", keep=lambda relative: relative != "b/dropped"
        ),
    )
    assert list(entries(store, chunk)) == [
        "lib",
        "lib/a",
        "lib/b",
        "lib/b/__pycache__",
        "lib/b/__pycache__/x.pyc",
        "lib/b/tool",
        "lib/c",
    ]
    default = make(store, 2, "", lambda writer: fill_from_tree(writer, tree))
    assert {
        name: (entry.mode, entry.linkname) for name, entry in entries(store, default).items()
    } == {"a": (0o644, ""), "b": (0o755, ""), "b/tool": (0o755, ""), "c": (0o777, "b")}


def test_a_tree_with_something_that_cannot_be_shipped(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(BuildError, match="socket"):
            fill_from_tree(ChunkWriter(io.BytesIO()), tmp_path)


def test_a_failed_fill_leaves_nothing(store: Store) -> None:
    def fill(writer: ChunkWriter) -> None:
        writer.file("x", TEXT)
        raise BuildError("build.refused", "no")

    with pytest.raises(BuildError):
        make(store, 1, "", fill)
    assert not (store.root / "chunks").exists()
    assert list((store.root / "tmp").iterdir()) == []
    assert make(store, 1, "", lambda writer: writer.file("x", b"")).files == 1


SLOW = """
import sys, time
from pathlib import Path
from coffee_boat._support.store import Store
from coffee_boat.archive.chunks import make
def fill(writer):
    with open(sys.argv[2], "a") as log:
        log.write("filled\\n")
    writer.file("x", b"x" * 3_000_000)
    print("filling", flush=True)
    time.sleep(float(sys.argv[3]))
print(make(Store(sys.argv[1]), ["slow"], "slow", fill).id)
"""


def start(store: Store, log: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, str(store.root), str(log), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_build_leaves_the_store_whole(store: Store, tmp_path: Path) -> None:
    killed = start(store, tmp_path / "log", 60)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "filling\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (store.root / "chunks").exists()
    assert recall(store, ["slow"]) is None
    chunk = make(store, ["slow"], "slow", lambda writer: writer.file("x", b"x"))
    assert content(store, chunk, "x") == b"x"


def test_concurrent_builds_make_one(store: Store, tmp_path: Path) -> None:
    running = [start(store, tmp_path / "log", 0.3) for _ in range(4)]
    ids = {process.communicate(timeout=60)[0].split()[-1] for process in running}
    assert len(ids) == 1
    assert (tmp_path / "log").read_text().splitlines() == ["filled"]


def test_a_byte_that_the_disk_changed_is_found_as_chunks_are_joined(
    store: Store, tmp_path: Path
) -> None:
    packed = made(store)
    path = chunk_path(store, packed)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BuildError) as caught:
        joined(store, packed)
    assert caught.value.code == "build.chunk-damaged"
    assert "its bytes are not those that were made" in caught.value.cause
    path.unlink()
    assert joined(store, made(store)).size


def test_an_archive_that_the_disk_changed_is_made_again(store: Store) -> None:
    packed = made(store)
    archive = joined(store, packed)
    whole = Path(archive.path).read_bytes()
    for place in (len(whole) // 3, len(whole) - 2):
        data = bytearray(whole)
        data[place] ^= 1
        Path(archive.path).write_bytes(data)
        assert joined(store, packed) == archive
        assert Path(archive.path).read_bytes() == whole


def made(store: Store) -> Chunk:
    def fill(writer: ChunkWriter) -> None:
        writer.file("lib/a.bin", bytes(range(256)) * 40)

    return make(store, ["a chunk"], "a", fill)


def joined(store: Store, chunk: Chunk) -> Archive:
    target = Target("3.11.7", glibc=(2, 28))
    lock = Lock(target, ())
    return assemble([chunk], target=target, lock=lock, has_python=False, inputs={}, store=store)
