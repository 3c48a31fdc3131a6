"""Where a user's own files are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from coffee_boat._support import files


def folder(environ: Mapping[str, str]) -> Path | None:
    """The user's home; None where neither HOME nor the password database knows one, as for a
    container's arbitrary user.
    """
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        return None


def config(environ: Mapping[str, str]) -> Path | None:
    """XDG_CONFIG_HOME, or ~/.config; None without a home."""
    named, home = environ.get("XDG_CONFIG_HOME"), folder(environ)
    return Path(named) if named else home and home / ".config"


def expanded(path: str | Path) -> Path:
    """The path with a home in place of "~"; as it is written where nobody knows that home, so that
    nothing is there. A `file:` URL is a path, too.
    """
    path = files.named(path)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
