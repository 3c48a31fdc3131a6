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
from typing import BinaryIO, NoReturn, cast

from coffee_boat._support.store import Store
from coffee_boat._support.words import human_size
from coffee_boat.archive.chunks import chunk_path, gone, listing
from coffee_boat.archive.names import folders_of, is_inside, is_plain
from coffee_boat.errors import StoreError
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
    if not store.has("trees", name):
        _refuse_small(store, sum(chunk.unpacked for chunk in archive.chunks))
    return _unpacked(Path(archive.path), archive.size, name, store, last=SENTINEL, records=records)


def unpack_chunk(chunk: Chunk, store: Store) -> Path:
    """One chunk unpacked in the store, as `unpack`; names are those inside an archive.

    Raises:
        BuildError: the chunk is damaged or was cut short.
        StoreError: it is not unpacked yet, and the store cannot be written.
    """
    if not store.has("trees", chunk.id):
        _refuse_small(store, chunk.unpacked)
    records = [chunk.record] if chunk.record else []
    return _unpacked(
        chunk_path(store, chunk), chunk.size, chunk.id, store, last="", records=records
    )


def _refuse_small(store: Store, needed: int) -> None:
    """Raise before anything is written where the disk has too little room for it."""
    free = shutil.disk_usage(store.root).free
    if needed > free:
        raise StoreError(
            "store.too-little-room",
            "there is too little room to unpack the environment on this machine",
            value=f"{human_size(needed)} are needed, {human_size(free)} are free: {store.root}",
            cause="its packages are large, or the disk is full of something else",
            cure="free some space (boat cache prune), or name another folder:"
            " COFFEE_BOAT_STORE=/some/folder",
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


UNREADABLE = (
    tarfile.TarError,
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    ValueError,
    OverflowError,
    RecursionError,  # headers in a row
)
"""What `write_entries` raises for a file that is no archive, or a damaged or hostile one."""
_HEADER = 1 << 16
"""Bytes of what stands before an entry (two long names): tarfile takes it into memory whole."""
_FOREIGN = frozenset(
    (
        tarfile.GNUTYPE_SPARSE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    )
)
"""Types of headers that no archive of ours has: long names stand in pax headers of one entry."""


def write_entries(source: Path, folder: Path, *, most: int | None = None) -> str:
    """Write all that is in an archive below a folder; gives the name of the last entry.

    Only what our archives have is written: folders, files and links that stay inside, each below a
    folder that stands before it, and never through a link.

    Args:
        most: bytes that may come out, of an archive that anybody may have made.

    Raises:
        UNREADABLE: it is damaged or larger, or an entry leads out of the folder or is of another
            kind.
        OSError: it cannot be read, or the folder not be written.
    """
    # isal and a plain loop take half of the processor time of gzip and GNU tar; threads gain
    # nothing, since files are made one by one.
    from isal import igzip, isal_zlib

    name, tree = "", _Tree(folder, most)
    try:
        with (
            igzip.open(source, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=_BUFFER, tarinfo=_Entry) as entries,
        ):
            for entry in entries:
                name = entry.name
                tree.write(entries, entry)
    except cast("type[Exception]", isal_zlib.error) as error:
        raise tarfile.ReadError(str(error)) from error
    return name


class _Entry(tarfile.TarInfo):
    """One with such headers as ours: Python takes the content of others into memory, one within the
    other, before it gives an entry.

    Checked where Python notes the type of a header, after its size: which of its methods reads a
    header is not the same in all Pythons (gh-143933).
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name == "size" and cast("int", value) < 0:
            raise tarfile.ReadError(f"a header claims {value:,} bytes")
        if name == "type" and value in _FOREIGN:
            raise tarfile.ReadError("it has headers that ours have not")
        if name == "type" and value not in tarfile.REGULAR_TYPES and self.size > _HEADER:
            raise tarfile.ReadError(f"a header claims {self.size:,} bytes")
        super().__setattr__(name, value)

    def _proc_gnusparse_10(self, *_: object) -> NoReturn:
        # What pax headers call a sparse file has a list of its parts in the file itself.
        raise tarfile.ReadError("it has headers that ours have not")


class _Tree:
    """What is being unpacked."""

    def __init__(self, folder: Path, most: int | None) -> None:
        self._folder, self._left, self._most = folder, most, most
        self._links: set[str] = set()

    def write(self, entries: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        self._check(entry)
        try:
            self._write(entries, entry, self._folder / entry.name)
        except (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            cause = f"{entry.name!r} does not lie in a folder that stands before it"
            raise tarfile.ReadError(cause) from error

    def _check(self, entry: tarfile.TarInfo) -> None:
        name = entry.name
        if not is_plain(name) or (entry.issym() and not is_inside(name, entry.linkname)):
            raise tarfile.ReadError(f"{name!r} leads out of it")
        if not self._links.isdisjoint(folders_of([name])) or (
            entry.isdir() and name in self._links
        ):
            raise tarfile.ReadError(f"{name!r} lies behind a link")
        if not (entry.isdir() or entry.issym() or entry.isreg()) or entry.sparse is not None:
            raise tarfile.ReadError(f"{name!r} is neither a file, a folder nor a symbolic link")
        if self._left is not None:
            self._left -= entry.size
            if self._left < 0:
                raise tarfile.ReadError(f"it has more than {human_size(self._most or 0)} in it")

    def _write(self, entries: tarfile.TarFile, entry: tarfile.TarInfo, place: Path) -> None:
        self._links.discard(entry.name)
        if entry.isdir():
            place.mkdir(exist_ok=True)
        elif entry.issym():
            place.unlink(missing_ok=True)
            place.symlink_to(entry.linkname)
            self._links.add(entry.name)
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
