"""TOML files of users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coffee_boat._support import limits, parse, quoting
from coffee_boat.errors import RequirementError
from coffee_boat.requirements import hints


def load(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        RequirementError: it is not there, or is not TOML.
    """
    try:
        return parse.toml(text_of(path))
    except ValueError as error:
        raise RequirementError(
            "requirements.project-not-toml",
            "a project file is not TOML",
            value=str(path),
            cause=quoting.where(error),
            cure="mend the line that the cause names",
        ) from error


def text_of(path: Path) -> str:
    """What a file holds, as text."""
    try:
        return limits.read_text(path, limits.PROJECT, "utf-8-sig")
    except FileNotFoundError as error:
        raise RequirementError(
            "requirements.project-missing",
            "a project file is not there",
            value=str(path),
            cause=f"looked for {path.absolute()}",
            cure=hints.cure_of_missing(path),
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RequirementError(
            "requirements.project-unreadable",
            "a project file cannot be read",
            value=str(path),
            cause=str(error),
            cure="give a file of UTF-8 text that you may read",
        ) from error
