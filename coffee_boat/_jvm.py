"""Values that live in the driver's JVM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def shared_map(jvm: Any, variables: Mapping[str, str]) -> Any:
    """The executors' variables as one map inside the JVM, for `SparkContext.environment`.

    Every Python function captures `sc.environment` when it is first used: a dict by value, this by reference. So what is put into it later reaches
    functions that were made before; and since the variables are part of what keys Python workers (SparkEnv.createPythonWorker), Spark then starts fresh ones.
    """
    shared = jvm.java.util.concurrent.ConcurrentHashMap()
    for name, value in variables.items():
        shared.put(name, value)
    return shared
