"""Who uses an environment: those who hold its lock, and those who have a file of it mapped."""

from __future__ import annotations

import fcntl
import os
from types import TracebackType

from . import places


class Lock:
    """The lock file of an environment, while a block lasts, or until this process ends."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Lock:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def share(self) -> bool:
        """True if it is ours from now on, with others; then it is not ours alone any more."""
        return self._try(fcntl.LOCK_SH)

    def hold_alone(self) -> bool:
        """True if it is ours alone from now on; else it is not ours at all."""
        return self._try(fcntl.LOCK_EX)

    def keep(self) -> None:
        """Hold it as long as this process and all that has the descriptor from it run; note that
        it is used now.
        """
        os.utime(self._descriptor)
        os.set_inheritable(self._descriptor, True)
        self._descriptor = -1

    def unlink(self) -> None:
        """Remove it; who waits for it sees that it is another one now."""
        os.unlink(self._path)

    def _try(self, how: int) -> bool:
        try:
            fcntl.flock(self._descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:  # some NFS
            raise places.UnusableError(
                f"{self._path} cannot be locked: {error.strerror}"
            ) from error
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(self._path))
        except FileNotFoundError:  # removed since it was opened
            return False


def runs_from(folder: str) -> bool:
    """True if a process of this user has a file of a folder mapped, or works in it (proc(5)). Of
    one that was started without the lock nothing else tells it.
    """
    below = os.fsencode(os.path.realpath(folder)) + b"/"
    try:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:  # no Linux
        return False
    return any(_maps(pid, below) for pid in pids)


def _maps(pid: str, below: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/maps", "rb") as stream:
            if any(below in line for line in stream):
                return True
        return os.readlink(os.fsencode(f"/proc/{pid}/cwd")).startswith(below)
    except OSError:  # ended since, or another user's
        return False
