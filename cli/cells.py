"""What %boat reads from a cell, and what %boat status shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from coffee_boat._support.redact import redact
from coffee_boat.model import html_table, text_table


def words_of(cell: str) -> Iterator[str]:
    """Of the lines of a cell: options word by word; a requirement is a line, unless its words are
    requirements each.

    Raises:
        ValueError: a quotation mark has no other.
    """
    for line in cell.splitlines():
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        several = shlex.split(text)
        if text.startswith("-") or all(map(_is_requirement, several)):
            yield from several
        elif text:
            yield text


def _is_requirement(word: str) -> bool:
    try:
        Requirement(word)
    except InvalidRequirement:
        return False
    return True


@dataclass(frozen=True)
class Status:
    """What %boat status shows, without the credentials of URLs."""

    rows: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return text_table(("", ""), self._shown).partition("\n")[2]

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(("", ""), self._shown, caption="coffee_boat")

    @property
    def _shown(self) -> list[tuple[str, str]]:
        return [(name, redact(text)) for name, text in self.rows]
