"""Files on this machine: their URLs, and whether they are there."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit


def local_path(url: str) -> Path:
    """The path of a `file:` URL."""
    from urllib.request import url2pathname  # brings an HTTP client along

    return Path(url2pathname(urlsplit(url).path or "/"))


def local_path_or_none(url: str) -> Path | None:
    """The path of a `file:` URL; None for any other."""
    return local_path(url) if url.startswith("file:") else None


def exists(path: Path) -> bool:
    """True if something is there. Path.exists raises where a folder may not be entered, or a name
    is too long; so do the next two.
    """
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """True if a file is there, as far as the user may see."""
    return os.path.isfile(path)  # noqa: PTH113


def is_dir(path: Path) -> bool:
    """True if a folder is there, as far as the user may see."""
    return os.path.isdir(path)  # noqa: PTH112
