"""The store that a command works on, and what its entries are, by the names of packages."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

import click

from coffee_boat import settings
from coffee_boat._support.entries import Entry
from coffee_boat._support.store import Store
from coffee_boat._support.words import counted, human_size
from coffee_boat.archive.chunks import labels
from coffee_boat.cli import render
from coffee_boat.model import text_table

_NOTES = "keys/"
_DIGEST = re.compile(r"[0-9a-f]{12,64}")


option = click.option(
    "--store",
    metavar="FOLDER",
    type=click.Path(),
    help="The store. Default: COFFEE_BOAT_STORE, or the user's cache folder.",
)


def opened(named: str | None) -> Store:
    """The store that an option names, or the settings; what is odd about those is told."""
    said, findings = settings.load({"store": named})
    for finding in findings:
        render.tell(finding)
    return Store(said.store)


def table(store: Store, entries: Iterable[Entry]) -> str:
    """The entries, the largest first; notes, which are small, are only counted. Empty for none."""
    shown = sorted(entries, key=lambda entry: entry.size, reverse=True)
    notes = [entry for entry in shown if entry.kind.startswith(_NOTES)]
    known = labels(store)
    rows = [
        (_title(entry, known), entry.kind, human_size(entry.size), _day(entry.used))
        for entry in shown
        if not entry.kind.startswith(_NOTES)
    ]
    told = [text_table(("what", "kind", "size", "last used"), rows)] if rows else []
    if notes:
        size = human_size(sum(entry.size for entry in notes))
        told.append(f"  {counted(len(notes), 'note')} on what was seen, {size}")
    return "\n".join(told)


def _title(entry: Entry, known: dict[str, str]) -> str:
    found = _DIGEST.search(entry.name)
    digest = found[0] if found is not None else ""
    if digest in known:
        return known[digest]
    if entry.kind == "wheels":
        files = sorted(path.name for path in entry.path.iterdir()) if entry.path.is_dir() else []
        return ", ".join(files) or "a wheel"
    if entry.kind == "archives" or entry.name.startswith("boat-"):
        return f"environment boat-{digest[:12]}"
    named = entry.name.partition("-")[0] if "-" in entry.name else ""
    return {
        "python": "interpreter",
        "classes": "Spark's classes, for its JVM",
        "trees": "unpacked files",
        "chunks": "a package that is not known any more",
        "tmp": "unfinished work",
    }.get(named or entry.kind, named or entry.name)


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(seconds))
