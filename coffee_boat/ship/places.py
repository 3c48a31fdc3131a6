"""What a stage is: a folder somewhere, behind one protocol, and how its URL is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from coffee_boat._support import files, home
from coffee_boat._support.redact import redact
from coffee_boat.errors import ShipError

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "oss", "oci", "obs", "cosn"})
"""Schemes of stores where an upload appears as a whole or not at all, and a rename may be a copy:
they get the file under its own name at once.
"""

_ONE_SLASH = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]+):/*(?P<rest>.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Status:
    """What a stage tells of one thing in it."""

    name: str
    size: int
    modified: float
    """Seconds since 1970, by the stage's own clock."""
    is_file: bool = True
    """False for folders, links, and what else a file system may hold."""
    owner: str = ""
    """Empty where the store tells none, as object stores."""
    group: str = ""
    mode: int | None = None
    """Its permissions, where the store has them."""
    identity: str = ""
    """Another one as soon as a file was written anew, by whom its permissions keep from it at
    least; empty where the store has nothing of the kind.
    """


class Place(Protocol):
    """A folder that archives are put in.

    Names are relative to it; it need not exist before something is put there.

    Any method may raise what its driver raises: `failures.explained` turns that into a ShipError.
    """

    user: str
    """Who we are there; compared with `Status.owner`."""

    def uri(self, name: str) -> str:
        """Where Spark's Hadoop finds it."""

    def status(self, name: str) -> Status | None:
        """None if there is nothing of that name."""

    def listing(self) -> list[Status]:
        """All that is in the folder; nothing if there is no folder."""

    def folders(self) -> list[Status]:
        """The folder and those above it, the nearest first, each by its whole path; empty where the
        store has no permissions.
        """

    def sha256(self, name: str) -> str:
        """Hex digest of a file, all of which is read."""

    def put(self, local: Path, name: str) -> bool:
        """Upload a file: under its name there is all of it or nothing, at any moment.

        False if another was faster and theirs is there.
        """

    def mark(self, name: str) -> None:
        """Make an empty file, or make it anew: its time is now."""

    def remove(self, name: str) -> None:
        """Remove a file; it may be gone already."""


def url_of(stage: str) -> str:
    """The stage as a URL without a slash at the end.

    Raises:
        ShipError: it cannot be one that is meant, or it holds credentials.
    """
    if "://" not in stage:
        typed = _ONE_SLASH.fullmatch(stage)
        if typed is not None and not files.exists(Path(stage)):
            raise _unusable(
                stage,
                "a URL has //",
                f"write {typed['scheme'].lower()}:///{typed['rest']}, or ./{stage} for a folder of"
                " that name",
            )
        return home.expanded(stage).absolute().as_uri()
    url = stage.rstrip("/")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its text quotes what may be a password
        raise _unusable(
            stage,
            "its host or its port cannot be read",
            "write it like s3://bucket/boats; [ and ] belong around the numbers of an IPv6 address"
            " only",
        ) from None
    if parts.password is not None:  # a name alone is no secret: abfss://container@account
        cure = (
            "put them where the storage's own library looks (environment variables, a credentials"
            " file, the node's role)"
        )
        raise ShipError(
            "ship.credentials-in-url",
            "the stage's URL holds credentials",
            value=redact(stage),
            cause="it would show in Spark's settings, UI and event log",
            cure=cure,
        )
    if not parts.scheme:
        raise _unusable(
            stage,
            "a URL begins with a scheme",
            "use file:///shared for a folder that all nodes mount",
        )
    if parts.query or parts.fragment:
        raise _unusable(
            stage, "it names a folder, to which names are appended", "leave out what follows ? or #"
        )
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise _unusable(
            stage,
            "file:// is followed by a host's name, and then a path",
            f"write file:///{parts.netloc}{parts.path}",
        )
    if parts.scheme != "file" and quote(parts.path, safe="/+=:@~,!$&'()*;") != parts.path:
        raise _unusable(
            stage,
            "blanks and other signs that a URL must escape are read in different ways by Spark's"
            " parts",
            "use letters, digits, - and _",
        )
    return url


def _unusable(stage: str, cause: str, cure: str) -> ShipError:
    return ShipError(
        "ship.stage-invalid",
        "the stage cannot be used",
        value=redact(stage),
        cause=cause,
        cure=cure,
    )


def scheme_of(url: str) -> str:
    """In lower case."""
    return urlsplit(url).scheme
