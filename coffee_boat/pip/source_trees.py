"""A source, copied or unpacked for its build, and what its build made."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from coffee_boat._support import host, limits
from coffee_boat._support.digest import copy_tree, tree_digest
from coffee_boat._support.files import local_path
from coffee_boat._support.words import human_bytes
from coffee_boat.archive import members
from coffee_boat.errors import BuildError
from coffee_boat.model import Pin, Target, grammar

_HEADER = 16 << 20
"""The most bytes of a tar's own header."""
_UNREADABLE = (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, lzma.LZMAError, zlib.error)


def folder_inside(pin: Pin, project: Path) -> Path:
    """The folder of a project that is built; a link in a repository may lead out of it."""
    found = (project / pin.subdirectory).resolve()
    if grammar.folder_fault(pin.subdirectory) or not found.is_relative_to(project.resolve()):
        raise BuildError(
            "a subdirectory leads out of its project",
            value=f"{pin.name}: {grammar.shown(pin.subdirectory)}",
            cause="it is absolute, has .. in it, or is a link to somewhere else",
            cure="name the folder in the project that has its pyproject.toml",
        )
    return found


def copied(pin: Pin, folder: Path) -> Path:
    """A copy of a folder or a commit, to be built in."""
    place = local_path(pin.url)
    if not place.is_dir():
        raise BuildError(
            "a folder of the lock is not there any more",
            value=str(place),
            cause="it was moved or deleted since it was locked",
            cure="put it back, or ask for it where it is now",
        )
    copy = folder / "project" / place.name
    copy_tree(place, copy)
    # the copy is what is built, so it is the copy that is compared
    if tree_digest(copy) != pin.sha256:
        raise BuildError(
            "a folder was changed since it was locked",
            value=str(place),
            cause="its files were edited in the meantime",
            cure="make the lock again: call plan() or launch_ship() once more",
        )
    return copy


def check(pin: Pin, archive: Path) -> None:
    """That a source archive does not become more than its size allows: what builds it has no
    bounds.

    Raises:
        BuildError: it does, or cannot be read.
    """
    packed = archive.stat().st_size
    most = limits.unpacked(packed)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                found = list(members.issues(zipped, packed))
            if found:
                raise zipfile.BadZipFile(": ".join(found[0]))
        else:
            with _opened(archive) as tar:
                for member in tar:
                    if member.size > most:  # a sparse file's is not in the archive
                        raise tarfile.ReadError(_too_much(packed))
    except _UNREADABLE as error:
        raise failed(pin, f"the archive cannot be unpacked: {error}") from error


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """A tar, in any compression, within its bounds."""
    with archive.open("rb") as stream:
        head = stream.read(6)
    openers: dict[bytes, Callable[..., Any]] = {
        b"\x1f\x8b": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ\0": lzma.open,
    }
    opener: Callable[..., Any] = next(
        (found for magic, found in openers.items() if head.startswith(magic)), open
    )
    with opener(archive, "rb") as plain:
        bounded = _Bounded(cast("BinaryIO", plain), archive.stat().st_size)
        with tarfile.open(fileobj=cast("BinaryIO", bounded), mode="r:") as tar:
            yield tar


class _Bounded:
    """An unpacked stream that ends with an error where it goes on for too long; and whose headers
    are of a sane size, since tarfile takes them into memory whole.
    """

    def __init__(self, stream: BinaryIO, packed: int) -> None:
        self._stream, self._packed = stream, packed
        self.tell = stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER:
            raise tarfile.ReadError(f"a header claims {size:,} bytes, {_HEADER:,} are read")
        self._check(self._stream.tell() + size)
        return self._stream.read(size)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._check(place)
        return self._stream.seek(place, whence)

    def _check(self, place: int) -> None:
        if place > limits.unpacked(self._packed):
            raise tarfile.ReadError(_too_much(self._packed))


def _too_much(packed: int) -> str:
    return (
        f"an archive of {packed:,} bytes may hold {human_bytes(limits.unpacked(packed))} here"
        f" ({human_bytes(limits.UNPACKED_FREE)}, or {limits.UNPACKED} times its size), and this"
        " one has more"
    )


def unpacked(pin: Pin, archive: Path, folder: Path) -> Path:
    """The one folder that the archive holds; never writes outside of `folder`."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(folder)  # noqa: S202  # ZipFile drops .. and absolute names itself
        else:
            with _opened(archive) as tar:
                _extract(tar, folder)
    except _UNREADABLE as error:
        raise failed(pin, f"the archive cannot be unpacked: {error}") from error
    inside = [path for path in folder.iterdir() if path.is_dir()]
    return inside[0] if len(inside) == 1 else folder


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    if hasattr(tarfile, "data_filter"):
        tar.extractall(folder, filter="data")
        return
    # PEP 706 came to 3.10.12 and 3.11.4; before them only plain files and folders below `folder`
    # are taken
    plain = [
        member
        for member in tar
        if (member.isfile() or member.isdir())
        and (folder / member.name).resolve().is_relative_to(folder)
    ]
    tar.extractall(folder, members=plain)  # noqa: S202


def named_as(pin: Pin, wheel: Path) -> Path:
    """Refuse a wheel of another name or version than the pin's."""
    from packaging.utils import parse_wheel_filename

    name = parse_wheel_filename(wheel.name)[0]
    if name != pin.name:
        raise BuildError(
            "a source became a wheel of another name",
            value=f"{pin.name} ({pin.url}) gave {wheel.name}",
            cause="the requirement names another project",
            cure=f"ask for it as {name} @ ...",
        )
    return wheel


def refuse_foreign(pin: Pin, filename: str, target: Target) -> None:
    """Refuse a wheel that was compiled for another platform than the target."""
    from packaging.utils import parse_wheel_filename

    if all(tag.platform == "any" for tag in parse_wheel_filename(filename)[3]):
        return
    glibc = ".".join(map(str, host.glibc() or ())) or "none"
    here = f"{host.architecture()}, glibc {glibc} ({sys.platform})"
    foreign = host.architecture() != target.architecture
    if foreign or (host.glibc() or (99, 0)) > target.glibc:
        raise BuildError(
            f"{pin.name} {pin.version} must be compiled, and would not run on the executors",
            value=f"{filename}, built on {here}; the executors are {target.platform}",
            cause=(
                "no wheel fits them, so it was built here; what is compiled here needs the"
                " architecture and at least the glibc of this machine"
            ),
            cure=(
                f"ask for a version that has wheels for {target.platform}, give a wheel built"
                " there (find_links=), or say the executors' true platform="
            ),
        )


def failed(pin: Pin, why: str) -> BuildError:
    """The error for a build that failed."""
    return BuildError(
        f"no wheel could be built of {pin.name} {pin.version}".rstrip(),
        value=f"{pin.url}: {why}",
        cause=(
            "a compiler, a header or a build requirement is missing here, or it does not support"
            " this Python"
        ),
        cure="ask for a version that has wheels, or install what the text above misses",
    )
