"""What the hook says, and what it calls of pyspark's with care."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coffee_boat._support.redact import redact_setting
from coffee_boat.model import Finding
from coffee_boat.spark import jvm


def explained(stop: Callable[..., Any], context: Any) -> Any:
    """What `stop` gives; where the JVM is there no more, that is said.

    Raises:
        BoatError: it is not.
    """
    try:
        return stop(context)
    except Exception as error:
        known = jvm.explain(error)
        if known is None:
            raise
        raise known from error


def copy(conf: Any, conf_class: Any) -> Any:
    """A SparkConf with the same settings."""
    copied = conf_class(loadDefaults=False)
    for key, value in conf.getAll():
        copied.set(key, value)
    return copied


def overruled(key: str, ours: str, theirs: str) -> Finding:
    """What is said where a program overrules its launch."""
    ours, theirs = redact_setting(key, ours), redact_setting(key, theirs)
    return Finding(
        "launch.overruled-by-program",
        f"{key} of launch_ship is not used",
        value=ours,
        cause=f"the program says {theirs!r} itself, which wins",
        cure="say it in one place only",
        severity="note",
    )


def handed_over(cause: str) -> Finding:
    """What is said of a context that is not ours to complete."""
    return Finding(
        "launch.environment-not-used",
        "the shipped environment is not used by this SparkContext",
        cause=cause,
        cure='captain.board(sc) ships it to this context; or captain.pack("boat.tar.gz") and name'
        " it in the platform's settings: spark.archives=boat.tar.gz#boat,"
        " PYSPARK_PYTHON=./boat/bin/python3",
    )
