"""What spark-submit would know: what is said here, over spark-defaults.conf."""

from __future__ import annotations

import os
from collections.abc import Mapping

from coffee_boat.model import SparkFacts
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
