"""The header of a script: inline metadata (PEP 723)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from coffee_boat import _quoting
from coffee_boat.errors import RequirementError

_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""The reference expression of https://packaging.python.org/specifications/inline-script-metadata/."""


def header(text: str, path: Path) -> dict[str, Any] | None:
    """The `# /// script` block of a script; None if it has none.

    Args:
        text: the script, with newlines as Python reads them.
        path: of the script, for errors.

    Raises:
        RequirementError: there are two, or it is not TOML.
    """
    blocks = [found["content"] for found in _BLOCK.finditer(text) if found["type"] == "script"]
    if len(blocks) > 1:
        raise RequirementError(
            "a script has two headers that list what it needs",
            value=str(path),
            cause="PEP 723 allows one",
            cure="keep one # /// script block",
        )
    return _parsed(blocks[0], path) if blocks else None


def _parsed(block: str, path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(
            "".join(
                line[2:] if line.startswith("# ") else line[1:]
                for line in block.splitlines(keepends=True)
            )
        )
    except tomllib.TOMLDecodeError as error:
        raise RequirementError(
            "a script's header is not TOML",
            value=str(path),
            cause=_quoting.where(error),
            cure="mend the line that the cause names",
        ) from None
