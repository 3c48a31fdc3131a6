"""What a running session has, each time that it changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from coffee_boat.model.hidden import Redacted
from coffee_boat.model.lock import Lock

LAUNCHED = "launched"
"""Why a session has its first generation."""


@dataclass(frozen=True, repr=False)
class Generation(Redacted):
    """What a session has from one change on."""

    python: str
    """The executors' interpreter: absolute, or relative to the executor's working directory.

    Of the first base, which becomes that of the newest (worker/startup.py).
    """
    base: Lock
    """What the newest base has."""
    lock: Lock
    """All that is installed: the base's, and what was added since."""
    ships_python: bool = True
    """False where the nodes' own interpreter runs."""
    layers: tuple[str, ...] = ()
    """Names of the archives that were added, in order."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the executors' Python."""
    bases: int = 1
    """How many bases the session had."""
    started: str = ""
    """Digest of the lock that it was started with, as its conf has it, where it got another base
    since.
    """
    number: int = 1
    """How many generations the session had."""
    when: float = 0.0
    """Seconds since the epoch; 0 if it is not known."""
    why: str = LAUNCHED
    """For people: what was asked for."""


@dataclass(frozen=True, repr=False)
class History(Redacted):
    """The generations of a session, oldest first; at least one."""

    generations: tuple[Generation, ...]

    def __post_init__(self) -> None:
        if not self.generations:
            raise ValueError("a session has at least one generation")

    @property
    def current(self) -> Generation:
        """What the session has now."""
        return self.generations[-1]

    def then(self, generation: Generation) -> History:
        """With one more, which gets the next number."""
        following = replace(generation, number=self.current.number + 1)
        return History((*self.generations, following))
