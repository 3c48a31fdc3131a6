"""Who could change what executors will run: owners and permissions of a stage, as findings."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence

from coffee_boat.model import Finding
from coffee_boat.ship.places import Status

_ADMINISTRATORS = {"root", "hdfs", "hadoop"}
"""They can change everything anyway."""


def findings(archive: Status | None, folders: Sequence[Status], user: str) -> Iterator[Finding]:
    """What is odd about a stage.

    Args:
        archive: the one that is there already, with our bytes.
        folders: as `Place.folders`.
        user: who we are there.
    """
    if archive is not None and archive.owner and archive.owner not in {user, *_ADMINISTRATORS}:
        yield Finding(
            "ship.other-owner",
            f"the archive in the stage belongs to {archive.owner}",
            value=archive.name,
            cause=(
                "it holds what you would have put there, and its owner can change it before an"
                " executor fetches it"
            ),
            cure="fine among people who trust each other; a stage of your own otherwise",
            severity="note",
        )
    open_to = next((found for folder in folders if (found := _who_may_replace(folder, user))), None)
    if open_to is not None:
        yield open_to


def only_ours(archive: Status, user: str) -> bool:
    """True if nobody else may write that file.

    A store without permissions has no files that anybody writes to: an object is replaced, and then
    has another identity.
    """
    return archive.mode is None or (
        archive.owner == user
        and not archive.mode & stat.S_IWOTH
        and not (archive.mode & stat.S_IWGRP and _of_many(archive.group, user))
    )


def _of_many(group: str, *users: str) -> bool:
    """A group of one is what many systems give each user."""
    return group not in users


def _who_may_replace(folder: Status, user: str) -> Finding | None:
    """Without the sticky bit, who may write a folder may also move away what others put there, and
    put something else in its place.
    """
    if folder.mode is None or folder.mode & stat.S_ISVTX:
        return None
    cause, cure = (
        (
            "without the sticky bit they can replace archives of other people, and so run code on"
            " their executors"
        ),
        f"its owner {folder.owner}: chmod +t on it",
    )
    if folder.mode & stat.S_IWOTH:
        return Finding(
            "ship.everybody-may-write",
            "everybody may write the stage's folder",
            value=folder.name or "/",
            cause=cause,
            cure=f"{cure}, or take the right away: chmod o-w",
        )
    if folder.mode & stat.S_IWGRP and _of_many(folder.group, folder.owner, user):
        return Finding(
            "ship.group-may-write",
            f"the group {folder.group} may write the stage's folder",
            value=folder.name or "/",
            cause=cause,
            cure=cure,
            severity="note",
        )
    return None
