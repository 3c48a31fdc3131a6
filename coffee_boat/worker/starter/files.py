"""What an environment had when it was made, and whether it still has that."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

FILES = "files.json"
_ENVIRONMENT = "tree"
_CODE = re.compile(
    r".*(\.(py|pyc|pyd|pth|_pth|so)|\.so\.[\d.]+)|(.*/)?(python\d+\.zip|pyvenv\.cfg)", re.IGNORECASE
)
"""What Python would run or load by itself. Packages keep other files beside their own, as caches
and what they fetched.
"""
_BYTECODE = "__pycache__"


class Kept(NamedTuple):
    """What an environment had."""

    id: str
    files: Mapping[str, tuple[object, ...]]


def write(place: str, digest: str) -> None:
    """Keep what is in it.

    Args:
        place: the folder of an environment that was just made.
        digest: of what it was made from.
    """
    root = os.path.join(place, _ENVIRONMENT)
    found = dict(_found(root))
    size = sum(what[1] for what in found.values() if isinstance(what[1], int))
    with open(os.path.join(place, FILES), "x", encoding="utf-8") as out:
        json.dump({"id": digest, "size": size, "files": found}, out)


def kept(place: str) -> Kept | None:
    """What it had when it was made; None if that is not known."""
    try:
        return _read(place)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def is_code(name: str) -> bool:
    """True for what Python would run or load by itself."""
    return _CODE.fullmatch(name) is not None


def state(path: str) -> tuple[object, ...]:
    """What is kept of a file."""
    return _state(os.lstat(path))


def identity(place: str) -> tuple[int, int] | None:
    """What tells each environment that was made there from the others; None if there is none."""
    try:
        state = os.lstat(os.path.join(place, FILES))
    except OSError:
        return (0, 0) if os.path.lexists(place) else None
    return state.st_ino, state.st_mtime_ns


def size(place: str) -> int:
    """Bytes of file content; 0 if that is not known."""
    try:
        with open(os.path.join(place, FILES), encoding="utf-8") as stream:
            return int(json.load(stream)["size"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0


def differs(place: str, digest: str) -> str | None:
    """What is not as it was made; None if all is."""
    try:
        _refuse_others(place)
        had = _read(place)
        if had.id != digest:
            return "it is another environment"
        now = dict(_found(os.path.join(place, _ENVIRONMENT)))
    except FileNotFoundError as error:
        return f"{error.filename} is not there"
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return str(error)
    changed = [name for name, what in had.files.items() if now.get(name) != what]
    new = [name for name in now.keys() - had.files.keys() if _counts(name, now[name])]
    return next((os.path.join(_ENVIRONMENT, name) for name in (*changed, *sorted(new))), None)


def _read(place: str) -> Kept:
    with open(os.path.join(place, FILES), encoding="utf-8") as stream:
        said = json.load(stream)
    return Kept(said["id"], {name: tuple(what) for name, what in said["files"].items()})


def _refuse_others(place: str) -> None:
    for path in (place, os.path.join(place, _ENVIRONMENT)):
        state = os.lstat(path)
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
            raise ValueError(f"{path} is not a folder of this user")


def _counts(name: str, what: tuple[object, ...]) -> bool:
    """True if what is new may change what Python runs."""
    folder = os.path.basename(os.path.dirname(name))
    if len(what) == 3 and folder == _BYTECODE:  # nothing is imported from there but bytecode
        return False
    return len(what) != 3 or is_code(name)


def _state(found: os.stat_result) -> tuple[object, ...]:
    return stat.S_IMODE(found.st_mode), found.st_size, found.st_mtime_ns


def _found(root: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Name -> mode, size and time of a file; the target of a link; what else there is.

    Raises:
        ValueError: a file or folder of somebody else is in it.
        OSError: it cannot be read.
    """
    waiting, me = [""], os.geteuid()
    while waiting:
        inner = waiting.pop()
        with os.scandir(os.path.join(root, inner)) as listed:
            for entry in listed:
                found = entry.stat(follow_symlinks=False)
                name = inner + entry.name
                if found.st_uid != me:
                    raise ValueError(f"{entry.path} belongs to another user")
                if stat.S_ISDIR(found.st_mode):
                    waiting.append(name + "/")
                elif stat.S_ISREG(found.st_mode):
                    yield name, _state(found)
                else:
                    link = os.readlink(entry.path) if entry.is_symlink() else ""
                    yield name, (stat.S_IFMT(found.st_mode), link)
