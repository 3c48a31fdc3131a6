"""How much is taken from outside: a small input must not become work without end.

Each limit is far above what is met in practice, and each message names it, with what was met and
what to do where the input is right. What a format promises (the size of a zip's member, of a lock's
file, a Content-Length) bounds it first, wherever it does.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from coffee_boat._support.words import GIB, MIB, human_bytes


@dataclass(frozen=True)
class Limit:
    """The most bytes of one kind of input."""

    most: int
    of: str
    """What it is, with its article."""
    otherwise: str
    """What to do if the input is right all the same."""

    def exceeded(self, found: str = "") -> str:
        """What to say of an input that has more."""
        return (
            f"it has {found or 'more than ' + human_bytes(self.most)}; {self.of} may have"
            f" {human_bytes(self.most)} here: {self.otherwise}"
        )


REQUIREMENTS = Limit(16 * MIB, "a requirements file", "split it, and name its parts with -r")
PROJECT = Limit(4 * MIB, "a project file or a script", "keep data in a file of its own")
LOCK = Limit(64 * MIB, "a lock", "lock for fewer platforms, or split the environment")
CONFIGURATION = Limit(2 * MIB, "a file of settings", "take out what is not needed")
ENVIRONMENT = Limit(2 * MIB, "an environment file", "split it: captain.add_environment takes many")
INFO = Limit(128 * MIB, "what a conda package lists of itself", "leave the package out")
ANSWER = Limit(128 * MIB, "a cluster's answer", "ask who runs the cluster what answers there")

TREE, TREE_FILES = 100_000_000, 200_000
"""Bytes and files of a folder that is hashed, and built or sent: a project's, or one's own code.
What is larger is data, that somebody would wait for in silence.
"""

UNPACKED = 200
"""How many times its own size a package may become, from `UNPACKED_FREE` on. A deflate stream can
become 1,032 times as much; whole packages seldom become 10 times as much.
"""
UNPACKED_FREE = GIB
DOWNLOAD = 16 * GIB
"""A file whose size nobody tells: neither a lock nor the server."""


def unpacked(packed: int) -> int:
    """The most bytes that a package of `packed` bytes may hold."""
    return max(UNPACKED_FREE, UNPACKED * packed)


_OPENED = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
"""Pipes that a shell has opened, as for <(...): somebody writes."""
_NOTHING = Path(os.devnull)
LINE = 8192
"""Characters of a line of settings."""


class TooMuch(OSError):  # noqa: N818  (as with any OSError, the caller has words for it)
    """A file or an answer is larger than its limit; so it cannot be read, as with any OSError."""

    def __init__(self, said: str) -> None:
        super().__init__(errno.EFBIG, said)

    def __str__(self) -> str:
        return str(self.strerror)


def read_bytes(path: Path, limit: Limit) -> bytes:
    """A file's content; no more is read than the limit, of a device without an end, too.

    Raises:
        TooMuch: it has more.
        OSError: it cannot be read.
    """
    try:
        flags = 0 if str(path).startswith(_OPENED) else _refuse_endless(path)
        opener = lambda name, given: os.open(name, given | flags)  # noqa: E731
        with open(path, "rb", opener=opener) as stream:
            data = stream.read(limit.most + 1)
        if data is None:
            raise OSError(errno.EAGAIN, "it has nothing to read now, and may never end", str(path))
    except ValueError as error:  # a NUL in the path
        raise OSError(errno.EINVAL, str(error), repr(str(path))) from None
    if len(data) > limit.most:
        raise TooMuch(limit.exceeded())
    return data


def _refuse_endless(path: Path) -> int:
    """Refuse what may never end, or never answer; and how to open the rest: some regular files of
    the kernel's (/proc/kmsg) wait for what is written next.
    """
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):
        raise OSError(errno.EINVAL, "it is a named pipe, which may never end", str(path))
    if (stat.S_ISCHR(mode) and path != _NOTHING) or stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "it is a device, which may never end", str(path))
    return getattr(os, "O_NONBLOCK", 0)


def read_text(path: Path, limit: Limit, encoding: str = "utf-8", errors: str = "strict") -> str:
    """As Path.read_text, of a file within its limit.

    Raises:
        TooMuch: it has more.
        OSError, UnicodeDecodeError: it cannot be read.
    """
    text = read_bytes(path, limit).decode(encoding, errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_lines(text: str, most: int = LINE) -> None:
    """For what configparser reads: it takes the square of a line.

    Raises:
        TooMuch: a line has more characters.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > most:
            raise TooMuch(f"line {number} has {len(line):,} characters; {most:,} are read here")


class _Stream(Protocol):
    def read1(self, size: int, /) -> bytes: ...


_BLOCK = 1 << 16


def read_answer(stream: _Stream, *, seconds: float, limit: Limit = ANSWER) -> bytes:
    """What a server says, as far as its limit, and no longer than some seconds in all: one that
    sends a byte now and then would never run into a timeout.

    Raises:
        TooMuch: it says more.
        TimeoutError: it does not come to an end.
    """
    return joined(iter(lambda: stream.read1(_BLOCK), b""), seconds=seconds, limit=limit)


def joined(parts: Iterable[bytes], *, seconds: float, limit: Limit = ANSWER) -> bytes:
    """As `read_answer`, of parts that come one after the other."""
    kept, length, end = [], 0, time.monotonic() + seconds
    for part in parts:
        kept.append(part)
        length += len(part)
        if length > limit.most:
            raise TooMuch(limit.exceeded())
        if time.monotonic() > end:
            raise TimeoutError(f"the answer has no end after {seconds:.0f} s")
    return b"".join(kept)
