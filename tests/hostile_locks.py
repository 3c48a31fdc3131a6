"""Hostile locks and what goes with them, made by code: each new door can be tried with them."""

from __future__ import annotations

import zlib

_TABLE = [0] * 256
for _number in range(256):
    _value = _number
    for _ in range(8):
        _value = (_value >> 1) ^ (0xEDB88320 if _value & 1 else 0)
    _TABLE[_number] = _value
_BACK = {entry >> 24: index for index, entry in enumerate(_TABLE)}


def forged(content: bytes, wanted: bytes) -> bytes:
    """`wanted` with a comment behind it, as long as `content` and of the same CRC-32: the last four
    bytes are chosen for it.
    """
    room = len(content) - 4
    filled = wanted[:room].ljust(room, b"#")
    return filled + _patch(zlib.crc32(filled), zlib.crc32(content))


def _patch(before: int, after: int) -> bytes:
    """Four bytes that take a CRC-32 from one value to another."""
    state, indexes = after ^ 0xFFFFFFFF, []
    for _ in range(4):
        index = _BACK[state >> 24]
        indexes.append(index)
        state = ((state ^ _TABLE[index]) << 8) & 0xFFFFFFFF
    patch, state = b"", before ^ 0xFFFFFFFF
    for index in reversed(indexes):
        byte = (state ^ index) & 0xFF
        patch += bytes([byte])
        state = _TABLE[index] ^ (state >> 8)
    return patch
