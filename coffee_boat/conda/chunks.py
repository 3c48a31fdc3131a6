"""Conda packages as chunks: one a package, as for wheels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from coffee_boat._support.crew import Crew
from coffee_boat._support.digest import digest_of
from coffee_boat._support.futures import completed
from coffee_boat._support.progress import Say, Tally
from coffee_boat._support.store import Store
from coffee_boat.archive import chunks
from coffee_boat.archive.areas import RECORDS
from coffee_boat.archive.excluded import EXCLUDES
from coffee_boat.conda import prefix
from coffee_boat.conda.install import Source
from coffee_boat.conda.package import META, Package
from coffee_boat.conda.prefix import Installed
from coffee_boat.errors import BuildError
from coffee_boat.model import Chunk, CondaPin, Finding, Lock, Target, excluded

LAYOUT = 3
"""Part of each package's key: raise it when the bytes that it becomes change."""


def conda_chunks(
    lock: Lock, store: Store, *, source: Source, say: Say, only: Iterable[str] | None = None
) -> list[Chunk]:
    """The chunks of a lock's conda packages, in the order of their links; each made once for all
    processes and locks.

    Args:
        only: names of those that are wanted; all by default.

    Raises:
        BuildError: a package cannot be fetched or installed, is damaged, hostile, or not what was
            pinned.
        StoreError: something is to be made, and the store cannot be written.
    """
    wanted = None if only is None else frozenset(only)
    pins = [pin for pin in in_order(lock.conda) if wanted is None or pin.name in wanted]
    known = _known(pins, lock, store)
    if len(known) < len(pins):
        with store.turn(f"conda {digest_of([pin.identity for pin in lock.conda])}"):
            known = _known(pins, lock, store)
            known |= _made([pin for pin in pins if pin.name not in known], lock, store, source, say)
    return [known[pin.name] for pin in pins]


def recall_package(
    pin: CondaPin, target: Target, store: Store, exclude: Sequence[str] = ()
) -> Chunk | None:
    """The chunk of a package, if it was made before.

    Args:
        exclude: what stays behind of it, as Lock.exclude.
    """
    return chunks.recall(store, _key(pin, target, exclude))


def have(pin: CondaPin, store: Store) -> bool:
    """True if nothing has to be fetched for it."""
    return prefix.have(pin, store)


def findings(found: Iterable[Chunk], store: Store) -> tuple[Finding, ...]:
    """What was noticed in packages when their chunks were made."""
    return chunks.findings(found, store)


def distributions(found: Iterable[Chunk], target: Target, store: Store) -> dict[str, str]:
    """The Python distributions in some chunks: normalized name -> the chunk's label."""
    info = re.compile(
        rf"{re.escape(target.site_packages)}([^/]+?)-[^/-]+\.(?:dist|egg)-info(?:/|$)"
    )
    names = ((chunk, name) for chunk in found for name in chunks.listing(chunk, store))
    return {_normal(match[1]): chunk.label for chunk, name in names if (match := info.match(name))}


def label(pin: CondaPin) -> str:
    """What its chunk is called, as conda calls the package."""
    return f"{pin.name} {pin.version} {pin.build}"


def with_provided(lock: Lock, store: Store) -> Lock:
    """The lock with the Python distributions of those conda packages whose chunks are there."""
    info = re.compile(
        rf"{re.escape(lock.target.site_packages)}([^/]+?)-([^/-]+)\.dist-info/METADATA"
    )

    def told(pin: CondaPin) -> CondaPin:
        chunk = recall_package(pin, lock.target, store, lock.exclude)
        names = sorted(chunks.listing(chunk, store)) if chunk is not None else ()
        found = tuple(
            f"{_normal(match[1])}=={match[2]}" for name in names if (match := info.fullmatch(name))
        )
        return replace(pin, provides=found) if found else pin

    return replace(lock, conda=tuple(map(told, lock.conda)))


def fits_a_layer(chunk: Chunk, target: Target, store: Store) -> bool:
    """True if all of a package is found from any folder: modules and scripts.

    What lies in share/ or etc/ is looked for beside the interpreter.
    """
    return all(
        name.startswith((target.site_packages, "bin/", META, RECORDS))
        for name in chunks.listing(chunk, store)
    )


def refuse_both(lock: Lock, found: Sequence[Chunk], store: Store) -> None:
    """A distribution that conda brings and pip brings too: pip's files over conda's would be
    neither of the two.

    Raises:
        BuildError: there is one.
    """
    ours = distributions(found, lock.target, store)
    both = [
        f"{pin.name} {pin.version} from pip, {ours[pin.name]} from conda"
        for pin in lock.pins
        if pin.name in ours
    ]
    if both:
        raise BuildError(
            "build.package-twice",
            "a package would come from conda and from pip",
            value="; ".join(both),
            cause="the two were locked apart from each other",
            cure="ask for it in one of the two ways",
        )


def in_order(pins: Sequence[CondaPin]) -> list[CondaPin]:
    """Each after what it needs, otherwise by name. Conda packages may need each other."""
    by_name, order = {pin.name: pin for pin in pins}, {}

    def visit(pin: CondaPin, waiting: frozenset[str]) -> None:
        for name in sorted(pin.requires):
            if name in by_name and name not in order and name not in waiting:
                visit(by_name[name], waiting | {name})
        order[pin.name] = pin

    for name in sorted(by_name):
        if name not in order:
            visit(by_name[name], frozenset({name}))
    return list(order.values())


def _known(pins: Sequence[CondaPin], lock: Lock, store: Store) -> dict[str, Chunk]:
    found = {pin.name: recall_package(pin, lock.target, store, lock.exclude) for pin in pins}
    return {name: chunk for name, chunk in found.items() if chunk is not None}


def _made(
    pins: Sequence[CondaPin], lock: Lock, store: Store, source: Source, say: Say
) -> dict[str, Chunk]:
    if not pins:
        return {}
    # What is packed already need not be there, but python: without it rattler does not know where
    # modules go, and conda-pack does not look at them.
    python = [pin for pin in lock.conda if pin.name == "python" and pin not in pins]
    with (
        prefix.installed([*pins, *python], store, source, say) as packages,
        Crew(os.cpu_count() or 1, "conda") as crew,
    ):
        sizes = {pin.name: pin.size for pin in pins}
        tally = Tally(say, "packing", "conda package", sizes, weighs=False)
        for name in sizes:
            tally.begin(name)
        made = {
            crew.submit(partial(_chunk, packages[pin.name], lock, store)): pin.name for pin in pins
        }
        found = {}
        for one in completed(made):
            found[made[one]] = one.result()
            tally.end(made[one])
        return found


def _chunk(package: Installed, lock: Lock, store: Store) -> Chunk:
    pin, target = package.pin, lock.target
    written = Package(package, target, excluded.of_files(lock.exclude))
    return chunks.make(store, _key(pin, target, lock.exclude), label(pin), written.fill)


def _key(pin: CondaPin, target: Target, exclude: Sequence[str]) -> list[object]:
    rules = excluded.of_files(exclude)
    return [
        "conda",
        LAYOUT,
        pin.identity,
        pin.channel,
        pin.license,
        target.minor,
        target.architecture,
        *(["exclude", EXCLUDES, *rules] if rules else []),
    ]


def _normal(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)
