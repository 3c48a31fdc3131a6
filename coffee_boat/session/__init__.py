"""A live Spark session, seen from the driver: which executors there are, what they run, and what a
function says on each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from coffee_boat.model import Shipped


@dataclass(frozen=True)
class Answers:
    """What the executors said, and how completely they were asked."""

    by_executor: Mapping[str, Any]
    """Executor id -> what the function returned there, the first time it ran."""
    missed: tuple[str, ...]
    """Ids of executors that were live at the end and did not answer."""
    rounds: int
    """How many jobs it took."""


@dataclass(frozen=True)
class Versions:
    """What the driver's side of the session runs."""

    driver: str
    """pyspark's __version__ in this process."""
    jvm: str
    """Spark's version in the driver's JVM."""


class Session(Protocol):
    """What is done with a live session."""

    def versions(self) -> Versions:
        """The Spark versions on the driver's side."""

    def executors(self) -> tuple[str, ...]:
        """Ids of the executors that are live now, sorted; the driver's only in local mode."""

    def send(self, shipped: Shipped) -> None:
        """Add an archive: each executor unpacks it, under its name, before its next task; executors
        that join later, too.

        Raises:
            ShipError: Spark does not take it.
        """

    def ask(self, function: Callable[..., Any], *arguments: Any, deadline: float) -> Answers:
        """Run a function once or more on every live executor.

        Args:
            function: of an importable module; it travels by value, with what it uses of its own
                module.
            deadline: seconds; then what is still running of it is cancelled.

        Raises:
            VerifyError: the jobs fail; its cause is Spark's own text.
        """
