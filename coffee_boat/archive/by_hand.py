"""An archive that was packed, as a folder that is ready to run: outside of Spark, where nobody else
unpacks it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffee_boat._support import host, parse
from coffee_boat._support.digest import content_digest, file_state
from coffee_boat._support.store import Store
from coffee_boat.archive.unpack import UNREADABLE, write_entries
from coffee_boat.errors import BuildError
from coffee_boat.model import SENTINEL
from coffee_boat.worker.prefix import settle

_VERSION = re.compile(r"3\.\d+\.\d+\w*")
_PACK = "boat pack -o FILE"


@dataclass(frozen=True)
class Environment:
    """A folder that was an archive."""

    folder: Path
    python: str
    """Its interpreter's full version."""
    has_python: bool
    floor: tuple[int, int]
    """The glibc that it needs."""
    architecture: str
    issues: tuple[str, ...] = ()
    """Files that still name another folder, a line each."""

    @property
    def program(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / f"python{'.'.join(self.python.split('.')[:2])}"

    @property
    def why_not_here(self) -> str:
        """Why it does not run on this machine; empty if nothing is known against it."""
        glibc, machine = host.glibc(), host.architecture()
        if self.architecture != machine:
            return f"it is for {self.architecture}, and this machine is {machine}"
        if any(self.floor) and (glibc is None or glibc < self.floor):
            here = ".".join(map(str, glibc)) if glibc else "not there"
            return f"it needs glibc {'.'.join(map(str, self.floor))}, which is {here}"
        return ""


def described(folder: Path) -> Environment:
    """What lies in a folder.

    Raises:
        BuildError: it is no archive that was unpacked to its end.
    """
    try:
        said = parse.json((folder / SENTINEL).read_text("utf-8"))
        return _environment(folder, said)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _not_ours(folder, f"{SENTINEL} in it cannot be read: {error}") from error


def unpack(archive: Path, folder: Path) -> Environment:
    """An archive as a folder, whole or not at all.

    Raises:
        BuildError: it is none of ours or damaged, or the folder is not empty or cannot be written.
    """
    final = folder.absolute()
    _refuse_full(final)
    there = final.is_dir()
    # a folder that is there keeps its mode, and may be a link or a place where a disk is mounted
    aside = (final if there else final.parent) / f".{final.name}.{os.getpid()}.boat"
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        made = _made(archive, aside, final)
        if there:
            _move_up(aside, final)
        else:
            aside.rename(final)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise BuildError(
            "build.unpacking-failed",
            "the archive cannot be unpacked there",
            value=f"{archive} to {folder}",
            cause=error.strerror or str(error),
            cure=f"{'make room there' if full else 'let this user write there'}, or name another"
            " folder: boat unpack ARCHIVE DIR",
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return made


def _move_up(aside: Path, final: Path) -> None:
    """What was unpacked in a folder of its own, its last entry last: without it the folder is known
    to be incomplete.
    """
    for path in sorted(aside.iterdir(), key=lambda path: path.name == SENTINEL):
        path.rename(final / path.name)


def cached(archive: Path, store: Store) -> Environment:
    """An archive unpacked in the store, once for all processes; a folder is what it is.

    Raises:
        BuildError: it is none of ours, or damaged.
        StoreError: it is not unpacked yet, and the store cannot be written.
    """
    if archive.is_dir():
        return described(archive)
    state = file_state(archive)
    try:
        name = f"packed-{content_digest(archive, store)}"
    except OSError as error:
        raise _not_ours(archive, error.strerror or str(error)) from error
    tree = store.path("trees", name)
    while not store.keep("trees", name):
        with store.lock(f"tree {name}"):
            if not tree.exists():
                with store.publish("trees", name) as scratch:
                    _made(archive, scratch, Path(os.path.realpath(tree)))
                    if file_state(archive) != state:
                        raise _not_ours(archive, "it was replaced while it was read")
    return described(tree)


def _made(archive: Path, scratch: Path, final: Path) -> Environment:
    _refuse_unreadable(archive)
    scratch.mkdir()
    try:
        last = write_entries(archive, scratch, most=shutil.disk_usage(scratch).free)
    except UNREADABLE as error:
        raise _not_ours(archive, str(error)) from error
    if last != SENTINEL:
        raise _not_ours(archive, f"its last entry is {last!r}, not {SENTINEL}")
    made = described(scratch)
    issues = tuple(settle(str(scratch), final=os.path.realpath(final)))
    return Environment(final, made.python, made.has_python, made.floor, made.architecture, issues)


def _refuse_unreadable(archive: Path) -> None:
    try:
        with archive.open("rb"):
            return
    except OSError as error:
        raise _not_ours(archive, error.strerror or str(error)) from error


def _environment(folder: Path, said: Mapping[str, Any]) -> Environment:
    major, minor = said["glibc"]
    if not _VERSION.fullmatch(said["python"]):
        raise ValueError(f"it names Python {said['python']!r:.40}")
    return Environment(
        folder.absolute(),
        said["python"],
        bool(said["has_python"]),
        (int(major), int(minor)),
        str(said["architecture"]),
    )


def _refuse_full(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if os.path.lexists(folder):
        raise BuildError(
            "build.folder-not-empty",
            "the folder to unpack into is not empty",
            value=str(folder),
            cause="what lies there would be mixed with the environment",
            cure="name a folder that is not there yet, or remove that one",
        )


def _not_ours(archive: Path, why: str) -> BuildError:
    return BuildError(
        "build.not-an-archive",
        "this is not an archive that boat pack wrote",
        value=str(archive),
        cause=why,
        cure=f"make one: {_PACK}; or copy it once more, if it was cut short on its way",
    )
