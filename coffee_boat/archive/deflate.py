"""Raw deflate streams, inflated and checked to the last byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isal import isal_zlib

from coffee_boat.errors import BuildError

_SLICE = 1 << 17
"""Bytes inflated at a time.

With smaller ones threads wait longer for each other than they work.
"""
_OUT = 1 << 23
"""Bytes that come out at a time: 1 KiB of a hostile stream may become 1 MiB."""


def inflate(name: str, raw: bytes | memoryview, *, crc: int, size: int) -> bytes:
    """The content of a raw deflate stream, checked to the last byte.

    Raises:
        BuildError: the stream is damaged, is not the content promised, or is followed by other
            bytes.
    """
    return b"".join(blocks_of(name, raw, crc=crc, size=size))


def inflated(name: str, raw: bytes | memoryview, *, crc: int, size: int) -> Iterator[bytes]:
    """As `inflate`, in blocks: a large file is never in memory whole."""
    return blocks_of(name, raw, crc=crc, size=size)


def blocks_of(name: str, raw: bytes | memoryview, *, crc: int, size: int) -> Iterator[bytes]:
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


def _damaged(name: str, cause: str) -> BuildError:
    return BuildError(
        "build.compressed-file-damaged",
        "a compressed file is damaged",
        value=name,
        cause=cause,
        cure="fetch the file that holds it again",
    )
