"""Source archives, unpacked within what their size allows."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from coffee_boat._support import limits
from coffee_boat._support.words import human_bytes
from coffee_boat.archive import members

UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    OSError,
    EOFError,
    lzma.LZMAError,
    zlib.error,
    NotImplementedError,
    OverflowError,
    ValueError,  # numbers and texts that are none, a NUL in a name
)
"""What is raised for an archive that is damaged, or larger than its size allows."""
_HEADER = 16 << 20
"""The most bytes of a tar's own header."""


def check(archive: Path) -> None:
    """That a source archive does not become more than its size allows: what builds it has no
    bounds.

    Raises:
        UNREADABLE: it does, or cannot be read.
    """
    packed = archive.stat().st_size
    most = limits.unpacked(packed)
    if _is_zip(archive):
        with members.opened(archive) as zipped:
            found = list(members.issues(zipped, packed))
        if found:
            raise zipfile.BadZipFile(": ".join(found[0]))
    else:
        with _opened(archive, headers_only=True) as tar:
            for member in tar:
                if member.size > most:  # a sparse file's is not in the archive
                    raise tarfile.ReadError(_too_much(packed))


def _is_zip(archive: Path) -> bool:
    """By its name, as what builds it takes it; its end may look like a zip's, whatever it is."""
    named = archive.name.lower().endswith(".zip")
    with archive.open("rb") as stream:
        begins = stream.read(4) in (b"PK\3\4", b"PK\5\6")
    if named and not begins:
        raise zipfile.BadZipFile("it is called .zip, and does not begin as a zip file does")
    return named


@contextmanager
def _opened(archive: Path, *, headers_only: bool = False) -> Iterator[tarfile.TarFile]:
    """A tar, in any compression, within its bounds.

    Args:
        headers_only: no member's content will be read.
    """
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
        bounded = _Bounded(cast("BinaryIO", plain), archive.stat().st_size, headers_only)
        with tarfile.open(fileobj=cast("BinaryIO", bounded), mode="r:") as tar:
            yield tar


class _Bounded:
    """An unpacked stream that ends with an error where it goes on for too long; and whose headers
    are of a sane size, since tarfile takes them into memory whole: by one read, or, from Python
    3.14 on, by many without a seek between them.
    """

    def __init__(self, stream: BinaryIO, packed: int, headers_only: bool) -> None:
        self._stream, self._packed, self._headers_only = stream, packed, headers_only
        self._without_seek = 0
        self.tell = stream.tell

    def read(self, size: int = -1) -> bytes:
        self._without_seek = self._without_seek + size if self._headers_only else size
        if size < 0 or self._without_seek > _HEADER:
            raise tarfile.ReadError(
                f"a header claims more than the {_HEADER:,} bytes that are read"
            )
        self._check(self._stream.tell() + size)
        return self._stream.read(size)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._check(place)
        self._without_seek = 0
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


def unpack(archive: Path, folder: Path) -> Path:
    """The one folder that the archive holds; never writes outside of `folder`.

    Raises:
        UNREADABLE: it becomes more than its size allows, or cannot be read.
    """
    if _is_zip(archive):
        with members.opened(archive) as zipped:
            zipped.extractall(folder)  # noqa: S202  # ZipFile drops .. and absolute names itself
    else:
        with _opened(archive) as tar:
            _extract(tar, folder)
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
