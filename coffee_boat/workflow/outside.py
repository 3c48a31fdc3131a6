"""An archive outside of Spark: unpacked by hand, or a program in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from coffee_boat._support.progress import Step, progress
from coffee_boat._support.run import attach
from coffee_boat._support.store import Store
from coffee_boat._support.words import human_size
from coffee_boat.archive import by_hand
from coffee_boat.archive.by_hand import Environment
from coffee_boat.errors import BuildError


def unpack(archive: str | Path, folder: str | Path) -> Environment:
    """An archive that `Captain.pack` wrote, as a folder that is ready to run.

    Raises:
        BuildError: it is none, or damaged; or the folder is not empty, or cannot be written.
    """
    with progress() as say:
        say(Step(f"unpacking {_size(Path(archive))}"))
        return by_hand.unpack(Path(archive), Path(folder))


def run(archive: str | Path, command: Sequence[str], store: Store) -> int:
    """Run a program in an archive, or in a folder that was one; it has our terminal. What the
    archive brings comes first on PATH: `python` is its own.

    Returns:
        The program's exit code; 128 + n if signal n ended it.

    Raises:
        BuildError: the archive is none, or does not run on this machine; or it has no such program.
        StoreError: the store cannot be written.
    """
    with progress() as say, store.lease():
        say(Step(f"unpacking {_size(Path(archive))}"))
        environment = by_hand.cached(Path(archive), store)
    _refuse_unfit(environment)
    path = f"{environment.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    try:
        return attach(command, env={"PATH": path, "PYTHONHOME": None})
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        raise BuildError(
            "build.program-missing",
            "there is no such program in the archive",
            value=command[0],
            cause=f"neither {environment.folder / 'bin'} nor PATH has it: {error.strerror}",
            cure="add the package that brings it, and pack again; or name its path",
        ) from error
    except OSError as error:
        raise BuildError(
            "build.program-not-started",
            "a program cannot be started",
            value=command[0],
            cause=f"{error.strerror}; a script needs a first line as #!/usr/bin/env python",
            cure=f"name what runs it: boat exec {archive} -- python {command[0]}",
        ) from error


def _refuse_unfit(environment: Environment) -> None:
    why = environment.why_not_here
    cure = "pack one for this machine: boat pack without --platform"
    if not environment.has_python:
        why, cure = (
            "it has no interpreter: it was packed for the Python of the nodes",
            "pack one with it: leave out --no-ship-python",
        )
    if why:
        raise BuildError(
            "build.cannot-run-here",
            "the archive does not run on this machine",
            value=str(environment.folder),
            cause=why,
            cure=cure,
        )


def _size(archive: Path) -> str:
    return human_size(archive.stat().st_size) if archive.is_file() else str(archive)
