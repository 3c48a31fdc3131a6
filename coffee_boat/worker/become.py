"""Becomes the interpreter of a generation: what its `bin/pythonX.Y` runs.

Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import os
import sys

from . import compose, leavings


def main(argv: list[str]) -> None:
    """Compose if nobody did, then be the interpreter of the generation.

    Args:
        argv: the folder of the generation, then the arguments of its interpreter.
    """
    folder, arguments = os.path.realpath(argv[0]), argv[1:]
    try:
        spec = compose.read(folder)
        compose.locked(folder)  # until this process becomes the interpreter
        compose.hold(folder, spec)
        root = compose.compose(folder, spec)
        leavings.clear(folder)
    except (OSError, ValueError) as error:
        compose.say(compose.failure(folder, error))
        sys.exit(1)
    os.environ[compose.RUNS] = folder
    python = os.path.join(root, "bin", f"python{spec.python}")
    if not spec.has_python:
        python = os.environ.get(compose.NODE_PYTHON) or sys.executable
        base = compose.place_of(folder, spec.base)
        os.environ["PYTHONPATH"] = _redirected(os.environ.get("PYTHONPATH", ""), base, root)
    os.execv(python, [python, *arguments])  # noqa: S606  (a list, no shell)


def _redirected(path: str, base: str, root: str) -> str:
    """PYTHONPATH with the entries of the base in the composed environment instead."""
    entries = [os.path.realpath(entry) for entry in path.split(os.pathsep) if entry]
    moved = (
        os.path.join(root, os.path.relpath(entry, base))
        if entry == base or entry.startswith(base + os.sep)
        else entry
        for entry in entries
    )
    return os.pathsep.join(moved)
