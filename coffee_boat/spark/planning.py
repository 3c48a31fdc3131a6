"""Python that the driver's JVM starts itself, to plan: `analyze` of table functions, and data
sources.

    executors       ./boat-<id>/bin/python3.X, in their working directory; a setting of SQL says so
    driver's JVM    <SparkFiles' root>/boat-<id>/bin/python3.X: Spark unpacks what is in
                    spark.archives there on the driver, too;
                    where that is a starter only (node_store), or the cluster's manager unpacks it
                    (YARN), the store's copy, which is made when it is needed first

Both would start the interpreter that pyspark captured with the function, and only on executors the
setting comes before it (org.apache.spark.sql.execution.python.PythonPlannerRunner and
BasePythonUDFRunner). So these functions capture the driver's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffee_boat.model import SQL_PYTHON, ConfPatch
from coffee_boat.worker.starter import index


@dataclass(frozen=True)
class DriversCopy:
    """The executors' interpreter on the driver."""

    patch: ConfPatch
    root: str
    """SparkFiles' root on the driver."""
    environment: Callable[[], Path | None]
    """The archive, unpacked on this machine now; None if that cannot be had."""

    def of(self, python: str) -> str | None:
        """What the driver's JVM has to start in place of an executors' interpreter; None where it
        can start that, or there is no other.
        """
        inside = Path(self.patch.python)
        if (
            python != self.patch.python
            or self.patch.conf.get(SQL_PYTHON) != python
            or inside.is_absolute()
            or len(inside.parts) == 1
        ):
            return None
        copy = Path(self.root, inside)
        # a starter would unpack first, and for some of them Spark waits 10 seconds only
        if not os.access(copy, os.X_OK) or any(copy.parents[1].glob(_STARTER)):
            environment = self.environment()
            copy = environment.joinpath(*inside.parts[1:]) if environment is not None else copy
        return str(copy) if os.access(copy, os.X_OK) else None


_STARTER = f"lib/python*/site-packages/{index.PACKAGE}"
"""What a starter has, and an environment has not."""


class PlanningContext:
    """A SparkContext, but for its interpreter: for pyspark's `_wrap_function`, which reads it."""

    def __init__(self, context: Any, python: str) -> None:
        self._context = context
        self.pythonExec = python

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
