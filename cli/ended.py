"""Signals that end a command: what it started ends with it, and nothing half-made is left."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


class EndedError(KeyboardInterrupt):
    """Somebody ended us (SIGTERM, SIGHUP): as Ctrl-C, so that the programs that we started end with
    us and nothing half-made is left.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise EndedError(number)


def listen() -> None:
    """Take the signals that are not ignored, as nohup has it."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):  # Windows has none
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)
