"""The cluster for a person; see `_command_line`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from integration.beds import _command_line
from integration.beds._command_line import Bed
from integration.beds.standalone import cluster as clusters
from integration.beds.standalone.cluster import Options


def main(arguments: Sequence[str] | None = None) -> int:
    """See `_command_line.main`."""
    about = "A Spark master, and workers on foreign nodes. Needs Linux and root."
    bed = Bed(
        "standalone", about, clusters.up, clusters.down, clusters.current, _up_options, _options
    )
    return _command_line.main(bed, arguments)


def _options(given: argparse.Namespace) -> Options:
    return Options(
        workers=given.workers,
        cores=given.cores,
        memory_mb=given.memory,
        spark_home=given.spark_home and str(given.spark_home.absolute()),
        pyspark_zip=not given.without_pyspark_zip,
        system_python=given.with_system_python,
        hide=tuple(sorted(str(path.absolute()) for path in given.hide)),
    )


def _up_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=int, choices=range(1, 10), default=2, metavar="N", help="(%(default)s)"
    )
    parser.add_argument(
        "--cores", type=int, default=1, metavar="N", help="that each worker offers (%(default)s)"
    )
    parser.add_argument(
        "--memory",
        type=int,
        default=2048,
        metavar="MIB",
        help="that each worker offers (%(default)s)",
    )
    parser.add_argument(
        "--spark-home",
        type=Path,
        metavar="DIR",
        help="default: SPARK_HOME, or the pyspark of this Python",
    )
    parser.add_argument(
        "--without-pyspark-zip",
        action="store_true",
        help="nodes have Spark's jars only, not its Python files",
    )
    parser.add_argument(
        "--with-system-python",
        action="store_true",
        help="nodes keep the distribution's Python (/usr/bin/python3)",
    )
    parser.add_argument(
        "--hide",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="further paths that nodes do not have",
    )


if __name__ == "__main__":
    sys.exit(main())
