"""What earlier generations leave on an executor, and who removes it.

Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import NamedTuple

from .compose import ENVIRONMENT, GENERATIONS, LOCK, RUNS, is_held, remove

_YOUNG = 60.0
"""Seconds after its start in which a daemon may have no worker yet: it preloads modules."""
_BASES = "boat-"
"""How the names of those begin."""
_COMPOSES = b"coffee_boat_worker.become"
"""In the command line of a process that is about to be a daemon."""


def clear(folder: str) -> None:
    """Remove what earlier generations leave on this executor: Python daemons that have no worker,
    and environments from which no process runs. Both are made again where they are needed.

    Spark ends a worker after a minute without a task, and its daemon with the executor only
    (org.apache.spark.api.python.PythonWorkerFactory).
    """
    processes = _processes()
    if not processes:  # nobody can tell what is in use
        return
    around = os.path.dirname(folder)
    bases = _places(around)
    parents, used = {one.parent for one in processes}, {one.generation for one in processes}
    for one in processes:
        idle = one.is_daemon and one.pid not in parents and one.age > _YOUNG
        # of this executor, and of this session: others have folders of their own
        older = one.generation != folder and f"{one.generation}/".startswith(f"{around}/")
        if idle and (older or one.runs_below(bases)) and one.parent == os.getppid():
            _end(one.pid)
    for name in os.listdir(around):
        other = os.path.join(around, name)
        if name.startswith(GENERATIONS) and other != folder and other not in used:
            _clear(other)


def _places(around: str) -> tuple[str, ...]:
    """Where the bases of an executor lie: in a folder, or where links in it lead, of
    worker/starter.
    """
    linked = (os.path.join(around, name) for name in os.listdir(around) if name.startswith(_BASES))
    return around, *(os.path.realpath(link) for link in linked if os.path.islink(link))


def _clear(folder: str) -> None:
    if not os.path.isdir(os.path.join(folder, ENVIRONMENT)):
        return
    try:
        lock = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        if is_held(lock):  # a process is about to run from it
            return
        # one that held the lock when processes were listed may run from it by now
        if all(one.generation != folder for one in _processes()):
            gone = os.path.join(folder, f"{ENVIRONMENT}.{os.getpid()}.gone")
            os.rename(os.path.join(folder, ENVIRONMENT), gone)  # never half of it under its name
            remove(gone)
    finally:
        os.close(lock)


class _Process(NamedTuple):
    pid: int
    parent: int
    age: float
    """Seconds."""
    generation: str
    """The folder of the one that it runs; empty for none."""
    is_daemon: bool
    """Of Spark's: what forks Python workers."""
    program: str
    """The real path of its executable."""

    def runs_below(self, folders: Sequence[str]) -> bool:
        """True if it runs a base in one of these folders, as it was sent."""
        return not self.generation and any(self.program.startswith(f"{one}/") for one in folders)


def _processes() -> list[_Process]:
    """Those of this user (proc(5))."""
    try:
        uptime = float(_bytes("/proc/uptime").split()[0])
    except IndexError:  # no Linux
        return []
    ticks, found = os.sysconf("SC_CLK_TCK"), []
    for name in filter(str.isdigit, os.listdir("/proc")):
        fields = _bytes(f"/proc/{name}/stat").rpartition(b")")[2].split()
        if len(fields) > 19:
            variables = b"\0" + _bytes(f"/proc/{name}/environ")
            runs = variables.partition(f"\0{RUNS}=".encode())[2].partition(b"\0")[0]
            program = _program(name)
            runs = runs or program.rpartition(f"/{ENVIRONMENT}/bin/".encode())[0]
            words = _bytes(f"/proc/{name}/cmdline").split(b"\0")
            daemon = any(word.endswith((b"pyspark.daemon", b"worker.daemon")) for word in words)
            daemon = daemon and not any(_COMPOSES in word for word in words)
            age = uptime - int(fields[19]) / ticks
            told = os.fsdecode(runs), daemon, os.fsdecode(program)
            found.append(_Process(int(name), int(fields[1]), age, *told))
    return found


def _program(pid: str) -> bytes:
    """Of a process that was started with other variables it tells which generation it runs."""
    try:
        return os.readlink(os.fsencode(f"/proc/{pid}/exe"))
    except OSError:  # ended since, or another user's
        return b""


def _end(pid: int) -> None:

    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGTERM)


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:  # ended since, or another user's
        return b""
