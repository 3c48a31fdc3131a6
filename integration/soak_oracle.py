"""Whether what tasks saw is what a session had while they ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Versions = Mapping[str, str | None]
"""Package -> its version; None where it is absent."""


@dataclass(frozen=True)
class Task:
    """What a task said. Times are seconds since the epoch."""

    under: int
    """The number of the newest generation when its job began."""
    began: float
    """Before its job was submitted."""
    ended: float
    """After its job."""
    imported: Versions
    described: Versions
    pid: int
    executor: str
    prefix: str


@dataclass(frozen=True)
class Change:
    """A call that changed the session, or tried to."""

    began: float
    ended: float
    what: str = ""
    wanted: Versions = field(default_factory=dict)
    """What it was to make so; nothing if it was refused."""


@dataclass
class Ledger:
    """What happened."""

    tasks: list[Task] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True)
class _Reign:
    """A generation, and the longest time that it may be seen."""

    versions: Versions
    since: float
    until: float


def find_faults(generations: Sequence[tuple[float, Versions]], ledger: Ledger) -> list[str]:
    """One line for each task that saw a mix, or what was over before its job was submitted; and for
    each change that was done and is in no generation.

    Args:
        generations: when each was written down, and what it has; oldest first.
    """
    reigns = _reigns(generations, ledger.changes)
    lost = [_lost(change, reigns) for change in ledger.changes]
    return [fault for task in ledger.tasks for fault in _faults(task, reigns)] + [
        *filter(None, lost)
    ]


def _lost(change: Change, reigns: Sequence[_Reign]) -> str:
    """Another change may have undone it before it ended, but it was there for a time."""
    during = [one for one in reigns if one.since <= change.ended and change.began <= one.until]
    if any(change.wanted.items() <= one.versions.items() for one in during):
        return ""
    had = " | ".join(_brief(one.versions) for one in during)
    return f"lost: {change.what}; in force while it was asked for: {had}"


def _reigns(
    generations: Sequence[tuple[float, Versions]], changes: Sequence[Change]
) -> list[_Reign]:
    """A generation may be seen from the beginning of the call that made it, and until the next one
    was written down.
    """
    ends = [*(when for when, _ in generations[1:]), float("inf")]
    return [
        _Reign(versions, _beginning(when, changes), end)
        for (when, versions), end in zip(generations, ends, strict=True)
    ]


def _beginning(when: float, changes: Sequence[Change]) -> float:
    return min([when, *(one.began for one in changes if one.began <= when <= one.ended)])


def _faults(task: Task, reigns: Sequence[_Reign]) -> list[str]:
    here = [one for one in reigns if one.since <= task.ended and task.began <= one.until]
    told = []
    for way, seen in (("import", task.imported), ("metadata", task.described)):
        if any(one.versions == seen for one in here):
            continue
        numbers = [number for number, one in enumerate(reigns, 1) if one.versions == seen]
        kind = f"over or not yet: as generation {numbers}" if numbers else "a mix"
        told.append(
            f"{kind}: by {way} {_brief(seen)}, in a job of {task.ended - task.began:.1f} s"
            f" submitted under {task.under}, pid {task.pid} of {task.prefix}; in force:"
            f" {' | '.join(_brief(one.versions) for one in here)}"
        )
    return told


def _brief(versions: Versions) -> str:
    return " ".join(f"{name}={version}" for name, version in versions.items() if version)
