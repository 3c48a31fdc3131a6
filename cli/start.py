"""What the program `boat` starts with: Ctrl-C is understood while the rest is still imported, and
so is an output that cannot be written.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

INTERRUPTED, FAILED = 130, 3


def main() -> None:
    """The console script."""
    # Registered first, called last: Python forgets handlers then, and Ctrl-C would be a -2.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    try:
        _main()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            signal.signal(signal.SIGINT, _at_once)
        else:  # what was asked for is done, and its exit code says how
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _at_once(_number: int, _: FrameType | None) -> None:
    """A second Ctrl-C: nothing is waited for."""
    os._exit(INTERRUPTED)


def _main() -> None:
    try:
        from coffee_boat.cli.main import main as run

        run()
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except OSError as error:
        if not _output_fails(error):
            raise
        from coffee_boat.errors import SettingsError

        problem = SettingsError(
            "settings.output-unwritable",
            "the output cannot be written",
            value="stdout",
            cause=error.strerror or str(error),
            cure="free some space where it is written to, or write it to another place",
        )
        _say(f"error: {problem}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left is dropped when Python ends
        sys.exit(FAILED)


def _output_fails(error: OSError) -> bool:
    """What could not be written is still to be; or click could not write it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("click."):
        return True
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _say(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"{text}\n")
