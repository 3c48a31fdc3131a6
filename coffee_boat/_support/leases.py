"""What work that is under way uses of a store is left there, whatever is pruned meanwhile.

A process has a lease while it works with a store: a file that it holds, which says since when. What
it finds there it touches; what was touched or made since the oldest lease began stays. Looking and
touching is one step, and so is looking and removing: both go through a gate, for a moment.
"""

from __future__ import annotations

import os
import stat
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from coffee_boat._support import flocks

_FOLDER, _GATE, _PREFIX = "leases", "gate", "lease-"
_SLACK = 5.0
"""Seconds by which the clocks of two machines may differ."""
_DAY = 86400.0
"""Seconds after which a lease counts as left behind where the file system has no locks."""
_OURS: dict[Path, int] = {}
"""Root of a store -> how many blocks have its lease in this process."""
_COUNTING = threading.Lock()


@contextmanager
def lease(root: Path) -> Iterator[None]:
    """While the block lasts, what this process finds in a store is left there.

    Raises:
        OSError: the store cannot be written; then nobody prunes it either.
    """
    folder = root / _FOLDER
    folder.mkdir(exist_ok=True)
    _count(root, 1)
    with ExitStack() as stack:
        stack.callback(_count, root, -1)
        with flocks.held(folder / _GATE, shared=True):  # who removes takes it for a dead one else
            name = Path(folder, f"{_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}")
            stack.callback(name.unlink, missing_ok=True)
            stack.enter_context(flocks.held(name))
            os.utime(name, (time.time(), time.time()))
        yield


def use(root: Path, path: Path) -> bool:
    """True if an entry is there. Where this process has a lease, it stays until that ends."""
    if not _OURS.get(root):
        return path.exists()
    try:
        with flocks.held(root / _FOLDER / _GATE, shared=True):
            return touch(path)
    except OSError:  # a store that cannot be written is pruned by nobody
        return path.exists()


def touch(path: Path) -> bool:
    """Note that a file or a folder is used now; the time of one file tells it of all of a folder.

    Returns:
        False if it is not there.
    """
    try:
        file = next(_files(path), path)
        os.utime(file, (time.time(), file.stat().st_mtime))
    except (FileNotFoundError, NotADirectoryError):
        return path.exists()
    except OSError:  # nobody prunes what cannot be written
        return path.exists()
    return True


@contextmanager
def removing(root: Path) -> Iterator[float]:
    """While the block lasts nobody looks what is there. What was used after the time that it gets
    is in use.
    """
    folder = root / _FOLDER
    folder.mkdir(exist_ok=True)
    with flocks.held(folder / _GATE):
        _sweep(folder)
        yield since(root)


def since(root: Path) -> float:
    """The time after which what was used is in use; far in the future if nobody works."""
    begun = float("inf")
    for path in (root / _FOLDER).glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):
            if not flocks.is_free(path):
                begun = min(begun, path.stat().st_mtime)
    return begun - _SLACK


def _sweep(folder: Path) -> None:
    """Take away the leases of processes that were killed."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):
            free = flocks.is_free(path)
            if free or (free is None and path.stat().st_mtime < time.time() - _DAY):
                path.unlink()


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        return
    for place, _, names in os.walk(path):
        for name in names:
            file = Path(place, name)
            if stat.S_ISREG(file.lstat().st_mode):
                yield file


def _count(root: Path, by: int) -> None:
    with _COUNTING:
        _OURS[root] = _OURS.get(root, 0) + by
