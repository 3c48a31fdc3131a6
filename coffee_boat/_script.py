"""The header of a script: inline metadata (PEP 723)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from coffee_boat import _quoting
from coffee_boat.errors import RequirementError

_START = re.compile(r"# /// (?P<type>[a-zA-Z0-9-]+)")
_END = "# ///"


def header(text: str, path: Path) -> dict[str, Any] | None:
    """The `# /// script` block of a script; None if it has none.

    Args:
        text: the script, with newlines as Python reads them.
        path: of the script, for errors.

    Raises:
        RequirementError: there are two, or it is not TOML.
    """
    blocks = [content for kind, content in _blocks(text.split("\n")) if kind == "script"]
    if len(blocks) > 1:
        raise RequirementError(
            "a script has two headers that list what it needs",
            value=str(path),
            cause="PEP 723 allows one",
            cure="keep one # /// script block",
        )
    return _parsed(blocks[0], path) if blocks else None


def _blocks(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Type and content of each block, as the reference expression of
    https://packaging.python.org/specifications/inline-script-metadata/ finds them: it ends with the
    last `# ///` of the comment that it stands in. (That expression takes the square of the lines.)
    """
    at = 0
    while at < len(lines):
        begins = _START.fullmatch(lines[at])
        if begins is None:
            at += 1
            continue
        after = at + 1
        while after < len(lines) and (lines[after] == "#" or lines[after].startswith("# ")):
            after += 1
        last = next((n for n in range(after - 1, at + 1, -1) if lines[n] == _END), None)
        if last is not None:
            yield begins["type"], "".join(f"{line}\n" for line in lines[at + 1 : last])
        at = after if last is None else last + 1


def _parsed(block: str, path: Path) -> dict[str, Any]:
    from coffee_boat import _parse

    try:
        return _parse.toml(
            "".join(
                line[2:] if line.startswith("# ") else line[1:]
                for line in block.splitlines(keepends=True)
            )
        )
    except ValueError as error:
        raise RequirementError(
            "a script's header is not TOML",
            value=str(path),
            cause=_quoting.where(error),
            cure="mend the line that the cause names",
        ) from None
