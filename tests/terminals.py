"""A terminal that is no device: what a person sees on it, at each moment."""

from __future__ import annotations

import io
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fcntl import ioctl

import pytest

pyte = pytest.importorskip("pyte", reason="needs pyte: pip install coffee_boat[dev]")


class Terminal(io.StringIO):
    """A stream of this process that is one."""

    def __init__(self, columns: int = 80) -> None:
        super().__init__()
        self.screen = pyte.Screen(columns, 24)
        self._stream = pyte.Stream(self.screen)
        self.frames: list[str] = []
        """What was seen after each write."""
        self.written: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.written.append(text)
        self._stream.feed(text.replace("\n", "\r\n"))
        self.frames.append(self.seen)
        return len(text)

    @property
    def seen(self) -> str:
        return seen(self.screen)

    @property
    def shown(self) -> list[str]:
        """Each line that stood there at some moment, once, in order."""
        lines = (line for frame in self.frames for line in frame.splitlines() if line)
        return list(dict.fromkeys(lines))


def seen(screen: pyte.Screen) -> str:
    return "\n".join(line.rstrip() for line in screen.display).strip("\n")


class Ran:
    """A program in a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], device: int) -> None:
        self.process = process
        self._device = device
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        self.frames: list[str] = []

    def until(self, there: Callable[[str], bool], seconds: float = 60.0) -> str:
        """The screen, once it is as it is waited for."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.frames[-1] if self.frames else ""
            if there(now):
                return now
            if not self._read():
                break
        raise AssertionError(f"never seen; at the end:\n{seen(self.screen)}")

    def ended(self) -> str:
        """The screen when the program has ended."""
        while self._read():
            pass
        self.process.wait(60)
        return seen(self.screen)

    def _read(self) -> bool:
        if not select.select([self._device], [], [], 60)[0]:
            return False
        try:
            data = os.read(self._device, 65536)
        except OSError:  # its other end was closed
            return False
        self._stream.feed(data)
        self.frames.append(seen(self.screen))
        return bool(data)


@contextmanager
def in_a_terminal(argv: Sequence[str], env: Mapping[str, str]) -> Iterator[Ran]:
    """The program, ended when the block ends."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        argv,
        env={**env, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Ran(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
