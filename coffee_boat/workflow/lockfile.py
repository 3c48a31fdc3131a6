"""A lock and the file it is written to, by kind."""

from __future__ import annotations

from coffee_boat.conda import lockfile
from coffee_boat.model import Lock
from coffee_boat.pip import pylock


def text_of(lock: Lock) -> str:
    """The lock as a pylock.toml; as a pixi.lock, if it holds conda packages.

    The same text for the same lock. Holds no credentials, and of URLs that were asked for no query,
    which may be a token: who fetches must have them from elsewhere.
    """
    return lockfile.write(lock) if lock.conda else pylock.write(lock)
