"""Called by coffee_boat_starter.pth: the environment is unpacked, once a node where that can be,
and this process becomes its interpreter.
"""

from __future__ import annotations

import contextlib
import os
import sys

from . import index, kept, places

NOT_SHARED = "COFFEE_BOAT_NOT_SHARED"
"""The variable that says why an environment is the executor's own; for worker/facts.py."""


def start() -> None:
    """Become the interpreter of the environment, with the same arguments.

    Where there is none it ends: what this one has besides itself is nothing.
    """
    try:
        told = index.read(os.path.dirname(os.path.abspath(__file__)))
        around = os.path.dirname(_root())
        place = ready(told, around)
        link(place, os.path.join(around, told.name))
        _become(os.path.join(place, "bin", f"python{told.python}"))
    except Exception as error:  # noqa: BLE001  (site would tell it of a .pth, and go on)
        kept.say(f"the environment cannot be started on this node: {error}")
        sys.stderr.flush()
        os._exit(1)


def _become(python: str) -> None:
    try:
        os.execv(python, [python, *sys.orig_argv[1:]])  # noqa: S606  (a list, no shell)
    except OSError as error:  # it names no file
        raise OSError(error.errno, error.strerror, python) from error


def ready(told: index.Index, around: str) -> str:
    """The folder of the environment, unpacked.

    Args:
        around: the folder with the starter and the cargo.

    Raises:
        OSError, places.UnusableError, kept.ChangedError: it can be unpacked nowhere.
        ValueError: the cargo is not what was sent.
    """
    os.environ.pop(NOT_SHARED, None)
    cargo, reasons = os.path.join(around, told.cargo), []
    if told.folder == index.OF_APPLICATION:
        place, reason = kept.of_application(around, told, cargo)
        if reason:
            _tell_alone(reason)
        return place
    for parent in places.folders(told, os.environ):
        place, reason = _shared(parent, told, cargo)
        if place:
            return place
        reasons.append(reason)
    _tell_alone("; ".join(reasons))
    return kept.own(around, told, cargo)


def _tell_alone(reason: str) -> None:
    os.environ[NOT_SHARED] = reason
    kept.say(f"this executor unpacks the environment for itself: {reason}")


def _shared(parent: str, told: index.Index, cargo: str) -> tuple[str, str]:
    """The environment in a folder of the node, or why it cannot be there."""
    try:
        folder = places.opened(parent, may_be_memory=bool(told.folder))
        return kept.environment(folder, told, cargo), ""
    except (places.UnusableError, kept.ChangedError) as error:
        return "", str(error)
    except OSError as error:
        if error.filename == cargo:
            raise
        return "", f"{error.filename or parent}: {error.strerror}"


def _root() -> str:
    """The folder of the starter:
    <root>/lib/pythonX.Y/site-packages/coffee_boat_starter/start.py.
    """
    folder = os.path.abspath(__file__)
    for _ in range(5):
        folder = os.path.dirname(folder)
    return folder


def link(place: str, name: str) -> None:
    """Let the environment be found in the working directory, too."""
    if os.path.islink(name) and os.readlink(name) == place:
        return
    around, called = os.path.split(name)
    aside = os.path.join(around, f".{called}.{os.getpid()}")  # nobody takes it for one
    with contextlib.suppress(FileNotFoundError):
        os.unlink(aside)  # of a killed process with this number
    os.symlink(place, aside)
    os.replace(aside, name)
