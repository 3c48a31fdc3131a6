"""What the nodes are, by the JVMs that run there: no Python is needed.

And what they said the last time.

Asked only where it is worth a job: before an environment is sent to a session that runs, and when
an interpreter does not start. A healthy launch learns it for nothing, from what the executors say
to `verify`.
"""

from __future__ import annotations

import platform
import re
import threading
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from coffee_boat._support import host as _support_host
from coffee_boat._support.store import Store
from coffee_boat.clusters import kind_of_running
from coffee_boat.errors import StoreError
from coffee_boat.model import NodeFacts

if TYPE_CHECKING:
    from pyspark import SparkContext

_KEPT = 200
"""Nodes that are remembered of one cluster: pods have a new name each time."""
_TASKS_A_SLOT = 2
LOOK = (
    'echo "NODE ${NM_HOST:-$(uname -n)} $(uname -m) $(getconf GNU_LIBC_VERSION 2>/dev/null || ldd'
    ' --version 2>&1 | sed -n 1p)$(sed -n "s/^NVRM version:.*Kernel Module.*[[:space:]]'
    r'\([0-9]\{3,\}\.[0-9.]*\).*/ nvidia=\1/p" /proc/driver/nvidia/version 2>/dev/null)"'
)
"""YARN tells containers their node's name (NM_HOST): whatever runs there can say it, so the words
are the same for every kind of cluster.

getconf says "glibc 2.36"; ldd ends its first line with the version, or with "musl libc (x86_64)".
Behind it is the version of NVIDIA's driver, where its kernel module is loaded.
"""
_SAID = re.compile(
    r"NODE (?P<host>\S+) (?P<architecture>\S+) ?(?P<library>.*?)(?: nvidia=(?P<gpu>[\d.]+))?"
)
_LINE = 300
"""Characters of what a node says of its C library."""
_GLIBC = re.compile(r"(?:glibc|GLIBC|GNU libc|ldd \().*?(?P<major>\d+)\.(?P<minor>\d+)\s*$")


def ask(context: SparkContext, *, deadline: float) -> tuple[NodeFacts, ...]:
    """What the nodes of the live executors say, sorted by host; those that a small job reached
    within the deadline.

    Args:
        deadline: seconds; then the job is cancelled, and nothing is known.
    """
    if kind_of_running(context.master).on_this_machine:
        return (NodeFacts(platform.node(), _support_host.architecture(), _support_host.glibc()),)
    group = f"coffee_boat-{uuid.uuid4().hex}"
    lines: list[str] = []
    thread = threading.Thread(target=_submit, args=(context, group, lines), daemon=True)
    thread.start()
    thread.join(deadline)
    if thread.is_alive():
        context.cancelJobGroup(group)
    return read(lines)


def read(lines: Iterable[str]) -> tuple[NodeFacts, ...]:
    """The nodes in what their shells printed."""
    said = [found for found in map(_SAID.fullmatch, lines) if found is not None]
    nodes = {
        found["host"]: NodeFacts(
            found["host"],
            _support_host.architecture(found["architecture"]),
            _version(found["library"]),
            found["gpu"] or "",
        )
        for found in said
    }
    return tuple(nodes[host] for host in sorted(nodes))


def remember(store: Store, master: str, nodes: Iterable[NodeFacts]) -> None:
    """Keep what nodes of a cluster are, besides what is known of others.

    This machine needs no memory, and a store that cannot be written keeps none.
    """
    if kind_of_running(master).on_this_machine:
        return
    known = {node.host: node for node in recall(store, master)}
    merged = known | {node.host: node for node in nodes if node.architecture}
    if merged == known:
        return
    newest = list(merged.values())[-_KEPT:]
    with suppress(StoreError):
        store.remember(
            "nodes",
            master,
            [[node.host, node.architecture, node.glibc, node.gpu_driver] for node in newest],
        )


def recall(store: Store, master: str) -> tuple[NodeFacts, ...]:
    """What is known of a cluster's nodes from earlier runs, of this store."""
    kept = store.recall("nodes", master) or ()
    return tuple(
        NodeFacts(host, architecture, None if glibc is None else (glibc[0], glibc[1]), *gpu)
        for host, architecture, glibc, *gpu in kept
    )


def _submit(context: Any, group: str, lines: list[str]) -> None:
    """As many tasks as reach every slot of an idle cluster: Spark has no way to address an
    executor. Never fails: what is not said is not known.
    """
    from py4j.protocol import Py4JError

    with suppress(
        Py4JError, OSError, AttributeError
    ):  # the job was cancelled, or the context stopped meanwhile
        context.setJobGroup(group, "coffee_boat: asks the nodes what they are, without Python")
        tasks = max(context.defaultParallelism * _TASKS_A_SLOT, 1)
        numbers = context._jvm.java.util.ArrayList()
        for number in range(tasks):
            numbers.add(number)
        command = context._jvm.java.util.ArrayList()
        for word in ("/bin/sh", "-c", LOOK):
            command.add(word)
        lines += list(context._jsc.parallelize(numbers, tasks).pipe(command).collect())


def _version(library: str) -> tuple[int, int] | None:
    found = _GLIBC.search(library[:_LINE])
    return None if found is None else (int(found["major"]), int(found["minor"]))
