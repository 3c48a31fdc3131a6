"""When the archives of a stage were used last, and which nobody needs any more.

An executor that joins a session late fetches the archive as the first ones did, and nobody can tell
from a stage which sessions live. So what counts is time: an archive's last use is when it was
uploaded or, if later, when somebody launched with it. That is kept as an empty file beside it, one
a user:

    boat-3f9a...-77c0....tar.gz
    .boat-3f9a...-77c0....tar.gz.used-alice

The archive's own time must stay as it is: YARN refuses a file whose time is another than when the
application was submitted (FSDownload).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coffee_boat.errors import ShipError
from coffee_boat.model import FOLDER
from coffee_boat.ship.failures import explained
from coffee_boat.ship.open import opened
from coffee_boat.ship.places import Place, Status, url_of
from coffee_boat.spark.jvm import Hadoop

DAY = 86400.0

ARCHIVE = re.compile(rf"{FOLDER}-[0-9a-f]{{12}}\.tar\.gz")
_USED = re.compile(rf"\.(?P<archive>{ARCHIVE.pattern})\.used-[\w.-]+")
_UNFINISHED = re.compile(rf"\.+(?P<archive>{ARCHIVE.pattern})(\.used-[\w.-]+)?\.[0-9a-f]{{32}}")


@dataclass(frozen=True)
class Leftover:
    """An archive of a stage that was not used for long, or an upload that was broken off."""

    name: str
    size: int
    used: float
    """Seconds since 1970."""
    owner: str = ""
    marks: tuple[str, ...] = ()
    """Files that tell of its uses."""


@dataclass(frozen=True)
class Pruned:
    """What was removed, and what could not be."""

    removed: tuple[Leftover, ...] = ()
    kept: tuple[tuple[Leftover, str], ...] = ()
    """Each with the reason why it could not be removed."""
    used: tuple[Leftover, ...] = ()
    """Those that were used since they were found."""


def note(place: Place, archive: Status) -> None:
    """Remember that somebody launches with an archive that was there already; once a day, since a
    day is all that `leftovers` looks at.
    """
    user = re.sub(r"[^\w.-]", "_", place.user)
    mark = f".{archive.name}.used-{user}"
    known = place.status(mark)
    if max(archive.modified, known.modified if known else 0) < time.time() - DAY:
        place.mark(mark)


def leftovers(stage: str, days: float, *, hadoop: Hadoop | None = None) -> list[Leftover]:
    """What was not used within so many days; removes nothing.

    Files of other kinds are never among them.

    Args:
        stage: as for `ship`.
        days: at least 1 is kept of what is being uploaded.

    Raises:
        ShipError: the stage cannot be read.
    """
    url = url_of(stage)
    with explained(url), opened(url, hadoop) as place:
        return _stale(place.listing(), days)


def prune(stage: str, doomed: Iterable[Leftover], *, hadoop: Hadoop | None = None) -> Pruned:
    """Remove leftovers, except those that were used since they were found.

    One that cannot be removed does not keep the others.

    Raises:
        ShipError: the stage cannot be reached.
    """
    url = url_of(stage)
    removed, kept, used = [], [], []
    with explained(url), opened(url, hadoop) as place:
        now = {each.name: each for each in _stale(place.listing(), 0)}
        for leftover in doomed:
            there = now.get(leftover.name)
            if there is not None and there.used > leftover.used:
                used.append(leftover)
            elif there is not None and (reason := _remove(place, leftover, url)):
                kept.append((leftover, reason))
            else:  # or somebody else removed it
                removed.append(leftover)
    return Pruned(tuple(removed), tuple(kept), tuple(used))


def _stale(listing: Sequence[Status], days: float) -> list[Leftover]:
    """Marks without an archive count as leftovers, too: their archive was removed by hand."""
    now = time.time()
    files = [status for status in listing if status.is_file]
    marks = [
        (found["archive"], status) for status in files if (found := _USED.fullmatch(status.name))
    ]
    archives = {status.name for status in files if ARCHIVE.fullmatch(status.name)}
    whole = [
        _leftover(status, [mark for archive, mark in marks if archive == status.name])
        for status in files
        if status.name in archives
    ]
    old = [each for each in whole if each.used <= now - days * DAY]
    alone = [status for archive, status in marks if archive not in archives]
    broken = [status for status in files if _UNFINISHED.fullmatch(status.name)]
    old += [
        _leftover(status, ())
        for status in (*alone, *broken)
        if status.modified <= now - max(days, 1) * DAY
    ]
    return sorted(old, key=lambda each: (each.used, each.name))


def _leftover(status: Status, marks: Sequence[Status]) -> Leftover:
    used = max(each.modified for each in (status, *marks))
    return Leftover(
        status.name, status.size, used, status.owner, tuple(sorted(mark.name for mark in marks))
    )


def _remove(place: Place, leftover: Leftover, url: str) -> str:
    """Why it could not be done; empty if it was."""
    try:
        with explained(url):
            for name in (leftover.name, *leftover.marks):
                place.remove(name)
    except ShipError as error:
        return f"{error.what}: {error.cause}"
    return ""
