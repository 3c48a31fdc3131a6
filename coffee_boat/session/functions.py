"""Python functions by names of SQL, for sessions of this process."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coffee_boat.errors import LaunchError
from coffee_boat.session import Session
from coffee_boat.spark import _program, connect, jvm


def give(spark: Any, functions: Sequence[Mapping[str, Any]], planner: str) -> None:
    """Let a session find functions by their names.

    Args:
        spark: a SparkSession, of Spark Connect too.
        functions: as `spark/_describe.py` describes them.
        planner: the interpreter that the driver's JVM plans table functions in.

    Raises:
        LaunchError: Spark does not take one.
    """
    for each in functions:
        _give(spark, each, planner)


def _give(spark: Any, each: Mapping[str, Any], planner: str) -> None:
    try:
        if connect.is_session(spark):
            _of_a_server(spark, each)
        else:
            _program.register_one(spark, each, planner)
    except Exception as error:
        words = (each["returns"] or {}).get("words", "")
        raise jvm.explain(error) or LaunchError(
            "functions.refused-by-spark",
            "Spark does not take a function",
            value=f"{each['name']} -> {words}" if words else each["name"],
            cause=re.split(r"\n\s+at ", str(error))[0].strip(),  # without the JVM's frames
            cure="return types are written as array<string>, bigint, name string, n int; where"
            " the cause is another one, captain.verify() tells whether the session answers",
        ) from error


def sessions(session: Session, known: Iterable[Any]) -> tuple[Any, ...]:
    """The SparkSessions of a running session: those that are known; else the one that is active in
    this thread. None where there is only a SparkContext.
    """
    found = tuple(each for each in known if hasattr(each, "sql") and session.is_of(each))
    if found or session.remote:
        return found
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    return () if active is None else (active,)


def _of_a_server(spark: Any, each: Mapping[str, Any]) -> None:
    """By the client's own calls: what a server plans, it plans in its own interpreter."""
    from pyspark.sql.types import _parse_datatype_json_string

    said = each["returns"]
    register = (
        spark.client.register_udf if each["kind"] == "function" else spark.client.register_udtf
    )
    register(
        _program.Pickled(each["name"], base64.b64decode(each["pickled"])),
        said and (said.get("words") or _parse_datatype_json_string(said["json"])),
        each["name"],
        each["type"],
        each["deterministic"],
    )
