"""Text as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, code: bool = False) -> str:
    """A table; with `code` the first column is code, and the others are plain text."""
    lines = [head, ["---"] * len(head)]
    for first, *others in rows:
        lines.append([f"`{first}`", *map(escaped, others)] if code else [first, *others])
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", " or ") or " "


def escaped(text: str) -> str:
    """Plain text as Markdown; what is code already stays."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part
        if part.startswith("`")
        else re.sub(r"([\\*<]|\b_|_\b|\[(?=[^\]]*\]\())", r"\\\1", part)
        for part in parts
    )


def first_sentences(documented: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    first = (inspect.getdoc(documented) or "").split("\n\n", maxsplit=1)[0]
    return " ".join(first.split())


def link(heading: str) -> str:
    """To a heading of the same page; the anchor is what the hosting page makes of it."""
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return f"[{heading}](#{anchor})"
