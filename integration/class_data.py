"""Class data sharing (JEP 350): Spark's classes as a file that a JVM maps, in place of 20,000 that it reads from jars and checks.

A test run starts some hundred JVMs, and half of what each does until a session is up is that. The file is made once from a
session's own driver. A JVM that has other jars, another Java or cannot see the file goes on without it, in silence.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from integration.beds import BedCannotRun, _java
from integration.beds import _cache as caches

_SESSION = Path(__file__).with_name("drivers") / "class_data.py"
_FOREIGN = ("SPARK_", "PYSPARK_", "HADOOP_")
_SECONDS = 600


def options(cache: Path) -> str:
    """What to tell each JVM; empty where the file cannot be made (a Java without it, no Spark): then all of it takes longer.

    Args:
        cache: where the file is kept.
    """
    found = find_spec("pyspark")
    try:
        java = _java.home()
    except BedCannotRun:
        return ""
    if found is None or found.origin is None:
        return ""
    jars = Path(found.origin).parent / "jars"
    made_from = [str(java).encode(), (java / "release").read_bytes(), *sorted(f"{jar} {jar.stat().st_size}".encode() for jar in jars.iterdir()), _SESSION.read_bytes()]
    try:
        folder = caches.kept(cache, "class-data", made_from, lambda folder: _make(java, folder))
    except subprocess.SubprocessError as error:
        sys.stderr.write(f"Spark's classes are not shared between JVMs: {error}\n")
        return ""
    return f"-XX:SharedArchiveFile={folder / 'spark.jsa'} -Xlog:cds=off -Xlog:cds+dynamic=off"


def _make(java: Path, folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    command = [sys.executable, str(_SESSION), str(folder / "spark.jsa")]
    subprocess.run(command, env={**environment, "JAVA_HOME": str(java)}, cwd=folder, check=True, timeout=_SECONDS, capture_output=True)
    if not (folder / "spark.jsa").is_file():
        raise subprocess.SubprocessError(f"{java} made no archive of them")
