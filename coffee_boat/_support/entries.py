"""What lies in a store, for people who want to see or free its space."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coffee_boat._support import scratch
from coffee_boat._support.files import is_dir

UNFINISHED = "tmp"
"""The kind of work that is not done."""


@dataclass(frozen=True)
class Entry:
    """One thing in the store, for people who want to see or free its space."""

    kind: str
    """Its folder under the root: "chunks", "keys/lock", "tmp"."""
    name: str
    path: Path
    size: int
    """Bytes of file content; what has two names in it counts once."""
    used: float
    """When it was last read or written, in seconds since the epoch, as far as the file system tells
    (relatime: to the day; noatime: when it was made).
    """


_NAMES = {
    "keys": re.compile(r"[0-9a-f]{64}\.json"),
    "chunks": re.compile(r"[0-9a-f]{64}\.gz"),
    "archives": re.compile(r"[0-9a-f]{64}"),
    "wheels": re.compile(r"[0-9a-f]{64}"),
    "trees": re.compile(r"([a-z]+-)*[0-9a-f]{12,64}"),
    "conda": re.compile(r"[0-9a-f]{64}"),
    # of earlier versions, to be removed: nothing in it is read any more
    "rattler/pkgs": re.compile(r"(?!\.).+-[^-]+-[^-]+(?<!\.lock)"),
}
"""What our own entries are called.

A root that is named by mistake (a home folder) holds files that are not ours to remove.
"""


def members(root: Path) -> Iterator[tuple[str, Path]]:
    """Kind and path of every entry."""
    if not is_dir(root):
        return
    for path in (root / UNFINISHED).glob("*"):
        if scratch.is_scratch(path):
            yield UNFINISHED, path
    for kind, name in _NAMES.items():
        folder = root / kind
        holders = (
            [place for place in folder.iterdir() if is_dir(place)]
            if kind == "keys" and is_dir(folder)
            else [folder]
        )
        for holder in filter(is_dir, holders):
            yield from (
                (holder.relative_to(root).as_posix(), path)
                for path in holder.iterdir()
                if name.fullmatch(path.name)
            )


def entry_of(path: Path, kind: str) -> Entry:
    """The entry at a path.

    Raises:
        FileNotFoundError: it, or a part of it, was removed meanwhile.
    """
    found = [path, *(Path(folder, name) for folder, _, names in os.walk(path) for name in names)]
    states = [file.lstat() for file in found]
    files = [state for state in states if not stat.S_ISDIR(state.st_mode)]
    return Entry(
        kind,
        path.name,
        path,
        sum({(state.st_dev, state.st_ino): state.st_size for state in files}.values()),
        max(max(state.st_atime, state.st_mtime) for state in files or states),
    )
