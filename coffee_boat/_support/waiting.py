"""Locks between processes, and who is waited for.

Two kinds. A lock is had by one process at a time. A turn is for what waits for a network: nobody
waits for a process that waits. Who has one shows that it gets on (`getting_on`); where it does not,
the next one goes on by itself, and the first that is done serves both.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from coffee_boat._support import crew
from coffee_boat._support.progress import say_line

if TYPE_CHECKING:
    from filelock import BaseFileLock

_SILENT = 1.0
"""Seconds of waiting of which nobody is told."""
_GLANCE = 0.25
"""Seconds between two looks whether the wait is still wanted."""
PATIENCE = 5.0
"""Seconds that a process with a turn may show nothing."""
_BEAT = 1.0
"""Seconds between two signs of life."""


@dataclass
class _Turn:
    place: Path
    last: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Touch the file that names us."""
        now = time.monotonic()
        if now - self.last >= _BEAT:
            self.last = now
            with suppress(OSError):
                os.utime(self.place.with_suffix(".pid"))


_TURNS: ContextVar[tuple[_Turn, ...]] = ContextVar("turns", default=())
"""Those that this thread has."""


@contextmanager
def locked(place: Path, name: str) -> Iterator[None]:
    """The lock, once nobody else has it; whoever waits for another process is told which, once.

    Args:
        place: without a suffix: `.lock` is the lock, `.pid` says who has it.
        name: what is made under it, for people.
    """
    guard = _acquired(place, name)
    if guard is None:
        raise AssertionError("a lock without an end was given up")
    try:
        yield
    finally:
        guard.release()


@contextmanager
def in_turn(place: Path, name: str, patience: float = PATIENCE) -> Iterator[None]:
    """As `locked`, but not for longer than who has it gets on.

    Args:
        patience: seconds that it may show nothing.
    """
    guard = _acquired(place, name, patience)
    before = _TURNS.set((*_TURNS.get(), _Turn(place)))
    try:
        yield
    finally:
        _TURNS.reset(before)
        if guard is not None:
            guard.release()


def getting_on() -> None:
    """Show those who wait for our turns that it goes on; often called."""
    for turn in _TURNS.get():
        turn.beat()


def sweep(folder: Path) -> None:
    """Remove the locks that nobody has. Who waits for one meanwhile makes it anew."""
    from filelock import FileLock, Timeout

    for path in filter(_is_ours_by_name, folder.glob("*.lock")):
        guard = FileLock(path)
        with suppress(Timeout, FileNotFoundError):
            guard.acquire(timeout=0)
            path.with_suffix(".pid").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            guard.release()


def _acquired(place: Path, name: str, patience: float | None = None) -> BaseFileLock | None:
    """None if its holder was seen to show nothing for `patience` seconds."""
    from filelock import FileLock

    guard, pid = FileLock(place.with_suffix(".lock")), place.with_suffix(".pid")
    began = seen = time.monotonic()
    told, beat = "", _beat_of(pid)
    while not _is_ours(guard):
        crew.go_on()
        now, holder, last = time.monotonic(), _read(pid), beat
        beat = _beat_of(pid)
        seen = now if beat != last else seen
        if patience is not None and now - seen > patience:
            say_line(
                f"{holder or 'another process'} does not get on with {_short(name)!r}; it is not"
                " waited for any longer"
            )
            return None
        if now - began >= _SILENT and holder not in ("", told, _ourselves()):
            told = holder
            say_line(
                f"waiting for {holder}, which holds the lock {_short(name)!r} of the store;"
                " Ctrl-C ends the wait"
            )
    with suppress(OSError):  # only so that others can name us
        pid.write_text(_ourselves(), "utf-8")
    return guard


def _is_ours_by_name(path: Path) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}", path.stem) is not None


def _is_ours(guard: BaseFileLock) -> bool:
    """True if we have it within a moment."""
    from filelock import Timeout

    try:
        guard.acquire(timeout=_GLANCE)
    except Timeout:
        return False
    return True


def _ourselves() -> str:
    return f"process {os.getpid()} on {platform.node() or 'this machine'}"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")[:200]
    except (OSError, UnicodeDecodeError):
        return ""


def _beat_of(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _short(name: str) -> str:
    """With digests as people see them elsewhere."""
    return " ".join(word[:12] if len(word) in (32, 64) else word for word in name.split())
