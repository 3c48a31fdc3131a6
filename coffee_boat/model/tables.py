"""Values as tables, in text and in HTML."""

from __future__ import annotations

from collections.abc import Sequence

from coffee_boat._support.redact import redact
from coffee_boat._support.words import one_line
from coffee_boat.errors import Finding

_WIDEST = 500


def finding_lines(findings: tuple[Finding, ...]) -> list[str]:
    """One line a finding, for terminals."""
    return [f"{finding.severity}: {finding}" for finding in findings]


def text_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns padded with blanks; for repr and logs."""
    rows = [tuple(map(_cell, row)) for row in rows]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join(
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )


def _cell(text: str) -> str:
    """One line, since each cell is as wide as the widest of its column."""
    return redact(one_line(text, _WIDEST))


def html_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, caption: str = "") -> str:
    """A plain table; every cell escaped."""
    from html import escape

    def line(tag: str, cells: tuple[str, ...]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(_cell(cell))}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><caption>{escape(redact(caption))}</caption>{line('th', head)}{body}</table>"


def html_findings(findings: tuple[Finding, ...]) -> str:
    """A list; every text escaped."""
    from html import escape

    items = "".join(f"<li><b>{escape(f.severity)}</b> {escape(str(f))}</li>" for f in findings)
    return f"<ul>{items}</ul>" if items else ""
