"""What drivers that run in a cluster have in common, whichever kind it is."""

from __future__ import annotations

import re

from coffee_boat.model import Finding

INTERRUPTED = 130
"""spark-submit's exit code after Ctrl-C."""
_CHATTER = re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d (INFO|DEBUG|TRACE) ")
"""As Spark's default log4j configuration begins a line."""
_LINES = 40


def tail(log: str) -> str:
    """The last lines that say something."""
    said = [line for line in log.splitlines() if not _CHATTER.match(line)]
    return "\n".join(said[-_LINES:])


def goes_on(name: str, *, cause: str, end: str) -> Finding:
    """What is said of a driver that outlives spark-submit.

    Args:
        name: the cluster's, of the driver.
        end: the command that ends it.
    """
    return Finding(
        "cluster.driver-goes-on",
        "the driver goes on",
        value=name,
        cause=cause,
        cure=f"{end} ends it",
        severity="note",
    )
