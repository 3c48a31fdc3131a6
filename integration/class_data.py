"""Class data sharing (JEP 350): Spark's classes as a file that a JVM maps, in place of 20,000 that
it reads from jars and checks.

A test run starts some hundred JVMs, and half of what each does until a session is up is that. The
file is made once from a session's own driver. A JVM with other jars or another Java goes on without
it, in silence, and without the JDK's own classes of the kind.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from integration.beds import BedCannotRun, _java
from integration.beds import _cache as caches
from integration.venvs import OWN_CACHE

_SESSION = Path(__file__).with_name("drivers") / "class_data.py"
_FOREIGN = ("SPARK_", "PYSPARK_", "HADOOP_")
_SECONDS = 600


def options(cache: Path) -> str:
    """What to tell each JVM; empty where the file cannot be made (a Java without it, no Spark):
    then all of it takes longer.

    Args:
        cache: where the file is kept.
    """
    try:
        java, jars = _java.home(), Path(str(find_spec("pyspark").origin)).parent / "jars"  # type: ignore[union-attr]
        made_from = [
            _SESSION.read_bytes(),
            _java.QUICK.encode(),
            str(java).encode(),
            (java / "release").read_bytes(),
            *map(_stamp, sorted(jars.iterdir())),
        ]
        folder = caches.kept(cache, "class-data", made_from, lambda folder: _make(java, folder))
    except (BedCannotRun, OSError, AttributeError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"Spark's classes are not shared between JVMs: {error}\n")
        return ""
    made = folder / "spark.jsa"
    return (
        f"{_java.SHARED}{made} -Xlog:cds=off -Xlog:cds+dynamic=off"
        if made.is_file() and " " not in str(made)
        else ""
    )


def _stamp(jar: Path) -> bytes:
    """What the JVM compares: a jar of another time is another one."""
    state = jar.stat()
    return f"{jar} {state.st_size} {state.st_mtime_ns}".encode()


def _make(java: Path, folder: Path) -> None:
    """Fills the folder, or leaves it empty where this Java cannot: then nobody tries again."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)
    }
    command = [sys.executable, str(_SESSION), str(folder / "spark.jsa")]
    done = subprocess.run(
        command,
        env={**environment, "JAVA_HOME": str(java), _java.OPTIONS: _java.QUICK},
        cwd=folder,
        check=False,
        timeout=_SECONDS,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.stderr.write(f"{java} shares no classes of Spark: {done.stderr[-2000:]}\n")


if __name__ == "__main__":
    print(options(OWN_CACHE))
