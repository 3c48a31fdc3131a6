"""The one place that starts processes."""

from __future__ import annotations

import atexit
import errno
import logging
import math
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import IO

from coffee_boat._support import crew, trust
from coffee_boat._support.futures import GLANCE
from coffee_boat._support.logs import logger
from coffee_boat._support.redact import redact

_log = logger(__name__)
_TAIL = 40
_PAUSE = 0.1
_GRACE = 1.0
"""Seconds that a program gets to clean up after itself once it was interrupted."""
_LONGEST = 4.0
"""Seconds after which nobody is waited for: one that waits for a disk cannot be killed."""


@dataclass(frozen=True)
class Ran:
    """How a process ended. Texts are redacted."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def tail(self) -> str:
        """The last lines of what it said, for an error message."""
        text = self.stderr.strip() or self.stdout.strip()
        return redact("\n".join(text.splitlines()[-_TAIL:]))


def run(
    argv: Sequence[str],
    *,
    cwd: str | Path | None = None,
    env: Mapping[str, str | None] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> Ran:
    """Run a program to its end; never through a shell, never raising for its exit code.

    It is looked for, and looks for others, in the absolute folders of PATH only: what lies in the
    working directory may be anybody's.

    Args:
        argv: program and arguments. No secret belongs in here: it shows in the process list. Use
            `env` or `stdin`.
        env: changes to this process's environment; None removes a variable.
        stdin: text for its standard input; nothing is read from ours.
        timeout: seconds; then it is killed, with all that it started.

    Raises:
        FileNotFoundError: no such program.
        subprocess.TimeoutExpired: it took longer than `timeout`.
    """
    changed = _changed(env)
    changed["PATH"] = trust.absolute_path(changed)
    program = argv[0] if os.sep in argv[0] else shutil.which(argv[0], path=changed["PATH"])
    if program is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
    with (
        _logged(argv) as ended,
        _in_a_group([program, *argv[1:]], cwd, changed, reads=stdin is not None) as process,
    ):
        stdout, stderr = _communicate(process, stdin, timeout)
        ended.append(process.returncode)
    return Ran(tuple(argv), process.returncode, stdout, stderr)


def _communicate(
    process: subprocess.Popen[str], stdin: str | None, timeout: float | None
) -> tuple[str, str]:
    """What it says, looked for again and again: another thread may get Ctrl-C, or this one just
    before it waits, and then no wait ends by it.
    """
    if stdin is not None and process.stdin is not None:
        # by a thread, which ends with the program at the latest: not each Python's `communicate`
        # goes on with what it was writing when its time was over
        pipe, process.stdin = process.stdin, None
        threading.Thread(target=_feed, args=(pipe, stdin), daemon=True).start()
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        left = math.inf if end is None else max(end - time.monotonic(), 0.0)
        _go_on()
        try:
            return process.communicate(timeout=min(left, GLANCE))
        except subprocess.TimeoutExpired:
            if left <= GLANCE:
                raise subprocess.TimeoutExpired(process.args, timeout or 0.0) from None


def _feed(pipe: IO[str], text: str) -> None:
    with suppress(BrokenPipeError), pipe:  # it need not read all of it
        pipe.write(text)


@contextmanager
def _logged(argv: Sequence[str]) -> Iterator[list[int]]:
    """Around one program; its exit code is put into what the block gets."""
    begun, ended = time.monotonic(), list[int]()
    try:
        yield ended
    finally:
        _log.debug(
            "ran (%s, %.2f s): %s",
            f"exit code {ended[0]}" if ended else "it did not end by itself",
            time.monotonic() - begun,
            shlex.join(map(redact, argv)) if _log.isEnabledFor(logging.DEBUG) else "",
        )


def interrupt() -> None:
    """Pass Ctrl-C on to what `run` runs in other threads: a terminal sends it to our own group
    only. What has not ended after a moment, with all that it started, is killed.

    Those threads are of crews that were stopped before: they begin no program any more.
    """
    with ctrl_c_later():  # a second one would leave those alone that were not told yet
        told: dict[subprocess.Popen[str], float] = {}
        end = time.monotonic() + _LONGEST
        while time.monotonic() < end:
            beginning = bool(_BEGINNING)  # before the others: one goes from here to there
            for process in _RUNNING - told.keys():
                told[process] = time.monotonic()
                if process.returncode is None:
                    _signal(process, signal.SIGINT)
            running = _RUNNING & told.keys()
            for process in running:
                if process.returncode is None and time.monotonic() - told[process] >= _GRACE:
                    _signal(process, _KILL)
            if not beginning and not running:
                return
            time.sleep(_PAUSE)


_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_PASSED_ON = tuple(
    number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))
)
"""Signals that a program gets as we do. Windows lacks some."""
_RUNNING: set[subprocess.Popen[str]] = set()
_BEGINNING: list[bool] = []
"""As long as there are threads that just start a program."""
_ENDS = threading.Event()
"""This process ends: its threads, which it does not wait for, begin no program any more."""


@contextmanager
def _in_a_group(
    argv: Sequence[str], cwd: str | Path | None, env: Mapping[str, str], *, reads: bool
) -> Iterator[subprocess.Popen[str]]:
    """A program in a process group of its own, which is ended with all that it started if the block
    fails.

    It has no terminal: one that asks for a password there would stop for ever, in the background.
    """
    _end_with_us()
    with ExitStack() as stack:
        # a program that is just being started would be nobody's
        with ctrl_c_later(), _beginning():
            process = stack.enter_context(
                subprocess.Popen(
                    argv,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
            )
            _RUNNING.add(process)
            stack.callback(_RUNNING.discard, process)
            stack.push(partial(_end_if_failed, process))
        yield process


@cache
def _end_with_us() -> None:
    """When this process ends, end what its threads run then."""

    def end() -> None:
        _ENDS.set()
        interrupt()

    def forget() -> None:
        _RUNNING.clear()
        _BEGINNING.clear()
        _ENDS.clear()

    atexit.register(end)
    if hasattr(os, "register_at_fork"):  # a fork has no such threads, and those are not its own
        os.register_at_fork(after_in_child=forget)


def _go_on() -> None:
    """Raise in a thread whose programs nobody wants any more.

    Raises:
        StoppedError: that.
    """
    crew.go_on()
    if _ENDS.is_set() and threading.current_thread() is not threading.main_thread():
        raise crew.StoppedError


@contextmanager
def _beginning() -> Iterator[None]:
    """While the block lasts, who passes Ctrl-C on waits for the program that starts in it.

    Raises:
        StoppedError: nobody wants it any more.
    """
    _BEGINNING.append(True)
    try:
        _go_on()
        yield
    finally:
        _BEGINNING.pop()


@contextmanager
def ctrl_c_later() -> Iterator[None]:
    """Ctrl-C waits for the end of the block. Only the main thread gets it."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(
        signal.SIGINT
    ) in (signal.SIG_IGN, None):
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


def _end_if_failed(
    process: subprocess.Popen[str], kind: type[BaseException] | None, *_: object
) -> None:
    if kind is not None:
        # nobody wants it any more: it may clean up
        _end(process, gently=issubclass(kind, (KeyboardInterrupt, crew.StoppedError)))


def _end(process: subprocess.Popen[str], *, gently: bool) -> None:
    try:
        if gently:
            _signal(process, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
    finally:
        _signal(process, _KILL)
        process.wait()


def _signal(process: subprocess.Popen[str], number: int) -> None:
    if not hasattr(os, "killpg"):  # Windows: there are no groups, and one way to end a program
        process.kill()
        return
    # Nobody is left of it, or (macOS) nobody who is not waited for.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def attach(argv: Sequence[str], *, env: Mapping[str, str | None] | None = None) -> int:
    """Run a program that has our terminal: it reads and writes what we do, and takes the signals
    that we get.

    Ctrl-C reaches it as it reaches us; we wait for its own end, so that nothing is left running
    behind a prompt.

    Returns:
        Its exit code; 128 + n if signal n ended it, as a shell says it.

    Raises:
        FileNotFoundError: no such program.
    """
    relay = _Relay()
    with _logged(argv) as ended, relay.listening():
        process = subprocess.Popen(list(argv), env=_changed(env))
        relay.connect(process)
        code = process.wait()
        ended.append(code)
    return code if code >= 0 else 128 - code


def leave(argv: Sequence[str], *, env: Mapping[str, str]) -> None:
    """Start a program that goes on when we have ended: without a terminal, in a session of its own.
    It says nothing.

    Args:
        argv: program and arguments. What it starts is left; it ends at once itself, and so is
            nobody's child when it is done.
        env: all of its environment.

    Raises:
        OSError: it cannot be started.
    """
    subprocess.run(
        list(argv),
        check=False,
        env=dict(env),
        cwd=os.sep,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _changed(env: Mapping[str, str | None] | None) -> dict[str, str]:
    """This process's environment with changes; None removes a variable."""
    merged = {**os.environ, **(env or {})}
    return {name: value for name, value in merged.items() if value is not None}


class _Relay:
    """Passes the signals that we get on to a program; one that comes while it is being started
    waits for it.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals while the block lasts; those that are ignored (nohup) stay so.

        Only the main thread can.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [
            number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN
        ]
        before = {number: signal.signal(number, self._take) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def connect(self, process: subprocess.Popen[bytes]) -> None:
        """The program is there."""
        self._process = process
        for number in self._waiting:
            process.send_signal(number)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        # A terminal sends Ctrl-C to the whole process group: a second one would interrupt the
        # program's own cleaning up.
        if number == signal.SIGINT and os.isatty(0):
            return
        if self._process is None:
            self._waiting.append(number)
        else:
            self._process.send_signal(number)
