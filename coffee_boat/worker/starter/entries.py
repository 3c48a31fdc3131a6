"""One part of the cargo -> files, and the links that are to be made when all files are there.

Only what our archives have is written: folders, files and links that stay inside, with names as
coffee_boat/archive/names.py has them. No link is there while files are written, so nothing can be
written through one; and no file is there already, but for one that this part wrote.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from .index import Part

_BLOCK = 512
_READ, _INFLATED = 1 << 16, 1 << 20
_HEADER = 1 << 16
"""Bytes of a pax header: two long names."""
_LONGEST, _DEEPEST = 1024, 64
"""As in coffee_boat/archive/names.py."""
_NO_NAMES = (b"", b".", b"..")
_FILES, _LINK, _FOLDER, _PAX = (b"0", b"\0"), b"2", b"5", b"x"


class Written(NamedTuple):
    """What a part became."""

    files: list[bytes]
    """Names."""
    links: list[tuple[bytes, bytes]]
    """Name and target."""


class _Entry(NamedTuple):
    kind: bytes
    name: bytes
    target: bytes
    size: int
    executable: bool


def write(cargo: int, part: Part, root: bytes, most: int) -> Written:
    """Write what a part of the cargo has.

    Args:
        cargo: a descriptor.
        root: the folder; nobody else can write it.
        most: bytes of content that may come out.

    Raises:
        ValueError: it is not what was sent, or has what no archive of ours has.
        OSError: it cannot be read, or not be written.
    """
    digest = hashlib.sha256()
    stream = _Stream(_inflated(_blocks(cargo, part, digest)))
    stream.skip(part.padding)
    tree = _Tree(root, frozenset(map(os.fsencode, part.without)))
    for entry in _entries(stream):
        most -= entry.size
        if most < 0:
            raise ValueError("the cargo has more in it than was sent")
        tree.write(entry, stream)
    if digest.hexdigest() != part.sha256:
        raise ValueError("the cargo is not what was sent: its digest is another one")
    return Written(list(tree.own), list(tree.links.items()))


def check(name: bytes, target: bytes | None = None) -> None:
    """Refuse a name, or a link, that may lead out.

    Raises:
        ValueError: it may.
    """
    parts = name.split(b"/")
    plain = (
        all(part not in _NO_NAMES and len(part) <= 255 for part in parts)
        and b"\0" not in name
        and len(parts) <= _DEEPEST
        and len(name) <= _LONGEST
    )
    if not plain or (target is not None and not _is_inside(name, target)):
        raise ValueError(f"{os.fsdecode(name)!r} leads out of the cargo")


def _is_inside(name: bytes, target: bytes) -> bool:
    up, parts = 0, target.split(b"/")
    while up < len(parts) and parts[up] == b"..":
        up += 1
    return (
        bool(target)
        and b"\0" not in target
        and not target.startswith(b"/")
        and b".." not in parts[up:]
        and up <= name.count(b"/")
    )


def pax(text: bytes) -> dict[bytes, bytes]:
    """What a pax header says.

    Raises:
        ValueError: it is damaged.
    """
    found = {}
    while text:
        length = text.partition(b" ")[0]
        if not length.isdigit() or not len(length) < int(length) <= len(text):
            raise ValueError("the cargo has a pax header that is damaged")
        key, _, value = text[len(length) + 1 : int(length) - 1].partition(b"=")
        if key == b"size" and not value.isdigit():
            raise ValueError("the cargo has a pax header without a size")
        found[key], text = value, text[int(length) :]
    return found


class _Tree:
    """What is being written."""

    def __init__(self, root: bytes, without: frozenset[bytes]) -> None:
        self._root, self._without = root, without
        self._folders: set[bytes] = set()
        self.own: set[bytes] = set()
        self.links: dict[bytes, bytes] = {}

    def write(self, entry: _Entry, stream: _Stream) -> None:
        check(entry.name, entry.target if entry.kind == _LINK else None)
        if entry.kind == _FOLDER:
            self._make(entry.name)
        elif entry.name in self._without:
            stream.skip(entry.size + -entry.size % _BLOCK)
        elif entry.kind == _LINK:
            self._forget(entry.name)
            self.links[entry.name] = entry.target
        else:
            self._forget(entry.name)
            self._file(entry, stream)

    def _forget(self, name: bytes) -> None:
        """Of two entries with one name in one part the later one counts."""
        self.links.pop(name, None)
        if name in self.own:
            os.unlink(os.path.join(self._root, name))
            self.own.remove(name)

    def _file(self, entry: _Entry, stream: _Stream) -> None:
        self._make(os.path.dirname(entry.name))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        place = os.path.join(self._root, entry.name)
        out = os.open(place, flags, 0o755 if entry.executable else 0o644)
        try:
            for block in stream.blocks(entry.size):
                _write(out, block)
        finally:
            os.close(out)
        self.own.add(entry.name)
        stream.skip(-entry.size % _BLOCK)

    def _make(self, folder: bytes) -> None:
        if folder and folder not in self._folders:
            os.makedirs(os.path.join(self._root, folder), exist_ok=True)
            self._folders.add(folder)


def _write(out: int, block: memoryview) -> None:
    while block:
        block = block[os.write(out, block) :]


class _Stream:
    """What comes out of a part, to be read in order."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._now = memoryview(b"")

    def blocks(self, size: int) -> Iterator[memoryview]:
        """So many bytes, in pieces.

        Raises:
            ValueError: there are fewer.
        """
        while size:
            piece = self._some(size)
            if not piece:
                raise ValueError("the cargo is cut short")
            size -= len(piece)
            yield piece

    def header(self) -> bytes:
        """The next block of a tar; empty at the end."""
        first = bytes(self._some(_BLOCK))
        return first + b"".join(self.blocks(_BLOCK - len(first))) if first else b""

    def skip(self, size: int) -> None:
        """What fills up the last block may lie in the next part."""
        while size and (piece := self._some(size)):
            size -= len(piece)

    def _some(self, most: int) -> memoryview:
        if not self._now:
            self._now = memoryview(next(self._blocks, b""))
        piece, self._now = self._now[:most], self._now[most:]
        return piece


def _blocks(cargo: int, part: Part, digest: hashlib._Hash) -> Iterator[bytes]:
    offset, left = part.offset, part.length
    while left:
        block = os.pread(cargo, min(left, _READ), offset)
        if not block:
            raise ValueError("the cargo is cut short")
        digest.update(block)
        yield block
        offset, left = offset + len(block), left - len(block)


def _inflated(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """What gzip members in a row hold.

    Raises:
        ValueError: one is damaged.
    """
    inflater = None
    try:
        for block in blocks:
            left = block
            while left:
                inflater = inflater or zlib.decompressobj(31)
                if out := inflater.decompress(left, _INFLATED):
                    yield out
                if inflater.eof:
                    left, inflater = inflater.unused_data, None
                else:
                    left = inflater.unconsumed_tail
    except zlib.error as error:
        raise ValueError(f"the cargo is damaged: {error}") from error
    if inflater is not None:
        raise ValueError("the cargo is cut short")


def _entries(stream: _Stream) -> Iterator[_Entry]:
    """The headers of a tar, as archive/writer.py makes them; who gets a file's reads its content.

    Raises:
        ValueError: there are others.
    """
    said: dict[bytes, bytes] = {}
    while block := stream.header():
        if not block.strip(b"\0"):
            continue  # the end of the tar
        if sum(block) - sum(block[148:156]) + 8 * 32 != _number(block[148:156]):
            raise ValueError("the cargo has a tar header that is damaged")
        kind, size = block[156:157], _number(block[124:136])
        if kind == _PAX:
            if size > _HEADER:
                raise ValueError(f"the cargo has a header that claims {size} bytes")
            said = pax(b"".join(stream.blocks(size)))
            stream.skip(-size % _BLOCK)
            continue
        if kind not in (*_FILES, _LINK, _FOLDER) or block[345:500].strip(b"\0"):
            raise ValueError("the cargo has a tar header that ours have not")
        name = said.get(b"path", _text(block[:100])).rstrip(b"/" if kind == _FOLDER else b"")
        target = said.get(b"linkpath", _text(block[157:257]))
        size = int(said.get(b"size", size)) if kind in _FILES else 0
        yield _Entry(kind, name, target, size, bool(_number(block[100:108]) & 0o111))
        said = {}


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _number(field: bytes) -> int:
    text = _text(field).strip()
    if not text.isdigit():
        raise ValueError("the cargo has a tar header without a number")
    return int(text, 8)
