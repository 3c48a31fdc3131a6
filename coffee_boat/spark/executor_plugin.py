"""The plugin of Spark's that starts the shipped interpreter on each executor before it gets tasks,
and fetches what the interpreter asks for (Environment.java).

An executor fetches its jar, which `spark.jars` names. The driver has to have the class, too
(org.apache.spark.internal.plugin.PluginContainer), and its JVM runs when that is set: the jar is
given to the loader that spark-submit made for the application's classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coffee_boat.spark.keys import JARS, MARK, listed

JAR = Path(__file__).with_name("coffee_boat.jar")
"""Has Functions.java, too."""
PLUGINS = "spark.plugins"
CARGO = f"{MARK}cargo"
"""The file that the driver serves, and each executor fetches when its starter asks for it."""
_CLASS = "coffee_boat.Environment"


def settings(conf: Mapping[str, str], cargo: Path | None) -> dict[str, str]:
    """What is set for it, behind what is there.

    Args:
        cargo: what executors fetch on demand; None if Spark sends it to them.
    """
    return {
        JARS: listed(conf.get(JARS, ""), str(JAR)),
        PLUGINS: listed(conf.get(PLUGINS, ""), _CLASS),
        CARGO: "" if cargo is None else str(cargo),
    }


def load(jvm: Any, conf: Mapping[str, str]) -> bool:
    """Let the driver's JVM have its class; False where that cannot be, or executors could not fetch
    the jar: Spark takes a file name once, and a path for a URI (SparkContext.addJar).

    Args:
        jvm: py4j's view of it.
        conf: what is set besides.
    """
    from py4j.protocol import Py4JError

    others = {path.strip() for path in conf.get(JARS, "").split(",")} - {str(JAR)}
    if any(path.rpartition("/")[2] == JAR.name for path in others) or {*",#?%"} & {*str(JAR)}:
        return False
    try:
        loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
        if loader is None:
            return False
        if not _has(loader):
            loader.addURL(jvm.java.io.File(str(JAR)).toURI().toURL())
        return _has(loader)
    except (Py4JError, TypeError):  # a loader of another platform's
        return False


def _has(loader: Any) -> bool:
    from py4j.protocol import Py4JJavaError

    try:
        loader.loadClass(_CLASS)
    except Py4JJavaError:
        return False
    return True
