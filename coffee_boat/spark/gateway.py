"""A JVM with Spark's jars and no SparkContext, for what only Java can reach: HDFS before a
submission.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import IO, Any

from coffee_boat._support import temporary
from coffee_boat._support.environ import changed_environ
from coffee_boat._support.redact import redact
from coffee_boat._support.store import Store
from coffee_boat.errors import LaunchError
from coffee_boat.spark import install, java, jvm
from coffee_boat.spark.jvm import Hadoop

_SUBMIT = "--master local --deploy-mode client pyspark-shell"
"""spark-defaults.conf may name a cluster and its cluster mode: neither is for a JVM that runs no
application.
"""
_SECONDS_TO_END = 10.0
_TAIL = 2000


def hadoop(store: Store, conf: Mapping[str, str]) -> Hadoop:
    """Hadoop as this process's Spark has it, or would have it.

    Args:
        store: where a Java shim is kept, if one is needed.
        conf: Spark's settings.
    """
    return Hadoop(partial(java_vm, store), conf)


@contextmanager
def java_vm(store: Store) -> Iterator[Any]:
    """py4j's view of pyspark's own JVM; where none was started, of one that lives as long as the
    block.

    That is pyspark's gateway, rather than one `hadoop fs` a step: a single start of a JVM (2 to 3
    s) serves all steps, and they are the same code as in a running session.

    Raises:
        LaunchError: no pyspark, no Java, or it does not start; or this process's own has ended.
    """
    jvm.refuse_ended()
    running = jvm.running()
    if running is not None:
        yield running
        return
    install.load()
    with temporary.file() as said:
        gateway = _start(store, said)
        try:
            yield gateway.jvm
        finally:
            _end(gateway)


def _start(store: Store, said: IO[bytes]) -> Any:
    from pyspark.find_spark_home import _find_spark_home
    from pyspark.java_gateway import launch_gateway

    python = {
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": _SUBMIT,
    }
    with changed_environ({**java.java_environment(store, _find_spark_home()), **python}):
        try:
            return launch_gateway(popen_kwargs={"stdout": said, "stderr": said})
        except (
            RuntimeError,
            OSError,
        ) as error:  # PySparkRuntimeError in 4.x, its own subclass of it in 3.5
            said.seek(0, os.SEEK_END)
            said.seek(max(0, said.tell() - _TAIL))
            words = said.read().decode("utf-8", "replace").strip()
            cure = (
                "look for what its last lines name: Java (JAVA_HOME), spark-defaults.conf,"
                " spark-env.sh"
            )
            raise LaunchError(
                "launch.jvm-failed",
                "Spark's JVM cannot be started",
                value=_find_spark_home(),
                cause=redact(words or str(error)),
                cure=cure,
            ) from error


def _end(gateway: Any) -> None:
    if gateway.proc is None:  # the one of PYSPARK_GATEWAY_PORT: whoever started it goes on with it
        gateway.close()
        return
    gateway.shutdown()
    gateway.proc.stdin.close()  # PythonGatewayServer ends with its standard input
    try:
        gateway.proc.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:  # it did what it was started for
        gateway.proc.kill()
        gateway.proc.wait()
