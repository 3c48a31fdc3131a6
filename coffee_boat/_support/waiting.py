"""Locks between processes, and who is waited for."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from coffee_boat._support.progress import say_line

if TYPE_CHECKING:
    from filelock import BaseFileLock

_SILENT = 1.0
"""Seconds of waiting of which nobody is told."""


def acquired(place: Path, name: str) -> BaseFileLock:
    """The lock, once nobody else has it; whoever waits for another process is told which, once.

    Args:
        place: without a suffix: `.lock` is the lock, `.pid` says who has it.
        name: what is made under it, for people.
    """
    from filelock import FileLock

    guard, told = FileLock(place.with_suffix(".lock")), ""
    while not _is_ours(guard):
        holder = _read(place.with_suffix(".pid"))
        if holder not in ("", told, _ourselves()):
            told = holder
            say_line(
                f"waiting for {holder}, which holds the lock {_short(name)!r} of the store;"
                " Ctrl-C ends the wait"
            )
    with suppress(OSError):  # only so that others can name us
        place.with_suffix(".pid").write_text(_ourselves(), "utf-8")
    return guard


def _is_ours(guard: BaseFileLock) -> bool:
    """True if we have it within a moment."""
    from filelock import Timeout

    try:
        guard.acquire(timeout=_SILENT)
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


def _short(name: str) -> str:
    """With digests as people see them elsewhere."""
    return " ".join(word[:12] if len(word) in (32, 64) else word for word in name.split())
