"""What spark-submit would know: what is said here, over spark-defaults.conf."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from coffee_boat.model import SparkFacts
from coffee_boat.spark import connect, install, pairs
from coffee_boat.spark.defaults import defaults
from coffee_boat.spark.install import Spark
from coffee_boat.spark.keys import DEPLOY_MODE, MASTER


def facts_of(
    spark: Spark,
    *,
    master: str | None = None,
    deploy_mode: str | None = None,
    conf: Mapping[str, str] | None = None,
    python: str = "",
    spark_defaults: bool = True,
) -> SparkFacts:
    """What spark-submit would know: what is said here, over spark-defaults.conf, over its own
    defaults.

    Args:
        python: the interpreter of a driver on this machine.
        spark_defaults: False leaves spark-defaults.conf unread, as --properties-file does.
    """
    said = {**(defaults(spark) if spark_defaults else {}), **(conf or {})}
    return SparkFacts(
        version=spark.version,
        master=master or said.get(MASTER) or "local[*]",
        deploy_mode=deploy_mode or said.get(DEPLOY_MODE) or "client",
        conf=said,
        environment={
            name: value for name, value in os.environ.items() if name.startswith("PYSPARK_")
        },
        python=python,
    )


def of_master(master: str, conf: Mapping[str, str] | None = None) -> SparkFacts:
    """What is known of a Spark that is to start in this process; or of a Connect server before its
    session starts: its Spark may be another one, and the client's need not have spark-submit.

    Raises:
        LaunchError: there is no Spark.
    """
    if connect.is_remote(master):
        address, known = connect.address(master), dict(conf or {})
        return SparkFacts(version=pairs.version_here(), master=address, conf=known)
    return facts_of(install.find_spark(), master=master, conf=conf, python=sys.executable)
