"""Refuses Spark Connect, which starts no SparkContext."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from coffee_boat._support.redact import redact
from coffee_boat.errors import LaunchError

_CONNECT_CURE = (
    "leave out spark.remote, SPARK_REMOTE and spark.api.mode=connect; or"
    ' captain.pack("boat.tar.gz"), and in the session: spark.addArtifacts("boat.tar.gz#boat",'
    ' archive=True); spark.conf.set("spark.sql.execution.pyspark.python",'
    f' "./boat/bin/python{sys.version_info.major}.{sys.version_info.minor}")'
)


def refuse_connect(options: Mapping[str, Any]) -> None:
    """Spark Connect starts no SparkContext in this process: without this, nothing would be shipped,
    in silence.
    """
    for name in ("spark.remote", "SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED"):
        value = options.get(name) or os.environ.get(name)
        if value:
            raise _no_connect(f"{name}={redact(str(value))}")
    mode = (
        str(options.get("spark.api.mode", os.environ.get("SPARK_API_MODE", ""))).lower()
        or _default_mode()
    )
    if mode == "connect":
        raise _no_connect("spark.api.mode=connect")


def _default_mode() -> str:
    """What pyspark does where nobody says anything; Spark 3.5 knows one mode only."""
    util = sys.modules.get("pyspark.util")
    default = getattr(util, "default_api_mode", None)
    return str(default()) if default is not None else "classic"


def _no_connect(value: str) -> LaunchError:
    return LaunchError(
        "session.connect-not-supported",
        "Spark Connect is not supported yet",
        value=value,
        cause="its executors belong to a server that launch_ship cannot configure",
        cure=_CONNECT_CURE,
    )
