"""A session that somebody else started: which one it is, and what a change of its interpreter does
not reach.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from coffee_boat.errors import LaunchError
from coffee_boat.model import Archive, Finding, Lock, SparkFacts
from coffee_boat.session.record import Aboard
from coffee_boat.spark import jvm
from coffee_boat.worker import daemon
from coffee_boat.worker import facts as facts_of_worker

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

_AGAIN = "spark = SparkSession.builder.getOrCreate(), then captain.board(spark)"


def parts(session: Any) -> tuple[SparkContext, SparkSession | None]:
    """The context of a SparkSession or SparkContext, and the session whose SQL settings count.

    Raises:
        LaunchError: it is neither, is Spark Connect's, or was stopped.
    """
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    if type(session).__module__.startswith("pyspark.sql.connect"):
        raise LaunchError(
            "session.connect-not-supported",
            "Spark Connect is not supported yet",
            value=type(session).__name__,
            cause="its executors belong to a server",
            cure="board a session that has a SparkContext: spark.sparkContext",
        )
    if not isinstance(session, (SparkContext, SparkSession)):
        raise LaunchError(
            "session.not-a-session",
            "this is no Spark session",
            value=f"{session!r:.80} is a {type(session).__name__}",
            cause="board takes a SparkSession or a SparkContext",
            cure=_AGAIN,
        )
    context = session if isinstance(session, SparkContext) else session.sparkContext
    if not jvm.is_up(context):
        raise LaunchError(
            "session.stopped",
            "the Spark session was stopped",
            cause="somebody called stop(), or the cluster ended the application",
            cure=_AGAIN,
        )
    return context, (
        SparkSession.getActiveSession() if isinstance(session, SparkContext) else session
    )


def facts(context: SparkContext) -> SparkFacts:
    """What the driver knows of a running session."""
    import pyspark

    conf = dict(context.getConf().getAll())
    return SparkFacts(
        version=pyspark.__version__,
        master=context.master,
        deploy_mode=conf.get("spark.submit.deployMode", "client"),
        conf=conf,
        environment={
            name: value for name, value in os.environ.items() if name.startswith("PYSPARK_")
        },
        python=sys.executable,
    )


def not_reached(
    context: SparkContext, session: SparkSession | None, *, ships_python: bool
) -> Iterator[Finding]:
    """What keeps the interpreter that it started with: Spark captures it with a function when that
    is first used.

    Args:
        session: whose SQL functions were switched, and whose streams are looked at.
        ships_python: False where the nodes' own interpreter runs.
    """
    # SQL functions take the interpreter from the session's settings for each query, but PYTHONPATH,
    # by which a node's own finds packages, from the function
    sql = (
        "SQL functions used before in other sessions"
        if session is not None and ships_python
        else "SQL functions used before"
    )
    yield Finding(
        "session.earlier-work-unchanged",
        "what ran before keeps its interpreter and its packages",
        value=f"RDD functions of earlier actions, {sql}",
        cause="Spark captures both with a function when it is first used",
        cure="make these functions again: run the cells that define them once more",
        severity="note",
    )
    cached = context._jsc.getPersistentRDDs().size()
    if cached:
        yield Finding(
            "session.cache-unchanged",
            "cached data stays as it was computed",
            value=f"{cached} RDDs or tables",
            cause="it is not computed again",
            cure="unpersist() and cache() again where it depends on packages",
            severity="note",
        )
    streams = (
        [query.name or query.id for query in session.streams.active] if session is not None else []
    )
    if streams:
        yield Finding(
            "session.streams-unchanged",
            "running streams keep their interpreter and their packages",
            value=", ".join(map(str, streams)),
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


def unknown_layers(context: SparkContext, aboard: Aboard) -> Iterator[Finding]:
    """Layers that the session has and the store does not know: added by a captain that has another
    store.
    """
    names = {uri.rpartition("#")[2] for uri in context.listArchives}
    unknown = sorted(
        name
        for name in names
        if name.startswith(facts_of_worker.LAYERS) and name not in aboard.layers
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
        value=f"{archive.name}, {archive.size:,} bytes",
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
