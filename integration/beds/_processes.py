"""Processes that outlive the command that started them, and that are ended by their own id only.

A process is kept as the line of /proc/PID/stat that it had at its start: an id alone may have been
given to another process since, an id and a start time may not (proc(5), fields 1 and 22).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# The record is written by the process itself, before it becomes the program: a starter that is
# killed leaves no process behind that nobody knows.
_RECORD_THEN_EXEC = (
    'read -r line <"/proc/$$/stat"; printf "%s\\n" "$line" >"$0.new"; mv "$0.new" "$0"; exec "$@"'
)


@dataclass(frozen=True)
class Process:
    """A process by id and start time (clock ticks since boot)."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """True while it runs; a zombie does not."""
        line = _stat_line(self.pid)
        return line is not None and _state(line) not in "ZX" and _parse(line) == self

    def children(self) -> list[Process]:
        """Those that it started, from whichever thread, and that still run."""
        pids = list[str]()
        if self.alive:
            for thread in Path(f"/proc/{self.pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):  # it ended
                    pids += thread.read_text().split()
        return [_parse(line) for pid in pids if (line := _stat_line(int(pid)))]

    def kill(self) -> None:
        """End it at once, and wait until it is gone.

        Raises:
            TimeoutError: it is still there after 10 seconds.
        """
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, *, seconds: float = 10.0) -> None:
        """Wait until it is gone.

        Raises:
            TimeoutError: it is still there.
        """
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} does not end")
            _reap(self.pid)
            time.sleep(0.02)


def start(
    argv: Sequence[str], *, record: Path, log: Path, env: Mapping[str, str] | None = None
) -> Process:
    """Start a program in a session of its own; its id goes to `record`, all that it says to
    `log`.
    """
    with log.open("wb") as output:
        child = subprocess.Popen(
            ["bash", "-c", _RECORD_THEN_EXEC, str(record), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            cwd="/",
        )
    while (process := recorded(record)) is None or process.pid != child.pid:
        if child.poll() is not None:
            raise OSError(f"{argv[0]} could not be started: {log.read_text(errors='replace')}")
        time.sleep(0.01)
    return process


def recorded(record: Path) -> Process | None:
    """The process that a record names, alive or not; None without a record."""
    try:
        return _parse(record.read_text())
    except FileNotFoundError:
        return None


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _stat_line(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _fields(line: str) -> list[str]:
    """Field 3 and those after it: field 2, the name, may hold blanks and brackets."""
    return line.rpartition(")")[2].split()


def _state(line: str) -> str:
    return _fields(line)[0]


def _parse(line: str) -> Process:
    return Process(int(line.split(maxsplit=1)[0]), int(_fields(line)[19]))


def _reap(pid: int) -> None:
    """Take the exit status of a child of ours; another command's child is init's."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
