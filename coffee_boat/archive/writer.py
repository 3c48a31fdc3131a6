"""Tar entries (pax, POSIX.1-2001) written as gzip members."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
from base64 import urlsafe_b64encode
from functools import cache
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, NamedTuple

from isal import isal_zlib

from coffee_boat.archive import elf
from coffee_boat.archive.deflate import blocks_of, inflate
from coffee_boat.archive.names import is_inside, is_plain
from coffee_boat.archive.needed import needed
from coffee_boat.errors import BuildError
from coffee_boat.model import Finding, LeftOut

MTIME = 315532800
"""1980-01-01, the first instant that a zip can name; every entry carries it."""

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_BLOCK = 512
BATCH = 1 << 20
_SMALL = 2048

_LEVEL = 1

_HEAD = 64
_IN_MEMORY = 64 << 20
"""Of a binary, while it is looked at; a larger one is in a temporary file meanwhile."""
_LARGE = 8**11
"""Sizes from here on do not fit a tar header's field."""


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
    uncompressed bytes: sha256 of the tar's headers, each file's followed by the sha256 of its
    content. So a file is hashed once, for the id, for the listing and for its wheel's RECORD; and
    no content can be chosen that reads as another chunk's headers.

    Names are relative to the archive's root: no leading "./" or "/", no "..". A folder's entry is
    written before its first use, because Hadoop's own Java untar makes no parents for links. An
    entry written twice stays twice; the later one wins.
    """

    def __init__(self, out: BinaryIO) -> None:
        self.files = 0
        self.unpacked = 0
        self.listing: dict[str, str] = {}
        """Name -> sha256 of the content as RECORD writes it, or "-> " and a link's target: equal
        for equal files only. (A CRC-32 can be forged by four bytes.)
        """
        self.machines: dict[str, str] = {}
        """What ELF files are for (platform.machine()) -> the first that is; who fills it takes out
        what it carries for others on purpose.
        """
        self.needs: dict[str, dict[str, str]] = {}
        """What ELF files are for -> each library that they need -> the first that does."""
        self.scripts: set[str] = set()
        """Names of the files that are written for entry points; who writes them tells."""
        self.record = ""
        """As Chunk.record."""
        self.findings: list[Finding] = []
        """What was noticed, to be told with every archive that has this chunk."""
        self.left_out: list[LeftOut] = []
        """As Chunk.left_out."""
        self._out = out
        self._digest = hashlib.sha256()
        self._pending: list[bytes | memoryview] = []
        self._waiting = 0
        self._folders: set[str] = set()

    def file(self, name: str, data: bytes, *, executable: bool = False) -> None:
        """A regular file.

        Raises:
            BuildError: the name leaves the archive's root.
        """
        self.stored(name, data, executable=executable)

    def stored(self, name: str, data: bytes | memoryview, *, executable: bool = False) -> Content:
        """As `file`; returns what RECORD has to say of it."""
        self._head(name, len(data), executable)
        whole, head = memoryview(data), bytes(data[:_HEAD])
        for start in range(0, len(data), BATCH):  # a large file is not in memory twice
            self._add(whole[start : start + BATCH])
        self._add(_padding(len(data)))
        if elf.is_elf(head):
            self._look(name, head, io.BytesIO(data))
        return self._known(name, hashlib.sha256(data).digest(), head)

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
                "build.link-leads-out",
                "a link points out of the archive",
                value=f"{name} -> {target}",
                cause=cause,
                cure=cure,
            )
        self._parents(name)
        self._header(_encoded(name, tarfile.SYMTYPE, 0o777, target=target))
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
            return self.stored(name, data, executable=executable)
        self._head(name, size, executable)
        self._flush()
        content, head = hashlib.sha256(), b""
        keeps = True
        with SpooledTemporaryFile(_IN_MEMORY, buffering=0) as binary:
            for block in blocks_of(name, raw, crc=crc, size=size):
                content.update(block)
                head = head if len(head) == _HEAD else (head + block[:_HEAD])[:_HEAD]
                keeps = keeps and (not elf.is_elf(head) or _kept(block, binary))
            if keeps:
                self._look(name, head, binary)
        self._member(raw, crc, size)
        self._add(_padding(size))
        return self._known(name, content.digest(), head)

    def end(self) -> None:
        """The end of a tar: two blocks of zeros. For the last chunk of an archive only."""
        self._header(bytes(2 * _BLOCK))

    def finish(self) -> str:
        """Write what waits; returns the chunk's id. Nothing may be written afterwards."""
        self._flush()
        return self._digest.hexdigest()

    def _look(self, name: str, head: bytes, content: IO[bytes]) -> None:
        if elf.is_elf(head) and (machine := elf.machine_of(head)):
            said = self.needs.setdefault(machine, {})
            for library in needed(content):
                said.setdefault(library, name)

    def _notice(self, name: str, head: bytes) -> None:
        if elf.is_elf(head) and (machine := elf.machine_of(head)):
            self.machines.setdefault(machine, name)

    def _head(self, name: str, size: int, executable: bool) -> None:
        self._parents(name)
        self._header(_encoded(name, tarfile.REGTYPE, 0o755 if executable else 0o644, size=size))
        self.files += 1
        self.unpacked += size

    def _parents(self, name: str) -> None:
        if not is_plain(name):
            cause, cure = (
                'it is absolute, has "." or ".." in it, or is too long or too deep',
                "rename the file, or leave its package out",
            )
            raise BuildError(
                "build.file-name-invalid",
                "a file's name cannot be put into an archive",
                value=name,
                cause=cause,
                cure=cure,
            )
        folder = name.rpartition("/")[0]
        if folder and folder not in self._folders:
            self._parents(folder)
            self._folders.add(folder)
            self._header(_encoded(folder, tarfile.DIRTYPE, 0o755))

    def _header(self, data: bytes) -> None:
        self._digest.update(data)
        self._add(data)

    def _known(self, name: str, digest: bytes, head: bytes) -> Content:
        self._digest.update(digest)
        content = Content(recorded_hash("sha256", digest), head)
        self.listing[name] = content.hash
        self._notice(name, head)
        return content

    def _add(self, data: bytes | memoryview) -> None:
        self._pending.append(data)
        self._waiting += len(data)
        if self._waiting >= BATCH:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        data = b"".join(self._pending)
        self._pending, self._waiting = [], 0
        compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -15)
        self._member(
            compressor.compress(data) + compressor.flush(), isal_zlib.crc32(data), len(data)
        )

    def _member(self, raw: bytes | memoryview, crc: int, size: int) -> None:
        self._out.write(_GZIP_HEADER)
        self._out.write(raw)
        self._out.write(struct.pack("<II", crc, size & 0xFFFFFFFF))


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


def _kept(block: bytes, binary: IO[bytes]) -> bool:
    """False where there is no room: what a binary needs is only told, so a build does without."""
    try:
        binary.write(block)
    except OSError:
        return False
    return True


def _padding(size: int) -> bytes:
    return b"\0" * (-size % _BLOCK)
