"""Hadoop itself: its jars from Maven Central, and the commands of its daemons."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from integration.beds import BedCannotRun, _java
from integration.beds._state import locked

_POM = Path(__file__).with_name("pom.xml")
ON_NODE = Path("/opt/hadoop")
"""`lib` with the jars, and `conf`."""

_SMALL = (
    "-Xms24m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true",
)
"""A daemon has little to do, and a start counts more than its speed."""
_REFLECTION = "--add-opens=java.base/java.lang=ALL-UNNAMED"
"""Hadoop 3.4 looks into java.lang; from Java 17 on that has to be allowed."""

_DAEMONS = {
    "namenode": ("org.apache.hadoop.hdfs.server.namenode.NameNode", 160),
    "datanode": ("org.apache.hadoop.hdfs.server.datanode.DataNode", 96),
    "resourcemanager": ("org.apache.hadoop.yarn.server.resourcemanager.ResourceManager", 160),
    "nodemanager": ("org.apache.hadoop.yarn.server.nodemanager.NodeManager", 128),
}
"""Name -> main class and MiB of heap."""


def jars(cache: Path) -> Path:
    """The folder with Hadoop's jars (88 MB), fetched by Maven if it is not in the cache.

    Raises:
        BedCannotRun: they cannot be fetched; Maven's own words.
    """
    folder = folder_of_jars(cache)
    with locked(folder.parent):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                _fetch(Path(scratch, "jars"), repository=cache / "hadoop" / "maven")
                Path(scratch, "jars").rename(folder)
    return folder


def folder_of_jars(cache: Path) -> Path:
    """Where they are, or will be."""
    return cache / "hadoop" / f"hadoop-{_version()}"


def daemon(name: str) -> list[str]:
    """The command of a daemon on its node."""
    main, heap_mb = _DAEMONS[name]
    command = [
        f"{_java.ON_NODE}/bin/java",
        f"-Xmx{heap_mb}m",
        *_SMALL,
        _REFLECTION,
        "-cp",
        f"{ON_NODE}/conf:{ON_NODE}/lib/*",
        main,
    ]
    return _formatted_first(command) if name == "namenode" else command


def _formatted_first(namenode: list[str]) -> list[str]:
    """A NameNode's disk is its node's memory, and so always new."""
    return ["sh", "-c", '"$@" -format -nonInteractive && exec "$@"', "namenode", *namenode]


def _version() -> str:
    found = re.search(r"<hadoop.version>(.+)</hadoop.version>", _POM.read_text())
    assert found, _POM
    return found[1]


def _fetch(into: Path, *, repository: Path) -> None:
    if shutil.which("mvn") is None:
        raise BedCannotRun(
            "Hadoop's jars are fetched by Maven, and there is no mvn (Debian: apt-get install"
            " maven)"
        )
    maven = [
        "mvn",
        "--quiet",
        "--batch-mode",
        "--no-transfer-progress",
        "--file",
        str(_POM),
        f"-Dmaven.repo.local={repository}",
    ]
    argv = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={into}"]
    done = subprocess.run(
        [*maven, *argv], capture_output=True, text=True, check=False, timeout=1200, cwd=into.parent
    )
    if done.returncode != 0:
        raise BedCannotRun(
            f"Hadoop's jars cannot be fetched: {(done.stdout + done.stderr).strip()[-1500:]}"
        )
