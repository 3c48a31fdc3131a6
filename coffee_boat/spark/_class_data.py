"""In a process of its own: a small session on this machine, whose JVM writes down the classes that
it loaded when it ends. `class_data.py` starts it, and reads what it makes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from coffee_boat._support.environ import changed_environ
from coffee_boat._support.logs import logger
from coffee_boat._support.run import run
from coffee_boat._support.store import Store
from coffee_boat.spark.class_data import BASE, FILE, QUIET, VARIABLE, has_own, mapping

_log = logger(__name__)
_SECONDS = 1800
"""With nobody else's work on the machine it takes half a minute."""
_MEMORY = "512m"
_CLASS = "org.apache.spark.deploy.SparkSubmit source: shared objects file (top)"
"""What the JVM logs of a class that is mapped from a file of ours."""


def make(root: str, name: str, base: str, java: str, *, idly: bool) -> None:
    """Make the file, if nobody did meanwhile; where this Java cannot, an empty folder: then nobody
    tries again.

    Args:
        root: of the store.
        name, base: of its folder there, and of that with the JDK's own.
        java: the program that the JVM is.
        idly: what time nobody else wants is enough.
    """
    if idly:
        _step_back()
    if hasattr(signal, "alarm"):
        signal.alarm(_SECONDS)  # the JVM ends with us
    store = Store(root)
    with store.lock(name), store.lease():
        if store.has("trees", name):
            return
        with store.publish("trees", name) as folder:
            folder.mkdir()
            _fill(folder, partial(_base, store, base, java))


def _step_back() -> None:
    """Take only what nobody else wants."""
    with suppress(OSError, AttributeError):
        os.nice(19)
    with suppress(OSError, AttributeError):  # Linux's
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _base(store: Store, name: str, java: str) -> list[Path]:
    """The file with the JDK's own classes, where it lies from now on, as what is made on top of it
    names it; none if the JDK has one itself.
    """
    if has_own(Path(java)):
        return []
    with store.lock(name):
        if not store.has("trees", name):
            with store.publish("trees", name) as folder:
                folder.mkdir()
                shared = mapping([folder / BASE])
                run([java, "-Xshare:dump", shared, QUIET.split()[0]], timeout=_SECONDS)
    return [store.path("trees", name) / BASE]


def _fill(folder: Path, base: Callable[[], list[Path]]) -> None:
    try:
        beneath = base()
        said = f"{mapping(beneath)} " if beneath else ""
        _session(f"{said}-XX:ArchiveClassesAtExit={folder / FILE} {QUIET}")
        works = _is_mapped([*beneath, folder / FILE], folder / "loaded")
    except Exception as error:  # noqa: BLE001  (whatever Spark says)
        _log.debug("no classes are written: %s", error)
        works = False
    if not works:
        for left in folder.iterdir():
            left.unlink()


def _session(options: str) -> None:
    """A bit of everything that a session's start and its first jobs load."""
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import udf

    submit = f"--driver-memory {_MEMORY} pyspark-shell"
    with changed_environ({VARIABLE: options, "PYSPARK_SUBMIT_ARGS": submit}):
        spark = SparkSession.builder.master("local[2]").config("spark.ui.port", "0").getOrCreate()
    spark.sparkContext.parallelize(range(4), 2).map(lambda number: number + 1).sum()
    doubled = spark.range(4).select(udf(lambda number: 2 * number, "long")("id").alias("number"))
    doubled.groupBy("number").count().orderBy("number").collect()
    gateway = spark.sparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()  # Spark's gateway ends with its input
    gateway.proc.wait()


def _is_mapped(files: list[Path], log: Path) -> bool:
    """True if a JVM that Spark's own scripts start maps them, without a word of that on the user's
    terminal: Java 21 does not where its class path has a jar twice.
    """
    ran = run(
        [str(Path(os.environ["SPARK_HOME"], "bin", "spark-submit")), "--version"],
        env={VARIABLE: f"{mapping(files)} {QUIET} -Xlog:class+load:file={log}"},
        timeout=_SECONDS,
    )
    found = log.is_file() and _CLASS in log.read_text("utf-8", "replace")
    log.unlink(missing_ok=True)
    return found and "[warning]" not in ran.stdout + ran.stderr
