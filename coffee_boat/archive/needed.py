"""The libraries that an ELF file names as needed (DT_NEEDED), read in microseconds.

pyelftools takes five milliseconds a file, and an environment has hundreds: this is asked of each,
so it reads the one table by itself (System V ABI, chapter 5). What it cannot read names nothing:
whether a file is well-formed is for elf.py.
"""

from __future__ import annotations

import struct
from itertools import takewhile
from typing import IO

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ = 1, 5, 10
_SEGMENTS, _TABLE, _STRINGS, _NAMES = 200, 1 << 16, 16 << 20, 500
"""At most so many segments, bytes of the dynamic table and of its strings, and names."""


def needed(stream: IO[bytes]) -> tuple[str, ...]:
    """File names of libraries, as the loader looks for them; of what is no library, none."""
    try:
        return _needed(stream)
    except (struct.error, IndexError, ValueError, OverflowError, OSError):
        return ()


def _needed(stream: IO[bytes]) -> tuple[str, ...]:
    head = _read(stream, 0, 64)
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    word, half = ("Q", 56) if wide else ("I", 32)
    begin = struct.unpack_from(order + word, head, 32 if wide else 28)[0]
    count = struct.unpack_from(order + "H", head, 56 if wide else 44)[0]
    segments = [
        _segment(_read(stream, begin + half * number, half), order, wide=wide)
        for number in range(min(count, _SEGMENTS))
    ]
    dynamic = next((one for one in segments if one[0] == _PT_DYNAMIC), None)
    if dynamic is None:
        return ()
    table = _read(stream, dynamic[1], min(dynamic[3], _TABLE))
    pair = struct.Struct(order + 2 * word)
    whole = pair.iter_unpack(table[: len(table) // pair.size * pair.size])
    entries = list(takewhile(lambda entry: entry[0], whole))  # DT_NULL ends it
    said = dict(reversed(entries))
    place = _in_file(said.get(_DT_STRTAB, -1), segments)
    strings = _read(stream, place, min(said.get(_DT_STRSZ, 0), _STRINGS))
    starts = [value for tag, value in entries if tag == _DT_NEEDED][:_NAMES]
    names = (strings[start : start + 256].partition(b"\0")[0] for start in starts)
    return tuple(name.decode("ascii", "replace") for name in names if name)


def _segment(raw: bytes, order: str, *, wide: bool) -> tuple[int, int, int, int]:
    """Its type, place in the file, address, and length in the file."""
    if wide:
        kind, _, place, address, _, length = struct.unpack_from(order + "IIQQQQ", raw)
    else:
        kind, place, address, _, length = struct.unpack_from(order + "IIIII", raw)
    return kind, place, address, length


def _in_file(address: int, segments: list[tuple[int, int, int, int]]) -> int:
    """Where an address of the loaded file lies in the file itself."""
    for kind, place, start, length in segments:
        if kind == _PT_LOAD and start <= address < start + length:
            return place + address - start
    raise ValueError(address)


def _read(stream: IO[bytes], place: int, length: int) -> bytes:
    stream.seek(place)
    return stream.read(length)
