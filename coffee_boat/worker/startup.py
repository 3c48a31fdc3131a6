"""Called by coffee_boat.pth at the start of every shipped interpreter: the daemon that forks Spark's Python workers, and any other."""

from __future__ import annotations

import os
import sys

from . import finder, node

SENTINEL = "boat.json"
"""The last member of every archive: without it the archive was not unpacked to its end."""


def start() -> None:
    """Make the interpreter fit its node, and find what arrives later.

    What fails in here is shown on stderr by site.py, which reads the .pth; the interpreter goes on. The finder comes first,
    so that it is there whatever the node is like.
    """
    finder.install()
    _check_complete(sys.prefix)
    node.prepare(sys.prefix)


def _check_complete(prefix: str) -> None:
    if not os.path.isfile(os.path.join(prefix, SENTINEL)):
        sys.stderr.write(
            f"coffee_boat: {prefix} has no {SENTINEL}: the archive was cut while it was sent or unpacked, or is still being unpacked. "
            "Packages may be missing. Look for a full disk on this node, remove the folder and start the application again.\n"
        )
