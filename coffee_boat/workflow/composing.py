"""What a session was sent, package by package, and how an environment is composed of it."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from coffee_boat._support.store import Store
from coffee_boat.archive import chunks, system
from coffee_boat.archive.unpack import environment_path
from coffee_boat.clusters import kind_of_running
from coffee_boat.conda import chunks as conda_chunks
from coffee_boat.errors import LaunchError
from coffee_boat.interpreter.generation import Composition
from coffee_boat.model import (
    START_FOLDER,
    Archive,
    Chunk,
    CondaPin,
    ConfPatch,
    Generation,
    History,
    Holding,
    Lock,
    Part,
    Pin,
    SparkFacts,
)
from coffee_boat.session import Session
from coffee_boat.worker.finder import FILES
from coffee_boat.workflow.built import Built
from coffee_boat.workflow.tools import Tools


def history(tools: Tools, made: ConfPatch, built: Built, facts: SparkFacts) -> History:
    """Of a session that begins.

    Args:
        made: what was set for it.
    """
    first = Generation(
        made.python,
        built.lock,
        built.lock,
        tools.settings.ship_python,
        environment=made.environment,
        when=time.time(),
    )
    folder = folder_of(built.archive, facts, tools.store)
    return History((first,), (part_of(built.archive, built.lock, folder),))


def told_of_files(made: ConfPatch, session: Session) -> ConfPatch:
    """With where layers arrive, where that is not the working directory of Python: so what a task
    starts finds them, too.
    """
    place = session.place("")
    if not place.startswith("/"):
        return made
    return replace(made, environment={**made.environment, FILES: place.rstrip("/")})


def folder_of(archive: Archive, facts: SparkFacts, store: Store) -> str:
    """Where the executors of a session have an archive: a name, or an absolute path."""
    if archive.role == "base" and kind_of_running(facts.master).runs_in_driver:
        return str(environment_path(store, archive))
    return archive.name


def part_of(archive: Archive, lock: Lock, folder: str) -> Part:
    """What an archive holds of a lock.

    Args:
        folder: where executors have it.
    """
    packed: dict[str, list[str]] = {}
    for chunk in archive.chunks:
        packed.setdefault(chunk.label.removeprefix("bytecode of "), []).append(chunk.id)
    pins: tuple[Pin | CondaPin, ...] = (*lock.conda, *lock.pins)
    holds = tuple(
        Holding(pin.name, pin.identity, tuple(packed[label]))
        for pin in pins
        if (label := _label(pin)) in packed
    )
    return Part(folder, holds, lock.digest if archive.role == "base" else "")


def composition(lock: Lock, parts: Sequence[Part], store: Store) -> Composition:
    """Of the archives that a session was sent: the base that holds most of it, and the layers that
    are needed besides; each package is taken from the first of them that holds it.

    Raises:
        LaunchError: a package is in none of them.
        BuildError: a chunk of the store, whose files have to be known, is gone.
    """
    bases = [part for part in parts if part.base]
    if not bases:
        raise _unknown("no archive of it is known")
    pins: tuple[Pin | CondaPin, ...] = (*lock.conda, *lock.pins)
    wanted = {pin.identity for pin in pins}
    base = max(reversed(bases), key=lambda part: _fits(part, wanted))
    added = [part for part in parts if not part.base]
    taken: dict[str, Part] = {}
    for part in (base, *reversed(added)):
        for one in part.holds:
            if one.identity in wanted:
                taken.setdefault(one.identity, part)
    if missing := sorted(wanted - taken.keys()):
        raise _unknown(", ".join(one.partition(" ")[0] for one in missing))
    layers = tuple(part for part in added if part in taken.values())
    without = {part.folder: _goes(part, taken, store) for part in (base, *layers)}
    return Composition(
        base.folder,
        tuple(part.folder for part in layers),
        tuple((folder, files) for folder, files in without.items() if files),
        tuple(sorted(part.folder for part in added)),
    )


def extends(archive: Archive, parts: Sequence[Part], store: Store) -> bool:
    """True if it has modules of a package that was sent before, or the other way round: Python
    looks for those of a folder with __init__ in one place only. Or a script that was sent before.
    """
    site = archive.target.site_packages
    folders, packages = _folders(archive.chunks, site, store)
    sent = [_by_id(chunk) for part in parts for one in part.holds for chunk in one.chunks]
    scripts = frozenset[str]().union(*(chunks.scripts(chunk, store) for chunk in archive.chunks))
    if any(not scripts.isdisjoint(chunks.listing(chunk, store)) for chunk in sent if scripts):
        return True
    folders_before, packages_before = _folders(sent, site, store)
    return not (folders & folders_before).isdisjoint(packages | packages_before)


def _folders(
    some: Sequence[Chunk], site: str, store: Store
) -> tuple[frozenset[str], frozenset[str]]:
    """Below site-packages: all folders, and those with an __init__."""
    found, packages = set[str](), set[str]()
    for chunk in some:
        for name in chunks.listing(chunk, store):
            folder, _, file = name.removeprefix(site).rpartition("/")
            if not name.startswith(site) or not folder:
                continue
            packages |= {folder} if file.startswith("__init__.") else set()
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
    return frozenset(found), frozenset(packages)


def _fits(part: Part, wanted: Collection[str]) -> tuple[int, int]:
    """How many packages that are wanted a part holds, then how few others."""
    held = sum(one.identity in wanted for one in part.holds)
    return held, held - len(part.holds)


def has_data(archive: Archive, store: Store) -> bool:
    """True if files of it lie outside of site-packages, where packages look in Python's own folder
    only: data, configuration, programs. Not for the scripts of entry points, which are put on PATH
    (worker/finder.py).
    """
    inside = (archive.target.site_packages, START_FOLDER, "conda-meta/")
    return any(
        not name.startswith(inside)
        for chunk in archive.chunks
        for name in chunks.listing(chunk, store).keys() - chunks.scripts(chunk, store)
    )


def leans(archive: Archive, parts: Sequence[Part], store: Store) -> bool:
    """True if libraries of it load those of packages that were sent before: wheels name the way to
    them from their own folder, which holds within one environment only (torch and nvidia-*).
    """
    wanted = system.absent(archive.chunks, archive.target.architecture, store)
    return bool(wanted) and any(
        posixpath.basename(name) in wanted
        for part in parts
        for one in part.holds
        for chunk in one.chunks
        for name in chunks.listing(_by_id(chunk), store)
    )


def _goes(part: Part, taken: Mapping[str, Part], store: Store) -> tuple[str, ...]:
    """The files of packages that are not taken from a part, but for those that a package has which
    is.
    """
    stay = {one.identity for one in part.holds if taken.get(one.identity) is part}
    files = {
        one.identity: {
            name for chunk in one.chunks for name in chunks.listing(_by_id(chunk), store)
        }
        for one in part.holds
        if len(stay) < len(part.holds)
    }
    kept = set[str]().union(*(files[name] for name in files.keys() & stay))
    gone = set[str]().union(*(files[name] for name in files.keys() - stay))
    return tuple(sorted(gone - kept))


def _by_id(chunk: str) -> Chunk:
    return Chunk(chunk, 0, 0, 0)


def _label(pin: Pin | CondaPin) -> str:
    return f"{pin.name} {pin.version}" if isinstance(pin, Pin) else conda_chunks.label(pin)


def _unknown(value: str) -> LaunchError:
    return LaunchError(
        "session.parts-unknown",
        "what the session was sent is not known, so nothing can be composed of it",
        value=value,
        cause="the store was cleaned since, or another one was used to add packages",
        cure="stop the session, captain.launch_ship(), and start it again",
    )
