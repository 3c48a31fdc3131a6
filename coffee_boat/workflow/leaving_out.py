"""What `exclude` makes of a lock, and what is said of words in it that found nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from coffee_boat.model import Chunk, CondaPin, Finding, Lock, Pin, excluded


def without(lock: Lock, exclude: Sequence[str], *, told: bool = True) -> Lock:
    """The lock without the packages that `exclude` names, and with its words, so that files stay
    behind when it is packed.

    Args:
        told: False where a word may well find nothing, as in what is added to a session.
    """
    if not exclude:
        return lock
    named = excluded.of_packages(exclude)

    def is_out(pin: Pin | CondaPin) -> bool:
        return excluded.normalized(pin.name) in named

    gone: tuple[Pin | CondaPin, ...] = tuple(filter(is_out, (*lock.conda, *lock.pins)))
    stay = replace(
        lock,
        pins=tuple(pin for pin in lock.pins if not is_out(pin)),
        conda=tuple(pin for pin in lock.conda if not is_out(pin)),
        exclude=excluded.in_order(exclude),
        without=(*lock.without, *gone),
    )
    said = [*_needed(gone, stay), *(_unknown(named, lock) if told else ())]
    return replace(stay, findings=(*stay.findings, *said))


def matched_nothing(lock: Lock, chunks: Iterable[Chunk]) -> Iterator[Finding]:
    """Patterns that no file of any package has. A group is a wish for whatever comes."""
    used = {one.rule for chunk in chunks for one in chunk.left_out}
    words = [word for word in excluded.of_files(lock.exclude) if word not in excluded.GROUPS]
    unused = [word for word in words if word not in used]
    if unused and (lock.pins or lock.conda):
        yield Finding(
            "build.exclude-found-nothing",
            "a pattern of exclude matches no file",
            value=", ".join(unused),
            cause="it is compared with paths below site-packages, or below the prefix, as a line of"
            " .gitignore is; metadata (.dist-info) is never left out",
            cure='write it as "pandas/tests/" or "*.csv"; a whole package is named without * and /',
        )


def _needed(gone: Sequence[Pin | CondaPin], stay: Lock) -> Iterator[Finding]:
    """Packages that are left out whole: each was asked for, or another one needs it."""
    pins: tuple[Pin | CondaPin, ...] = (*stay.conda, *stay.pins)
    said = []
    for pin in gone:
        users = sorted({one.name for one in pins if pin.name in one.requires})
        why = f"needed by {', '.join(users)}" if users else "needed by another package"
        said.append(f"{pin.label} ({'asked for' if pin.requested else why})")
    if said:
        names = ", ".join(repr(pin.name) for pin in gone)
        yield Finding(
            "lock.excluded-needed",
            "packages that are needed stay behind, as exclude says",
            value=", ".join(said),
            cause="an import of them fails on executors that do not have them from elsewhere",
            cure=f"take {names} out of exclude, unless nothing imports what is left out",
        )


def _unknown(named: Iterable[str], lock: Lock) -> Iterator[Finding]:
    pins: tuple[Pin | CondaPin, ...] = (*lock.conda, *lock.pins, *lock.without)
    known = {excluded.normalized(pin.name) for pin in pins}
    absent = sorted(set(named) - known)
    if absent and known:
        near = [
            f'"{found[0]}"'
            for name in absent
            if (found := difflib.get_close_matches(name, [*excluded.GROUPS, *sorted(known)], n=1))
        ]
        groups = ", ".join(excluded.GROUPS)
        yield Finding(
            "lock.exclude-found-nothing",
            "exclude names packages that are not chosen",
            value=", ".join(absent),
            cause=f"a word without * and / is the name of a package, but for {groups}",
            cure=f"did you mean {', '.join(near)}?" if near else "take them out of exclude",
            severity="note",
        )
