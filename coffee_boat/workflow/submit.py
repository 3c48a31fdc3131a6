"""Runs a script with spark-submit, and says how its driver ended."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from coffee_boat._support.progress import say_line
from coffee_boat._support.run import attach
from coffee_boat.clusters.kubernetes.driver import KubernetesDriver
from coffee_boat.clusters.yarn.driver import YarnDriver
from coffee_boat.errors import LaunchError
from coffee_boat.model import SparkFacts
from coffee_boat.spark.defaults import properties
from coffee_boat.spark.keys import DRIVER_PYTHON
from coffee_boat.spark.submission import Order

_UPLOAD = "spark.kubernetes.file.upload.path"


def run(
    order: Order,
    script: str | Path | None = None,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a script with spark-submit; without a script, an interactive pyspark.

    It has our terminal.

    Args:
        arguments: of the script.
        environment: variables that Spark's own scripts need (JAVA_HOME).

    Returns:
        The application's exit code; 128 + n if signal n ended it.

    Raises:
        LaunchError: the script is on this machine, and the driver's pod cannot read it.
    """
    _refuse_unreadable(order, script)
    driver = _driver_elsewhere(order)
    program = "pyspark" if script is None else "spark-submit"
    with tempfile.TemporaryDirectory(prefix="coffee_boat-") as folder:
        settings = Path(folder, "spark.conf")
        settings.touch(mode=0o600)
        settings.write_text(
            properties({**order.complete, **(driver.conf if driver else {})}), "ascii"
        )
        argv = [
            str(Path(order.spark.home, "bin", program)),
            "--properties-file",
            str(settings),
            *_application(script, arguments),
        ]
        with driver.watched(say_line) if driver else nullcontext():
            code = attach(
                argv, env={**_environment(order, interactive=script is None), **(environment or {})}
            )
    return driver.exit_code(code, say_line) if driver else code


def _is_on_kubernetes(order: Order) -> bool:
    """True if the driver is to be a pod."""
    return order.master.startswith("k8s://") and order.deploy_mode == "cluster"


def _driver_elsewhere(order: Order) -> YarnDriver | KubernetesDriver | None:
    """What knows of a driver that runs in the cluster, how it ended and what it said; None for one
    on this machine.
    """
    facts = SparkFacts(order.spark.version, order.master, order.deploy_mode, order.complete)
    if _is_on_kubernetes(order):
        return KubernetesDriver(facts)
    return YarnDriver(facts) if order.deploy_mode == "cluster" and order.master == "yarn" else None


def _refuse_unreadable(order: Order, script: str | Path | None) -> None:
    """A pod sees nothing of this machine; spark-submit uploads a script, if it is told where to."""
    if (
        script is None
        or not _is_on_kubernetes(order)
        or urlsplit(str(script)).scheme not in ("", "file")
        or order.complete.get(_UPLOAD)
    ):
        return
    raise LaunchError(
        "launch.pod-cannot-read-script",
        "the driver's pod cannot read the script",
        value=str(script),
        cause=f"it lies on this machine, and {_UPLOAD} is not set",
        cure=(
            f"--conf {_UPLOAD}=s3a://bucket/uploads: a place that pods can read and you can write;"
            " or name the script by a URL that pods can read, or local:///path in the image"
        ),
    )


def _application(script: str | Path | None, arguments: Sequence[str]) -> list[str]:
    """The end of the command line: spark-submit reads its own options up to the script."""
    if script is None:
        return []
    return [f"./{script}" if str(script).startswith("-") else str(script), *arguments]


def _environment(order: Order, *, interactive: bool) -> dict[str, str]:
    """Spark's scripts and the driver's JVM run Python themselves; an executors' path like
    ./env/bin/python is none for them.
    """
    python = order.conf.get(DRIVER_PYTHON) or sys.executable
    theirs = (
        os.environ.get("PYSPARK_DRIVER_PYTHON") if interactive else None
    )  # "ipython" and "jupyter" are for the shell; they run no script
    return {
        "SPARK_HOME": order.spark.home,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": theirs or python,
    }
