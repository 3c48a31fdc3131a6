"""What other environments of the folder have of the cargo: that is not unpacked again.

    <name>/parts.json  which files each part of the cargo became

A part is taken where an environment that is as it was made has the same one, by its digest. What
Python runs or loads is linked: nobody writes such a file in place, and an environment of which a
file changed is noticed by its own list. All else, which packages may write, is copied.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from . import entries, files, locks
from .index import Part

PARTS = "parts.json"
_ENVIRONMENT = "tree"
_NAME = re.compile(r"[0-9a-f]{32}")
_MOST_READ = 16 << 20
"""Bytes that are read of what environments have, of those that were used last."""
_MOST_USED = 3
"""Environments that parts are taken from. Each is looked at file by file first."""


class Other(NamedTuple):
    """An environment that is whole, and stays as long as its lock is held."""

    root: str
    files: Mapping[str, tuple[object, ...]]
    parts: Mapping[str, Sequence[str]]
    """Key of a part -> names of its files and links."""


def key(part: Part) -> str:
    """What tells what a part becomes."""
    text = json.dumps([part.sha256, *part.without])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def write(place: str, made: Mapping[str, Sequence[str]]) -> None:
    """Keep what each part became.

    Args:
        place: the folder of an environment that was just made.
        made: key of a part -> names.
    """
    with open(os.path.join(place, PARTS), "x", encoding="utf-8") as out:
        json.dump(made, out)


@contextlib.contextmanager
def held(folder: str, name: str, parts: Sequence[Part]) -> Iterator[list[Other]]:
    """Environments that have parts of one that is to be made; while the block lasts they stay.

    Args:
        folder: that only this user can write.
        name: of the one that is to be made.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.ExitStack() as looking:
            there = list(_there(folder, name, looking))
            found = list(_best(there, {key(part): part.length for part in parts}, stack))
        yield found


def taken(others: Sequence[Other], part: Part, root: str) -> entries.Written | None:
    """A part as another environment has it; None if none has it, and then nothing is written."""
    wanted = key(part)
    for other in others:
        if (names := other.parts.get(wanted)) is not None:
            done: list[str] = []
            try:
                links = list(_take(other, names, root, done))
            except (OSError, ValueError, LookupError, TypeError):
                for one in done:
                    os.unlink(os.path.join(root, one))
                continue
            return entries.Written([os.fsencode(one) for one in done], links)
    return None


def _take(
    other: Other, names: Sequence[str], root: str, done: list[str]
) -> Iterator[tuple[bytes, bytes]]:
    """Link or copy files; gives the links that are to be made.

    Raises:
        OSError, ValueError: one is not as it was.
    """
    for name in names:
        what = other.files.get(name, ())
        if len(what) == 3:
            entries.check(os.fsencode(name))
            _file(other, name, root, what, done)
        elif len(what) == 2:
            target = os.fsencode(str(what[1]))
            entries.check(os.fsencode(name), target)
            yield os.fsencode(name), target
        else:
            raise ValueError(f"{name} is not there")


def _file(other: Other, name: str, root: str, what: tuple[object, ...], done: list[str]) -> None:
    source, place = os.path.join(other.root, name), os.path.join(root, name)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if not (files.is_code(name) and _link(source, place)):
        with open(source, "rb") as stream, open(place, "xb") as out:
            done.append(name)
            shutil.copyfileobj(stream, out, 1 << 20)
        shutil.copystat(source, place)
    else:
        done.append(name)
    if files.state(place) != what:
        raise ValueError(f"{name} was changed")


def _link(source: str, place: str) -> bool:
    """False where it cannot be linked: other file systems can do less, and have a limit."""
    try:
        os.link(source, place, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _there(
    folder: str, but: str, stack: contextlib.ExitStack
) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Folder and parts of those that were used last; each has its lock until the stack ends."""
    names = [name for name in os.listdir(folder) if _NAME.fullmatch(name) and name != but]
    left = _MOST_READ
    for name in sorted(names, key=lambda name: _used(folder, name), reverse=True):
        place = os.path.join(folder, name)
        with contextlib.suppress(OSError, ValueError, RecursionError):
            if stack.enter_context(locks.Lock(f"{place}.lock")).share():
                with open(os.path.join(place, PARTS), encoding="utf-8") as stream:
                    text = stream.read(left)
                left -= len(text)
                yield place, _parts(text)
        if left <= 0:
            return


def _parts(text: str) -> dict[str, list[str]]:
    """What `write` wrote.

    Raises:
        ValueError, RecursionError: it is something else, as another version of us writes it.
    """
    said: dict[str, list[str]] = json.loads(text)
    if not isinstance(said, dict):
        raise ValueError(f"{PARTS} has {type(said).__name__}")
    for names in said.values():
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f"{PARTS} has a part without names")
    return said


def _best(
    there: list[tuple[str, dict[str, list[str]]]],
    wanted: Mapping[str, int],
    stack: contextlib.ExitStack,
) -> Iterator[Other]:
    """Those that have most of what is wanted; each has its lock until the stack ends."""
    count = 0
    while there and count < _MOST_USED:
        best = max(there, key=lambda one: _weight(one[1], wanted))
        there.remove(best)
        if not _weight(best[1], wanted):
            return
        with contextlib.suppress(OSError):
            lock = stack.enter_context(locks.Lock(f"{best[0]}.lock"))
            if lock.share() and (other := _whole(*best)):
                yield other
                count += 1
                wanted = {one: size for one, size in wanted.items() if one not in other.parts}


def _used(folder: str, name: str) -> float:
    try:
        return os.lstat(os.path.join(folder, f"{name}.lock")).st_mtime
    except OSError:
        return 0.0


def _weight(parts: Collection[str], wanted: Mapping[str, int]) -> int:
    return sum(wanted.get(one, 0) for one in parts)


def _whole(place: str, parts: dict[str, list[str]]) -> Other | None:
    """It, if it is as it was made."""
    kept = files.kept(place)
    if kept is None or files.differs(place, kept.id) is not None:
        return None
    return Other(os.path.join(place, _ENVIRONMENT), kept.files, parts)
