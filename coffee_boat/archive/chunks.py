"""Chunks: tar entries as gzip members, made once, kept in the store, concatenated into archives.

A gzip file may hold many members (RFC 1952, 2.2), each a header, a raw deflate stream, CRC-32 and
length. A wheel is a zip: its raw deflate streams, CRCs and lengths are known, so they become gzip
members as they are; only tar headers, paddings and small files are compressed anew. A chunk ends on
a tar block but has no end-of-archive, hence chunks can be concatenated in any order.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any, BinaryIO

from coffee_boat._support.digest import digest_of
from coffee_boat._support.logs import logger
from coffee_boat._support.store import Store
from coffee_boat.archive.writer import BATCH, ChunkWriter, recorded_hash
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.model import Chunk, Finding, LeftOut

_log = logger(__name__)
FORMAT = 7
"""Part of every chunk's key: raise it when the bytes that this package writes for the same inputs
change, or what is remembered beside them.
"""

Fill = Callable[["ChunkWriter"], "tuple[int, int] | None"]


def recall(store: Store, key: object) -> Chunk | None:
    """The chunk that `make` made from `key`, if it is still there. Writes nothing."""
    return recall_chunk(store, [FORMAT, key])


def make(store: Store, key: object, label: str, fill: Fill) -> Chunk:
    """The chunk that was made from `key`; otherwise `fill` makes it, once for all processes, and it
    is remembered.

    Args:
        key: a JSON value that decides every byte of the chunk.
        label: for people.
        fill: writes the entries; returns the glibc that they need, None if they need none.

    Raises:
        BuildError: what `fill` raises; nothing is kept then.
        StoreError: the chunk is not there yet, and the store cannot be written.
    """
    known = recall(store, key)
    if known is not None:
        _log.debug("%s: reused from the store", label)
        return known
    with store.lock(f"chunk {digest_of([FORMAT, key])}"):
        return recall(store, key) or _made(store, [FORMAT, key], label, fill)


def _made(store: Store, key: object, label: str, fill: Fill) -> Chunk:
    with store.scratch() as scratch:
        with scratch.open("wb", buffering=1 << 20) as out:
            writer = ChunkWriter(out)
            floor = fill(writer) or (0, 0)
            digest = writer.finish()
        if not store.has("chunks", f"{digest}.gz"):
            with store.publish("chunks", f"{digest}.gz") as place:
                scratch.replace(place)
    size, crc = packed_crc(store.path("chunks", f"{digest}.gz"))
    machines = tuple(sorted(writer.machines.items()))
    chunk = Chunk(
        *(digest, size, writer.unpacked, writer.files, floor, label, machines),
        *(writer.record, crc, tuple(writer.left_out)),
    )
    store.remember("listing", digest, writer.listing)
    store.remember("findings", [FORMAT, digest], [asdict(finding) for finding in writer.findings])
    store.remember("needs", [FORMAT, digest], writer.needs)
    if writer.scripts:
        store.remember("scripts", [FORMAT, digest], sorted(writer.scripts))
    remember_chunk(store, key, chunk)
    _log.debug("%s: packed, %d files, %d bytes", label, chunk.files, chunk.size)
    return chunk


def labels(store: Store) -> dict[str, str]:
    """Digest of each chunk that is remembered -> what it is, for people: "numpy 2.1.0"."""
    return {str(said["id"]): str(said["label"]) for said in store.values("chunk")}


def findings(found: Iterable[Chunk], store: Store) -> tuple[Finding, ...]:
    """What was noticed in packages when their chunks were made."""
    said = (one for chunk in found for one in store.recall("findings", [FORMAT, chunk.id]) or ())
    return tuple(Finding(**one) for one in said)


def needs(chunk: Chunk, store: Store) -> Mapping[str, Mapping[str, str]]:
    """What its ELF files are for (platform.machine()) -> each library that they need -> one of the
    files. Remembered since the chunk was made; empty where that was lost.
    """
    said: dict[str, dict[str, str]] | None = store.recall("needs", [FORMAT, chunk.id])
    return said or {}


def scripts(chunk: Chunk, store: Store) -> frozenset[str]:
    """Names of the files that were written for entry points. Remembered since the chunk was made;
    empty where that was lost.
    """
    return frozenset(store.recall("scripts", [FORMAT, chunk.id]) or ())


def listing(chunk: Chunk, store: Store) -> Mapping[str, str]:
    """Name -> what tells equal files from others (ChunkWriter.listing), of all files and links of a
    chunk.

    Remembered since the chunk was made. Where that was lost it is read from the chunk itself: what
    is not known would be a check left out.

    Raises:
        BuildError: the chunk is gone or damaged.
    """
    known: dict[str, str] | None = store.recall("listing", chunk.id)
    if known is None:
        known = _read_listing(chunk_path(store, chunk))
        with suppress(StoreError):
            store.remember("listing", chunk.id, known)
    return known


def _read_listing(path: Path) -> dict[str, str]:
    try:
        with tarfile.open(path) as entries:
            return {entry.name: _told(entries, entry) for entry in entries if not entry.isdir()}
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise BuildError(
            "build.chunk-damaged",
            "a built file is gone or damaged",
            value=str(path),
            cause=str(error),
            cure=f"rm -f {path}, and try again: it is then made anew",
        ) from error


def _told(entries: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    content = None if entry.issym() else entries.extractfile(entry)
    if content is None:
        return f"-> {entry.linkname}"
    digest = hashlib.sha256()
    while block := content.read(BATCH):
        digest.update(block)
    return recorded_hash("sha256", digest.digest())


def without_bytecode(relative: str) -> bool:
    """What `fill_from_tree` takes by default: all but __pycache__."""
    return not f"/{relative}".endswith("/__pycache__/")


def fill_from_tree(
    writer: ChunkWriter,
    tree: Path,
    *,
    prefix: str = "",
    keep: Callable[[str], bool] = without_bytecode,
    runs: Callable[[str], bool] | None = None,
) -> None:
    """Write all files and links below a folder, sorted; empty folders are left out.

    Args:
        prefix: put before each name, with a slash at the end.
        runs: told a path relative to `tree`, whether it has the run bit; by default as it lies
            there.
        keep: told a path relative to `tree`, of a file, or (with a slash at the end) of a folder;
            False leaves it out.

    Raises:
        BuildError: a link leaves the archive, or an entry is neither file, folder nor link.
    """
    for relative, path in _walk(tree, keep):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            writer.link(prefix + relative, str(path.readlink()))
        elif stat.S_ISREG(mode):
            executable = bool(mode & 0o111) if runs is None else runs(relative)
            writer.file(prefix + relative, path.read_bytes(), executable=executable)
        else:
            raise BuildError(
                "build.special-file",
                "neither a file, a folder nor a link",
                value=str(path),
                cause="a socket, a pipe or a device cannot be shipped",
                cure="remove it",
            )


def _walk(tree: Path, keep: Callable[[str], bool], below: str = "") -> Iterator[tuple[str, Path]]:
    with os.scandir(tree) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if keep(f"{below}{entry.name}/"):
                yield from _walk(Path(entry.path), keep, f"{below}{entry.name}/")
        elif keep(below + entry.name):
            yield below + entry.name, Path(entry.path)


def chunk_path(store: Store, chunk: Chunk) -> Path:
    """Where a chunk lies."""
    return store.path("chunks", f"{chunk.id}.gz")


def packed_crc(path: Path) -> tuple[int, int]:
    """Length and CRC-32 of a file: a disk may give back other bytes than it was given."""
    with path.open("rb", buffering=0) as stream:
        return crc_of(stream)


def crc_of(stream: BinaryIO | io.FileIO, most: int = sys.maxsize) -> tuple[int, int]:
    """Length and CRC-32 of what comes next in a stream.

    Args:
        most: bytes.
    """
    from isal import isal_zlib

    length = crc = 0
    while length < most and (block := stream.read(min(BATCH, most - length))):
        length, crc = length + len(block), isal_zlib.crc32(block, crc)
    return length, crc


def recall_chunk(store: Store, key: object) -> Chunk | None:
    """The chunk that was made from these inputs, if it is still there."""
    value: Mapping[str, Any] | None = store.recall("chunk", key)
    if value is None:
        return None
    machines = tuple((machine, name) for machine, name in value["machines"])
    left = tuple(LeftOut(*one) for one in value.get("left_out", ()))
    said = {"floor": tuple(value["floor"]), "machines": machines, "left_out": left}
    chunk = Chunk(**{**value, **said})
    return chunk if store.use("chunks", f"{chunk.id}.gz") else None


def remember_chunk(store: Store, key: object, chunk: Chunk) -> None:
    """Keep `inputs -> chunk`."""
    store.remember(
        "chunk",
        key,
        {
            "id": chunk.id,
            "size": chunk.size,
            "unpacked": chunk.unpacked,
            "files": chunk.files,
            "floor": list(chunk.floor),
            "label": chunk.label,
            "machines": [list(pair) for pair in chunk.machines],
            "record": chunk.record,
            "crc": chunk.crc,
            **(
                {"left_out": [list(astuple(one)) for one in chunk.left_out]}
                if chunk.left_out
                else {}
            ),
        },
    )


def gone(path: Path, cause: str) -> BuildError:
    """The error for a file of the store that is not as it was made."""
    return BuildError(
        "build.chunk-damaged",
        "a built file is gone or damaged",
        value=str(path),
        cause=cause,
        cure=f"rm -f {path}, and try again: it is then made anew",
    )
