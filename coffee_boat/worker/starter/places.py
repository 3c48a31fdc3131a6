"""In which folder environments are kept: of a node, or of an application.

Of a node, it is one that nobody but this user can write, by the rule of
coffee_boat/_support/trust.py, without its exceptions: each folder that leads there belongs to the
user or to root, and no one else may write it, unless it is sticky, as /tmp is. Links are followed
first; what is looked at is where they lead.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Mapping

from .index import Index

_OF_ONE = re.compile(
    r"(blockmgr|executor|spark)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|application_\d+_\d+|appcache"
)
"""Folders of one application or executor: what Spark makes below those of spark.local.dir
(org.apache.spark.util.Utils), and YARN below <local dir>/usercache/<user>.
"""
_EXECUTOR = re.compile(r"app-\d{14}-\d{4,}/\d+|application_\d+_\d+/container_\w+")
"""How the working directories of executors end that lie in a folder of their application: on a
standalone cluster <application>/<number> (org.apache.spark.deploy.worker.ExecutorRunner;
spark.deploy.appIdPattern may be another one), on YARN appcache/<application>/<container>
(ContainerLaunch). It is removed with them.
"""
_CONTAINERS = "LOCAL_DIRS"
"""YARN's variable with the application's folders, one a disk, separated by commas; a container
works in one of them.
"""
_LOCAL = "SPARK_LOCAL_DIRS"
"""The executor's block folders, separated by commas: each Python worker is told of them."""
_LAST = "/tmp"  # noqa: S108  (what lies there is made and looked at as anywhere)
_MEMORY = ("tmpfs", "ramfs")
_LEAST = 1.1
"""What must be free, in what the files weigh: blocks of a file system are whole."""


class UnusableError(Exception):
    """Why environments cannot be kept in a folder."""


def folders(index: Index, environ: Mapping[str, str]) -> list[str]:
    """Where a folder of ours may be, best first."""
    if index.folder:
        return [index.folder]
    blocks = environ.get(_LOCAL, "").split(",")[0]
    local = blocks
    while _OF_ONE.fullmatch(os.path.basename(local)):
        local = os.path.dirname(local)
    found = [local if local != blocks else "", environ.get("TMPDIR", ""), _LAST]
    return list(dict.fromkeys(filter(None, found)))


def of_application(around: str, environ: Mapping[str, str]) -> list[str]:
    """The folders that the executors of an application have together on this node, which are
    removed with theirs; in the same order for all of them.

    Args:
        around: the working directory of one.
    """
    common, _ = os.path.split(around)
    above, name = os.path.split(common)
    if not _EXECUTOR.fullmatch(os.path.relpath(around, above)):
        return []
    disks = {
        one for one in environ.get(_CONTAINERS, "").split(",") if os.path.basename(one) == name
    }
    return sorted(filter(os.path.isdir, {*disks, common}))


def inside(parent: str, *names: str) -> str:
    """A folder that this user alone may enter, in one that is taken as it is; made if it is not
    there, with those on the way.

    Raises:
        UnusableError: it is somebody else's, or nothing in it can be run.
    """
    folder = parent
    try:
        for name in names:
            folder = os.path.join(folder, name)
            if not os.path.lexists(folder):
                _make(folder)
            _refuse_not_ours(folder)
        _refuse_useless(folder)
    except OSError as error:
        raise UnusableError(f"{error.filename or folder}: {error.strerror}") from error
    return folder


def opened(parent: str, *, may_be_memory: bool = True) -> str:
    """The folder of this user's environments in another one; made if it is not there.

    Args:
        may_be_memory: False where nobody chose it: environments stay, and would fill it.

    Raises:
        UnusableError: others could change what lies there, or nothing in it can be run.
    """
    if not os.path.isabs(parent):
        raise UnusableError(f"{parent} is not an absolute path")
    parent = os.path.realpath(parent)
    try:
        _refuse_strangers(parent)
        if not may_be_memory and _is_memory(parent):
            raise UnusableError(f"{parent} is in memory, and was not named")
    except OSError as error:
        raise UnusableError(f"{error.filename or parent}: {error.strerror}") from error
    return inside(parent, f"coffee_boat-node-{os.geteuid()}")


def lacks_room(folder: str, needed: int) -> str:
    """What is said where a disk has too little room; empty if it has enough."""
    told = os.statvfs(folder)
    free = told.f_bavail * told.f_frsize
    if free >= needed * _LEAST:
        return ""
    return f"{folder} has {free >> 20} MiB free, {int(needed * _LEAST) >> 20} are needed"


def _is_memory(folder: str) -> bool:
    """True for a tmpfs (proc(5))."""
    device = os.lstat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
            mounts = [line.partition(" - ") for line in stream]
    except OSError:  # no Linux
        return False
    return any(
        rest.split()[0] in _MEMORY
        for mount, _, rest in mounts
        if mount.split()[2] == number and rest
    )


def _make(folder: str) -> None:
    with contextlib.suppress(FileExistsError):  # somebody was faster: whose it is is looked at
        os.mkdir(folder, 0o700)


def _refuse_strangers(folder: str) -> None:
    places = [folder]
    while places[-1] != os.path.dirname(places[-1]):
        places.append(os.path.dirname(places[-1]))
    for place in reversed(places):
        state = os.lstat(place)
        if not stat.S_ISDIR(state.st_mode):
            raise UnusableError(f"{place} is not a folder")
        if state.st_uid not in (0, os.geteuid()):
            raise UnusableError(f"{place} belongs to another user (uid {state.st_uid})")
        if state.st_mode & 0o022 and not state.st_mode & stat.S_ISVTX:
            raise UnusableError(f"others may write {place}")


def _refuse_useless(folder: str) -> None:
    flags = os.statvfs(folder).f_flag
    if flags & os.ST_RDONLY or not os.access(folder, os.W_OK):
        raise UnusableError(f"{folder} is read-only")
    if flags & getattr(os, "ST_NOEXEC", 0):
        raise UnusableError(f"{folder} is mounted with noexec")


def _refuse_not_ours(folder: str) -> None:
    state = os.lstat(folder)
    if not stat.S_ISDIR(state.st_mode):
        raise UnusableError(f"{folder} is not a folder: somebody else made it")
    if state.st_uid != os.geteuid():
        raise UnusableError(f"{folder} belongs to another user (uid {state.st_uid})")
    if state.st_mode & 0o077:
        raise UnusableError(f"others may enter {folder}")
