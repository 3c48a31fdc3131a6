"""The cargo lies in the executor's working directory: Spark fetched it, or its plugin does when it
is asked (coffee_boat/spark/Environment.java).

    <cargo>.wanted  made by who needs it; removed by the plugin, which then fetches it
    <cargo>.failed  why it could not be fetched
"""

from __future__ import annotations

import contextlib
import errno
import os
import time

WANTED, FAILED = ".wanted", ".failed"
"""As Environment.java has them."""
_PATIENCE, _PAUSE = 900.0, 0.05
"""Seconds in which it has to be there; and between two looks."""


def fetch(cargo: str, *, patience: float = _PATIENCE) -> None:
    """Have the plugin fetch it, if it is not there.

    Args:
        cargo: where it is to be; the plugin works for this process's parent, the executor.
        patience: seconds in which it has to be there.

    Raises:
        OSError: it cannot be fetched; with the cargo as its file.
    """
    if os.path.exists(cargo):
        return
    executor, began = os.getppid(), time.monotonic()
    with contextlib.suppress(FileNotFoundError):  # of an earlier one
        os.unlink(cargo + FAILED)
    with open(cargo + WANTED, "wb"):
        pass
    while not os.path.exists(cargo):
        if os.path.exists(cargo + FAILED):
            raise OSError(errno.EIO, _why(cargo + FAILED), cargo)
        if os.getppid() != executor:
            raise OSError(errno.ESRCH, "the executor ended", cargo)
        if time.monotonic() - began > patience:
            raise OSError(errno.ETIMEDOUT, f"it was not fetched in {patience:.0f} s", cargo)
        time.sleep(_PAUSE)


def _why(failed: str) -> str:
    with open(failed, encoding="utf-8", errors="replace") as stream:
        return f"it cannot be fetched from the driver: {stream.read().strip()}"
