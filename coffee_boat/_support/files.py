"""Files on this machine: their URLs, and whether they are there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit


def local_path(url: str) -> Path:
    """The path of a `file:` URL."""
    from urllib.request import url2pathname  # brings an HTTP client along

    return Path(url2pathname(urlsplit(url).path or "/"))


def local_path_or_none(url: str) -> Path | None:
    """The path of a `file:` URL; None for any other."""
    return local_path(url) if url.startswith("file:") else None


_REMOTE = re.compile(r"(?!file:)[a-z][a-z0-9+.\-]+:/.*", re.IGNORECASE | re.DOTALL)


def named(text: str | Path) -> Path:
    """The path that a person means: of `file:name` and `file:///name`, too."""
    said = str(text)
    if not re.match("file:", said, re.IGNORECASE) or exists(Path(said)):
        return Path(text)
    from urllib.parse import unquote

    return Path(re.sub(r"^file:(?:/{1,2}localhost(?=/)|/+(?=/))?", "", unquote(said), flags=re.I))


def is_remote(text: str | Path) -> bool:
    """True for what names a place elsewhere (s3://bucket, hdfs:///x), also where Path took a slash
    out of it.
    """
    return _REMOTE.fullmatch(str(text)) is not None and not exists(Path(text))


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
