"""Whose a file is that nobody named: settings that decide what is run, trusted or fetched from are
taken only from files that nobody but the user and root may write.

By the rule of sshd's StrictModes: the file, every folder that leads to it from the user's home
(from the root, if it lies elsewhere), and every link on the way belong to the user or to root, and
no one else may write them. A folder that others may write is as good as any if it is sticky, as
/tmp is. Write rights of the user's own group count for nothing where it is a private one (of the
user's name, without other members), as with most distributions' umask of 002.

What a person names, by an argument, an option or a variable, is theirs to judge.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from coffee_boat._support import home as _support_home

VARIABLE = "COFFEE_BOAT_TRUSTED_FOLDERS"
"""Folders, as PATH has them: what lies below is believed, whoever may write it."""
_LINKS = 40
"""As many as Linux follows."""


@dataclass(frozen=True)
class Doubt:
    """Why a file is not believed."""

    why: str
    """For people: which part of its path, and who else may write it."""
    cure: str


def doubt(
    path: Path, *, owners: Collection[int] = (), environ: Mapping[str, str] | None = None
) -> Doubt | None:
    """Why somebody else may write a file or folder, or put another in its place; None if only the
    user and root may.

    Args:
        path: absolute; it exists.
        owners: uids that are believed as the user is: of whoever owns the interpreter that runs us.
        environ: default: the process's environment.
    """
    environ = os.environ if environ is None else environ
    if not hasattr(os, "geteuid") or _is_trusted(path, environ):
        return None
    believed = {0, os.geteuid(), *owners}
    above_home = _above_home(environ)
    try:
        for place, status in _steps(path):
            if place not in above_home and (why := _why(place, status, believed)):
                return Doubt(why, _cure(place, status, believed, path))
    except OSError as error:
        return Doubt(f"{path} cannot be looked at: {error.strerror}", f"see `namei -l {path}`")
    return None


def owner(path: Path) -> int | None:
    """The uid of a file's or folder's owner; None if it is not there."""
    try:
        return path.stat().st_uid
    except OSError:
        return None


def absolute_path(environ: Mapping[str, str]) -> str:
    """PATH without what is relative to the working directory: that may be anybody's."""
    entries = environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if os.path.isabs(entry))  # noqa: PTH117


def _is_trusted(path: Path, environ: Mapping[str, str]) -> bool:
    folders = [Path(name) for name in environ.get(VARIABLE, "").split(os.pathsep) if name]
    return any(
        path.is_relative_to(folder) or path.resolve().is_relative_to(folder.resolve())
        for folder in folders
        if folder.is_absolute()
    )


def _above_home(environ: Mapping[str, str]) -> frozenset[Path]:
    """What leads to the user's home: whoever may write there is the user already."""
    home = _support_home.folder(environ)
    if home is None or not home.is_absolute():
        return frozenset()
    return frozenset({*home.parents, *home.resolve().parents})


def _steps(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every folder and link that leads to a file, and the file."""
    waiting = list(reversed(path.absolute().parts))
    here, links = Path("/"), 0
    while waiting:
        part = waiting.pop()
        if part == os.pardir:
            here = here.parent
            continue
        here = here / part
        status = here.lstat()
        yield here, status
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _LINKS:
                raise OSError(0, "it is a link that leads to itself")
            waiting += reversed(Path(os.readlink(here)).parts)  # noqa: PTH115
            here = here.parent


def _why(place: Path, status: os.stat_result, believed: Collection[int]) -> str:
    mode = status.st_mode
    if status.st_uid not in believed:
        return f"{place} belongs to {_user(status.st_uid)}"
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return ""
    if mode & stat.S_IWOTH:
        return f"everybody may write {place}"
    if mode & stat.S_IWGRP and not _is_private(place, status):
        return f"the group {_group(status.st_gid)} may write {place}"
    return ""


def _cure(place: Path, status: os.stat_result, believed: Collection[int], path: Path) -> str:
    if status.st_uid in believed:
        return f"chmod go-w {place}"
    folder = path if path.is_dir() else path.parent
    return f"if you trust whoever may write there: export {VARIABLE}={folder}"


def _is_private(place: Path, status: os.stat_result) -> bool:
    """True if the group is the owner's alone. Rights of an access control list show as the
    group's, and may be another one's.
    """
    import grp
    import pwd

    try:
        if "system.posix_acl_access" in os.listxattr(place):
            return False
        group, user = grp.getgrgid(status.st_gid), pwd.getpwuid(status.st_uid)
    except (OSError, KeyError, AttributeError):  # (no such calls on macOS)
        return False
    return (
        group.gr_name == user.pw_name
        and group.gr_gid == user.pw_gid
        and set(group.gr_mem) <= {user.pw_name}
    )


def _user(uid: int) -> str:
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
