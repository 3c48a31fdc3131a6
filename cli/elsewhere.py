"""What people type who know another tool, and what it is called here."""

from __future__ import annotations

import re

import click

_ASKED = "Packages are asked for as: boat launch --pip NAME"
TYPED = {
    "add": f"{_ASKED}; in a notebook, %boat add NAME adds to a session",
    "install": _ASKED,
    "forget": "Each command is asked anew: leave the package out; %boat forget is for notebooks",
    "status": "%boat status is for notebooks; here, boat check looks at this machine",
    "run": "It is: boat launch --master M SCRIPT",
    "submit": "It is: boat launch --master M SCRIPT",
    "help": "It is: boat --help",
    "version": "It is: boat --version",
}
"""What people type who know %boat, pip, uv or spark-submit, and what it is called here."""
_BETWEEN = r"\s+|,(?=[A-Za-z])(?![^\[]*\])"
"""Spaces, and commas that are neither of versions (>=1,<2) nor of extras ([a,b])."""


def hint(error: click.ClickException, typed: str) -> str:
    """What to add to the message where a package was named as if the command took some.

    Args:
        typed: what is typed before a package.
    """
    context = error.ctx if isinstance(error, click.UsageError) else None
    wants = context is not None and any(part.name == "pip" for part in context.command.params)
    extra = re.fullmatch(r"Got unexpected extra arguments? \((?P<words>.*)\)", error.message)
    if not wants or extra is None:
        return ""
    packages = re.split(_BETWEEN, extra[1])
    return f". Packages are asked for as: {' '.join(f'{typed} {each}' for each in packages)}"
