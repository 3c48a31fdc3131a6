"""The YARN that the lane runs on: a bed of our own, or the cluster that the user's HADOOP_CONF_DIR
names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lanes import cannot_run

from integration.beds import BedCannotRun, _namespaces
from integration.beds import yarn as bed
from integration.beds._namespaces import Node
from integration.beds.standalone.spark import spark_home
from integration.conftest import timed
from integration.venvs import SPARKS, NoInterpreterError, cache_folder, newest_for

OTHER_SPARKS = {spark: minors for spark, minors in SPARKS.items() if spark != list(SPARKS)[-1]}
"""Besides the newest, which this virtual environment has."""
_OF_THE_USER = (
    "HADOOP_CONF_DIR",
    "YARN_CONF_DIR",
    "HADOOP_USER_NAME",
    "SPARK_CONF_DIR",
    "SPARK_LOCAL_IP",
    "KRB5CCNAME",
)


@dataclass(frozen=True)
class YarnLane:
    """A cluster to test on."""

    environment: Mapping[str, str]
    """What a driver's environment has to say."""
    cluster: bed.Cluster | None
    """None for a cluster that is not ours."""

    @property
    def ours(self) -> bed.Cluster:
        """The bed; a test that looks into nodes cannot run without."""
        if self.cluster is None:
            cannot_run("HADOOP_CONF_DIR names a cluster whose nodes are not ours to look into")
        return self.cluster

    def environment_for(self, python: Path) -> Mapping[str, str]:
        """The same, for the Spark of another virtual environment."""
        return (
            self.environment
            if self.cluster is None
            else self.cluster.exports_for(str(_spark_home_of(python)))
        )

    def on_node(self, node: Node, *argv: str) -> str:
        """What a program says on a node."""
        done = _namespaces.inside(node, argv, timeout=120)
        return done.stdout + done.stderr


@contextmanager
def yarn_lane() -> Iterator[YarnLane]:
    """The user's cluster, or one of our own for as long as the block lasts."""
    if os.environ.get("HADOOP_CONF_DIR"):
        yield YarnLane(
            {name: value for name in _OF_THE_USER if (value := os.environ.get(name))}, None
        )
        return
    state = cache_folder() / "beds" / f"test-yarn-{os.getpid()}"
    try:
        options = bed.Options(
            sparks=tuple(dict.fromkeys((str(spark_home(None)), *map(str, _sparks())))),
            cache=str(cache_folder()),
        )
        with timed("yarn: up"):
            cluster = bed.up(state, options)
    except BedCannotRun as reason:
        shutil.rmtree(state, ignore_errors=True)
        cannot_run(str(reason))
    try:
        yield YarnLane(cluster.exports, cluster)
    finally:
        with timed("yarn: down"):
            bed.down(state)
        shutil.rmtree(state)


def pythons() -> dict[str, Path | None]:
    """Spark's version -> the interpreter of a virtual environment with it, of the newest Python
    that is here; None if there is none.
    """
    return {spark: _newest(spark) for spark in OTHER_SPARKS}


def _newest(spark: str) -> Path | None:
    try:
        return newest_for(spark)
    except NoInterpreterError:
        return None


def _sparks() -> Iterator[Path]:
    yield from (_spark_home_of(python) for python in pythons().values() if python is not None)


def _spark_home_of(python: Path) -> Path:
    return next(python.parent.parent.glob("lib/python*/site-packages/pyspark"))
