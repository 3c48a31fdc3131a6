"""Which folders of the store processes run from: each process holds a shared lock on those until it
ends, however it ends.

Times of access do not tell it: a session runs for longer than `prune` waits, and file systems that
are mounted with noatime keep none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coffee_boat._support import flocks, leases

_HELD: dict[Path, int] = {}
"""Folder -> the descriptor that has its lock. Programs that we start do not get it."""
_HOLDING = threading.Lock()


def hold(folder: Path) -> bool:
    """Keep a folder from being removed by others until this process ends, and note that it is used
    now.

    Where the file system has no such locks, it is only noted.

    Returns:
        False if it is not there.
    """
    with _HOLDING:
        held = _HELD.get(folder)
        if held is not None:
            if _is(folder, held):
                return True
            os.close(_HELD.pop(folder))
        return _hold(folder)


def is_held(folder: Path) -> bool:
    """True if a process uses it, this one included."""
    with alone(folder) as is_alone:
        return not is_alone


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """While the block lasts nobody begins to use a folder; False if somebody does already."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # not there, or not to be read, and so not used by us
        yield True
        return
    try:
        yield _locked(descriptor, shared=False)
    finally:
        os.close(descriptor)


def _hold(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # no descriptor is left, or it may not be read: then it is not held
        return True
    _locked(descriptor, shared=True)  # waits while somebody removes it
    if not _is(folder, descriptor):
        os.close(descriptor)
        return False
    _HELD[folder] = descriptor
    leases.touch(folder)
    return True


def _locked(descriptor: int, *, shared: bool) -> bool:
    """False if others have it; True also where there are no such locks."""
    try:
        return flocks.lock(descriptor, shared=shared, wait=shared) is not False
    except OSError:  # NFS has none of folders
        return True


def _is(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
