"""A wheel's members, read and compared with its RECORD."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence

from coffee_boat._support import temporary
from coffee_boat.archive import elf, members
from coffee_boat.archive.writer import Content, recorded_hash
from coffee_boat.model import Finding

SHOWN = 3
"""Files that a message names."""

_ALGORITHMS = {"sha256", "sha384", "sha512"}
"""RECORD must not use weaker ones (binary distribution format)."""


def contradiction(
    info: zipfile.ZipInfo, raw: memoryview, content: Content, recorded: tuple[str, str] | None
) -> str:
    """How a member differs from its row in RECORD; empty if it does not."""
    if recorded is None:
        return "it is not in RECORD"
    written, size = recorded
    algorithm = written.partition("=")[0]
    if algorithm not in _ALGORITHMS:
        return f"RECORD has no sha256 of it: {algorithm or 'no hash'}"
    if size not in ("", str(info.file_size)):
        return f"its size is not what RECORD says: {size!r}"
    found = (
        content.hash
        if algorithm == "sha256"
        else recorded_hash(algorithm, _digest(algorithm, members.blocks(info, raw)))
    )
    return "" if written.rstrip("=") == found else "its content is not what RECORD says"


def _digest(algorithm: str, blocks: Iterable[bytes | memoryview]) -> bytes:
    digest = hashlib.new(algorithm)
    for block in blocks:
        digest.update(block)
    return digest.digest()


def is_data(name: str) -> bool:
    """True for members of NAME.data, which go elsewhere."""
    top, slash, _ = name.partition("/")
    return bool(slash) and top.endswith(".data")


def is_bytecode(name: str, members: Mapping[str, object]) -> bool:
    """Bytecode is made anew where it is wanted; a module that comes without its source stays."""
    return "__pycache__" in name.split("/")[:-1] or (name.endswith(".pyc") and name[:-1] in members)


def for_others(wheel: str, others: Sequence[tuple[str, str]], architecture: str) -> Finding:
    """What is said of a wheel with binaries for other machines, which are nobody's fault."""
    shown = ", ".join(f"{name} ({machine})" for name, machine in others[:SHOWN])
    more = f" + {len(others) - SHOWN} others" if len(others) > SHOWN else ""
    return Finding(
        "build.foreign-binaries",
        "a package carries binaries for other machines, too",
        value=f"{wheel}: {shown}{more}",
        cause=f"the executors are {architecture}",
        severity="note",
    )


def needed_glibc(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[int, int]:
    """The glibc that a binary needs; by way of a file, since libraries may have gigabytes."""
    with temporary.file() as copy, temporary.written():
        for block in members.blocks(info, members.raw(members.stream_of(archive), info)):
            copy.write(block)
        return elf.parse_file(copy, info.filename).glibc
