"""What is said of a file that cannot be read: where, and what is wrong there, without its lines. It
may be another file than was meant, with secrets in it."""

from __future__ import annotations

import configparser
import re


def where(error: Exception) -> str:
    """An error of a reader of YAML, INI or TOML, without what the file holds."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:  # ruamel.yaml, without the snippet and without values
        problem = str(getattr(error, "problem", None) or getattr(error, "context", None) or "")
        return f"line {mark.line + 1}, column {mark.column + 1}: {_without_values(problem)}"
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno}: before the first [section]"
    if isinstance(error, configparser.ParsingError):
        lines = ", ".join(str(line) for line, _ in error.errors[:3])
        return f"line {lines}: neither a [section] nor name = value"
    if isinstance(error, configparser.Error):
        return f"line {getattr(error, 'lineno', '?')}: {type(error).__name__}"
    return _without_values(str(error).partition("\n")[0])


def _without_values(text: str) -> str:
    """Readers quote what they stumbled over: a character or a name is little, more is too much."""
    cut = re.sub(r" with value .*", "", text, flags=re.DOTALL)
    return re.sub(r"(['\"])(?:(?!\1).){21,}\1", "...", cut)
