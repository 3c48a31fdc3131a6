"""The executors of a session that starts: how many are ready, as the driver's JVM knows it.

No job is run for it: the scheduler's own books are read, a call or two at a time.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from coffee_boat.session.status_store import DRIVER, elements

_CORES = re.compile(r"Some\(([0-9.eE+-]+)\)")
"""Scala's text of a number: py4j cannot hand on the BigDecimal that it is from Spark 4.3 on."""


class Arriving:
    """Tells how many executors are ready, whenever there are more.

    One registers first and unpacks its archives then (org.apache.spark.executor.Executor): only
    after that it has a core to give (LaunchedExecutor). A Spark whose books cannot be read so has
    those ready that have registered.
    """

    def __init__(self, wanted: int | None, tell: Callable[[int], None]) -> None:
        """
        Args:
            wanted: how many there will be; of None, the first that is ready is enough.
            tell: takes how many are ready.
        """
        self._wanted, self._tell = wanted, tell
        self._ready: set[str] = set()

    def look(self, context: Any) -> bool:
        """Look once.

        Args:
            context: None while it is being made.

        Returns:
            True if no more are waited for.
        """
        before = len(self._ready)
        spark = _being_made() if context is None else context._jsc.sc()
        if spark is not None:
            self._look(spark)
        if len(self._ready) > before:
            self._tell(len(self._ready))
        # how many more there may be is not known: those that are there when the context is
        enough = bool(self._ready) and context is not None
        return enough if self._wanted is None else len(self._ready) >= self._wanted

    def _look(self, spark: Any) -> None:
        store, backend = spark.statusStore(), spark.schedulerBackend()
        if store is None or backend is None:  # not made yet
            return
        found = store.executorList(True)
        for one in elements(found):
            name = str(one.id())
            if name != DRIVER and name not in self._ready and _has_begun(one, name, backend):
                self._ready.add(name)


def _has_begun(summary: Any, name: str, backend: Any) -> bool:
    if int(summary.totalTasks()):
        return True
    from py4j.protocol import Py4JError

    try:  # CoarseGrainedSchedulerBackend's; not a public API
        free = _CORES.fullmatch(str(backend.getExecutorAvailableCpus(name).toString()))
    except (Py4JError, TypeError):
        return True
    return free is not None and float(free[1]) > 0


def _being_made() -> Any:
    """Spark's own context while SparkContext(...) waits for it, which may be for executors; None if
    there is none, or it cannot be had.
    """
    from py4j.protocol import Py4JError

    jvm = getattr(getattr(sys.modules.get("pyspark"), "SparkContext", None), "_jvm", None)
    if jvm is None:
        return None
    with suppress(Py4JError, TypeError):
        module = jvm.java.lang.Class.forName("org.apache.spark.SparkContext$")
        field = module.getDeclaredField("contextBeingConstructed")
        field.setAccessible(True)
        made = field.get(module.getDeclaredField("MODULE$").get(None))
        if made is not None and made.isDefined():
            return made.get()
    return None
