"""Files of two chunks with one name and different content; and modules of one name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import combinations

from packaging.utils import canonicalize_name

from coffee_boat._support.store import Store
from coffee_boat.archive import unasked
from coffee_boat.archive.chunks import listing
from coffee_boat.archive.modules import shadowed
from coffee_boat.archive.names import folders_of
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.model import Chunk, Finding, Target

_SHOWN = 3


# clashes


def clashes(
    archive_id: str, chunks: Sequence[Chunk], target: Target, store: Store
) -> tuple[Finding, ...]:
    """Remembered: looking takes longer than concatenating."""
    key = ["with codes", "modules of others too", archive_id]
    known = store.recall("clashes", key)
    if known is not None:
        return tuple(Finding(**value) for value in known)
    listings = [(chunk.label or chunk.id[:12], listing(chunk, store)) for chunk in chunks]
    found = (
        *_find_clashes(listings),
        *shadowed(listings, target),
        *_unasked(listings, target),
    )
    with suppress(StoreError):
        store.remember("clashes", key, [asdict(finding) for finding in found])
    return found


def _find_clashes(listings: Sequence[tuple[str, Mapping[str, str]]]) -> Iterator[Finding]:
    """Files of two chunks with one name and different content.

    Equal ones (an empty __init__.py) do no harm.
    """
    _check_tree(listings)
    for (first, early), (second, late) in combinations(listings, 2):
        names = sorted(name for name in early.keys() & late.keys() if early[name] != late[name])
        if names:
            others = f", + {len(names) - _SHOWN} others" if len(names) > _SHOWN else ""
            yield Finding(
                "build.files-clash",
                "two packages bring the same file with different content",
                value=f"{first} and {second}: {', '.join(names[:_SHOWN])}{others}",
                cause=f"the file of {second} is what executors get",
                cure="leave one of them out if something does not work",
            )


def _unasked(
    listings: Sequence[tuple[str, Mapping[str, str]]], target: Target
) -> Iterator[Finding]:
    site = target.site_packages
    for label, names in listings:
        below = (
            name.removeprefix(site)
            for name in names
            if name.startswith(site) and "/__pycache__/" not in name
        )
        yield from unasked.findings(label, below, canonicalize_name(label.partition(" ")[0]))


def _check_tree(listings: Sequence[tuple[str, Mapping[str, str]]]) -> None:
    files = {name: label for label, names in listings for name in names}
    for label, names in listings:
        for folder in sorted(folders_of(names) & files.keys()):
            cause = f"{label} has files below it, {files[folder]} has a file or a link of that name"
            raise BuildError(
                "build.trees-clash",
                "two packages cannot be unpacked together",
                value=folder,
                cause=cause,
                cure="leave one of them out, or pin another version of it",
            )
