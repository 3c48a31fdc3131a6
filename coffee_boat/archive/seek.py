"""Where an archive can be unpacked from: the parts that worker/starter unpacks side by side.

A part begins where a gzip member begins that holds a tar header, behind padding at most. So it can
be unpacked by itself; nothing is compressed anew for it. What is found of a chunk is remembered.
"""

from __future__ import annotations

import hashlib
import mmap
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from isal import isal_zlib

from coffee_boat._support.store import Store
from coffee_boat.archive.chunks import gone, listing
from coffee_boat.errors import StoreError
from coffee_boat.model import Archive, Chunk
from coffee_boat.worker.starter import entries
from coffee_boat.worker.starter.index import Index, Part

_FORMAT = 1
"""Raise it when what is remembered of the same chunk changes."""
_PART = 2 << 20
"""Packed bytes of a part, at least, where there are so many: smaller ones gain nothing."""
_MOST = 2048
"""Parts of a chunk, about: those of a large one are larger."""
_RECORD = 1 << 20
"""Bytes for boat.json, which is in no chunk."""
_KEPT = 20 << 30
"""Bytes of environments that a node keeps, besides those that run when a new one is made."""
_READ = 1 << 16
_BLOCK = tarfile.BLOCKSIZE


def told(
    archive: Archive, store: Store, *, cargo: str, folder: str = "", on_demand: bool = False
) -> Index:
    """All that who unpacks an archive is told of it.

    Args:
        cargo: the name of the file that it is sent as.
        folder: where nodes keep environments; empty for where they can.
        on_demand: True if executors fetch the cargo when they need it.

    Raises:
        BuildError: the archive, or what is in one of its chunks, is gone or damaged.
    """
    return Index(
        id=archive.id,
        name=archive.name,
        cargo=cargo,
        python=archive.target.minor,
        size=archive.size,
        unpacked=sum(chunk.unpacked for chunk in archive.chunks) + _RECORD,
        files=files(archive, store),
        folder=folder,
        most=_KEPT,
        parts=parts(archive, store),
        on_demand=on_demand,
    )


def parts(archive: Archive, store: Store) -> tuple[Part, ...]:
    """The parts of an archive, in order. Of a name that several chunks have the last one counts, as
    when all is unpacked in order.

    Raises:
        BuildError: the archive, or what is in one of its chunks, is gone or damaged.
    """
    found: list[Part] = []
    offset = 0
    with _mapped(Path(archive.path), archive.size) as data:
        for chunk, again in zip(archive.chunks, _again(archive.chunks, store), strict=True):
            some = _of_chunk(data, archive.path, chunk, offset, store)
            found += [part._replace(offset=offset + part.offset, without=again) for part in some]
            offset += chunk.size
        tail = _parts(data, archive.path, offset, archive.size - offset, archive.size)
    return (*found, *(part._replace(offset=offset + part.offset) for part in tail))


def files(archive: Archive, store: Store) -> int:
    """Files and links that an archive becomes.

    Raises:
        BuildError: what is in one of its chunks is not known.
    """
    names = set[str]().union(*(listing(chunk, store) for chunk in archive.chunks))
    return len(names) + 1  # boat.json


def _again(some: Sequence[Chunk], store: Store) -> list[list[str]]:
    """For each chunk the names in it that a later one has, too."""
    later = set[str]()
    found = []
    for chunk in reversed(some):
        names = listing(chunk, store).keys()
        found.append(sorted(later & names))
        later |= names
    return found[::-1]


def _of_chunk(
    data: mmap.mmap, path: str, chunk: Chunk, offset: int, store: Store
) -> Sequence[Part]:
    key = [_FORMAT, chunk.id, chunk.crc, chunk.size]
    known = store.recall("parts", key) if chunk.crc is not None else None
    if known is not None:
        return [Part(*part) for part in known]
    has_twice = chunk.files != len(listing(chunk, store))  # the order counts
    least = chunk.size if has_twice else max(_PART, chunk.size // _MOST)
    made = _parts(data, path, offset, chunk.size, least)
    with suppress(StoreError):
        store.remember("parts", key, made)
    return made


def _parts(data: mmap.mmap, path: str, start: int, size: int, least: int) -> list[Part]:
    """The parts of a run of members; offsets are relative to its start."""
    begins = [(0, 0)]
    for offset, padding in _begins(data, path, start, size):
        if offset - begins[-1][0] >= least:
            begins.append((offset, padding))
    ends = [offset for offset, _ in begins[1:]] + [size]
    return [
        Part(begin, end - begin, padding, _sha256(data, start + begin, start + end))
        for (begin, padding), end in zip(begins, ends, strict=True)
    ]


def _begins(data: mmap.mmap, path: str, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Where members begin that can begin a part, and behind how much padding."""
    tar, at, end = _Tar(), start, start + size
    try:
        while at < end:
            if tar.padding is not None:
                yield at - start, tar.padding
            at = _member(data, at, end, tar)
    except cast("type[Exception]", isal_zlib.error) as error:
        raise gone(Path(path), f"it cannot be read: {error}") from error
    except (EOFError, ValueError) as error:
        raise gone(Path(path), f"it cannot be read: {error}") from error


def _member(data: mmap.mmap, at: int, end: int, tar: _Tar) -> int:
    """Read one; gives where the next one begins."""
    inflater = isal_zlib.decompressobj(31)
    while not inflater.eof:
        if at >= end:
            raise EOFError("a member is cut short")
        block = data[at : min(at + _READ, end)]
        tar.feed(inflater.decompress(block))
        at += len(block)
    return at - len(inflater.unused_data)


class _Tar:
    """How far a tar was read."""

    def __init__(self) -> None:
        self._header, self._said = b"", b""
        self._content = self._filling = 0
        self._size: int | None = None
        self._is_said = False

    @property
    def padding(self) -> int | None:
        """Bytes before the next entry's first header; None inside of an entry."""
        if self._header or self._content or self._is_said or self._size is not None:
            return None
        return self._filling

    def feed(self, block: bytes) -> None:
        """The next bytes."""
        left = memoryview(block)
        while left:
            if self._content:
                piece = left[: self._content]
                self._said += bytes(piece) if self._is_said else b""
                self._content -= len(piece)
            elif self._filling:
                piece = left[: self._filling]
                self._filling -= len(piece)
            else:
                piece = left[: _BLOCK - len(self._header)]
                self._header += bytes(piece)
                self._end_header()
            left = left[len(piece) :]

    def _end_header(self) -> None:
        if len(self._header) < _BLOCK:
            return
        header, self._header = self._header, b""
        if self._is_said:
            self._size = _said_size(self._said)
            self._said, self._is_said = b"", False
        if not header.strip(b"\0"):
            return
        field = header[124:136].rstrip(b"\0 ")
        size = self._size if self._size is not None else int(field or b"0", 8)
        self._is_said, self._size = header[156:157] == tarfile.XHDTYPE, None
        self._content, self._filling = size, -size % _BLOCK


def _said_size(pax: bytes) -> int | None:
    """What a pax header says instead of the field, of a file of 8 GiB and more."""
    size = entries.pax(pax).get(b"size")
    return int(size) if size else None


def _sha256(data: mmap.mmap, start: int, end: int) -> str:
    with memoryview(data) as whole, whole[start:end] as part:
        return hashlib.sha256(part).hexdigest()


def _mapped(path: Path, size: int) -> mmap.mmap:
    try:
        with path.open("rb") as stream:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise gone(path, "it was removed from the store") from error
    except (OSError, ValueError) as error:
        raise gone(path, f"it cannot be read: {error}") from error
    if len(mapped) != size:
        mapped.close()
        raise gone(path, f"it has not the {size} bytes that were made")
    return mapped
