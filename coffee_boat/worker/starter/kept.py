"""The environments of a folder of the node, or of an application: found whole, or made, or removed.

    <name>/tree        an environment
    <name>/files.json  what it has
    <name>/parts.json  what each part of its cargo became (others.py)
    <name>.lock        shared by who runs from it, held alone by who makes or removes it; its time
                       is when it was used last
    <name>.NUMBER.aside  being made, or being removed

Whoever runs from an environment of the node keeps its lock open, and hands it on to what it forks
and starts. One of an application nobody removes but who removes the application's folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence

from . import files, locks, others, places
from .cargo import fetch
from .index import Index
from .unpack import unpack

ENVIRONMENT = "tree"
"""Not as those of generations (worker/compose.py), by which their processes are known."""
SENTINEL = "boat.json"
_OWN = "boat-unpacked"
"""The folder with what is an application's own: among the working directories of its executors, or
in that of one.
"""
_PATIENCE, _PAUSE = 900.0, 0.05
"""Seconds that a process waits for another one that unpacks; and between two tries."""
_MOMENT = 5.0
"""Seconds in which those who only look at an environment are done with it."""
_NAME = re.compile(r"([0-9a-f]{32})\.lock")
_ASIDE = re.compile(r"([0-9a-f]{32})\.\d+\.aside")


class ChangedError(Exception):
    """An environment is not as it was made, and processes run from it."""


def environment(
    folder: str,
    index: Index,
    cargo: str,
    *,
    whose: str = "once for this node",
    patience: float = _PATIENCE,
    moment: float = _MOMENT,
) -> str:
    """An environment of the node, whole; this process, and what it becomes, has its lock.

    Args:
        folder: that only this user can write.
        whose: for people, for whom it is unpacked.
        patience: seconds for which another process may make it.
        moment: seconds in which those who only look at it are done.

    Raises:
        places.UnusableError: the folder has too little room, or knows no locks.
        ChangedError: it was changed, and cannot be made again now.
        OSError: it cannot be made there.
        ValueError: the cargo is not what was sent.
    """
    place = os.path.join(folder, index.id[:32])
    wait, bad, changed = _Wait(patience, moment), None, 0.0
    while True:
        with locks.Lock(place + ".lock") as lock:
            now = files.identity(place)
            if now and now != bad and lock.share():
                if files.differs(place, index.id) is None:
                    return _taken(place, lock)
                bad = now
            if lock.hold_alone():
                if files.differs(place, index.id) is not None:
                    _make(place, index, cargo, whose)
                # between the two locks another process may have had it, and removed this one
                if lock.share() and files.identity(place):
                    return _taken(place, lock)
            is_used = bad is not None and files.identity(place) == bad and lock.share()
        changed = (changed or time.monotonic()) if is_used else 0.0
        if changed and time.monotonic() - changed > moment:
            raise ChangedError(f"{place} was changed, and processes run from it")
        wait.for_who_has(place + ".lock")


def of_application(
    around: str, index: Index, cargo: str, *, patience: float = _PATIENCE, moment: float = _MOMENT
) -> tuple[str, str]:
    """An environment for this application alone, and why its executors on this node do not share it
    where they could: for all of them, where they have a folder together, else for this one.

    What functions change in it stays: a package that they install, say.

    Args:
        around: the executor's working directory.
        patience, moment: as of `environment`.

    Raises:
        OSError, places.UnusableError, ValueError: it cannot be made anywhere.
    """
    mine = os.path.join(around, _OWN, index.id[:32], ENVIRONMENT)
    if _is_whole(mine):
        return mine, ""
    reasons = []
    for common in places.of_application(around, os.environ):
        place, reason = _shared(common, index, cargo, _Wait(patience, moment))
        if place:
            return place, ""
        reasons.append(reason)
    return own(around, index, cargo), "; ".join(reasons)


def _shared(common: str, index: Index, cargo: str, wait: _Wait) -> tuple[str, str]:
    """The environment in a folder of the application, or why it cannot be there."""
    try:
        # nodes may have a file system together
        folder = places.inside(common, _OWN, os.uname().nodename)
        return _once(folder, index, cargo, wait), ""
    except (places.UnusableError, OSError) as error:
        return "", str(error)


def _once(folder: str, index: Index, cargo: str, wait: _Wait) -> str:
    """What has its name is whole, and stays: only who makes it needs the lock."""
    place = os.path.join(folder, index.id[:32])
    tree = os.path.join(place, ENVIRONMENT)
    while not _is_whole(tree):
        with locks.Lock(place + ".lock") as lock:
            if lock.hold_alone():
                if not _is_whole(tree):
                    _remove_unfinished(folder, index.id[:32])
                    _remove(place)  # somebody began to
                    with _unpacked(place, index, cargo, "once for this application") as aside:
                        os.rename(aside, place)
                break
        wait.for_who_has(place + ".lock")
    return tree


def _is_whole(tree: str) -> bool:
    return os.path.isfile(os.path.join(tree, SENTINEL))


class _Wait:
    """For another process, which unpacks."""

    def __init__(self, patience: float, moment: float) -> None:
        self._patience, self._moment = patience, moment
        self._began, self._is_told = time.monotonic(), False

    def for_who_has(self, lock: str) -> None:
        """A while; after a moment it is said.

        Raises:
            places.UnusableError: patience is over.
        """
        waited = time.monotonic() - self._began
        if waited > self._patience:
            raise places.UnusableError(
                f"{lock} is held for {self._patience:.0f} s by another process"
            )
        if waited > self._moment and not self._is_told:
            say(f"waits for another process that unpacks: {lock} is held")
            self._is_told = True
        time.sleep(_PAUSE)


def own(around: str, index: Index, cargo: str) -> str:
    """As `environment`, for this executor alone. What else lies there stays, and so does what its
    functions change: a package that they install, say.

    Args:
        around: its working directory.
    """
    folder, alone = os.path.join(around, _OWN), index._replace(most=0)
    tree = os.path.join(folder, index.id[:32], ENVIRONMENT)
    if _is_whole(tree):  # it got its name when it was whole
        return tree
    os.makedirs(folder, 0o700, exist_ok=True)
    try:
        return environment(folder, alone, cargo, whose="once for this executor")
    except (places.UnusableError, ChangedError):  # no locks; too little room: that is told then
        return _unlocked(folder, alone, cargo)


def _unlocked(folder: str, index: Index, cargo: str) -> str:
    """Of processes that start at once each unpacks, and who is first makes it."""
    place = os.path.join(folder, index.id[:32])
    if files.differs(place, index.id) is not None:
        with _unpacked(place, index, cargo, "for this executor") as aside:
            _replace(place, aside, index.id)
    return os.path.join(place, ENVIRONMENT)


def _replace(place: str, aside: str, digest: str) -> None:
    """Also what processes run from: what they opened stays, and what they look for is the same."""
    if files.differs(place, digest) is None:
        return
    with contextlib.suppress(FileNotFoundError):
        _remove(place)
    try:
        os.rename(aside, place)
    except OSError:
        if files.differs(place, digest) is not None:
            raise


def say(line: str) -> None:
    """A line on stderr, which Spark keeps with the executor's."""
    sys.stderr.write(f"coffee_boat: {line}\n")


def _taken(place: str, lock: locks.Lock) -> str:
    lock.keep()
    return os.path.join(place, ENVIRONMENT)


def _make(place: str, index: Index, cargo: str, whose: str) -> None:
    """The caller holds its lock alone."""
    folder, name = os.path.split(place)
    _remove_unfinished(folder, name)
    if os.path.lexists(place):
        why = files.differs(place, index.id)
        if locks.runs_from(place):
            raise ChangedError(f"{place} was changed ({why}), and processes run from it")
        say(f"{place} is not as it was made: {why}; it is unpacked again")
        _remove(place)
    with others.held(folder, name, index.parts) as have:
        if index.most:  # what parts are taken from is held, and stays
            _make_room(folder, index)
        with _unpacked(place, index, cargo, whose, have) as aside:
            os.rename(aside, place)


@contextlib.contextmanager
def _unpacked(
    place: str, index: Index, cargo: str, whose: str, have: Sequence[others.Other] = ()
) -> Iterator[str]:
    """An environment that is whole and has no name yet; it is gone after the block, if it was given
    none there.
    """
    if reason := places.lacks_room(os.path.dirname(place), index.unpacked):
        raise places.UnusableError(reason)
    if index.on_demand:
        fetch(cargo)
    aside, began = f"{place}.{os.getpid()}.aside", time.monotonic()
    try:
        root = os.path.join(aside, ENVIRONMENT)
        os.makedirs(root, 0o700)
        made = unpack(cargo, index, root, have=have)
        if not _is_whole(root):
            raise ValueError(f"{cargo} has no {SENTINEL}")
        files.write(aside, index.id)
        others.write(aside, made)
        yield aside
        there = sum(any(part in one.parts for one in have) for part in made)
        also = f" ({there} of its {len(made)} parts were there)" if there else ""
        say(f"unpacked {whose} in {time.monotonic() - began:.1f} s{also}: {place}")
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_unfinished(folder: str, own: str) -> None:
    """Remove what killed processes left, of this environment and of those that nobody makes now."""
    for other in os.listdir(folder):
        found = _ASIDE.fullmatch(other)
        if found is None:
            continue
        if found[1] == own:
            shutil.rmtree(os.path.join(folder, other))
            continue
        with locks.Lock(os.path.join(folder, f"{found[1]}.lock")) as lock:
            if lock.hold_alone():
                shutil.rmtree(os.path.join(folder, other), ignore_errors=True)


def _make_room(folder: str, index: Index) -> None:
    """Remove what was used longest ago, of what nobody runs from."""
    idle = sorted(_idle(folder, but=index.id[:32]))
    sizes = {name: files.size(os.path.join(folder, name)) for _, name in idle}
    for _, name in idle:
        too_many = sum(sizes.values()) + index.unpacked > index.most
        if not too_many and not places.lacks_room(folder, index.unpacked):
            return
        place = os.path.join(folder, name)
        with locks.Lock(place + ".lock") as lock:
            if lock.hold_alone() and not locks.runs_from(place):
                _remove(place)
                lock.unlink()
        del sizes[name]  # gone, or it runs


def _idle(folder: str, *, but: str) -> Iterator[tuple[float, str]]:
    """When each environment was used last whose lock nobody has, and its name."""
    for found in filter(None, map(_NAME.fullmatch, os.listdir(folder))):
        path = os.path.join(folder, found[0])
        with contextlib.suppress(FileNotFoundError):  # another process removed it just now
            used = os.lstat(path).st_mtime
            with locks.Lock(path) as lock:
                if found[1] != but and lock.hold_alone():
                    yield used, found[1]


def _remove(place: str) -> None:
    """Whole at once: who looks sees all of it or nothing."""
    if os.path.lexists(place):
        gone = f"{place}.{time.monotonic_ns()}.aside"
        os.rename(place, gone)
        shutil.rmtree(gone, ignore_errors=True)
