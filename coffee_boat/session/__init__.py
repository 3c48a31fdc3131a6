"""A live Spark session, seen from the driver: which executors there are, what they run, and what a
function says on each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from coffee_boat.model import ConfPatch, NodeFacts, Shipped, SparkFacts
from coffee_boat.session.watch import Watch


@dataclass(frozen=True)
class Answers:
    """What the executors said, and how completely they were asked."""

    by_executor: Mapping[str, Any]
    """Executor id -> what the function returned there, the first time it ran."""
    missed: tuple[str, ...]
    """Ids of executors that were live at the end and did not answer."""
    rounds: int
    """How many jobs it took."""
    complete: bool = True
    """False if nobody says which executors are live: these are those that were seen."""


@dataclass(frozen=True)
class Versions:
    """What the driver's side of the session runs."""

    driver: str
    """pyspark's __version__ in this process."""
    jvm: str
    """Spark's version in the driver's JVM."""
    remote: bool = False
    """True if that JVM is a server's, which may be of another version than this process's."""


@dataclass(frozen=True)
class Lasting:
    """What of a session outlives a change of its interpreter."""

    cached: int = 0
    """RDDs and tables that are not computed again."""
    streams: tuple[str, ...] = ()
    """Names of queries that run."""
    sql_functions: bool = True
    """True if SQL functions that were used before keep theirs as well."""
    functions: bool = True
    """False if no function keeps its own: each query has what its session has then."""


class Session(Protocol):
    """What is done with a live session, of whichever kind."""

    @property
    def id(self) -> str:
        """Spark's id of the application."""

    @property
    def alive(self) -> bool:
        """False once it was stopped, by whomever. Asks its JVM or its server."""

    @property
    def master(self) -> str:
        """As Spark has it: "yarn", "local[2]"; a server's address without its parameters."""

    @property
    def remote(self) -> bool:
        """True if its driver is a server: there is no SparkContext, and no JVM of this process."""

    def is_of(self, handed: Any) -> bool:
        """True if this is the session that a user handed over."""

    def facts(self) -> SparkFacts:
        """What the driver knows of it."""

    def versions(self) -> Versions:
        """The Spark versions on the driver's side."""

    def executors(self) -> tuple[str, ...]:
        """Ids of the executors that are live now, sorted; the driver's only in local mode."""

    def nodes(self, *, deadline: float) -> tuple[NodeFacts, ...]:
        """What the nodes of its executors say of themselves, without Python.

        Args:
            deadline: seconds; then nothing is known.
        """

    def archives(self) -> tuple[str, ...]:
        """Names of the archives that were sent to it, by whomever."""

    def lasting(self) -> Lasting:
        """What a change of its interpreter does not reach."""

    def watched_by(self, watch: Watch) -> None:
        """Let a watch look at it from now on."""

    def send(self, shipped: Shipped) -> None:
        """Add an archive: each executor unpacks it, under its name, before the tasks of the
        next stage; executors that join later, too. A plain file they fetch only.

        Raises:
            ShipError: Spark does not take it.
        """

    def place(self, name: str) -> str:
        """Where executors' Python has what was sent under a name: absolute, or relative to the
        working directory that it is started in.
        """

    def activate(self, patch: ConfPatch, marks: Mapping[str, str] | None = None) -> None:
        """Let functions that are used from now on run under another interpreter, with more
        variables.

        Args:
            patch: its interpreter and its variables; its conf is not looked at.
            marks: settings to find in the conf later.

        Raises:
            VerifyError: the session was stopped.
        """

    def ask(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        deadline: float,
        patient: bool = True,
    ) -> Answers:
        """Run a function once or more on every live executor.

        Args:
            function: of an importable module; it travels by value, with what it uses of its own
                module.
            deadline: seconds; then what is still running of it is cancelled.
            patient: False to end before, once other tasks are seen to keep all slots of the
                executors that are missing.

        Raises:
            VerifyError: the jobs fail; its cause is Spark's own text.
        """
