"""Settings of Spark that more than one file names."""

from __future__ import annotations

DRIVER_PYTHON = "spark.pyspark.driver.python"
PYTHON = "spark.pyspark.python"
MASTER = "spark.master"
DEPLOY_MODE = "spark.submit.deployMode"
PY_FILES = "spark.submit.pyFiles"
JARS = "spark.jars"
MARK = "spark.coffee_boat."
"""Begins the settings that say of a session that it is ours (session/record.py)."""


def listed(theirs: str, *ours: str) -> str:
    """The value of a setting that is a list, with commas: theirs, with ours at its end."""
    return ",".join(dict.fromkeys([*filter(None, map(str.strip, theirs.split(","))), *ours]))
