"""Files that a process holds until it ends, however it ends: the kernel lets go of its locks.

Windows has none of this kind: there is nothing held there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NONE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}
"""The file system has no such locks."""


@contextmanager
def held(path: Path, *, shared: bool = False, made: bool = True) -> Iterator[None]:
    """Hold a file; wait for who holds it. Programs that we start do not get the lock.

    Where the file system has no locks, the block runs without.

    Args:
        shared: others may hold it so at the same time.
        made: it is made if it is not there.

    Raises:
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, (os.O_RDWR | os.O_CREAT) if made else os.O_RDONLY, 0o600)
    try:
        lock(descriptor, shared=shared, wait=True)
        yield
    finally:
        os.close(descriptor)


def is_free(path: Path) -> bool | None:
    """True if nobody holds it; None if nobody can tell, or it is not there."""
    try:
        descriptor = os.open(path, os.O_RDWR)  # NFS wants to write what is locked alone
    except OSError:
        return None
    try:
        return lock(descriptor, shared=False, wait=False)
    finally:
        os.close(descriptor)


def lock(descriptor: int, *, shared: bool, wait: bool) -> bool | None:
    """Lock an open file or folder; None where the system or the file system has no such locks.

    Returns:
        False if others have it, and it is not to be waited for.

    Raises:
        OSError: it cannot be locked for another reason.
    """
    try:
        import fcntl
    except ImportError:
        return None
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NONE:
            return None
        raise
    return True
