"""Chunks one after another in one file, by the kernel where it can."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from coffee_boat._support.store import Store
from coffee_boat.archive.chunks import chunk_path, crc_of, gone, packed_crc
from coffee_boat.archive.destination import Destination
from coffee_boat.model import Archive, Chunk

_NO_COPY_IN_KERNEL = {
    errno.EXDEV,
    errno.ENOSYS,
    errno.EINVAL,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EBADF,
}


def copy_to(archive: Archive, to: Destination) -> Archive:
    """Put a copy of the archive somewhere, whole or not at all.

    Returns:
        The archive as it lies there.

    Raises:
        BuildError: it cannot be written there.
    """
    with to.written() as out:
        _append(Path(archive.path), archive.size, out)
        _must_have(out, archive.size)
    return replace(archive, path=str(to.path.absolute()))


def concatenate(chunks: Sequence[Chunk], tail: bytes, out: BinaryIO, store: Store) -> None:
    """Write chunks and the tail, and see that all is there."""
    for chunk in chunks:
        path = chunk_path(store, chunk)
        _append(path, chunk.size, out)
        if chunk.crc is not None and packed_crc(path)[1] != chunk.crc:
            raise gone(path, "its bytes are not those that were made: a fault of the disk?")
    out.write(tail)
    _must_have(out, sum(chunk.size for chunk in chunks) + len(tail))


def is_whole(path: Path, chunks: Sequence[Chunk], tail: bytes) -> bool:
    """True if a file is, byte for byte, what `concatenate` makes."""
    try:
        with path.open("rb", buffering=0) as stream:
            for chunk in chunks:
                if chunk.crc is None:
                    stream.seek(chunk.size, os.SEEK_CUR)
                elif crc_of(stream, chunk.size)[1] != chunk.crc:
                    return False
            return stream.read(len(tail) + 1) == tail
    except OSError:
        return False


def _must_have(out: BinaryIO, size: int) -> None:
    """An unbuffered file may take less than it is given, and say so only the next time."""
    if os.fstat(out.fileno()).st_size != size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _append(path: Path, size: int, out: BinaryIO) -> None:
    """Copy a file to where `out` stands; both unbuffered, so that the kernel can do it (or share
    the blocks).
    """
    with _opened(path) as source:
        _copy_in_kernel(source, out)
        shutil.copyfileobj(source, out, 1 << 20)
        copied = source.tell()
    if copied != size:
        raise gone(path, f"it has {copied} bytes, {size} were made")


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise gone(path, "it was removed from the store") from error
    except OSError as error:
        raise gone(path, error.strerror or str(error)) from error


def _copy_in_kernel(source: BinaryIO, out: BinaryIO) -> None:
    """As far as this kernel and these file systems can; what is left is read and written."""
    try:
        while os.copy_file_range(source.fileno(), out.fileno(), 1 << 30):
            pass
    except AttributeError:
        return  # not Linux
    except OSError as error:
        if error.errno not in _NO_COPY_IN_KERNEL:
            raise
