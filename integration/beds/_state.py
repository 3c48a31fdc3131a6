"""What the clusters of all beds share: where they are kept, who may change one, and what their
nodes must not see.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

CHECKOUT = Path(__file__).resolve().parents[2]


_RECORD = "cluster.json"


class Started(Protocol):
    """What can be taken instead of starting another one."""

    @property
    def options(self) -> Any:
        """What it was to be."""

    @property
    def healthy(self) -> bool:
        """True if all of it is there."""


_Options = TypeVar("_Options")
_Started = TypeVar("_Started", bound=Started)


def cache_folder() -> Path:
    """Where beds keep what they fetched and their state: COFFEE_BOAT_TEST_CACHE, or .cache in the
    checkout.
    """
    return Path(os.environ.get("COFFEE_BOAT_TEST_CACHE") or CHECKOUT / ".cache").absolute()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Of all that want to change a folder, one at a time does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def started(
    state: Path,
    options: _Options,
    *,
    current: Callable[[Path], _Started | None],
    end: Callable[[Path], None],
    start: Callable[[Path, _Options], _Started],
) -> _Started:
    """What runs already with the same options, or a new one; what a killed run left is removed
    first.
    """
    with locked(state):
        running = current(state)
        if running and running.options == options and running.healthy:
            return running
        end(state)
        return start(state, options)


def ended(state: Path, end: Callable[[Path], None]) -> None:
    """End what was started in this folder, if anything was."""
    if state.is_dir():
        with locked(state):
            end(state)


def record(state: Path, cluster: Any) -> None:
    """Write down a dataclass with what was started, but for its folder."""
    (state / _RECORD).write_text(
        json.dumps(
            {name: value for name, value in asdict(cluster).items() if name != "state"},
            indent=1,
            default=str,
        )
    )


def recorded(state: Path) -> dict[str, Any] | None:
    """What was written down, as JSON has it; None if nothing was started here, or it was ended."""
    try:
        told: dict[str, Any] = json.loads((state / _RECORD).read_text())
    except FileNotFoundError:
        return None
    return told


def forget(state: Path) -> None:
    """It was ended."""
    (state / _RECORD).unlink(missing_ok=True)


def of_the_driver(state: Path) -> tuple[Path, ...]:
    """What a node must not see besides home and temporary folders: the checkout, the cluster's own
    records, and this Python.

    A distribution's own Python is known to `_namespaces`.
    """
    python = (path for path in map(Path, (sys.prefix, sys.base_prefix)) if path != Path("/usr"))
    return (CHECKOUT, state, Path.home(), *python)
