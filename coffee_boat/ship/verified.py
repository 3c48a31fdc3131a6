"""Which files of a stage were found to hold our bytes, so that no launch reads them all again: 130
MB over the line of somebody who sits at home.

What is remembered is one file as it was, never a name: its URI, digest, size, time, owner and
identity (an object's ETag, an inode with the time of its last change, HDFS's number of a file).
Another value of any of these is another file, which is read. So is a file that someone else may
write: who may do that in a shared folder or in HDFS can give it back its time, too.
"""

from __future__ import annotations

from contextlib import suppress

from coffee_boat._support.store import Store
from coffee_boat.errors import StoreError
from coffee_boat.ship import permissions
from coffee_boat.ship.places import Place, Status

_KIND = "stage"


def known(store: Store | None, place: Place, there: Status, digest: str) -> bool:
    """True if this very file was compared before, or uploaded by us."""
    return (
        store is not None
        and _certain(place, there)
        and store.recall(_KIND, _key(place, there, digest)) is True
    )


def note(store: Store | None, place: Place, there: Status | None, digest: str) -> None:
    """Remember a file that holds what has this digest; a store that cannot be written remembers
    nothing.
    """
    if store is not None and there is not None and _certain(place, there):
        with suppress(StoreError):
            store.remember(_KIND, _key(place, there, digest), True)


def _certain(place: Place, there: Status) -> bool:
    return there.is_file and bool(there.identity) and permissions.only_ours(there, place.user)


def _key(place: Place, there: Status, digest: str) -> object:
    return {
        "uri": place.uri(there.name),
        "sha256": digest,
        "size": there.size,
        "modified": there.modified,
        "owner": there.owner,
        "identity": there.identity,
    }
