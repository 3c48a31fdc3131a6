"""The session that a user hands over -> what is done with it, by its kind."""

from __future__ import annotations

from typing import Any

from coffee_boat.errors import LaunchError
from coffee_boat.session import Session
from coffee_boat.session.classic import ClassicSession
from coffee_boat.session.connect import ConnectSession
from coffee_boat.spark import connect, jvm

_AGAIN = "spark = SparkSession.builder.getOrCreate(), then captain.board(spark)"


def session_of(handed: Any) -> Session:
    """What is done with a SparkSession or a SparkContext.

    Raises:
        LaunchError: it is neither, or was stopped.
    """
    if connect.is_session(handed):
        return _of_a_server(handed)
    if not isinstance(handed, _classic()):
        raise LaunchError(
            "session.not-a-session",
            "this is not a Spark session",
            value=f"{handed!r:.80} is a {type(handed).__name__}",
            cause="board takes a SparkSession or a SparkContext",
            cure=_AGAIN,
        )
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

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


def _classic() -> tuple[type[Any], ...]:
    try:
        from pyspark import SparkContext
    except ImportError:  # pyspark-client
        return ()
    from pyspark.sql import SparkSession

    return SparkContext, SparkSession


def _of_a_server(handed: Any) -> Session:
    session = ConnectSession(handed)
    trouble = session.trouble()
    if trouble is not None:
        raise LaunchError.of(trouble)
    return session
