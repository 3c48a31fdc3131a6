"""Python that the driver's JVM starts itself, to plan: `analyze` of table functions, and data sources.

    executors       ./boat-<id>/bin/python3.X, in their working directory; a setting of SQL says so
    driver's JVM    <SparkFiles' root>/boat-<id>/bin/python3.X: Spark unpacks archives there on the driver, too

Both would start the interpreter that pyspark captured with the function, and only on executors the setting comes before it
(org.apache.spark.sql.execution.python.PythonPlannerRunner and BasePythonUDFRunner). So these functions capture the driver's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coffee_boat.model import SQL_PYTHON, ConfPatch


def drivers_copies(patch: ConfPatch, root: str) -> Mapping[str, str]:
    """The executors' interpreter -> the same one on the driver; empty where none is needed, or there is none.

    Args:
        root: SparkFiles' root on the driver.
    """
    copy = Path(root, patch.python)  # an absolute one stays as it is
    executors_are_told = patch.conf.get(SQL_PYTHON) == patch.python
    return {patch.python: str(copy)} if executors_are_told and copy != Path(patch.python) and os.access(copy, os.X_OK) else {}


class PlanningContext:
    """A SparkContext, but for its interpreter: for pyspark's `_wrap_function`, which reads it."""

    def __init__(self, context: Any, python: str) -> None:
        self._context = context
        self.pythonExec = python

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
