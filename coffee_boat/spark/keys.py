"""Settings of Spark that more than one file names."""

from __future__ import annotations

DRIVER_PYTHON = "spark.pyspark.driver.python"
PYTHON = "spark.pyspark.python"
MASTER = "spark.master"
DEPLOY_MODE = "spark.submit.deployMode"
PY_FILES = "spark.submit.pyFiles"
MARK = "spark.coffee_boat."
"""Begins the settings that say of a session that it is ours (session/record.py)."""
