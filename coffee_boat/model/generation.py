"""What a running session has, each time that it changed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from coffee_boat.model.difference import Difference
from coffee_boat.model.hidden import Redacted
from coffee_boat.model.lock import Lock
from coffee_boat.model.tables import html_table, text_table

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
    """How many interpreters the session had: of bases, and of composed generations."""
    composed: str = ""
    """The folder of what it is composed of, as executors have it; empty where the base runs as it
    was sent.
    """
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
    confirmed: tuple[str, ...] = ()
    """Ids of the executors that were seen to have it."""
    missed: tuple[str, ...] = ()
    """Ids of live executors that were not seen in time; they have it all the same once they run a
    task.
    """


@dataclass(frozen=True, repr=False)
class Holding(Redacted):
    """One package in an archive that a session was sent."""

    name: str
    identity: str
    """As the pin's."""
    chunks: tuple[str, ...]
    """Ids of the chunks with its files."""


@dataclass(frozen=True, repr=False)
class Part(Redacted):
    """One archive that a session was sent."""

    folder: str
    """As executors have it: a name, or an absolute path."""
    holds: tuple[Holding, ...]
    base: str = ""
    """Digest of the lock of a base; empty for what was added."""


@dataclass(frozen=True, repr=False)
class History(Redacted):
    """The generations of a session, oldest first; at least one."""

    generations: tuple[Generation, ...]
    parts: tuple[Part, ...] = ()
    """The archives that it was sent, in order, whether or not they count now."""

    def __post_init__(self) -> None:
        if not self.generations:
            raise ValueError("a session has at least one generation")

    @property
    def current(self) -> Generation:
        """What the session has now."""
        return self.generations[-1]

    def then(self, generation: Generation) -> History:
        """With one more, which gets the next number."""
        following = replace(generation, number=self.current.number + 1, confirmed=(), missed=())
        return replace(self, generations=(*self.generations, following))

    def told(self, number: int, confirmed: Sequence[str], missed: Sequence[str]) -> History:
        """With what executors said of a generation."""
        said = tuple(
            replace(one, confirmed=tuple(confirmed), missed=tuple(missed))
            if one.number == number
            else one
            for one in self.generations
        )
        return replace(self, generations=said)

    def sent(self, part: Part) -> History:
        """With one more archive, unless it is there."""
        if any(one.folder == part.folder for one in self.parts):
            return self
        return replace(self, parts=(*self.parts, part))

    @property
    def held(self) -> frozenset[str]:
        """Identities of all packages that were sent, whether or not they count now."""
        return frozenset(one.identity for part in self.parts for one in part.holds)

    def find(self, number: int) -> Generation | None:
        """The generation of a number."""
        return next((one for one in self.generations if one.number == number), None)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """For people: number, date and time, what was asked for, what it changed, how many
        packages, and how many executors were seen to have it.
        """
        locks = [Lock(self.current.lock.target), *(one.lock for one in self.generations)]
        return [
            _row(one, Difference.between(before, one.lock), now=one is self.current)
            for before, one in zip(locks, self.generations, strict=False)
        ]

    def __len__(self) -> int:
        return len(self.generations)

    def __iter__(self) -> Iterator[Generation]:
        return iter(self.generations)

    def __getitem__(self, number: int) -> Generation:
        """By its number, which begins with 1."""
        found = self.find(number)
        if found is None:
            raise IndexError(f"there is no generation {number}, only {_numbers(self)}")
        return found

    def __str__(self) -> str:
        return text_table(_HEAD, self.rows, right=_NUMBERS)

    def _repr_html_(self) -> str:
        return html_table(_HEAD, self.rows, right=_NUMBERS)


_HEAD = ("generation", "when", "asked for", "changes", "packages", "executors")
_NUMBERS = ("generation", "packages")


def _numbers(history: History) -> str:
    return ", ".join(str(one.number) for one in history.generations)


def _row(one: Generation, difference: Difference, *, now: bool) -> tuple[str, ...]:
    seen, live = len(one.confirmed), len(one.confirmed) + len(one.missed)
    return (
        f"{one.number}{' (now)' if now else ''}",
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.when)) if one.when else "",
        one.why,
        "" if one.number == 1 else difference.summary,
        str(len(one.lock.pins) + len(one.lock.conda)),
        f"{seen} of {live}" if live else "",
    )
