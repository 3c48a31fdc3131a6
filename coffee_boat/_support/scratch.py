"""Folders for unfinished work. Each is held by a lock as long as its process lives: what nobody
holds was left behind, however its process ended.
"""

from __future__ import annotations

import atexit
import errno
import os
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coffee_boat._support import flocks

_MARK, _ENTRY = "alive", "entry"
_PREFIX = "boat-"
_RANDOM = 8
"""Characters that tempfile puts behind a prefix."""
_NAME = re.compile(rf"\.?{_PREFIX}\w{{{_RANDOM}}}")
_BEGINS = 60.0
"""Seconds after which one without a mark was not just begun."""
_OPEN: dict[Path, int] = {}
"""Folder -> the process that made it."""
_ENDED: set[int] = set()
"""Processes whose end has begun: this one, or one that it was forked from."""
_changing = threading.Lock()
"""Of what is open."""


@contextmanager
def scratch(folder: Path, *, hidden: bool = False) -> Iterator[Path]:
    """A path in a folder that does not exist yet; gone when the block ends, or the process.

    Args:
        hidden: for a folder that people look into.

    Raises:
        OSError: it cannot be made.
    """
    holder = _begun(folder, f".{_PREFIX}" if hidden else _PREFIX)
    try:
        with flocks.held(holder / _MARK):
            yield holder / _ENTRY
    finally:
        _remove(holder)
        _OPEN.pop(holder, None)


def _begun(folder: Path, prefix: str) -> Path:
    """A new folder, of which the end of this process knows; none once that has come.

    Threads that nobody waits for are in the middle of their work then, and go on to the next.
    """
    with _alone():
        if os.getpid() in _ENDED:
            raise InterruptedError(errno.EINTR, "this process ends", str(folder))
        if not _OPEN:
            atexit.register(_drop_all)
        holder = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
        _OPEN[holder] = os.getpid()
    return holder


@contextmanager
def _alone() -> Iterator[None]:
    """Not for ever: a fork may have been made while another thread held it."""
    taken = _changing.acquire(timeout=1.0)
    try:
        yield
    finally:
        if taken:
            _changing.release()


def is_scratch(path: Path) -> bool:
    """True of what `scratch` made, and of nothing that others call alike."""
    if not _NAME.fullmatch(path.name) or path.is_symlink():
        return False
    try:
        return {entry.name for entry in os.scandir(path)} <= {_MARK, _ENTRY}
    except OSError:
        return False


def is_dead(holder: Path) -> bool | None:
    """True if its process is gone; None if nobody can tell: where the file system has no locks."""
    if not (holder / _MARK).exists():
        try:
            return holder.stat().st_mtime < time.time() - _BEGINS
        except FileNotFoundError:
            return None
    return flocks.is_free(holder / _MARK)


def drop_dead(folder: Path) -> None:
    """Remove what our killed processes left in a folder that is no store's: nobody else looks
    there.
    """
    for path in folder.glob(f".{_PREFIX}*"):
        if _is_ours(path) and is_scratch(path) and is_dead(path):
            _remove(path)


def _is_ours(path: Path) -> bool:
    """Whose marks are opened: a folder may be everybody's. One that is gone is nobody's."""
    try:
        return not hasattr(os, "geteuid") or path.lstat().st_uid == os.geteuid()
    except FileNotFoundError:
        return False


def _drop_all() -> None:
    """At the end of this process."""
    with _alone():
        _ENDED.add(os.getpid())
    for holder, process in list(_OPEN.items()):
        if process != os.getpid():  # we are a fork
            continue
        # who still works in it finds it no more
        aside = holder.with_name(f"{holder.name[:-_RANDOM]}{uuid.uuid4().hex[:_RANDOM]}")
        with suppress(OSError):
            holder.rename(aside)
            holder = aside  # noqa: PLW2901
        _remove(holder)


def _remove(holder: Path) -> None:
    """The mark last: what is half removed can be told from what is just begun."""
    entry = holder / _ENTRY
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        with suppress(OSError):
            entry.unlink(missing_ok=True)
    shutil.rmtree(holder, ignore_errors=True)
