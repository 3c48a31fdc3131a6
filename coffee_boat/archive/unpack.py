"""An archive or a chunk unpacked in the store, whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

from coffee_boat._support.store import Store
from coffee_boat.archive.chunks import chunk_path, gone, listing
from coffee_boat.archive.names import is_inside, is_plain
from coffee_boat.model import SENTINEL, Archive, Chunk
from coffee_boat.worker.prefix import settle


def environment_path(store: Store, archive: Archive) -> Path:
    """Where an archive lies unpacked, for local[*]: by all of its id, which its name is not."""
    return store.path("trees", f"boat-{archive.id}")


_BUFFER = 1 << 18


def unpack(archive: Archive, store: Store) -> Path:
    """The archive unpacked in the store, whole, once for all processes: the environment of
    local[*].

    Raises:
        BuildError: the archive is damaged or was cut short.
        StoreError: it is not unpacked yet, and the store cannot be written.
    """
    name = environment_path(store, archive).name
    records = [chunk.record for chunk in archive.chunks if chunk.record]
    return _unpacked(Path(archive.path), archive.size, name, store, last=SENTINEL, records=records)


def unpack_chunk(chunk: Chunk, store: Store) -> Path:
    """One chunk unpacked in the store, as `unpack`; names are those inside an archive.

    Raises:
        BuildError: the chunk is damaged or was cut short.
        StoreError: it is not unpacked yet, and the store cannot be written.
    """
    records = [chunk.record] if chunk.record else []
    return _unpacked(
        chunk_path(store, chunk), chunk.size, chunk.id, store, last="", records=records
    )


def modules(archive: Archive, store: Store) -> frozenset[str]:
    """The top-level modules in an archive's site-packages: names without a suffix, folders of data
    among them.
    """
    folder = archive.target.site_packages
    names = (
        name.removeprefix(folder)
        for chunk in archive.chunks
        for name in listing(chunk, store)
        if name.startswith(folder)
    )
    return frozenset(name.partition("/")[0].partition(".")[0] for name in names)


# unpacking


def _unpacked(
    source: Path, size: int, name: str, store: Store, *, last: str, records: Sequence[str]
) -> Path:
    """`last`: the name of the entry that must come last; empty for any.

    `records`: as for `settle`.
    """
    tree = store.path("trees", name)
    while not store.keep("trees", name):
        with store.lock(f"tree {name}"):
            if not tree.exists():
                with store.publish("trees", name) as scratch:
                    scratch.mkdir()
                    _unpack(source, size, scratch, last)
                    settle(str(scratch), final=os.path.realpath(tree), records=records)
    return tree


def _unpack(source: Path, size: int, folder: Path, last: str) -> None:
    try:
        if source.stat().st_size != size:
            raise gone(source, f"it has {source.stat().st_size} bytes, {size} were made")
        name = write_entries(source, folder)
    except FileNotFoundError as error:
        raise gone(source, "it was removed from the store") from error
    except UNREADABLE as error:
        raise gone(source, f"it cannot be read: {error}") from error
    if last and name != last:
        raise gone(source, f"its last entry is {name!r}, not {last}")


UNREADABLE = (tarfile.ReadError, EOFError, gzip.BadGzipFile, zlib.error)
"""What `write_entries` raises for a file that is no archive, or a damaged one."""


def write_entries(source: Path, folder: Path) -> str:
    """Write all that is in an archive below a folder; gives the name of the last entry.

    Raises:
        UNREADABLE: it is damaged, or an entry leads out of the folder.
        OSError: it cannot be read, or the folder not be written.
    """
    # isal and a plain loop take half of the processor time of gzip and GNU tar; threads gain
    # nothing, since files are made one by one.
    from isal import igzip, isal_zlib

    name = ""
    try:
        with (
            igzip.open(source, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=_BUFFER) as entries,
        ):
            for entry in entries:
                name = entry.name
                _unpack_entry(entries, entry, folder)
    except cast("type[Exception]", isal_zlib.error) as error:
        raise tarfile.ReadError(str(error)) from error
    return name


def _unpack_entry(entries: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> None:
    if not is_plain(entry.name) or (entry.issym() and not is_inside(entry.name, entry.linkname)):
        raise tarfile.ReadError(f"{entry.name!r} leads out of it")
    place = folder / entry.name
    if entry.isdir():
        place.mkdir(exist_ok=True)
    elif entry.issym():
        place.unlink(missing_ok=True)
        place.symlink_to(entry.linkname)
    else:
        content = entries.extractfile(entry)
        with _created(place) as out:
            shutil.copyfileobj(content or io.BytesIO(), out, _BUFFER)
        if entry.mode & 0o111:
            place.chmod(0o755)


def _created(place: Path) -> BinaryIO:
    """Of two entries with one name the later one wins; a link is replaced, not followed."""
    try:
        return place.open("xb", buffering=0)
    except FileExistsError:
        place.unlink()
        return place.open("xb", buffering=0)
