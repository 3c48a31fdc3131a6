"""Programs of layers, for PATH: links to them in one folder beside the layers, which is on PATH
before it is there. So all processes of an executor find them once one of them has linked to them.

Standard library only. The finder calls this in the middle of an import.
"""

from __future__ import annotations

import contextlib
import os
import sys


def link(place: str, name: str, own: str) -> None:
    """Link to the programs of a layer, if it has any; that they cannot be is said on stderr.

    Args:
        place: where the layer lies.
        name: of the folder with the links.
        own: the folder with the environment's programs, which come first.
    """
    if not (programs := _in(place)):
        return
    folder = os.path.join(os.path.dirname(place), name)
    try:
        os.makedirs(folder, exist_ok=True)
        for program in programs:
            with contextlib.suppress(FileExistsError):  # of an earlier layer, or by another process
                os.symlink(os.path.join(place, "bin", program), os.path.join(folder, program))
    except OSError as error:
        said = ", ".join(programs)
        sys.stderr.write(f"coffee_boat: {said} cannot be found on PATH: {error}\n")
    put_on_path(folder, own)


def put_on_path(folder: str, own: str) -> None:
    """Put a folder behind another one on PATH, once; at its end, if that one is not there."""
    entries = (os.environ.get("PATH") or os.defpath).split(os.pathsep)
    if folder in entries or os.pathsep in folder:
        return
    places = [number for number, one in enumerate(entries) if one == own]
    entries.insert(max(places, default=len(entries)) + 1, folder)
    os.environ["PATH"] = os.pathsep.join(entries)


def _in(place: str) -> list[str]:
    try:
        return sorted(os.listdir(os.path.join(place, "bin")))
    except OSError:  # most layers have none
        return []
