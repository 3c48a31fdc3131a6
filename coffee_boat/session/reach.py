"""What a change of a running session's interpreter does not reach, and what comes too late for
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from coffee_boat._support.words import human_size
from coffee_boat.model import Archive, Finding, History, Lock
from coffee_boat.session import Session
from coffee_boat.worker import daemon
from coffee_boat.worker import facts as facts_of_worker


def not_reached(session: Session, *, ships_python: bool) -> Iterator[Finding]:
    """What keeps the interpreter that it started with: Spark captures it with a function when that
    is first used.

    Args:
        ships_python: False where the nodes' own interpreter runs.
    """
    lasting = session.lasting()
    # SQL functions take the interpreter from the session's settings for each query, but PYTHONPATH,
    # by which a node's own finds packages, from the function
    sql = (
        "SQL functions used before"
        if lasting.sql_functions or not ships_python
        else "SQL functions used before in other sessions"
    )
    if lasting.functions:
        yield Finding(
            "session.earlier-work-unchanged",
            "what ran before keeps its interpreter and its packages",
            value=f"RDD functions of earlier actions, {sql}",
            cause="Spark captures both with a function when it is first used",
            cure="make these functions again: run the cells that define them once more",
            severity="note",
        )
    if lasting.cached:
        yield Finding(
            "session.cache-unchanged",
            "cached data stays as it was computed",
            value=f"{lasting.cached} RDDs or tables",
            cause="it is not computed again",
            cure="unpersist() and cache() again where it depends on packages",
            severity="note",
        )
    if lasting.streams:
        yield Finding(
            "session.streams-unchanged",
            "running streams keep their interpreter and their packages",
            value=", ".join(lasting.streams),
            cause="a query keeps the settings that it was started with",
            cure="query.stop(), and start it again",
        )


def not_planned(python: str, spark: str) -> Iterator[Finding]:
    """What the driver's JVM would start an interpreter of executors for, in its own working
    directory. A session that launch_ship started is told of the driver's copy.

    Args:
        python: the executors' interpreter, as in ConfPatch.
        spark: its version; before 4.0 Spark plans nothing in Python.
    """
    if python.startswith("./") and not spark.startswith("3."):
        yield Finding(
            "session.planned-python-unavailable",
            "table functions with analyze and Python data sources do not work in this session",
            value=python,
            cause=(
                "the driver's JVM starts Python for them, and does not find that path: it is one"
                " on executors"
            ),
            cure="where you need them: stop the session, captain.launch_ship(), and start it again",
            severity="note",
        )


def unknown_layers(session: Session, known: History) -> Iterator[Finding]:
    """Layers that the session has and the store does not know: added by a captain that has another
    store.
    """
    ours = {*known.current.layers, *(part.folder for part in known.parts)}
    unknown = sorted(
        name
        for name in set(session.archives())
        if name.startswith(facts_of_worker.LAYERS) and name not in ours
    )
    if unknown:
        yield Finding(
            "session.unknown-layers",
            "packages were added to the session that are not known here",
            value=", ".join(unknown),
            cause="by a Captain with another store",
            cure="Captain(store=...) with that store, so that their versions are kept",
        )


def not_preloaded(modules: Sequence[str], environment: Mapping[str, str]) -> Iterator[Finding]:
    """Modules that were to be imported before workers are forked, and come too late for that.

    Args:
        environment: the variables of the executors' Python.
    """
    late = [
        module for module in modules if module not in environment.get(daemon.PRELOAD, "").split(",")
    ]
    if late:
        cause = "executors were told how to start Python when they started"
        yield Finding(
            "launch.not-preloaded",
            "modules are not preloaded",
            value=", ".join(late),
            cause=cause,
            cure="stop the session, captain.launch_ship(), and start it again",
        )


def new_base(archive: Archive, lock: Lock) -> Finding:
    """What is said where packages that are added cannot be a layer."""
    native = [pin.name for pin in lock.conda if not pin.noarch_python]
    return Finding(
        "session.new-base",
        "the session gets a new base, in which everything runs from its next job on",
        value=f"{archive.name}, {human_size(archive.size)}",
        cause="conda packages that have more than modules belong into the interpreter's own folder"
        f" ({len(native)} of {len(lock.conda)})",
        cure="packages of modules only, and those of pip, are sent alone",
        severity="note",
    )


def this_session_only() -> Finding:
    """What is said where a session was taken over and nothing was launched."""
    return Finding(
        "session.this-session-only",
        "the environment is in this session only",
        cause="board() takes over what runs; it does not change how sessions start",
        cure="after spark.stop(): captain.launch_ship()",
        severity="note",
    )
