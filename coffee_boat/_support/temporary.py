"""Files in TMPDIR, for what may not lie in the store: a full disk there is not the store's."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from coffee_boat.errors import StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def file() -> Iterator[BinaryIO]:
    """A file without a name, which is gone when the block ends, or the process.

    Raises:
        StoreError: there is no place for it.
    """
    with written():
        made = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115
    with made:
        yield made


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone when the block ends.

    Raises:
        StoreError: there is no place for it.
    """
    with written():
        made = tempfile.TemporaryDirectory(prefix="coffee_boat-")
    with made as name:
        yield Path(name)


@contextmanager
def written() -> Iterator[None]:
    """Around what writes there, and nowhere else.

    Raises:
        StoreError: the disk is full, or there is no such folder.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise StoreError(
            "store.temporary-unwritable",
            "no temporary file can be written",
            value=os.environ.get("TMPDIR") or "/tmp",  # noqa: S108  (named only)
            cause="its disk is full" if full else error.strerror or str(error),
            cure="free some space there, or name another folder: export TMPDIR=/some/folder",
        ) from error
