"""What the clusters of all beds share: where they are kept, who may change one, and what their nodes must not see."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def cache_folder() -> Path:
    """Where beds keep what they fetched and their state: COFFEE_BOAT_TEST_CACHE, or .cache in the checkout."""
    return Path(os.environ.get("COFFEE_BOAT_TEST_CACHE") or CHECKOUT / ".cache").absolute()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Of all that want to change a folder, one at a time does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def of_the_driver(state: Path) -> tuple[Path, ...]:
    """What a node must not see besides home and temporary folders: the checkout, the cluster's own records, and this Python.

    A distribution's own Python is known to `_namespaces`.
    """
    python = (path for path in map(Path, (sys.prefix, sys.base_prefix)) if path != Path("/usr"))
    return (CHECKOUT, state, Path.home(), *python)
