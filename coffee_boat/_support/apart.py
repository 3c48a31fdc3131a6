"""A function of ours in a process of its own: what a stranger's text makes of a library there (a
stack that overflows, memory without end) ends that process, not the user's.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from coffee_boat._support.run import run
from coffee_boat._support.words import duration, human_bytes

_START = (
    "import json, sys; said = json.load(sys.stdin); sys.path[:] = said['path'];"
    " from coffee_boat._support import apart; apart.answer(said)"
)


@dataclass(frozen=True)
class Bounds:
    """How much one call may take."""

    seconds: float
    memory: int
    """Bytes of the process's own data."""
    file: int
    """Bytes of each file that it writes."""

    def __str__(self) -> str:
        return (
            f"{human_bytes(self.memory)} of memory, files of {human_bytes(self.file)} and"
            f" {duration(self.seconds)}"
        )


class EndedError(Exception):
    """The process ended without an answer; what it says is for people."""


def call(module: str, function: str, *arguments: object, bounds: Bounds) -> Any:
    """What a function returns, called in a process of its own; it is JSON.

    Arguments, which may hold secrets, go through a pipe. The process finds modules where we do, but
    for the working directory.

    Args:
        module: dotted name; the function's name stands behind it.
        arguments: anything that can be pickled.

    Raises:
        EndedError: the process was ended: by a signal, by itself, or since it took too long.
    """
    home = str(Path(__file__).resolve().parents[2])
    said = {
        "path": [home, *(path for path in sys.path if Path(path).is_absolute())],
        "call": [module, function],
        "arguments": base64.b64encode(pickle.dumps(arguments)).decode(),
        "memory": bounds.memory,
        "file": bounds.file,
    }
    try:
        ran = run(
            [sys.executable, "-I", "-c", _START], stdin=json.dumps(said), timeout=bounds.seconds
        )
    except OSError as error:
        raise EndedError(f"{sys.executable!r} cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise EndedError(f"no answer in {duration(bounds.seconds)}") from None
    if ran.code < 0:
        raise EndedError(f"signal {_signal(-ran.code)}")
    if ran.code:
        raise EndedError(_kind_of_end(ran.tail) or f"exit code {ran.code}")
    return json.loads(ran.stdout)


def _kind_of_end(tail: str) -> str:
    """Of a ValueError its name only: urllib's quotes a part of a password."""
    last = tail.rstrip().rpartition("\n")[2]
    return "ValueError" if last.startswith("ValueError:") else tail


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def answer(said: dict[str, Any]) -> None:
    """In that process: call the function, and print what it returns."""
    _bind(said["memory"], said["file"])
    module, function = said["call"]
    arguments = pickle.loads(base64.b64decode(said["arguments"]))  # noqa: S301  (we made it)
    print(json.dumps(getattr(import_module(module), function)(*arguments)), flush=True)  # noqa: T201
    os._exit(0)  # threads of a library that are still at work would abort a Python that ends


def _bind(memory: int, file: int) -> None:
    """Bound this process, which leaves no core: secrets would lie in it."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    for kind, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        with suppress(OSError, ValueError):  # a system without this limit
            resource.setrlimit(
                kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
            )
