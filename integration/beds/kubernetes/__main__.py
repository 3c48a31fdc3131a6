"""The cluster for a person; see `_command_line`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from integration.beds import _command_line
from integration.beds._command_line import Bed
from integration.beds.kubernetes import cluster as clusters
from integration.beds.kubernetes.cluster import Options


def main(arguments: Sequence[str] | None = None) -> int:
    """See `_command_line.main`."""
    about = (
        "A real Kubernetes of two nodes, with an image for Spark. Needs Linux, root, and Go to"
        " compile it."
    )
    bed = Bed(
        "kubernetes",
        about,
        clusters.up,
        clusters.down,
        clusters.current,
        _options_of_up,
        _options,
        build=_build,
    )
    return _command_line.main(bed, arguments)


def _build(given: argparse.Namespace) -> str:
    return str(clusters.build(_options(given)).archive)


def _options(given: argparse.Namespace) -> Options:
    return Options(
        nodes=given.nodes,
        spark_home=given.spark_home and str(given.spark_home.absolute()),
        cache=str(given.cache.absolute()),
    )


def _options_of_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--nodes", type=int, choices=range(1, 10), default=2, metavar="N", help="(%(default)s)"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=clusters.default_cache(),
        metavar="DIR",
        help="where what is compiled and downloaded is kept (%(default)s)",
    )
    parser.add_argument(
        "--spark-home",
        type=Path,
        metavar="DIR",
        help="whose jars the image has; default: SPARK_HOME, or the pyspark of this Python",
    )


if __name__ == "__main__":
    sys.exit(main())
