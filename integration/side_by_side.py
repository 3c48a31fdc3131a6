"""Runs lanes side by side: each a few commands, one after the other, with a log of its own that is
printed when the lane ends.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_CLOSING = re.compile(r"^(?:=+ )?\d+ [a-z]+(?:, \d+ [a-z]+)* in [\d.]+s.*$", re.MULTILINE)
_SILENCE = 300.0
"""Seconds after which a reader of the output is told what still runs."""


@dataclass(frozen=True)
class Command:
    """A part of a lane."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables besides this process's."""


@dataclass(frozen=True)
class Lane:
    """Commands that need each other: the first that fails ends it."""

    name: str
    commands: tuple[Command, ...]
    after: tuple[str, ...] = ()
    """Lanes that must be over before this one begins, however they ended."""
    uses: frozenset[str] = frozenset()
    """What one lane at a time may use."""
    prepares: bool = False
    """Makes what others would make themselves, or name as missing, or takes it away: it takes no
    place, and its end is not the run's.
    """


@dataclass(frozen=True)
class Ended:
    """How a lane ended."""

    lane: Lane
    begun: float
    """Seconds since the run began."""
    took: tuple[float, ...]
    """Seconds of each command that ran."""
    busy: float
    """Seconds that they kept a processor; without processes that nobody waited for."""
    code: int
    log: Path

    @property
    def failed(self) -> bool:
        """True if the run fails for it."""
        return self.code != 0 and not self.lane.prepares

    @property
    def verdict(self) -> str:
        """For people."""
        if self.code == 0:
            return "ok"
        last = self.lane.commands[len(self.took) - 1].name
        return f"FAILED: {last} ended with {self.code}"

    @property
    def closing_lines(self) -> list[str]:
        """Each line with which a pytest closed."""
        text = self.log.read_text("utf-8", "replace")
        return [line.strip("= ") for line in _CLOSING.findall(text)]


def run(lanes: Sequence[Lane], *, at_once: int, logs: Path) -> list[Ended]:
    """Run all of them, in this order where there is a choice; say what begins and what ends.

    Args:
        at_once: lanes beside those that only prepare.
        logs: a folder for NAME.log.
    """
    logs.mkdir(parents=True, exist_ok=True)
    waiting, running, ended = list(lanes), dict[Future[Ended], Lane](), list[Ended]()
    started = time.monotonic()
    with (
        ThreadPoolExecutor(max_workers=len(lanes) or 1) as threads,
        _interrupted_with_us() as processes,
    ):
        while waiting or running:
            while lane := _next(waiting, list(running.values()), ended, at_once):
                waiting.remove(lane)
                _say(started, f"{lane.name} begins")
                running[threads.submit(_run, lane, started, logs, processes)] = lane
            if not running:
                raise ValueError(
                    f"lanes that wait for each other: {[lane.name for lane in waiting]}"
                )
            done, _ = wait(running, timeout=_SILENCE, return_when=FIRST_COMPLETED)
            if not done:
                _say(started, f"running: {', '.join(lane.name for lane in running.values())}")
            for future in done:
                del running[future]
                ended.append(future.result())
                _tell(ended[-1], started)
    return ended


def table(ended: Sequence[Ended]) -> str:
    """Each lane, when it began, what it took, and how it ended; in the order of beginning."""
    width = max((len(each.lane.name) for each in ended), default=4)
    rows = [f"{'lane':{width}}  begun   took   busy"]
    for each in sorted(ended, key=lambda each: each.begun):
        times = (f"{seconds:5.0f} s" for seconds in (each.begun, sum(each.took), each.busy))
        row = f"{each.lane.name:{width}} {' '.join(times)}  {each.verdict}"
        parts = [
            f"{command.name} {seconds:.0f} s"
            for command, seconds in zip(each.lane.commands, each.took, strict=False)
        ]
        rows.append(f"{row} ({', '.join(parts)})" if len(parts) > 1 else row)
        rows += [f"{'':{width}}      {line}" for line in each.closing_lines]
    return "\n".join(rows)


class _Processes:
    """What runs now, and what may begin."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._over = False

    def run(self, command: Command, output: int) -> tuple[int, float]:
        """The command's exit code, 127 if it cannot be started, as a shell says; and for how many
        seconds it kept a processor.
        """
        try:
            process = self._start(command, output)
        except OSError as error:
            os.write(output, f"{command.argv[0]}: {error}\n".encode())
            return 127, 0.0
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._running.discard(process)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, used.ru_utime + used.ru_stime

    def interrupt(self) -> None:
        """As Ctrl-C does: a pytest takes its clusters down."""
        with self._lock:
            self._over = True
            for process in self._running:
                os.kill(process.pid, signal.SIGINT)  # Popen's own would take its end from us

    def _start(self, command: Command, output: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._over:
                raise InterruptedError("interrupted")
            process = subprocess.Popen(
                command.argv,
                env={**os.environ, **command.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            self._running.add(process)
        return process


@contextmanager
def _interrupted_with_us() -> Iterator[_Processes]:
    """Processes that do not outlive an end of this one by Ctrl-C or SIGTERM.

    A shell has its background's SIGINT ignored, and who begins so, ignores it too: not so ours.
    """
    processes, ends = _Processes(), (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(end, signal.default_int_handler) for end in ends]
    try:
        yield processes
    except BaseException:
        processes.interrupt()
        raise
    finally:
        for end, handler in zip(ends, before, strict=True):
            signal.signal(end, handler)


def _next(
    waiting: Sequence[Lane], running: Sequence[Lane], ended: Sequence[Ended], at_once: int
) -> Lane | None:
    over = {each.lane.name for each in ended}
    used = {thing for lane in running for thing in lane.uses}
    full = sum(not lane.prepares for lane in running) >= at_once
    for lane in waiting:
        if set(lane.after) <= over and not lane.uses & used and (lane.prepares or not full):
            return lane
    return None


def _run(lane: Lane, started: float, logs: Path, processes: _Processes) -> Ended:
    log = logs / f"{lane.name.replace(' ', '-')}.log"
    begun, took, code, busy = time.monotonic(), list[float](), 0, 0.0
    with log.open("wb") as output:
        for command in lane.commands:
            before = time.monotonic()
            code, used = processes.run(command, output.fileno())
            busy += used
            took.append(time.monotonic() - before)
            if code:
                break
    return Ended(lane, begun - started, tuple(took), busy, code, log)


def _tell(each: Ended, started: float) -> None:
    print(f"{'=' * 20} {each.lane.name} {'=' * 20}")
    print(each.log.read_text("utf-8", "replace").rstrip())
    free = shutil.disk_usage(each.log.parent).free / 1e9
    took = f"{each.verdict} after {sum(each.took):.0f} s"
    _say(started, f"{each.lane.name}: {took} ({free:.0f} GB of disk free)")


def _say(started: float, text: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    print(f"[{minutes:02}:{seconds:02}] {text}", flush=True)
