"""Values as tables, in text and in HTML."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from coffee_boat._support.redact import redact
from coffee_boat._support.words import one_line
from coffee_boat.errors import Finding


def finding_lines(findings: tuple[Finding, ...]) -> list[str]:
    """One line a finding, for terminals."""
    return [f"{finding.severity}: {finding}" for finding in findings]


def text_table(
    head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, right: Collection[str] = ()
) -> str:
    """Columns padded with blanks; for repr and logs.

    Args:
        right: names of the columns that hold numbers.
    """
    rows = [tuple(map(_cell, row)) for row in rows]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def padded(row: tuple[str, ...]) -> str:
        return "  ".join(
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        )

    return "\n".join(f"  {padded(row)}".rstrip() for row in (head, *rows))


def _cell(text: str) -> str:
    """One line, since each cell is as wide as the widest of its column."""
    return redact(one_line(text, _WIDEST))


_WIDEST = 500
_CELL = "padding:0.4em 0.3em;vertical-align:top"
"""Less room between columns than a notebook's own style has: eight of them fit on 750 pixels."""
_LONG = 24
"""Letters of a word that a narrow page may break: a path, a URL."""


def html_table(
    head: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    *,
    caption: str = "",
    right: Collection[str] = (),
) -> str:
    """A table under its caption; every cell escaped.

    Each cell says its side, since a notebook's own style has all of them to the right. The caption
    stands outside: within, it would be as narrow as the table.

    Args:
        head: names of the columns; no row is made of empty ones.
        right: names of the columns that hold numbers.
    """
    from html import escape

    def line(tag: str, cells: tuple[str, ...]) -> str:
        made = (
            f'<{tag} style="{_style(cell, right=name in right)}">{escape(cell)}</{tag}>'
            for name, cell in zip(head, map(_cell, cells), strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    above = html_caption(caption) if caption else ""
    names = f"<thead>{line('th', head)}</thead>" if any(head) else ""
    body = "".join(line("td", row) for row in rows)
    return (
        f'{above}<div style="overflow-x:auto"><table style="table-layout:auto;margin:0">'
        f"{names}<tbody>{body}</tbody></table></div>"
    )


def html_caption(text: str) -> str:
    """A line above or below a table; escaped."""
    from html import escape

    return f'<p style="margin:0.5em 0">{escape(redact(text))}</p>'


def _style(cell: str, *, right: bool) -> str:
    if right:
        return f"{_CELL};text-align:right;white-space:nowrap"
    breaks = any(len(word) > _LONG for word in cell.split())
    return f"{_CELL};text-align:left" + (";overflow-wrap:anywhere" if breaks else "")


def html_findings(findings: tuple[Finding, ...]) -> str:
    """A list; every text escaped."""
    from html import escape

    items = "".join(f"<li><b>{escape(f.severity)}</b> {escape(str(f))}</li>" for f in findings)
    return f"<ul>{items}</ul>" if items else ""
