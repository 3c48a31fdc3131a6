"""Runs a script with spark-submit, and says how its driver ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from coffee_boat._support import temporary
from coffee_boat._support.progress import say_line
from coffee_boat._support.run import attach
from coffee_boat.clusters import kind_of
from coffee_boat.model import SparkFacts
from coffee_boat.spark.defaults import properties
from coffee_boat.spark.keys import DRIVER_PYTHON, PYTHON
from coffee_boat.spark.submission import Order


def run(
    order: Order,
    script: str | Path | None = None,
    arguments: Sequence[str] = (),
    *,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    driver: str | None = None,
) -> int:
    """Run a script with spark-submit; without a script, an interactive pyspark.

    It has our terminal.

    Args:
        arguments: of the script.
        options: of spark-submit, for what is no setting.
        environment: variables that Spark's own scripts need (JAVA_HOME).
        driver: the text of a Python driver that runs the script, which is a jar.

    Returns:
        The application's exit code; 128 + n if signal n ended it.

    Raises:
        LaunchError: a driver in the cluster cannot read the script.
    """
    kind = kind_of(order.master)
    facts = SparkFacts(order.spark.version, order.master, order.deploy_mode, order.complete)
    kind.check_submission(facts, None if script is None else str(script))
    remote = kind.remote_driver(facts)
    program = "pyspark" if script is None else "spark-submit"
    with temporary.folder() as folder:
        settings = folder / "spark.conf"
        with temporary.written():
            settings.touch(mode=0o600)
            settings.write_text(
                properties({**order.complete, **(remote.conf if remote else {})}), "ascii"
            )
            if driver is not None:
                script = folder / "jvm_driver.py"
                script.write_text(driver, "utf-8")
        argv = [
            str(Path(order.spark.home, "bin", program)),
            "--properties-file",
            str(settings),
            *options,
            *_application(script, arguments),
        ]
        with remote.watched(say_line) if remote else nullcontext():
            code = attach(
                argv, env={**_environment(order, interactive=script is None), **(environment or {})}
            )
    return remote.exit_code(code, say_line) if remote else code


def _application(script: str | Path | None, arguments: Sequence[str]) -> list[str]:
    """The end of the command line: spark-submit reads its own options up to the script."""
    if script is None:
        return []
    return [f"./{script}" if str(script).startswith("-") else str(script), *arguments]


def _environment(order: Order, *, interactive: bool) -> dict[str, str]:
    """Spark's scripts and the driver's JVM run Python themselves; an executors' path like
    ./env/bin/python is none for them. Both look at the driver's first.

    Of a script, spark-submit hands the executors' on from the settings
    (org.apache.spark.deploy.PythonRunner). The shell's SparkContext knows it by its environment
    only: bin/pyspark hands on what is on the command line, and nothing of a file
    (org.apache.spark.launcher.SparkSubmitCommandBuilder).
    """
    python = order.conf.get(DRIVER_PYTHON) or sys.executable
    theirs = (
        os.environ.get("PYSPARK_DRIVER_PYTHON") if interactive else None
    )  # "ipython" and "jupyter" are for the shell; they run no script
    return {
        "SPARK_HOME": order.spark.home,
        "PYSPARK_PYTHON": order.conf.get(PYTHON, sys.executable) if interactive else sys.executable,
        "PYSPARK_DRIVER_PYTHON": theirs or python,
    }
