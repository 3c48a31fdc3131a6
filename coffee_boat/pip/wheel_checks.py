"""A wheel's members, read and compared with its RECORD."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping

from coffee_boat.archive import members
from coffee_boat.archive.writer import Content, recorded_hash

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
