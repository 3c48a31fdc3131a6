"""A bed's cluster for a person: up, down, status, logs, exec.

What a shell can use goes to stdout, talk goes to stderr.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from integration.beds import BedCannotRun, BedFailed, _namespaces
from integration.beds._namespaces import Node
from integration.beds._state import cache_folder


class Cluster(Protocol):
    """What every bed's cluster tells."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Its nodes."""

    @property
    def healthy(self) -> bool:
        """True if all of it is there."""

    @property
    def summary(self) -> str:
        """One line for people."""

    @property
    def exports(self) -> Mapping[str, str]:
        """Variables that a driver's environment has to have."""

    def node(self, name: str) -> Node:
        """The node of this name."""

    def logs(self) -> list[tuple[str, Path]]:
        """What can be read, by title."""


@dataclass(frozen=True)
class Bed:
    """One bed's part of the command line."""

    name: str
    about: str
    up: Callable[[Path, Any], Cluster]
    down: Callable[[Path], None]
    current: Callable[[Path], Cluster | None]
    add_options: Callable[[argparse.ArgumentParser], None]
    options: Callable[[argparse.Namespace], Any]
    build: Callable[[argparse.Namespace], str] | None = None
    """What takes long and needs no cluster, with the options of `up`; gives a line for people."""


def main(bed: Bed, arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if nothing is up; 3 if the bed cannot run or failed; `exec` gives the
    command's own.
    """
    given = _parser(bed).parse_args(arguments)
    try:
        code: int = given.verb(bed, given)
    except (BedCannotRun, BedFailed) as error:
        _talk(f"{type(error).__name__}: {error}")
        return 3
    return code


def _up(bed: Bed, given: argparse.Namespace) -> int:
    started = time.monotonic()
    cluster = bed.up(given.state, bed.options(given))
    _talk(f"up after {time.monotonic() - started:.1f} s: {cluster.summary}; state {given.state}")
    for name, value in cluster.exports.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _build(bed: Bed, given: argparse.Namespace) -> int:
    started = time.monotonic()
    built = bed.build(given) if bed.build else ""
    _talk(f"built after {time.monotonic() - started:.1f} s: {built}")
    return 0


def _down(bed: Bed, given: argparse.Namespace) -> int:
    started = time.monotonic()
    bed.down(given.state)
    _talk(f"down after {time.monotonic() - started:.1f} s")
    return 0


def _status(bed: Bed, given: argparse.Namespace) -> int:
    cluster = bed.current(given.state)
    if cluster is None:
        _talk(f"no cluster in {given.state}")
        return 1
    print(cluster.summary)
    for node in cluster.nodes:
        print(
            f"{node.name}  {node.address} "
            f" {'up' if node.process and node.process.alive else 'gone'}  log {node.log}"
        )
    return 0 if cluster.healthy else 1


def _logs(bed: Bed, given: argparse.Namespace) -> int:
    for title, path in _needed(bed, given).logs():
        print(f"=== {title}: {path}")
        print(path.read_text(errors="replace"))
    return 0


def _exec(bed: Bed, given: argparse.Namespace) -> int:
    node = _needed(bed, given).node(given.node)
    return subprocess.run(_namespaces.inside_command(node, given.command), check=False).returncode


def _needed(bed: Bed, given: argparse.Namespace) -> Cluster:
    cluster = bed.current(given.state)
    if cluster is None:
        raise BedFailed(f"no cluster in {given.state}: up first")
    return cluster


def _talk(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser(bed: Bed) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m integration.beds.{bed.name}", description=bed.about
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    if bed.build:
        bed.add_options(
            _verb(
                bed,
                verbs,
                "build",
                _build,
                "make all that takes long, unless it is there; starts nothing",
            )
        )
    bed.add_options(
        _verb(bed, verbs, "up", _up, "start it, unless it runs already; print what to export")
    )
    _verb(bed, verbs, "down", _down, "end it; nothing is left but its logs")
    _verb(bed, verbs, "status", _status, "say what runs; exit code 1 unless all of it does")
    _verb(bed, verbs, "logs", _logs, "print the daemons' and the executors' logs")
    execute = _verb(
        bed, verbs, "exec", _exec, "run a command on a node, as the user of the executors"
    )
    execute.add_argument("node", help="as `status` names it")
    execute.add_argument("command", nargs="+", help="after --")
    return parser


def _verb(
    bed: Bed,
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    call: object,
    text: str,
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text)
    state = cache_folder() / "beds" / bed.name
    parser.add_argument(
        "--state",
        type=lambda text: Path(text).absolute(),
        default=state,
        metavar="DIR",
        help="where the cluster's records and logs are (%(default)s)",
    )
    parser.set_defaults(verb=call)
    return parser
