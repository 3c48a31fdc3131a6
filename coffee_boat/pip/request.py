"""What is asked of the resolver: everything that the answer depends on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffee_boat._support import home, uv
from coffee_boat._support.digest import digest_of, file_digest, file_state, tree_digest
from coffee_boat._support.files import exists
from coffee_boat.errors import RequirementError
from coffee_boat.model import Indexes, Manifest, Target
from coffee_boat.pip.lines import local, location

_LAYOUT = 2
"""Of what is remembered: another number forgets all."""


@dataclass(frozen=True)
class Request:
    """Everything that the answer depends on."""

    manifest: Manifest
    target: Target
    python: str
    preferred: Mapping[str, str]
    indexes: Indexes
    provided: Mapping[str, str]

    def key(self) -> dict[str, Any]:
        """What an answer is remembered under; URLs and settings enter as digests, for they may hold
        credentials.
        """
        wanted = [
            [r.text, r.url, list(r.hashes), r.editable, *([r.index] if r.index else [])]
            for r in self.manifest.requirements
        ]
        limits = [[r.text, r.url, list(r.hashes)] for r in self.manifest.constraints]
        return {
            "layout": _LAYOUT,
            "wanted": digest_of([wanted, limits]),
            "content": _content(self.manifest, self.indexes),
            "target": [self.target.python, self.target.platform],
            "indexes": digest_of([_described(self.indexes), _surroundings()]),
            **({"provided": dict(self.provided)} if self.provided else {}),
        }

    def preference(self, name: str) -> str:
        """The version that the driver has; empty if it has none."""
        return self.preferred.get(name, "")


# what the answer depends on


def _content(manifest: Manifest, indexes: Indexes) -> list[list[str]]:
    """Digests of everything local: what lies in a folder may change under its name."""
    places = {
        place
        for r in (*manifest.requirements, *manifest.constraints)
        if (place := local(location(r))) is not None
    }
    found = [[str(place), place_digest(place)] for place in sorted(places) if place.exists()]
    return found + [
        [_place_digest(place), _listing(place)]
        for place in indexes.find_links
        if "://" not in place or place.startswith("file:")
    ]


def place_digest(place: Path) -> str:
    """The digest of a file or a folder.

    Raises:
        RequirementError: it cannot be read, or is no project's.
    """
    if place.is_dir():
        return tree_digest(place)
    try:
        return file_digest(place)
    except OSError as error:
        raise RequirementError(
            "requirements.asked-file-unreadable",
            "a file that was asked for cannot be read",
            value=str(place),
            cause=str(error),
            cure="name a regular file that you may read",
        ) from error


def _place_digest(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()


def _listing(place: str) -> str:
    folder = local(place) if place.startswith("file:") else home.expanded(place)
    if folder is None or not exists(folder):
        return ""
    try:
        files = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    except OSError:  # uv says that it cannot be read
        return ""
    return digest_of([file_state(path) for path in files])


def _described(indexes: Indexes) -> dict[str, Any]:
    """The settings that decide what is found; how it is fetched (timeout, proxy) and whether
    (offline) does not.
    """
    fields = (
        "index_url",
        "extra_index_urls",
        "find_links",
        "no_index",
        "no_binary",
        "only_binary",
        "prerelease",
    )
    torch = {"torch_backend": indexes.torch_backend} if indexes.torch_backend else {}
    return {field: getattr(indexes, field) for field in fields} | torch


def _surroundings() -> dict[str, Any]:
    """uv's own configuration that is in force here."""
    ignored = {
        "UV_CACHE_DIR",
        "UV_OFFLINE",
        "UV_HTTP_TIMEOUT",
        "UV_HTTP_RETRIES",
        "UV_NO_PROGRESS",
        "UV_CONCURRENT_DOWNLOADS",
    }
    variables = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith("UV_") and name not in ignored
    }
    return {"variables": variables, "files": repr(uv.configuration())}
