"""Archive + place -> Shipped: puts an archive where executors fetch it from.

    places        what a stage is, and how its URL is read
    by_fsspec     shared folders, object stores, WebHDFS
    by_hadoop     HDFS, by Spark's own Hadoop
    open          which of the two serves a place
    permissions   who else could change what executors will run
    verified      which files were read and compared already
    last_used     when an archive was used last, and which can go
    failures      what drivers raise, in words that help

An archive is kept in a stage as boat-<12 digits of its id>-<12 digits of the file's own
sha256>.tar.gz: two people who have the same packages use one file, and where another compressor
made other bytes of them, nobody has to replace what sessions of others still need.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from coffee_boat._support.logs import logger
from coffee_boat._support.store import Store
from coffee_boat.errors import ShipError
from coffee_boat.model import Archive, Finding, Shipped
from coffee_boat.ship import last_used, permissions, verified
from coffee_boat.ship.failures import explained
from coffee_boat.ship.last_used import Leftover, Pruned, leftovers, prune
from coffee_boat.ship.open import opened
from coffee_boat.ship.places import Place, Status, url_of
from coffee_boat.spark.jvm import Hadoop

_log = logger(__name__)

__all__ = ["Leftover", "Pruned", "leftovers", "prune", "ship"]


def ship(
    archive: Archive, stage: str | None, *, hadoop: Hadoop | None = None, store: Store | None = None
) -> Shipped:
    """Make the archive readable for executors.

    Args:
        archive: a finished archive on this machine.
        stage: a folder: a path, or a URL (file:///shared, hdfs:///boats, s3://bucket/boats); the
            archive is uploaded there under a content-addressed name, unless it is there already.
            None leaves it where it is: Spark's own file server sends it (SparkContext.addArchive of
            a local file).
        hadoop: reaches hdfs:// and what else only a JVM can.
        store: remembers which files there hold our bytes; without one each call reads what is
            there.

    Raises:
        ShipError: the stage cannot be reached or written, or holds something else under that name.
        LaunchError: a JVM is needed, and none can be started.
    """
    local = Path(archive.path)
    if not local.is_file():
        raise ShipError(
            "ship.archive-missing",
            "the archive is not there any more",
            value=archive.path,
            cause="the store was cleaned since it was built",
            cure="call launch_ship again",
        )
    if stage is None:
        _log.info("shipped by Spark itself, from this machine: no stage is set (%s)", local.name)
        return Shipped(archive, local.as_uri())
    url = url_of(stage)
    with explained(url), opened(url, hadoop) as place:
        return _put(archive, local, place, store)


def _put(archive: Archive, local: Path, place: Place, store: Store | None) -> Shipped:
    digest = _sha256(local)
    name = f"{archive.name}-{digest[:12]}.tar.gz"
    there = place.status(name)
    if there is None and place.put(local, name):
        _log.info("shipped to the stage: %s", place.uri(name))
        _remember_upload(place.status(name), place, local, digest, store)
        odd = permissions.findings(None, place.folders(), place.user)
        return Shipped(archive, place.uri(name), tuple(odd))
    _log.info("shipped before, and used as it is: %s", place.uri(name))
    there = there or place.status(name)
    noted = _note(place, there)  # first, so that nobody removes it while it is read
    if there is None or not verified.known(store, place, there, digest):
        _check(there, place, local, digest, place.uri(name))
        verified.note(store, place, there, digest)
    return Shipped(
        archive,
        place.uri(name),
        (*permissions.findings(there, place.folders(), place.user), *noted),
    )


def _remember_upload(
    there: Status | None, place: Place, local: Path, digest: str, store: Store | None
) -> None:
    if there is not None and there.size == local.stat().st_size:
        verified.note(store, place, there, digest)


def _check(there: Status | None, place: Place, local: Path, digest: str, uri: str) -> None:
    """Refuse what has our name and other bytes.

    The name says what it must hold, so nobody meant to change it.
    """
    if (
        there is None
        or not there.is_file
        or there.size != local.stat().st_size
        or place.sha256(there.name) != digest
    ):
        owner = f" by its owner, {there.owner}" if there is not None and there.owner else ""
        raise ShipError(
            "ship.name-taken",
            "the stage holds something else under the archive's name",
            value=uri,
            cause=f"a copy that broke, or was changed{owner}",
            cure=f"ask who may write there; then delete {uri} and call launch_ship again",
        )


def _note(place: Place, there: Status | None) -> tuple[Finding, ...]:
    if there is None:
        return ()
    try:
        with explained(""):
            last_used.note(place, there)
    except ShipError as error:
        cause, cure = (
            (
                "you may not write there, and `boat cache prune --stage` goes by such notes:"
                f" {error.cause}"
            ),
            "ask its owner to keep archives longer than sessions last",
        )
        return (
            Finding(
                "ship.use-not-noted",
                "the stage could not note that its archive is in use",
                value=there.name,
                cause=cause,
                cure=cure,
                severity="note",
            ),
        )
    return ()


def _sha256(local: Path) -> str:
    with local.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
