"""What the program `boat` starts with: Ctrl-C is understood while the rest is still imported."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """The console script."""
    try:
        from coffee_boat.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)
