"""The Spark and the Java that the cluster runs on, and the commands of its daemons."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, replace
from pathlib import Path

from integration.beds import BedCannotRun, _java

_SMALL = ("-Xms32m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
"""A daemon has little to do, and a start counts more than its speed."""

_HOME_ON_NODE = Path("/opt/spark")

_CLEANUP = (
    "-Dspark.worker.cleanup.enabled=true",
    "-Dspark.worker.cleanup.interval=30",
    "-Dspark.worker.cleanup.appDataTtl=90",
)
"""In seconds: a node's disk is memory, and each application leaves an unpacked environment."""


@dataclass(frozen=True)
class Installation:
    """Where Spark and Java are; the same class for the host and for a node."""

    home: Path
    """SPARK_HOME: has a folder `jars`."""
    java: Path
    """JAVA_HOME: has `bin/java`."""
    scala: str
    """Scala's version, as "2.13": Spark's scripts tell it to the launcher of executors, and no
    script runs here.
    """
    vector: bool
    """Java has the module jdk.incubator.vector, which Spark's executors are started with."""

    def master(self, host: str, port: int, ui_port: int) -> list[str]:
        """The command of a master."""
        return [
            *self._java(256),
            "org.apache.spark.deploy.master.Master",
            "--host",
            host,
            "--port",
            str(port),
            "--webui-port",
            str(ui_port),
        ]

    def worker(
        self, master_url: str, host: str, *, cores: int, memory_mb: int, folder: str
    ) -> list[str]:
        """The command of a worker; `folder` is where its executors work."""
        offer = [
            "--host",
            host,
            "--webui-port",
            "0",
            "--cores",
            str(cores),
            "--memory",
            f"{memory_mb}m",
            "--work-dir",
            folder,
        ]
        return [
            *self._java(256, *_CLEANUP),
            "org.apache.spark.deploy.worker.Worker",
            *offer,
            master_url,
        ]

    def shown_on_nodes(self, *, pyspark_zip: bool) -> tuple[tuple[Path, str], ...]:
        """What nodes see of this installation, and where.

        Raises:
            BedCannotRun: pyspark.zip is asked for, and this Spark has none.
        """
        python = ((python_files(self.home), f"{_HOME_ON_NODE}/python/lib"),) if pyspark_zip else ()
        return (
            (self.home / "jars", f"{_HOME_ON_NODE}/jars"),
            *python,
            *_java.shown_on_nodes(self.java, vector=self.vector),
        )

    def environment(self, host: str) -> dict[str, str]:
        """What a daemon needs to know; its executors get it too."""
        return {
            "SPARK_HOME": str(self.home),
            "JAVA_HOME": str(self.java),
            "SPARK_SCALA_VERSION": self.scala,
            "SPARK_LOCAL_IP": host,
            **_java.handed_on(),
        }

    def on_node(self) -> Installation:
        """The same, as a node sees it: at places that say nothing of the host's."""
        return replace(self, home=_HOME_ON_NODE, java=_java.ON_NODE)

    def _java(self, heap_mb: int, *properties: str) -> list[str]:
        return [
            f"{self.java}/bin/java",
            f"-Xmx{heap_mb}m",
            *_SMALL,
            *properties,
            "-cp",
            f"{self.home}/jars/*",
        ]


def find(home: Path | None = None, java: Path | None = None) -> Installation:
    """The given Spark, or SPARK_HOME's, or the pyspark of this Python; and a Java to run it.

    Raises:
        BedCannotRun: one of them is missing.
    """
    spark, java = spark_home(home), java or _java.home()
    return Installation(
        home=spark, java=java, scala=_scala_version(spark), vector=_java.has_vector_module(java)
    )


def python_files(home: Path) -> Path:
    """The folder with Spark's own pyspark.zip and py4j.

    Raises:
        BedCannotRun: this Spark has none.
    """
    folder = home / "python" / "lib"
    if not (folder / "pyspark.zip").is_file():
        raise BedCannotRun(
            f"{home} has no python/lib/pyspark.zip: take another Spark, or --without-pyspark-zip"
        )
    return folder


def _scala_version(home: Path) -> str:
    return next(home.glob("jars/spark-core_*.jar")).name.split("_")[1].split("-")[0]


def spark_home(given: Path | None) -> Path:
    """The given SPARK_HOME, or the environment's, or that of this Python's pyspark.

    Raises:
        BedCannotRun: it has no jars of Spark.
    """
    named = given or os.environ.get("SPARK_HOME")
    spec = importlib.util.find_spec("pyspark")
    home = Path(named) if named else Path(spec.origin).parent if spec and spec.origin else None
    if home is None:
        raise BedCannotRun(
            "no Spark: pip install pyspark, or name one by --spark-home or SPARK_HOME"
        )
    if not any(home.glob("jars/spark-core_*.jar")):
        raise BedCannotRun(f"{home} is no Spark: it has no jars/spark-core_*.jar")
    return home.resolve()
