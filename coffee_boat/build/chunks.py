"""Chunks: tar entries as gzip members, made once, kept in the store, concatenated into archives.

A gzip file may hold many members (RFC 1952, 2.2), each a header, a raw deflate stream, CRC-32 and
length. A wheel is a zip: its raw deflate streams, CRCs and lengths are known, so they become gzip
members as they are; only tar headers, paddings and small files are compressed anew. A chunk ends on
a tar block but has no end-of-archive, hence chunks can be concatenated in any order."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import tarfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from isal import isal_zlib

from coffee_boat._store import Store
from coffee_boat.errors import BuildError
from coffee_boat.model import Chunk, digest_of

MTIME = 315532800
"""1980-01-01, the first instant that a zip can name; every entry carries it."""
FORMAT = 2
"""Part of every chunk's key: raise it when the bytes that this package writes for the same inputs
change.
"""

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_BLOCK = 512
_BATCH = 1 << 20
_SMALL = 2048
_SLICE = 1 << 17
"""Bytes inflated at a time.

With smaller ones threads wait longer for each other than they work.
"""
_OUT = 1 << 23
"""Bytes that come out at a time: 1 KiB of a hostile stream may become 1 MiB."""
_LEVEL = 1
_NO_NAMES = {"", ".", ".."}
_LONGEST, _DEEPEST = 1024, 64
"""Bytes of a name, and its parts: a node puts its own folder before it (PATH_MAX is 4096), and each
folder of it is made.
"""
_HEAD = 64
_LARGE = 8**11
"""Sizes from here on do not fit a tar header's field."""

Fill = Callable[["ChunkWriter"], "tuple[int, int] | None"]


class Content(NamedTuple):
    """What was seen of a file's content when it was inflated."""

    hash: str
    """As a wheel's RECORD writes it: "sha256=" and urlsafe base64 without padding."""
    head: bytes
    """Its first bytes, enough for an ELF header; all of a shorter file."""

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Of what is in memory whole."""
        return cls(recorded_hash("sha256", hashlib.sha256(data).digest()), data[:_HEAD])


class ChunkWriter:
    """Writes tar entries (pax, POSIX.1-2001) as gzip members into a binary file.

    The tar bytes depend on names, contents and run bits only. The gzip bytes of what is compressed
    here also depend on the version of the deflate library; a chunk's id is therefore of the
    uncompressed bytes: sha256 of the tar, with the sha256 of its content in place of each file that
    is copied as a deflate stream. So a large file is hashed once, for the id and for its wheel's
    RECORD.

    Names are relative to the archive's root: no leading "./" or "/", no "..". A folder's entry is
    written before its first use, because Hadoop's own Java untar makes no parents for links. An
    entry written twice stays twice; the later one wins."""

    def __init__(self, out: BinaryIO) -> None:
        self.files = 0
        self.unpacked = 0
        self.listing: dict[str, str] = {}
        """Name -> fingerprint of the content (CRC-32 and length, or a link's target), to tell equal
        files from clashing ones.
        """
        self._out = out
        self._digest = hashlib.sha256()
        self._pending: list[bytes] = []
        self._waiting = 0
        self._folders: set[str] = set()

    def file(self, name: str, data: bytes, *, executable: bool = False) -> None:
        """A regular file.

        Raises:
            BuildError: the name leaves the archive's root.
        """
        self._head(name, len(data), executable)
        self.listing[name] = f"{isal_zlib.crc32(data):08x}:{len(data)}"
        self._add(data)
        self._add(_padding(len(data)))

    def link(self, name: str, target: str) -> None:
        """A symbolic link; the target is relative to the link's folder and stays within the
        archive.

        Raises:
            BuildError: the name or the target leaves the archive's root.
        """
        if not is_inside(name, target):
            cause, cure = (
                "on a node it would lead somewhere else",
                "replace the link by a copy of its target",
            )
            raise BuildError(
                "a link points out of the archive",
                value=f"{name} -> {target}",
                cause=cause,
                cure=cure,
            )
        self._parents(name)
        self._add(_encoded(name, tarfile.SYMTYPE, 0o777, target=target))
        self.listing[name] = f"-> {target}"
        self.files += 1

    def deflated(
        self, name: str, raw: bytes | memoryview, *, crc: int, size: int, executable: bool = False
    ) -> Content:
        """A regular file whose content is a raw deflate stream already (RFC 1951); it is checked by
        inflating, and copied as it is.

        Args:
            raw: the stream, nothing before and after it.
            crc: CRC-32 of the content.
            size: bytes of content.

        Raises:
            BuildError: the stream is damaged, is not the content promised, or is followed by other
            bytes.
        """
        if len(raw) < _SMALL:
            data = inflate(name, raw, crc=crc, size=size)
            self.file(name, data, executable=executable)
            return Content.of(data)
        self._head(name, size, executable)
        self.listing[name] = f"{crc:08x}:{size}"
        self._flush()
        content, head = hashlib.sha256(), b""
        for block in _inflated(name, raw, crc=crc, size=size):
            content.update(block)
            head = head if len(head) == _HEAD else (head + block[:_HEAD])[:_HEAD]
        self._digest.update(content.digest())
        self._member(raw, crc, size)
        self._add(_padding(size))
        return Content(recorded_hash("sha256", content.digest()), head)

    def end(self) -> None:
        """The end of a tar: two blocks of zeros. For the last chunk of an archive only."""
        self._add(bytes(2 * _BLOCK))

    def finish(self) -> str:
        """Write what waits; returns the chunk's id. Nothing may be written afterwards."""
        self._flush()
        return self._digest.hexdigest()

    def _head(self, name: str, size: int, executable: bool) -> None:
        self._parents(name)
        self._add(_encoded(name, tarfile.REGTYPE, 0o755 if executable else 0o644, size=size))
        self.files += 1
        self.unpacked += size

    def _parents(self, name: str) -> None:
        if not is_plain(name):
            cause, cure = (
                'it is absolute, has "." or ".." in it, or is too long or too deep',
                "rename the file, or leave its package out",
            )
            raise BuildError(
                "a file's name cannot be put into an archive", value=name, cause=cause, cure=cure
            )
        folder = name.rpartition("/")[0]
        if folder and folder not in self._folders:
            self._parents(folder)
            self._folders.add(folder)
            self._add(_encoded(folder, tarfile.DIRTYPE, 0o755))

    def _add(self, data: bytes) -> None:
        self._pending.append(data)
        self._waiting += len(data)
        if self._waiting >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        data = b"".join(self._pending)
        self._pending, self._waiting = [], 0
        self._digest.update(data)
        compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
        self._member(
            compressor.compress(data) + compressor.flush(), isal_zlib.crc32(data), len(data)
        )

    def _member(self, raw: bytes | memoryview, crc: int, size: int) -> None:
        self._out.write(_GZIP_HEADER)
        self._out.write(raw)
        self._out.write(struct.pack("<II", crc, size & 0xFFFFFFFF))


def recall(store: Store, key: object) -> Chunk | None:
    """The chunk that `make` made from `key`, if it is still there. Writes nothing."""
    return store.recall_chunk([FORMAT, key])


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
    size = store.path("chunks", f"{digest}.gz").stat().st_size
    chunk = Chunk(digest, size, writer.unpacked, writer.files, floor, label)
    store.remember("listing", digest, writer.listing)
    store.remember_chunk(key, chunk)
    return chunk


def without_bytecode(relative: str) -> bool:
    """What `fill_from_tree` takes by default: all but __pycache__."""
    return not f"/{relative}".endswith("/__pycache__/")


def fill_from_tree(
    writer: ChunkWriter,
    tree: Path,
    *,
    prefix: str = "",
    keep: Callable[[str], bool] = without_bytecode,
) -> None:
    """Write all files and links below a folder, sorted, run bits kept; empty folders are left out.

    Args:
        prefix: put before each name, with a slash at the end.
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
            writer.file(prefix + relative, path.read_bytes(), executable=bool(mode & 0o111))
        else:
            raise BuildError(
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


def inflate(name: str, raw: bytes | memoryview, *, crc: int, size: int) -> bytes:
    """The content of a raw deflate stream, checked to the last byte.

    Raises:
        BuildError: the stream is damaged, is not the content promised, or is followed by other
        bytes.
    """
    return b"".join(_inflated(name, raw, crc=crc, size=size))


def inflated(name: str, raw: bytes | memoryview, *, crc: int, size: int) -> Iterator[bytes]:
    """As `inflate`, in blocks: a large file is never in memory whole."""
    return _inflated(name, raw, crc=crc, size=size)


def _inflated(name: str, raw: bytes | memoryview, *, crc: int, size: int) -> Iterator[bytes]:
    """The content of a raw deflate stream in blocks, checked to the last byte."""
    stream, length, check = isal_zlib.decompressobj(-15), 0, 0
    unreadable: Any = isal_zlib.error
    for start in range(0, len(raw), _SLICE):
        waiting, full = raw[start : start + _SLICE], True
        while full:
            most = min(size - length, _OUT - 1) + 1  # one byte too many is enough to know
            try:
                block = stream.decompress(waiting, most)
            except unreadable as error:
                raise _damaged(name, f"its deflate stream cannot be read: {error}") from error
            length, check = length + len(block), isal_zlib.crc32(block, check)
            if stream.unused_data or (stream.eof and start + _SLICE < len(raw)):
                raise _damaged(name, "bytes follow its deflate stream")
            if length > size:
                raise _damaged(name, f"its length is not the {size} bytes promised")
            yield block
            waiting, full = stream.unconsumed_tail, len(block) == most and not stream.eof
    if length != size:
        raise _damaged(name, f"its length is not the {size} bytes promised")
    if not stream.eof:
        raise _damaged(name, "its deflate stream has no end")
    if check != crc:
        raise _damaged(name, "its CRC-32 does not match")


def is_plain(name: str) -> bool:
    """True for a name that an entry may have: relative, each part a name that Linux takes (255
    bytes), no "." or "..".
    """
    parts = name.split("/")
    return (
        _NO_NAMES.isdisjoint(parts)
        and "\0" not in name
        and len(parts) <= _DEEPEST
        and (len(encoded := os.fsencode(name)) <= 255 or _is_short(encoded))
    )


def _is_short(name: bytes) -> bool:
    return len(name) <= _LONGEST and all(len(part) <= 255 for part in name.split(b"/"))


def is_inside(name: str, target: str) -> bool:
    """True if a link called `name` that points to `target` stays below the archive's root.

    ".." counts at the target's start only: after another link it would lead elsewhere than it
    reads."""
    up, parts = 0, target.split("/")
    while up < len(parts) and parts[up] == "..":
        up += 1
    return (
        bool(target)
        and "\0" not in target
        and not target.startswith("/")
        and ".." not in parts[up:]
        and up <= name.count("/")
    )


def folders_of(names: Iterable[str]) -> set[str]:
    """All folders that names lie in, up to the root."""
    folders: set[str] = set()
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def recorded_hash(algorithm: str, digest: bytes) -> str:
    """A digest as a wheel's RECORD writes it."""
    return f"{algorithm}={urlsafe_b64encode(digest).rstrip(b'=').decode('ascii')}"


def _encoded(name: str, kind: bytes, mode: int, *, size: int = 0, target: str = "") -> bytes:
    """An entry's header.

    tarfile makes it in 40 microseconds; where the fields fit, filling in one that it made takes 5.
    """
    shown = f"{name}/" if kind == tarfile.DIRTYPE else name
    if target or size >= _LARGE or len(shown) > tarfile.LENGTH_NAME or not name.isascii():
        return _by_tarfile(name, kind, mode, size, target)
    blank, checksum = _blank(kind, mode)
    header, name_field, size_field = bytearray(blank), shown.encode("ascii"), b"%011o" % size
    header[: len(name_field)] = name_field
    header[124:135] = size_field
    header[148:155] = b"%06o\0" % (checksum + sum(name_field) + sum(size_field))
    return bytes(header)


@cache
def _blank(kind: bytes, mode: int) -> tuple[bytes, int]:
    """A header without name and size, and its checksum, in which its own field counts as spaces
    (POSIX.1-2001, ustar interchange format).
    """
    header = bytearray(_by_tarfile("", kind, mode, 0, ""))
    header[: tarfile.LENGTH_NAME] = bytes(tarfile.LENGTH_NAME)
    header[124:135] = bytes(11)
    header[148:156] = b" " * 8
    return bytes(header), sum(header)


def _by_tarfile(name: str, kind: bytes, mode: int, size: int, target: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime, info.size, info.linkname = kind, mode, MTIME, size, target
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return b"\0" * (-size % _BLOCK)


def _damaged(name: str, cause: str) -> BuildError:
    return BuildError(
        "a compressed file is damaged",
        value=name,
        cause=cause,
        cure="fetch the file that holds it again",
    )
