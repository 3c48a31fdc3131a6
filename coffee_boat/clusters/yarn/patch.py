"""yarn: the NodeManager localizes the archive once a node, and puts a link to it into the working
directory of each container.

    client mode     the driver is this process; executors are containers
    cluster mode    the driver is a container too (the application master), with the shipped
                    interpreter

Localized from HDFS, where all may read it, the archive is kept for other applications; from this
machine, Spark uploads it for each. Queue, staging folder, spark.yarn.jars and all else are the
user's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from coffee_boat._support.redact import redact_setting
from coffee_boat.clusters import settings
from coffee_boat.model import ConfPatch, Finding, Shipped, SparkFacts

_ARCHIVES = "spark.yarn.dist.archives"
_MASTER_ENV = "spark.yarn.appMasterEnv."
_PYTHON_VARIABLES = ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")


class YarnBackend:
    """Names the archive in spark.yarn.dist.archives, and its interpreter relative to the
    container's working directory.
    """

    needs_environment = False

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:  # noqa: ARG002  (of the protocol)
        """spark.yarn.dist.archives with the user's own kept, and relative paths; in cluster mode
        the driver's variables too.
        """
        there, ours = settings.unpacked(shipped.archive), f"{shipped.uri}#{shipped.archive.name}"
        archives, findings = settings.merge_archives(
            facts.conf.get(_ARCHIVES, ""), ours, key=_ARCHIVES
        )
        # What stands in spark.archives is unpacked into the same folder, by spark-submit's merging
        # or by each executor.
        settings.merge_archives(facts.conf.get("spark.archives", ""), ours)
        made = settings.patch(
            facts,
            python=there.python,
            packages=there.packages,
            conf={_ARCHIVES: archives, **there.planned},
            findings=findings,
        )
        return made if facts.deploy_mode != "cluster" else _with_driver(made, facts, there.packages)


def _with_driver(made: ConfPatch, facts: SparkFacts, packages: str | None) -> ConfPatch:
    """With what the driver's container needs.

    The application master takes PYSPARK_PYTHON and PYSPARK_DRIVER_PYTHON of whoever submits, which
    are paths of another machine, unless they are said here
    (org.apache.spark.deploy.yarn.Client.setupLaunchEnv).
    """
    variables = {**made.environment, **dict.fromkeys(_PYTHON_VARIABLES, made.python)}
    if packages is not None:
        variables["PYTHONPATH"] = ":".join(
            filter(None, [packages, facts.conf.get(f"{_MASTER_ENV}PYTHONPATH")])
        )
    told = {f"{_MASTER_ENV}{name}": value for name, value in variables.items()}
    return replace(
        made, conf={**made.conf, **told}, findings=(*made.findings, *_unused(facts, told))
    )


def _unused(facts: SparkFacts, told: Mapping[str, str]) -> Iterator[Finding]:
    ours = {
        f"{_MASTER_ENV}{name}"
        for name in ("PYSPARK_DRIVER_PYTHON", "PYTHONNOUSERSITE", "PYTHONHOME")
    }
    for key in sorted({"spark.pyspark.driver.python", *ours}.intersection(facts.conf)):
        if facts.conf[key] != told.get(key):
            cause = "in cluster mode the driver runs the shipped environment"
            yield Finding(
                "launch.setting-not-used",
                f"{key} is not used",
                value=redact_setting(key, facts.conf[key]),
                cause=cause,
                cure=f"remove {key}",
                severity="note",
            )
