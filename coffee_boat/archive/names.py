"""Names and links that an archive may hold."""

from __future__ import annotations

import os
from collections.abc import Iterable

_NO_NAMES = {"", ".", ".."}
_LONGEST, _DEEPEST = 1024, 64
"""Bytes of a name, and its parts: a node puts its own folder before it (PATH_MAX is 4096), and each
folder of it is made.
"""


def is_plain(name: str) -> bool:
    """True for a name that an entry may have: relative, each part a name that Linux takes (255
    bytes), no "." or "..".
    """
    parts = name.split("/")
    return (
        _NO_NAMES.isdisjoint(parts)
        and "\0" not in name
        and len(parts) <= _DEEPEST
        and (len(encoded := os.fsencode(name)) <= 255 or _is_short(encoded))
    )


def _is_short(name: bytes) -> bool:
    return len(name) <= _LONGEST and all(len(part) <= 255 for part in name.split(b"/"))


def is_inside(name: str, target: str) -> bool:
    """True if a link called `name` that points to `target` stays below the archive's root.

    ".." counts at the target's start only: after another link it would lead elsewhere than it
    reads.
    """
    up, parts = 0, target.split("/")
    while up < len(parts) and parts[up] == "..":
        up += 1
    return (
        bool(target)
        and "\0" not in target
        and not target.startswith("/")
        and ".." not in parts[up:]
        and up <= name.count("/")
    )


def folders_of(names: Iterable[str]) -> set[str]:
    """All folders that names lie in, up to the root."""
    folders: set[str] = set()
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders
