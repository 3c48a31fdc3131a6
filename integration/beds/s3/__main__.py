"""The server for a person; see `_command_line`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from integration.beds import _command_line
from integration.beds._command_line import Bed
from integration.beds._state import cache_folder
from integration.beds.s3 import programs, server
from integration.beds.s3.server import Options


def main(arguments: Sequence[str] | None = None) -> int:
    """See `_command_line.main`."""
    about = "A server that speaks S3, over a folder. Needs Go to be built once."
    bed = Bed(
        "s3", about, server.up, server.down, server.current, _up_options, _options, build=_build
    )
    return _command_line.main(bed, arguments)


def _build(given: argparse.Namespace) -> str:
    return str(programs.server(given.cache.absolute()))


def _options(given: argparse.Namespace) -> Options:
    return Options(cache=str(given.cache.absolute()), address=given.address)


def _up_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache",
        type=Path,
        default=cache_folder(),
        metavar="DIR",
        help="where the program and the jars are kept (%(default)s)",
    )
    parser.add_argument(
        "--address",
        default="127.0.0.1",
        metavar="IP",
        help="of this machine, at which it serves (%(default)s)",
    )


if __name__ == "__main__":
    sys.exit(main())
