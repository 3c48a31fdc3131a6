"""What an ELF file says of itself: who it is for, what it needs, where it looks for it (by
pyelftools).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from coffee_boat.errors import BuildError

MAGIC = b"\x7fELF"
_HEAD = 20
"""Bytes up to e_machine."""

_MACHINES = {
    "EM_X86_64": "x86_64",
    "EM_AARCH64": "aarch64",
    "EM_386": "i686",
    "EM_ARM": "armv7l",
    "EM_PPC64": "ppc64le",
    "EM_S390": "s390x",
    "EM_RISCV": "riscv64",
}
_NUMBERS = {
    3: "i686",
    21: "ppc64le",
    22: "s390x",
    40: "armv7l",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    258: "loongarch64",
}
"""platform.machine() by e_machine (ELF specification), of what Linux nodes can be. Others are code
for devices (CUDA, BPF, DSPs) or for machines that no executor runs on: data, as far as nodes are
concerned."""
_ALSO_RUN = {"x86_64": "i686", "aarch64": "armv7l"}
"""The 32 bits of the same machine, which its kernel runs too."""
_WEAK = 2
"""VER_FLG_WEAK (Linux Standard Base, symbol versioning): the loader does not insist on this
version.
"""
_READS, _BYTES = 200_000, 64 << 20
"""How much of one file is looked at. A library takes some thousand reads."""
_RELR = (2, 36)
"""The first glibc that defines GLIBC_ABI_DT_RELR and reads relative relocations in the new form."""


@dataclass(frozen=True)
class Elf:
    """One ELF file, as far as moving it is concerned."""

    machine: str
    """As platform.machine() says it; the ELF name if that is not known."""
    bits: int
    loader: str
    """The program interpreter (PT_INTERP); empty for a library or a static program."""
    soname: str
    needed: tuple[str, ...]
    rpath: str
    """DT_RPATH: counts for this file and all that it loads."""
    runpath: str
    """DT_RUNPATH: counts for this file only, and switches off DT_RPATH, its own and inherited."""
    glibc: tuple[int, int]
    """The highest GLIBC_x.y that the loader insists on; (0, 0) if it names none."""
    debug: bool
    """It carries debug sections."""


def is_elf(head: bytes) -> bool:
    """True if these are the first bytes of an ELF file."""
    return head.startswith(MAGIC)


def is_for(head: bytes, architecture: str) -> bool:
    """True if an ELF file is for an architecture, or the architecture is not known here.

    Args:
        head: its first 20 bytes, or more.
        architecture: as platform.machine() says it.
    """
    return architecture not in _NUMBERS.values() or machine_of(head) == architecture


def machine_of(head: bytes) -> str:
    """What an ELF file is for, as platform.machine() says it; empty for what is no node's.

    Args:
        head: its first 20 bytes, or more.
    """
    if len(head) < _HEAD:
        return ""
    return _NUMBERS.get(int.from_bytes(head[18:20], "little" if head[5] == 1 else "big"), "")


def runs_on(machine: str, architecture: str) -> bool:
    """True if what is for a machine runs on an architecture; both as platform.machine() says it."""
    return machine in (architecture, _ALSO_RUN.get(architecture))


def is_elf_file(path: Path) -> bool:
    """True if the file is ELF."""
    with path.open("rb") as stream:
        return is_elf(stream.read(4))


def read(path: Path) -> Elf:
    """Read a file.

    Raises:
        BuildError: it is damaged, or not ELF.
    """
    with path.open("rb") as stream:
        return _parsed(stream, str(path))


def exported_number(path: Path, name: str) -> int | None:
    """The value of a number of 64 bits that a file exports under a name; None if it exports none.

    Raises:
        BuildError: it is damaged, or not ELF.
    """
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as stream, _told(str(path)):
        file = ELFFile(cast("BinaryIO", _Counted(stream)))
        table = file.get_section_by_name(".dynsym")
        symbols = table.get_symbol_by_name(name) if table is not None else None
        for symbol in symbols or ():
            for offset in file.address_offsets(symbol["st_value"], 8):
                stream.seek(offset)
                return int.from_bytes(stream.read(8), "little" if file.little_endian else "big")
    return None


def parse(data: bytes, name: str) -> Elf:
    """Read from memory; `name` is for the error message.

    Raises:
        BuildError: it is damaged, or not ELF.
    """
    return _parsed(io.BytesIO(data), name)


def parse_file(stream: BinaryIO, name: str) -> Elf:
    """As `parse`, of an open file."""
    return _parsed(stream, name)


def _parsed(stream: BinaryIO, name: str) -> Elf:
    from elftools.elf.elffile import ELFFile

    with _told(name):
        return _described(ELFFile(cast("BinaryIO", _Counted(stream))))


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What goes wrong with a file, in words."""
    from elftools.common.exceptions import ELFError
    from elftools.construct.core import ConstructError

    try:
        yield
    except (
        _TooMuch,
        ELFError,
        ConstructError,
        ValueError,
        KeyError,
        IndexError,
        AssertionError,
        UnicodeDecodeError,
    ) as error:
        raise BuildError(
            "build.elf-unreadable",
            "an ELF file cannot be read",
            value=name,
            cause=str(error) or type(error).__name__,
            cure="reinstall what the file belongs to",
        ) from error


class _TooMuch(Exception):  # noqa: N818  (an error of this file only)
    pass


class _Counted:
    """A stream that is read for so long only: tables of a hostile file have 2^64 entries, or each
    begins where it ends.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._reads = self._bytes = 0
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if not 0 <= size <= _BYTES:
            raise _TooMuch(f"a table of it claims {size:,} bytes, {_BYTES:,} are read")
        data = self._stream.read(size)
        self._bytes += len(data)
        if self._reads > _READS or self._bytes > _BYTES:
            raise _TooMuch(f"its tables have more than {_READS:,} entries, or {_BYTES:,} bytes")
        return data


def _described(file: Any) -> Elf:
    tags = dict(_dynamic(file))
    return Elf(
        machine=_MACHINES.get(file["e_machine"], str(file["e_machine"])),
        bits=file.elfclass,
        loader=next((segment.get_interp_name() for segment in file.iter_segments("PT_INTERP")), ""),
        soname=tags.get("soname", ""),
        needed=tuple(value for tag, value in _dynamic(file) if tag == "needed"),
        rpath=tags.get("rpath", ""),
        runpath=tags.get("runpath", ""),
        glibc=max(_glibc_versions(file), default=(0, 0)),
        debug=file.get_section_by_name(".debug_info") is not None,
    )


def _dynamic(file: Any) -> Iterator[tuple[str, str]]:
    for segment in file.iter_segments("PT_DYNAMIC"):
        for tag in segment.iter_tags():
            for kind in ("needed", "soname", "rpath", "runpath"):
                if tag.entry.d_tag == f"DT_{kind.upper()}":
                    yield kind, getattr(tag, kind)


def _glibc_versions(file: Any) -> Iterator[tuple[int, int]]:
    section = file.get_section_by_name(".gnu.version_r")
    for _, versions in section.iter_versions() if section else ():
        for version in versions:
            if not version["vna_flags"] & _WEAK:
                yield from _glibc_of(version.name)


def _glibc_of(name: str) -> Iterator[tuple[int, int]]:
    if name == "GLIBC_ABI_DT_RELR":
        yield _RELR
    match = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", name)
    if match:
        yield int(match[1]), int(match[2])


_GLIBC = re.compile(
    r"(ld-linux.*|ld64|linux-vdso.*|lib(c|m|dl|pthread|rt|util|resolv|anl|mvec|BrokenLocale|thread_db|nss_\w+))\.so(\.\d+)*|/.*/ld-linux.*"
)


def is_glibc(name: str) -> bool:
    """True for a library (by its file name) that belongs to glibc itself, and so to the node."""
    return _GLIBC.fullmatch(name) is not None
