"""Archive + place -> Shipped: puts an archive where executors fetch it from."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from coffee_boat._run import redact
from coffee_boat.errors import ShipError
from coffee_boat.model import Archive, Shipped

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_BLOCK = 1 << 20


def ship(archive: Archive, stage: str | None) -> Shipped:
    """Make the archive readable for executors.

    Args:
        archive: a finished archive on this machine.
        stage: a folder: a path, or an fsspec URL (file:///shared, s3://bucket/boats); the archive is uploaded there under its content-addressed name, unless
            it is there already. None leaves it where it is: Spark's own file server sends it (SparkContext.addArchive of a local file).

    Raises:
        ShipError: the stage cannot be reached or written, or holds something else under that name.
    """
    local = Path(archive.path)
    if not local.is_file():
        raise ShipError("the archive is not there any more", value=archive.path, cause="the store was cleaned since it was built", cure="call launch_ship again")
    if stage is None:
        return Shipped(archive, local.as_uri())
    if "://" not in stage:
        stage = Path(stage).expanduser().absolute().as_uri()
    _refuse_credentials(stage)
    uri = f"{stage.rstrip('/')}/{archive.name}.tar.gz"
    with _errors(stage):
        files, path = _open_stage(uri)
        if files.exists(path):
            _check(files, path, local, uri)
        else:
            _upload(files, path, local)
    return Shipped(archive, uri)


def _open_stage(uri: str) -> tuple[AbstractFileSystem, str]:
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(uri)
    except ImportError as error:
        scheme = urlsplit(uri).scheme
        cure = f"install what it names, or stage to a folder that all nodes mount: file:///shared; without stage= Spark sends the archive itself ({scheme}:// is then not needed)"
        raise ShipError("the driver for the stage is not installed", value=uri, cause=str(error), cure=cure) from error
    except ValueError as error:  # a scheme that fsspec does not know
        raise ShipError("the stage cannot be used", value=uri, cause=str(error), cure="use a URL such as file:///shared, s3://bucket/boats or hdfs:///boats") from error
    return files, path


def _upload(files: AbstractFileSystem, path: str, local: Path) -> None:
    """Under a temporary name, then moved: nobody reads half an archive."""
    folder, _, name = path.rpartition("/")
    files.makedirs(folder, exist_ok=True)
    unfinished = f"{folder}/.{name}.{uuid.uuid4().hex}"
    try:
        files.put_file(str(local), unfinished)
        if files.size(unfinished) != local.stat().st_size:
            raise ShipError("the upload is not complete", value=path, cause="a full disk or a connection that broke", cure="free some space there and call launch_ship again")
        files.mv(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            files.rm_file(unfinished)
        raise


def _check(files: AbstractFileSystem, path: str, local: Path, uri: str) -> None:
    """Refuse what has our name and other bytes. The name says what it must hold, so nobody meant to change it."""
    same = files.size(path) == local.stat().st_size
    if same:
        with files.open(path, "rb") as there, local.open("rb") as here:
            same = _digest(there) == _digest(here)
    if not same:
        raise ShipError(
            "the stage holds something else under the archive's name", value=uri, cause="a copy that broke, or was changed", cure=f"delete {uri} and call launch_ship again"
        )


def _digest(stream: IO[bytes] | Any) -> str:
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _refuse_credentials(stage: str) -> None:
    parts = urlsplit(stage)
    if not parts.scheme:
        raise ShipError(
            "the stage is not a URL", value=stage, cause="a plain path does not say where it is", cure=f"use {Path(stage).absolute().as_uri()} for a folder that all nodes mount"
        )
    if parts.password is not None:  # a name alone is no secret: abfss://container@account
        cure = "put them where the storage's own library looks (environment variables, a credentials file, the node's role)"
        raise ShipError("the stage's URL holds credentials", value=redact(stage), cause="it would show in Spark's settings, UI and event log", cure=cure)


@contextmanager
def _errors(stage: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ShipError(
            "the stage cannot be read or written", value=stage, cause=f"{type(error).__name__}: {error}", cure="check that the folder exists and that you may write there"
        ) from error
