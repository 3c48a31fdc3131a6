"""Chunks -> archive: concatenation, and what is done with a finished archive on the driver.

    chunk | chunk | ... | tail        each a run of gzip members; the tail holds boat.json and the
                                      end of the tar

Readers that take a gzip file of many members: GNU gzip, tar and libarchive; Python's gzip and
`tarfile.open(path)`; Hadoop's unTar, so Spark's and YARN's archives; java.util.zip.GZIPInputStream
on a file. Readers that stop after the first member without an error: Python's
`tarfile.open(mode="r|gz")`, commons-compress unless told `decompressConcatenated`, GZIPInputStream
on a stream that answers 0 to available(). Therefore boat.json is the last entry: it tells whether
all was unpacked.
"""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, BinaryIO, cast

from coffee_boat._store import Store
from coffee_boat._version import __version__
from coffee_boat.build.chunks import ChunkWriter, folders_of, is_inside, is_plain, listing
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.model import SENTINEL, Archive, Chunk, Finding, Lock, Target, digest_of
from coffee_boat.worker.prefix import settle

FORMAT = 1
"""Of boat.json."""

_BUFFER = 1 << 18
_SHOWN = 3
_NO_COPY_IN_KERNEL = {
    errno.EXDEV,
    errno.ENOSYS,
    errno.EINVAL,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EBADF,
}
_SUFFIXES = (".tar.gz", ".tgz")


@dataclass(frozen=True)
class Destination:
    """Where a user wants an archive."""

    path: Path
    overwrite: bool = False

    def check(self) -> None:
        """Refuse what cannot be the archive's place, before anything is made for it.

        Raises:
            BuildError: it exists and `overwrite` is not given, is not called .tar.gz or .tgz, or
                lies where nothing may be written.
        """
        path = self.path
        if not path.name.endswith(_SUFFIXES):
            cause = "Spark looks at the file's name to know how to unpack it"
            raise BuildError(
                "an archive cannot be called so",
                value=str(path),
                cause=cause,
                cure=f"name it {path.name.split('.')[0] or 'boat'}.tar.gz",
            )
        if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
            missing = not path.absolute().parent.exists()
            cause, cure = (
                ("there is no such folder", f"mkdir -p {path.absolute().parent}")
                if missing
                else ("nothing may be written in its folder", "name another folder")
            )
            raise BuildError(
                "the archive cannot be written", value=str(path), cause=cause, cure=cure
            )
        if path.is_dir() or (path.exists() and not self.overwrite):
            raise BuildError(
                "there is a file already",
                value=str(path),
                cause="nothing is overwritten unasked",
                cure="name another file, remove it, or give overwrite=True",
            )

    @contextmanager
    def written(self) -> Iterator[BinaryIO]:
        """An unbuffered file, which has its name when the block ends well.

        Raises:
            BuildError: as `check`; or it cannot be written.
        """
        self.check()
        with _beside(self.path) as scratch:
            with scratch.open("wb", buffering=0) as out:
                yield out
            scratch.replace(self.path)


def assemble(
    chunks: Sequence[Chunk],
    *,
    target: Target,
    lock: Lock,
    has_python: bool,
    inputs: Mapping[str, Any],
    store: Store,
    to: Destination | None = None,
) -> Archive:
    """The archive of some chunks, in this order; where two hold the same file, the later one wins
    when it is unpacked.

    Args:
        inputs: a JSON value for boat.json: what was asked for. No paths of this machine, no
            secrets.
        to: where it is written, whole or not at all, instead of the store.

    Raises:
        BuildError: a chunk is not in the store any more, or was cut short; or one has a folder
            where another has a file; or `to` cannot be written.
        StoreError: the archive is not there yet, and the store cannot be written.
    """
    tail, tail_id = _tail(_manifest(chunks, target, lock, has_python, inputs))
    archive_id = digest_of([*(chunk.id for chunk in chunks), tail_id])
    findings = _clashes(archive_id, chunks, store)
    path = store.archive_path(archive_id) if to is None else to.path.absolute()
    if to is not None:
        with to.written() as out:
            _concatenate(chunks, tail, out, store)
    elif not path.exists():
        with store.lock(f"archive {archive_id}"):
            if not path.exists():
                _publish(chunks, tail, archive_id, store)
    return Archive(
        id=archive_id,
        path=str(path),
        size=path.stat().st_size,
        chunks=tuple(chunks),
        target=target,
        lock_digest=lock.digest,
        has_python=has_python,
        findings=findings,
    )


def copy_to(archive: Archive, to: Destination) -> Archive:
    """Put a copy of the archive somewhere, whole or not at all.

    Returns:
        The archive as it lies there.

    Raises:
        BuildError: it cannot be written there.
    """
    with to.written() as out:
        _append(Path(archive.path), archive.size, out)
        _must_have(out, archive.size)
    return replace(archive, path=str(to.path.absolute()))


def unpack(archive: Archive, store: Store) -> Path:
    """The archive unpacked in the store, whole, once for all processes: the environment of
    local[*].

    Raises:
        BuildError: the archive is damaged or was cut short.
        StoreError: it is not unpacked yet, and the store cannot be written.
    """
    name = store.environment_path(archive).name
    records = [chunk.record for chunk in archive.chunks if chunk.record]
    return _unpacked(Path(archive.path), archive.size, name, store, last=SENTINEL, records=records)


def unpack_chunk(chunk: Chunk, store: Store) -> Path:
    """One chunk unpacked in the store, as `unpack`; names are those inside an archive.

    Raises:
        BuildError: the chunk is damaged or was cut short.
        StoreError: it is not unpacked yet, and the store cannot be written.
    """
    records = [chunk.record] if chunk.record else []
    return _unpacked(store.chunk_path(chunk), chunk.size, chunk.id, store, last="", records=records)


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


# boat.json and the archive's bytes


def _manifest(
    chunks: Sequence[Chunk], target: Target, lock: Lock, has_python: bool, inputs: Mapping[str, Any]
) -> bytes:
    records = [chunk.record for chunk in chunks if chunk.record]
    value = {
        "format": FORMAT,
        "coffee_boat": __version__,
        "inputs": dict(inputs),
        "lock": lock.digest,
        "pins": {pin.name: pin.version for pin in lock.pins},
        **(
            {
                "conda": {
                    pin.name: {
                        "version": pin.version,
                        "build": pin.build,
                        "channel": pin.channel,
                        "license": pin.license,
                    }
                    for pin in lock.conda
                }
            }
            if lock.conda
            else {}
        ),
        "chunks": [{"id": chunk.id, "label": chunk.label} for chunk in chunks],
        **({"records": records} if records else {}),
        "glibc": max((chunk.floor for chunk in chunks), default=(0, 0)),
        "architecture": target.architecture,
        "python": target.python,
        "has_python": has_python,
    }
    return json.dumps(value, sort_keys=True, indent=1).encode("ascii") + b"\n"


def _tail(manifest: bytes) -> tuple[bytes, str]:
    out = io.BytesIO()
    writer = ChunkWriter(out)
    writer.file(SENTINEL, manifest)
    writer.end()
    digest = writer.finish()
    return out.getvalue(), digest


def _publish(chunks: Sequence[Chunk], tail: bytes, archive_id: str, store: Store) -> None:
    final = store.archive_path(archive_id)
    with (
        store.publish("archives", f"{archive_id}/{final.name}") as scratch,
        scratch.open("wb", buffering=0) as out,
    ):
        _concatenate(chunks, tail, out, store)


def _concatenate(chunks: Sequence[Chunk], tail: bytes, out: BinaryIO, store: Store) -> None:
    for chunk in chunks:
        _append(store.chunk_path(chunk), chunk.size, out)
    out.write(tail)
    _must_have(out, sum(chunk.size for chunk in chunks) + len(tail))


def _must_have(out: BinaryIO, size: int) -> None:
    """An unbuffered file may take less than it is given, and say so only the next time."""
    if os.fstat(out.fileno()).st_size != size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _append(path: Path, size: int, out: BinaryIO) -> None:
    """Copy a file to where `out` stands; both unbuffered, so that the kernel can do it (or share
    the blocks).
    """
    with _opened(path) as source:
        _copy_in_kernel(source, out)
        shutil.copyfileobj(source, out, 1 << 20)
        copied = source.tell()
    if copied != size:
        raise _gone(path, f"it has {copied} bytes, {size} were made")


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise _gone(path, "it was removed from the store") from error
    except OSError as error:
        raise _gone(path, error.strerror or str(error)) from error


def _copy_in_kernel(source: BinaryIO, out: BinaryIO) -> None:
    """As far as this kernel and these file systems can; what is left is read and written."""
    try:
        while os.copy_file_range(source.fileno(), out.fileno(), 1 << 30):
            pass
    except AttributeError:
        return  # not Linux
    except OSError as error:
        if error.errno not in _NO_COPY_IN_KERNEL:
            raise


def _gone(path: Path, cause: str) -> BuildError:
    return BuildError(
        "a built file is gone or damaged",
        value=str(path),
        cause=cause,
        cure=f"rm -f {path}, and try again: it is then made anew",
    )


# clashes


def _clashes(archive_id: str, chunks: Sequence[Chunk], store: Store) -> tuple[Finding, ...]:
    """Remembered: looking takes longer than concatenating."""
    known = store.recall("clashes", archive_id)
    if known is not None:
        return tuple(Finding(**value) for value in known)
    found = tuple(
        _find_clashes([(chunk.label or chunk.id[:12], listing(chunk, store)) for chunk in chunks])
    )
    with suppress(StoreError):
        store.remember("clashes", archive_id, [asdict(finding) for finding in found])
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
                what="two packages bring the same file with different content",
                value=f"{first} and {second}: {', '.join(names[:_SHOWN])}{others}",
                cause=f"the file of {second} is what executors get",
                cure="leave one of them out if something does not work",
            )


def _check_tree(listings: Sequence[tuple[str, Mapping[str, str]]]) -> None:
    files = {name: label for label, names in listings for name in names}
    for label, names in listings:
        for folder in sorted(folders_of(names) & files.keys()):
            cause = f"{label} has files below it, {files[folder]} has a file or a link of that name"
            raise BuildError(
                "two packages cannot be unpacked together",
                value=folder,
                cause=cause,
                cure="leave one of them out, or pin another version of it",
            )


# unpacking


def _unpacked(
    source: Path, size: int, name: str, store: Store, *, last: str, records: Sequence[str]
) -> Path:
    """`last`: the name of the entry that must come last; empty for any.

    `records`: as for `settle`.
    """
    tree = store.path("trees", name)
    if not tree.exists():
        with store.lock(f"tree {name}"):
            if not tree.exists():
                with store.publish("trees", name) as scratch:
                    scratch.mkdir()
                    _unpack(source, size, scratch, last)
                    settle(str(scratch), final=os.path.realpath(tree), records=records)
    return tree


def _unpack(source: Path, size: int, folder: Path, last: str) -> None:
    # isal and a plain loop take half of the processor time of gzip and GNU tar; threads gain
    # nothing, since files are made one by one.
    from isal import igzip, isal_zlib

    name, unreadable = (
        "",
        (tarfile.ReadError, EOFError, gzip.BadGzipFile, cast("type[Exception]", isal_zlib.error)),
    )
    try:
        if source.stat().st_size != size:
            raise _gone(source, f"it has {source.stat().st_size} bytes, {size} were made")
        with (
            igzip.open(source, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r|", bufsize=_BUFFER) as entries,
        ):
            for entry in entries:
                name = entry.name
                _unpack_entry(entries, entry, folder)
    except FileNotFoundError as error:
        raise _gone(source, "it was removed from the store") from error
    except unreadable as error:
        raise _gone(source, f"it cannot be read: {error}") from error
    if last and name != last:
        raise _gone(source, f"its last entry is {name!r}, not {last}")


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


# copies


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A place in the same folder to write to; removed at the end."""
    try:
        with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=".boat-") as folder:
            yield Path(folder) / "archive"
    except OSError as error:
        raise BuildError(
            "the archive cannot be written",
            value=str(path),
            cause=error.strerror or str(error),
            cure="free some space, or name another folder",
        ) from error
