"""The session that a user hands over -> what is done with it, by its kind."""

from __future__ import annotations

from typing import Any

from coffee_boat.errors import LaunchError
from coffee_boat.session import Session
from coffee_boat.session.classic import ClassicSession
from coffee_boat.spark import jvm

_AGAIN = "spark = SparkSession.builder.getOrCreate(), then captain.board(spark)"


def session_of(handed: Any) -> Session:
    """What is done with a SparkSession or a SparkContext.

    Raises:
        LaunchError: it is neither, is Spark Connect's, or was stopped.
    """
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    if type(handed).__module__.startswith("pyspark.sql.connect"):
        raise LaunchError(
            "session.connect-not-supported",
            "Spark Connect is not supported yet",
            value=type(handed).__name__,
            cause="its executors belong to a server",
            cure="board a session that has a SparkContext: spark.sparkContext",
        )
    if not isinstance(handed, (SparkContext, SparkSession)):
        raise LaunchError(
            "session.not-a-session",
            "this is not a Spark session",
            value=f"{handed!r:.80} is a {type(handed).__name__}",
            cause="board takes a SparkSession or a SparkContext",
            cure=_AGAIN,
        )
    context = handed if isinstance(handed, SparkContext) else handed.sparkContext
    if not jvm.is_up(context):
        jvm.refuse_ended()
        raise LaunchError(
            "session.stopped",
            "the Spark session was stopped",
            cause="somebody called stop(), or the cluster ended the application",
            cure=_AGAIN,
        )
    sql = SparkSession.getActiveSession() if isinstance(handed, SparkContext) else handed
    return ClassicSession(context, sql)
