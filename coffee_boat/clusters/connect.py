"""sc://...: Spark Connect is not supported; what works by hand is said instead."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from coffee_boat._support.redact import redact
from coffee_boat.errors import LaunchError


def refuse(master: str, served: Sequence[str]) -> None:
    """Refuse a Spark Connect server, with Spark's own settings for a packed archive.

    Args:
        served: masters that can be used.

    Raises:
        LaunchError: it is one.
    """
    if not master.startswith("sc://"):
        return
    python = f"./boat/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    raise LaunchError(
        "launch.master-not-supported",
        "this kind of master is not supported yet",
        value=redact(master),
        cause=f"launch_ship serves {', '.join(served[:-1])} and {served[-1]}",
        cure=(
            'captain.pack("boat.tar.gz"), then in the session:'
            ' spark.addArtifacts("boat.tar.gz#boat", archive=True);'
            f' spark.conf.set("spark.sql.execution.pyspark.python", "{python}")'
        ),
    )
