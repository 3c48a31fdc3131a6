"""A large layer as one plain file, which Spark does not unpack (worker/layers.py)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from coffee_boat._support.store import Store
from coffee_boat.archive import seek
from coffee_boat.archive.chunks import gone
from coffee_boat.model import Archive
from coffee_boat.worker.layers import SUFFIX, first_line
from coffee_boat.worker.starter import index

_BUFFER = 1 << 20


def made(archive: Archive, store: Store) -> Path:
    """The file of an archive: its size, what can be unpacked by itself, a line each; the archive.

    Raises:
        BuildError: the archive, or what is in one of its chunks, is gone or damaged.
        StoreError: the file is not there yet, and the store cannot be written.
    """
    called = f"{archive.name}{SUFFIX}"
    told = index.written(seek.told(archive, store, cargo=called)).encode()
    head = first_line(len(told) + archive.size) + told
    name = f"{archive.id}/{called}"
    path = store.path("archives", name)
    if not _is_there(path, head, archive):
        with store.publish("archives", name) as scratch, scratch.open("wb") as out:
            out.write(head)
            _append(archive, out)
    return path


def _is_there(path: Path, head: bytes, archive: Archive) -> bool:
    """True for what was made of the same archive, byte for byte: a disk may give back others."""
    try:
        with path.open("rb") as stream, Path(archive.path).open("rb") as source:
            if stream.read(len(head)) != head:
                return False
            while block := source.read(_BUFFER):
                if stream.read(len(block)) != block:
                    return False
            return not stream.read(1)
    except OSError:  # it is not there, or the disk cannot read it: it is made again
        return False


def _append(archive: Archive, out: BinaryIO) -> None:
    try:
        with Path(archive.path).open("rb") as source:
            shutil.copyfileobj(source, out, _BUFFER)
    except FileNotFoundError as error:
        raise gone(Path(archive.path), "it was removed from the store") from error
