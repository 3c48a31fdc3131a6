"""The Markdown of README and docs/, as tests read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

Kind = Literal["file", "python", "commands", "cells", "printed", "settings"]


@dataclass(frozen=True)
class Block:
    """One block of code, with the paragraph before it."""

    language: str
    text: str
    before: str

    @property
    def file(self) -> str:
        """The file that it is the content of, where the paragraph before ends with its name."""
        named = re.search(r"`([\w-]+\.[\w.-]+)`:$", self.before)
        return named[1] if named else ""

    @property
    def kind(self) -> Kind:
        """What is to be done with it.

        Raises:
            AssertionError: no test knows.
        """
        if self.file:
            return "file"
        if self.language == "text" and self.text.startswith("%"):
            return "cells"
        if self.language == "text" and "prints" in self.before:
            return "printed"
        known: dict[str, Kind] = {"python": "python", "sh": "commands", "toml": "settings"}
        assert self.language in known, f"what would a test do with this?\n{self.text}"
        return known[self.language]


def all_blocks(page: Path) -> list[Block]:
    """Every block of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(found[1], found[2], text[: found.start()].rstrip().rpartition("\n\n")[2])
        for found in _BLOCK.finditer(text)
    ]


def blocks(page: Path, language: str) -> list[str]:
    """The texts of those in one language."""
    return [block.text for block in all_blocks(page) if block.language == language]


def of_kind(page: Path, *kinds: Kind) -> list[Block]:
    """Those of some kinds, in order."""
    return [block for block in all_blocks(page) if block.kind in kinds]


def prose(page: Path) -> str:
    """All but the blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))


def headings(page: Path) -> list[str]:
    """Without their number signs."""
    return [line.lstrip("#").strip() for line in prose(page).splitlines() if line.startswith("#")]


def anchor(heading: str) -> str:
    """As the hosting page makes it: lower case, without punctuation, dashes for blanks."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links(page: Path) -> list[str]:
    """Where its links lead, but for those to other sites."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def first_column(page: Path) -> list[str]:
    """The names in the first column of its tables: `a`, or `a`, `b`."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", prose(page), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"\w+", row)]
