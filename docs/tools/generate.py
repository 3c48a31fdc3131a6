"""Writes those pages that say what the code, or the page itself, says already.

    python -m docs.tools.generate      # make reference

    reference/command-line.md   what `boat --help` says, of each command
    reference/magic.md          what `%boat --help` says
    reference/python.md         the public names and the first sentence of each docstring; the site
                                has the docstrings whole in that place (hooks.py)
    reference/findings.md       every error and finding in the source, in its own words
    guides/troubleshooting.md   its index

They are kept in the repository, since they are read there too; a test compares.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from docs.tools import commands, docstrings, findings
from docs.tools.markdown import link

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def pages() -> dict[str, str]:
    """Pages, by their place in docs/ -> the text that belongs there."""
    from coffee_boat import magic
    from coffee_boat.cli import main

    made = {
        "reference/command-line.md": commands.page("Command line", "boat", main.boat),
        "reference/magic.md": commands.page("Notebook magic", "%boat", magic.boat),
        "reference/python.md": docstrings.page(),
        "reference/findings.md": findings.page(findings.sources()),
        "guides/troubleshooting.md": _with_index("guides/troubleshooting.md"),
    }
    return {name: text.rstrip() + "\n" for name, text in made.items()}


def _with_index(name: str) -> str:
    """A page with the headings of its other parts under the heading Index."""
    text = (DOCS / name).read_text("utf-8")
    begin, end = (text.index(f"\n{mark}") for mark in ("## Index\n", f"## {_parts_of(text)[0]}\n"))
    lines = [
        f"* {link(heading)}" if level == "###" else f"\n**{link(heading)}**\n"
        for level, heading in re.findall(r"^(###?) (.+)$", text[end:], re.MULTILINE)
    ]
    return f"{text[:begin]}\n## Index\n" + "\n".join(lines) + f"\n{text[end:]}"


def _parts_of(text: str) -> list[str]:
    return [title for title in re.findall(r"^## (.+)$", text, re.MULTILINE) if title != "Index"]


def main() -> int:
    """Write what is not as it should be."""
    for name, text in pages().items():
        path = DOCS / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
