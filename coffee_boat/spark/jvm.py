"""Values that live in the driver's JVM."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from coffee_boat.errors import BoatError, LaunchError, Problem

ENDED = Problem(
    "session.jvm-ended",
    "Spark's JVM has ended",
    cause="it was killed, or ran out of memory; pyspark starts one JVM in each process",
    cure="restart the kernel, or the program",
)


def shared_map(jvm: Any, variables: Mapping[str, str]) -> Any:
    """The executors' variables as one map inside the JVM, for `SparkContext.environment`.

    Every Python function captures `sc.environment` when it is first used: a dict by value, this by
    reference. So what is put into it later reaches functions that were made before; and since the
    variables are part of what keys Python workers (SparkEnv.createPythonWorker), Spark then starts
    fresh ones.
    """
    shared = jvm.java.util.concurrent.ConcurrentHashMap()
    for name, value in variables.items():
        shared.put(name, value)
    return shared


@dataclass(frozen=True)
class Hadoop:
    """Spark's own Hadoop: a JVM that has it, and the settings it is used with."""

    jvm: Callable[[], AbstractContextManager[Any]]
    """Gives py4j's view of a JVM, for as long as the block lasts: this process's own, or one that
    is started for it.
    """
    conf: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Spark's settings; spark.hadoop.* among them are Hadoop's."""


def running() -> Any | None:
    """The JVM of this process's pyspark, if it was started. Imports nothing."""
    return getattr(getattr(sys.modules.get("pyspark"), "SparkContext", None), "_jvm", None)


def context_of(handed: Any) -> Any | None:
    """The SparkContext of a session; of a Connect session, that of a server in this process. None
    if there is none. Imports nothing.
    """
    if not type(handed).__module__.startswith("pyspark.sql.connect"):
        return getattr(handed, "sparkContext", handed)
    context = getattr(sys.modules.get("pyspark"), "SparkContext", None)
    return getattr(context, "_active_spark_context", None)


def has_ended() -> bool:
    """True if this process's pyspark had a JVM, and it is there no more. Imports nothing of it."""
    machine = running()
    if machine is None:
        return False
    from py4j.protocol import Py4JError

    try:
        machine.java.lang.System.nanoTime()
    except (Py4JError, OSError):
        return True
    return False


def refuse_ended() -> None:
    """Raise if the JVM is there no more: nothing of Spark works in this process from then on.

    Raises:
        LaunchError: it is not.
    """
    if has_ended():
        raise LaunchError.of(ENDED)


def explain(error: BaseException) -> BoatError | None:
    """What an error of py4j's means where the JVM ended meanwhile; None if it did not."""
    if running() is None:
        return None
    from py4j.protocol import Py4JError

    return (
        LaunchError.of(ENDED) if isinstance(error, (Py4JError, OSError)) and has_ended() else None
    )


def is_up(context: Any) -> bool:
    """True while a SparkContext runs.

    False once somebody stopped it, or its JVM is gone, or the cluster ended the application: of
    that, Python's side is told nothing.
    """
    from py4j.protocol import Py4JError

    java = context._jsc
    try:
        return java is not None and not java.sc().isStopped()
    except (Py4JError, OSError):
        return False
