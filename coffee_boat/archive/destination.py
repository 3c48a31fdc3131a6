"""Where a user wants an archive, checked before it is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from coffee_boat._support import files
from coffee_boat._support.redact import redact
from coffee_boat._support.scratch import drop_dead, scratch
from coffee_boat.errors import BuildError

_SUFFIXES = (".tar.gz", ".tgz")
_NAME = 255
"""NAME_MAX: bytes of a file's name."""


@dataclass(frozen=True)
class Destination:
    """Where a user wants an archive."""

    path: Path
    overwrite: bool = False

    @classmethod
    def of(cls, path: str | Path, *, overwrite: bool = False) -> Destination:
        """What a person means: of a `file:` URL its path.

        Raises:
            BuildError: it is another URL.
        """
        if files.is_remote(path):
            folder, _, name = str(path).rpartition("/")
            raise BuildError(
                "build.archive-place-elsewhere",
                "an archive is packed into a file of this machine",
                value=redact(str(path)),
                cause="it is a URL",
                cure=f"name it {name.split('.')[0] or 'boat'}.tar.gz, and copy it there (hdfs dfs"
                f" -put, aws s3 cp); or let a launch put it there: stage={redact(folder + '/')!r}",
            )
        return cls(files.named(path), overwrite)

    def check(self) -> None:
        """Refuse what cannot be the archive's place, before anything is made for it.

        Raises:
            BuildError: it exists and `overwrite` is not given, is not called .tar.gz or .tgz, or
                lies where nothing may be written.
        """
        path = self.path
        if "\0" in str(path) or len(os.fsencode(path.name)) > _NAME:
            raise BuildError(
                "build.archive-name-invalid",
                "not a valid file name of an archive",
                value=repr(str(path))[:_NAME],
                cause=f"a name has at most {_NAME} bytes and no NUL",
                cure="name it boat.tar.gz",
            )
        if not path.name.endswith(_SUFFIXES):
            cause = "Spark looks at the file's name to know how to unpack it"
            raise BuildError(
                "build.archive-suffix-missing",
                "the file name must end in .tar.gz or .tgz",
                value=str(path),
                cause=cause,
                cure=f"name it {path.name.split('.')[0] or 'boat'}.tar.gz",
            )
        if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
            missing = not os.path.exists(path.absolute().parent)  # noqa: PTH110  (False for a name that is too long)
            cause, cure = (
                ("there is no such folder", f"mkdir -p {path.absolute().parent}")
                if missing
                else ("nothing may be written in its folder", "name another folder")
            )
            raise BuildError(
                "build.archive-unwritable",
                "the archive cannot be written",
                value=str(path),
                cause=cause,
                cure=cure,
            )
        if os.path.exists(path) and not (os.path.isfile(path) and self.overwrite):  # noqa: PTH110, PTH113
            raise BuildError(
                "build.file-exists",
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
        with _beside(self.path) as archive:
            with archive.open("wb", buffering=0) as out:
                yield out
            archive.replace(self.path)


# copies


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A place in the same folder to write to; removed at the end.

    What a killed process left there, up to a whole archive, goes when the next one is written.
    """
    folder = path.absolute().parent
    try:
        drop_dead(folder)
        with scratch(folder, hidden=True) as archive:
            yield archive
    except OSError as error:
        raise BuildError(
            "build.archive-unwritable",
            "the archive cannot be written",
            value=str(path),
            cause=error.strerror or str(error),
            cure="free some space, or name another folder",
        ) from error
