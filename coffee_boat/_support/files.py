"""URLs of files on this machine."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit


def local_path(url: str) -> Path:
    """The path of a `file:` URL."""
    from urllib.request import url2pathname  # brings an HTTP client along

    return Path(url2pathname(urlsplit(url).path or "/"))


def local_path_or_none(url: str) -> Path | None:
    """The path of a `file:` URL; None for any other."""
    return local_path(url) if url.startswith("file:") else None
