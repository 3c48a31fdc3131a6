"""What `boat launch` and `boat conf` say of Python functions for programs of the JVM."""

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


def asked(captain: Captain, functions: Sequence[str], driver: str = "jvm") -> Captain:
    """Ask a Captain for Python functions, as they are named in a command line.

    Args:
        driver: of what they are for.

    Raises:
        UsageError: that is no program of the JVM.
        RequirementError: one cannot be read.
    """
    if functions and driver == "python":
        raise click.UsageError("--function is for programs of the JVM: add --driver jvm")
    named = [requirements.read_function(text) for text in functions]
    requirements.refuse_functions_twice(named)
    for each in named:
        captain.add_function(each.name, each.place, returns=each.returns)
    return captain
