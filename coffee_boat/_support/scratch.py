"""Folders for unfinished work. Each is held by a lock as long as its process lives: what nobody
holds was left behind, however its process ended.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coffee_boat._support import flocks

_MARK, _ENTRY = "alive", "entry"
_PREFIX = "boat-"
_NAME = re.compile(rf"{_PREFIX}\w{{8}}")
_OPEN: dict[Path, int] = {}
"""Folder -> the process that made it."""


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A path in a folder that does not exist yet; gone when the block ends, or the process.

    Raises:
        OSError: it cannot be made.
    """
    if not _OPEN:
        atexit.register(_drop_all)  # threads that nobody waits for are in the middle of their work
    holder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    _OPEN[holder] = os.getpid()
    try:
        with flocks.held(holder / _MARK):
            yield holder / _ENTRY
    finally:
        shutil.rmtree(holder, ignore_errors=True)
        _OPEN.pop(holder, None)


def is_scratch(path: Path) -> bool:
    """True of what `scratch` made, and of nothing that others call alike."""
    if not _NAME.fullmatch(path.name) or path.is_symlink():
        return False
    try:
        return {entry.name for entry in os.scandir(path)} <= {_MARK, _ENTRY}
    except OSError:
        return False


def is_dead(holder: Path) -> bool | None:
    """True if its process is gone; None if nobody can tell: a moment after it was made, and where
    the file system has no locks.
    """
    return flocks.is_free(holder / _MARK)


def _drop_all() -> None:
    """At the end of this process."""
    for holder, process in list(_OPEN.items()):
        if process != os.getpid():  # we are a fork
            continue
        aside = holder.with_name(f"{holder.name}-")  # who still works in it finds it no more
        with suppress(OSError):
            holder.rename(aside)
            holder = aside  # noqa: PLW2901
        shutil.rmtree(holder, ignore_errors=True)
