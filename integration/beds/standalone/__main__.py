"""The cluster for a person: up, down, status, logs, exec. What a shell can use goes to stdout, talk goes to stderr."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from integration.beds import BedCannotRun, BedFailed, _namespaces
from integration.beds.standalone import cluster as clusters
from integration.beds.standalone.cluster import CHECKOUT, Cluster, Options

VARIABLE = "SPARK_BED_MASTER"
"""A master that the tests take instead of starting their own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if nothing is up; 3 if the bed cannot run or failed; `exec` gives the command's own."""
    given = _parser().parse_args(arguments)
    try:
        code: int = given.verb(given)
    except (BedCannotRun, BedFailed) as error:
        _talk(f"{type(error).__name__}: {error}")
        return 3
    return code


def _up(given: argparse.Namespace) -> int:
    started = time.monotonic()
    options = Options(
        workers=given.workers,
        cores=given.cores,
        memory_mb=given.memory,
        spark_home=given.spark_home and str(given.spark_home.absolute()),
        pyspark_zip=not given.without_pyspark_zip,
        system_python=given.with_system_python,
        hide=tuple(sorted(str(path.absolute()) for path in given.hide)),
    )
    cluster = clusters.up(given.state, options)
    _talk(f"up after {time.monotonic() - started:.1f} s: {cluster.master_url}, {options.workers} workers; UI {cluster.ui_url}; state {cluster.state}")
    print(f"export {VARIABLE}={cluster.master_url}")
    return 0


def _down(given: argparse.Namespace) -> int:
    started = time.monotonic()
    clusters.down(given.state)
    _talk(f"down after {time.monotonic() - started:.1f} s")
    return 0


def _status(given: argparse.Namespace) -> int:
    cluster = clusters.current(given.state)
    if cluster is None:
        _talk(f"no cluster in {given.state}")
        return 1
    print(f"{cluster.master_url}  {cluster.workers_alive()} of {cluster.options.workers} workers alive  UI {cluster.ui_url}")
    for node in cluster.nodes:
        print(f"{node.name}  {node.address}  {'up' if node.process and node.process.alive else 'gone'}  log {node.log}")
    return 0 if cluster.healthy else 1


def _logs(given: argparse.Namespace) -> int:
    for title, path in _needed(given).logs():
        print(f"=== {title}: {path}")
        print(path.read_text(errors="replace"))
    return 0


def _exec(given: argparse.Namespace) -> int:
    node = _needed(given).node(given.node)
    return subprocess.run(_namespaces.inside_command(node, given.command), check=False).returncode


def _needed(given: argparse.Namespace) -> Cluster:
    cluster = clusters.current(given.state)
    if cluster is None:
        raise BedFailed(f"no cluster in {given.state}: up first")
    return cluster


def _talk(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _default_state() -> Path:
    return Path(os.environ.get("COFFEE_BOAT_TEST_CACHE") or CHECKOUT / ".cache") / "beds" / "standalone"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m integration.beds.standalone", description="A Spark master, and workers on foreign nodes. Needs Linux and root.")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _up_options(_verb(verbs, "up", _up, "start it, unless it runs already; print what to export"))
    _verb(verbs, "down", _down, "end it; nothing is left but its logs")
    _verb(verbs, "status", _status, "say what runs; exit code 1 unless all of it does")
    _verb(verbs, "logs", _logs, "print the daemons' and the executors' logs")
    execute = _verb(verbs, "exec", _exec, "run a command on a node, as the user of the executors")
    execute.add_argument("node", help="node1, node2, ...")
    execute.add_argument("command", nargs="+", help="after --")
    return parser


def _verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, call: object, text: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--state", type=lambda text: Path(text).absolute(), default=_default_state(), metavar="DIR", help="where the cluster's records and logs are (%(default)s)")
    parser.set_defaults(verb=call)
    return parser


def _up_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, choices=range(1, 10), default=2, metavar="N", help="(%(default)s)")
    parser.add_argument("--cores", type=int, default=1, metavar="N", help="that each worker offers (%(default)s)")
    parser.add_argument("--memory", type=int, default=2048, metavar="MIB", help="that each worker offers (%(default)s)")
    parser.add_argument("--spark-home", type=Path, metavar="DIR", help="default: SPARK_HOME, or the pyspark of this Python")
    parser.add_argument("--without-pyspark-zip", action="store_true", help="nodes have Spark's jars only, not its Python files")
    parser.add_argument("--with-system-python", action="store_true", help="nodes keep the distribution's Python (/usr/bin/python3)")
    parser.add_argument("--hide", type=Path, nargs="+", default=[], metavar="PATH", help="further paths that nodes do not have")


if __name__ == "__main__":
    sys.exit(main())
