"""What is different where a session's driver is a server, as Spark Connect's is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath

from coffee_boat import requirements
from coffee_boat._support.progress import Say
from coffee_boat._support.store import Store
from coffee_boat.errors import LaunchError
from coffee_boat.model import ConfPatch, Finding, History, Lock
from coffee_boat.session import Session, record
from coffee_boat.session.live import LiveSession
from coffee_boat.spark import connect, pairs
from coffee_boat.workflow import composing
from coffee_boat.workflow.built import Built, Resolved
from coffee_boat.workflow.expose import expose
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.tools import Tools

_ARROW = "pyarrow"


def expects(master: str | None, conf: Mapping[str, str] | None) -> bool:
    """True if the next session is one of Spark Connect."""
    return connect.expected(master, conf)


def with_arrow(tools: Tools, request: Request, known: Resolved | None, spark: str = "") -> Request:
    """With pyarrow, which Python functions need on executors: nothing there tells that it is not
    there before the first of them fails.

    Args:
        known: what was chosen of the request, if it was.
        spark: the server's version; the client's where it is not known yet.
    """
    if request.lock_file is not None or not _needs_arrow(spark or pairs.version_here()):
        return request
    named = {pin.name for pin in request.manifest.requirements}
    named |= {pin.name for pin in request.manifest.conda}
    if _ARROW in named or (known is not None and known.lock.has(_ARROW)):
        return request
    note = Finding(
        "launch.pyarrow-added",
        "pyarrow is sent, too",
        cause="Python functions of a Spark Connect session need it on executors",
        severity="note",
    )
    tools.emit([note])
    return request.with_manifest(requirements.pip_packages([_ARROW], origin="Spark Connect"))


def _needs_arrow(spark: str) -> bool:
    """From 4.2 on plain functions travel as Arrow data; from 4.3 on workers start with it."""
    return tuple(map(int, re.findall(r"\d+", spark)[:2])) >= (4, 2)


def arrow_missing(lock: Lock, spark: str) -> Iterator[Finding]:
    """What is said where it is not brought: of a lock file, which is taken as it is."""
    if _needs_arrow(spark) and not lock.has(_ARROW):
        yield Finding(
            "session.connect-without-pyarrow",
            "Python functions will fail in this session",
            value="pyarrow not installed",
            cause=f"Spark {spark} runs them with it on executors, and the lock file lacks it",
            cure='captain.add_pip_packages("pyarrow")',
            severity="error",
        )


def odd(session: Session, lock: Lock) -> Iterator[Finding]:
    """What does not work in a session of a server."""
    yield from arrow_missing(lock, session.versions().jvm)
    yield without_streams(session.master)


def without_streams(master: str) -> Finding:
    """What is said before a streaming query fails, or a source of data in Python."""
    return Finding(
        "session.connect-streams",
        "streaming queries and Python data sources do not use this environment",
        value=master,
        cause="a Spark Connect server runs the first beside the session, without its archives"
        ' (Cannot run program "./boat-..."), and plans the second with its own Python',
        cure="functions of batch queries use it; streams need a Python that the nodes have, and"
        " Python data sources one with pyarrow where the server runs",
        severity="note",
    )


def recalled(store: Store, session: Session) -> History | None:
    """What a session of a server has, if a captain with this store gave it to it.

    A server may be set up for all its sessions: they have a lock's mark from the start, and are
    nobody's yet.
    """
    conf = session.facts().conf
    with suppress(LaunchError):  # of a captain with another store: it gets ours
        if store.recall("session", session.id) is not None:
            return record.recall(store, session.id, conf)
    return None


def on_server(conf: Mapping[str, str], lock: Lock) -> ConfPatch | None:
    """How to use the environment that a server was set up with; None if it is not that of a
    lock.
    """
    python = conf.get(record.PYTHON)
    if not python or conf.get(record.LOCK) != lock.digest:
        return None
    return ConfPatch(python)


def use_servers(
    tools: Tools, session: Session, built: Built, patch: ConfPatch, say: Say
) -> LiveSession:
    """A session of a server that has the environment: nothing is sent."""
    ships = tools.settings.ship_python
    session.activate(patch, record.marks(patch, built.lock, ships_python=ships))
    begun = composing.history(tools, patch, built, session.facts())
    folder = str(PurePosixPath(patch.python).parents[1])  # one above the session's
    parts = tuple(replace(part, folder=folder) for part in begun.parts)
    live = LiveSession(session, replace(begun, parts=parts), tools.store)
    expose(tools, built.lock, built.archive.chunks, say)
    note = Finding(
        "launch.connect-server-has-it",
        "the server has the environment already, and nothing is sent",
        value=session.master,
        cause="it was started with what boat conf --format connect-server prints",
        severity="note",
    )
    tools.emit([note])
    return live
