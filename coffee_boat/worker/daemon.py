"""Stands for pyspark.daemon where modules are to be imported before it forks workers:
`spark.python.daemon.module`.

Spark runs `python -m <this> <worker module>` once for each kind of worker on an executor, and reads
the daemon's port from its stdout (org.apache.spark.api.python.PythonWorkerFactory). Each worker is
a fork of it, so what is imported here is there at once.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PRELOAD = "COFFEE_BOAT_PRELOAD"
"""The variable with the modules, separated by commas."""
DAEMON = "COFFEE_BOAT_DAEMON"
"""The variable with the user's own daemon module, if there is one."""


def main() -> None:
    """Import what is asked for, then be the daemon."""
    with _stdout_to_stderr():
        preload([name for name in os.environ.get(PRELOAD, "").split(",") if name])
    runpy.run_module(
        os.environ.get(DAEMON) or "pyspark.daemon", run_name="__main__", alter_sys=True
    )


def preload(modules: Sequence[str]) -> None:
    """Import modules.

    What fails, and what a fork will not take along, is said on stderr; the daemon goes on.
    """
    for module in modules:
        before = set(threading.enumerate())
        try:
            importlib.import_module(module)
        # A module may fail in any way; the function that needs it will say so again.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            _say(f"{module} cannot be preloaded: {type(error).__name__}: {error}")
        started = [thread.name for thread in set(threading.enumerate()) - before]
        if started:
            _say(
                f"{module} started threads when it was imported, which forked workers will not"
                f" have: {', '.join(sorted(started))}. If tasks hang, do not preload it."
            )


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Some libraries print when they are imported, from C too; Spark would take it for the port."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _say(line: str) -> None:
    sys.stderr.write(f"coffee_boat: {line}\n")


if __name__ == "__main__":
    main()
