"""The cluster for a person; see `_command_line`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from integration.beds import _command_line
from integration.beds._command_line import Bed
from integration.beds.standalone.spark import spark_home
from integration.beds.yarn import cluster as clusters
from integration.beds.yarn.cluster import Options


def main(arguments: Sequence[str] | None = None) -> int:
    """See `_command_line.main`."""
    about = "HDFS and YARN with two NodeManagers, on foreign nodes. Needs Linux and root."
    bed = Bed("yarn", about, clusters.up, clusters.down, clusters.current, _up_options, _options)
    return _command_line.main(bed, arguments)


def _options(given: argparse.Namespace) -> Options:
    homes = tuple(str(path.absolute()) for path in given.spark_home) or (str(spark_home(None)),)
    return Options(
        sparks=homes,
        cache=str(given.cache.absolute()),
        system_python=given.with_system_python,
        hide=tuple(sorted(str(path.absolute()) for path in given.hide)),
    )


def _up_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cache",
        type=Path,
        default=clusters.default_cache(),
        metavar="DIR",
        help="where Hadoop's jars are kept (%(default)s)",
    )
    parser.add_argument(
        "--spark-home",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="whose jars the nodes have; default: SPARK_HOME, or the pyspark of this Python",
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
