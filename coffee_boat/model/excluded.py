"""What a person wants left behind of packages, and what was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coffee_boat.model.hidden import Redacted

GROUPS = ("headers", "static-libraries", "stubs", "tests")
"""Kinds of files that have a name of their own; archive/excluded.py says which files they are."""


@dataclass(frozen=True)
class LeftOut(Redacted):
    """What one word of `exclude` left behind."""

    rule: str
    """The word: a group, a pattern, or the name of a package."""
    files: int | None
    """None if it is not known: of a package that is not here."""
    size: int | None
    """Bytes of their content, as an executor would have unpacked them; None if it is not known."""


def is_pattern(said: str) -> bool:
    """True for what is compared with paths, rather than with names of packages."""
    return "*" in said or "/" in said


def of_files(exclude: Iterable[str]) -> tuple[str, ...]:
    """Groups and patterns: what decides which files of a package are packed."""
    return tuple(said for said in exclude if said in GROUPS or is_pattern(said))


def of_packages(exclude: Iterable[str]) -> frozenset[str]:
    """Names of packages that stay behind whole, normalized (PEP 503)."""
    return frozenset(said for said in exclude if said not in GROUPS and not is_pattern(said))


def normalized(said: str) -> str:
    """One word as it is compared: names as PEP 503 has them."""
    return said if is_pattern(said) else re.sub(r"[-_.]+", "-", said).lower()


def in_order(exclude: Iterable[str]) -> tuple[str, ...]:
    """Each word once, sorted: the same words are the same lock in whatever order they were said."""
    return tuple(sorted({normalized(said) for said in exclude}))


def together(found: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """One for each word, the largest first; what is not known makes the sum unknown."""
    by_rule: dict[str, list[LeftOut]] = {}
    for one in found:
        by_rule.setdefault(one.rule, []).append(one)
    both = [
        LeftOut(rule, _sum([one.files for one in some]), _sum([one.size for one in some]))
        for rule, some in by_rule.items()
    ]
    return tuple(sorted(both, key=lambda one: (-(one.size or 0), one.rule)))


def _sum(parts: Sequence[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
