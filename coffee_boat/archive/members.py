"""Members of a zip, read within what they promise.

A zip tells the size of each member before and after compression. What comes out of a member never
is more than that, and what a wheel promises in all is bounded by its own size: 42 kB of zip can
otherwise become any number of bytes, by a strong compression or by members that lie upon each
other.
"""

from __future__ import annotations

import bz2
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from isal import isal_zlib

from coffee_boat._support import limits
from coffee_boat._support.words import MIB, human_bytes
from coffee_boat.archive.deflate import inflated
from coffee_boat.errors import BuildError

METADATA = 16 * MIB
"""The most bytes of METADATA; RECORD has a line a file."""
RECORD = 128 * MIB
SMALL = MIB
"""Of WHEEL, entry_points.txt, and a script for Python: those are parsed."""
_LINK = 4096
"""PATH_MAX: of what a link points to."""
_WHOLE = 64 * MIB
"""Of a member in bzip2, which is read whole; no tool makes such wheels."""
_MOST = 500_000
"""Members of a zip."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_ENCRYPTED, _UTF8 = 0x1, 0x800
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_PEEK = 1 << 12


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip of somebody's.

    Raises:
        zipfile.BadZipFile: it is none, whatever zipfile makes of its fields.
        OSError: it cannot be opened.
    """
    with path.open("rb") as stream, _read(stream) as archive:
        yield archive


def _read(stream: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except zipfile.BadZipFile:
        raise
    # a version or a size that it does not know, a place before the file's begin, a date that is
    # none, a name that is no text
    except (NotImplementedError, ValueError, OverflowError, struct.error, OSError) as error:
        raise zipfile.BadZipFile(f"its list of files cannot be read: {error}") from error


def issues(archive: zipfile.ZipFile, packed: int) -> Iterator[tuple[str, str]]:
    """Members that are not read, with the reason; none for a zip that is sound.

    Args:
        packed: bytes of the zip.
    """
    members = archive.infolist()
    if len(members) > _MOST:
        yield f"{len(members):,} members", f"at most {_MOST:,} are taken of one zip"
        return
    for info in members:
        if info.flag_bits & _ENCRYPTED:
            yield info.filename, "it is encrypted"
        elif info.compress_type not in _METHODS:
            reason = f"it is compressed by method {info.compress_type}, which nothing here reads"
            yield info.filename, reason
    total, most = sum(info.file_size for info in members), limits.unpacked(packed)
    if total > most:
        reason = (
            f"a zip of {packed:,} bytes may hold {human_bytes(most)} here"
            f" ({human_bytes(limits.UNPACKED_FREE)}, or {limits.UNPACKED} times its size)"
        )
        yield f"{human_bytes(total)} in all", reason
    yield from _overlapping(archive, members)


def _overlapping(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]
) -> Iterator[tuple[str, str]]:
    if not members:
        return
    ordered = sorted(members, key=lambda info: info.header_offset)
    ends = [info.header_offset for info in ordered[1:]] + [archive.start_dir]
    for info, end in zip(ordered, ends, strict=True):
        least = _LOCAL_HEADER.size + len(info.orig_filename) + info.compress_size
        if info.header_offset + least > end:
            yield info.filename, "it lies upon the member behind it"


def raw(stream: BinaryIO, info: zipfile.ZipInfo) -> memoryview:
    """A member's bytes as they lie in the zip.

    Raises:
        zipfile.BadZipFile: its two headers differ, or the zip ends before it does.
    """
    name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
    if info.header_offset < 0:
        raise zipfile.BadZipFile("it would begin before the zip does")
    stream.seek(info.header_offset)
    block = stream.read(
        _LOCAL_HEADER.size + len(name) + info.compress_size
    )  # few local headers have more
    if len(block) < _LOCAL_HEADER.size or not block.startswith(b"PK\x03\x04"):
        raise zipfile.BadZipFile("it has no local header")
    *_, name_length, extra_length = _LOCAL_HEADER.unpack_from(block)
    name_end = _LOCAL_HEADER.size + name_length
    if block[_LOCAL_HEADER.size : name_end] != name:
        raise zipfile.BadZipFile(
            f"its local header calls it {block[_LOCAL_HEADER.size : name_end]!r}"
        )
    start = name_end + extra_length
    end = start + info.compress_size
    if len(block) < end:
        start, end, block = 0, info.compress_size, b""  # a large one is not in memory twice
        stream.seek(info.header_offset + name_end + extra_length)
        block = stream.read(info.compress_size)
    if len(block) < end:
        raise zipfile.BadZipFile("the wheel ends before it does")
    return memoryview(block)[start:end]


def link_target(info: zipfile.ZipInfo, packed: memoryview) -> str:
    """What a link points to.

    Raises:
        zipfile.BadZipFile, BuildError, UnicodeDecodeError: it cannot be read.
    """
    return whole(info, packed, most=_LINK, kind="a link's target").decode("utf-8")


def starts_with(info: zipfile.ZipInfo, packed: memoryview, words: bytes) -> bool:
    """True if a member begins so; of a large one no more is unpacked than that takes."""
    if info.compress_type == zipfile.ZIP_DEFLATED:
        unreadable: Any = isal_zlib.error
        try:
            head = isal_zlib.decompressobj(-15).decompress(packed[:_PEEK], len(words))
        except unreadable:  # told when it is read
            return False
        return bytes(head) == words
    if info.compress_type == zipfile.ZIP_STORED:
        return bytes(packed[: len(words)]) == words
    return whole(info, packed).startswith(words)


def whole(
    info: zipfile.ZipInfo, packed: memoryview, *, most: int | None = None, kind: str = "a file"
) -> bytes:
    """A member's content, checked.

    Args:
        most: bytes that a member of its kind may have.
        kind: what it is, for the error.

    Raises:
        zipfile.BadZipFile, BuildError: it cannot be read, is not what the zip says, or is larger.
    """
    if most is not None and info.file_size > most:
        raise zipfile.BadZipFile(f"it has {info.file_size:,} bytes; {kind} may have {most:,} here")
    return b"".join(blocks(info, packed))


def unpacked(info: zipfile.ZipInfo, packed: memoryview) -> bytes | memoryview:
    """As `whole`; of what is stored as it is, no copy is made.

    Raises:
        zipfile.BadZipFile, BuildError: it cannot be read, or is not what the zip says.
    """
    if info.compress_type != zipfile.ZIP_STORED:
        return whole(info, packed)
    _check(info, packed)
    return packed


def blocks(info: zipfile.ZipInfo, packed: memoryview) -> Iterator[bytes | memoryview]:
    """A member's content in blocks, checked to the last byte.

    Raises:
        zipfile.BadZipFile, BuildError: it cannot be read, or is not what the zip says.
    """
    if info.compress_type == zipfile.ZIP_DEFLATED:
        yield from inflated(info.filename, packed, crc=info.CRC, size=info.file_size)
        return
    data = packed if info.compress_type == zipfile.ZIP_STORED else _from_bzip2(info, packed)
    _check(info, data)
    yield data


def _check(info: zipfile.ZipInfo, data: bytes | memoryview) -> None:
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile("its CRC-32 or its length is not what the zip says")


def _from_bzip2(info: zipfile.ZipInfo, packed: memoryview) -> bytes:
    """One byte too many is enough to know."""
    if info.file_size > _WHOLE:
        raise zipfile.BadZipFile(
            f"it has {info.file_size:,} bytes in bzip2, of which {_WHOLE:,} are read here: pack the"
            " wheel with deflate, as every tool does"
        )
    stream, data = bz2.BZ2Decompressor(), b""
    try:
        while len(data) <= info.file_size and not stream.eof:
            block = stream.decompress(packed if not data else b"", info.file_size + 1 - len(data))
            if not block and not stream.eof:
                raise zipfile.BadZipFile("its bzip2 stream has no end")
            data += block
    except (OSError, ValueError, EOFError) as error:
        raise zipfile.BadZipFile(f"it cannot be read: {error}") from error
    if stream.eof and stream.unused_data:
        raise zipfile.BadZipFile("bytes follow its bzip2 stream")
    return data


def stream_of(archive: zipfile.ZipFile) -> BinaryIO:
    """The file that a zip is read from.

    Raises:
        zipfile.BadZipFile: it is closed.
    """
    if archive.fp is None:
        raise zipfile.BadZipFile("it is closed")
    return cast("BinaryIO", archive.fp)


def read(archive: zipfile.ZipFile, name: str, *, most: int) -> bytes:
    """A small member by its name, checked.

    Raises:
        KeyError: there is none.
        zipfile.BadZipFile: it cannot be read, is not what the zip says, or is larger than `most`.
    """
    info = archive.getinfo(name)
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        raise zipfile.BadZipFile(f"{name}: it is encrypted, or compressed by an unknown method")
    try:
        return whole(info, raw(stream_of(archive), info), most=most, kind=name.rpartition("/")[2])
    except BuildError as error:
        raise zipfile.BadZipFile(f"{name}: {error.cause}") from error
    except zipfile.BadZipFile as error:
        raise zipfile.BadZipFile(f"{name}: {error}") from error
