"""Options of those who run a program of the JVM that calls Python functions."""

from __future__ import annotations

from collections.abc import Sequence

import click

from coffee_boat import requirements
from coffee_boat.captain import Captain

option = click.option(
    "--function",
    "functions",
    multiple=True,
    metavar="NAME=MODULE:FUNCTION",
    help=(
        "A Python function that a program of the JVM calls as NAME in SQL; 'NAME=MODULE:FUNCTION ->"
        " TYPE' says what it returns. Repeatable."
    ),
)
driver = click.option(
    "--driver",
    type=click.Choice(["python", "jvm"]),
    default="python",
    show_default=True,
    help="jvm for what starts with no Python: spark-sql, spark-shell, the Thrift server.",
)


def with_functions(captain: Captain, functions: Sequence[str]) -> Captain:
    """Ask a Captain for Python functions, as they are named in a command line.

    Raises:
        RequirementError: one cannot be read.
    """
    for text in functions:
        asked = requirements.read_function(text)
        captain.add_function(asked.name, asked.place, returns=asked.returns)
    return captain
