"""A program of the JVM: its jar, its main class, and the Python driver that calls it with Python
functions in its session.
"""

from __future__ import annotations

import base64
import difflib
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffee_boat._support import files
from coffee_boat._support.redact import SENSITIVE
from coffee_boat.errors import LaunchError
from coffee_boat.spark.executor_plugin import JAR
from coffee_boat.spark.keys import DRIVER_PYTHON, JARS, MARK, PYTHON, listed
from coffee_boat.spark.submission import Order

APP_NAME = "spark.app.name"
_BY_NAME = ("spark-internal", "spark-shell", "pyspark-shell", "sparkr-shell")
"""What spark-submit takes in place of a file, where Spark itself has the class."""
_ELSEWHERE = (
    "spark.jars.packages",
    "spark.driver.extraClassPath",
    "spark.driver.defaultExtraClassPath",
)
"""Settings that bring classes which are not looked into."""
_SPARKS_OWN = ("org.apache.spark.", "org.apache.hive.")
_DRIVER = Path(__file__).with_name("_program.py")
_EXTENSIONS = "spark.sql.extensions"
_EXTENSION = "coffee_boat.Functions"
_FUNCTIONS = f"{MARK}functions"
_REDACTION = "spark.redaction.regex"
"""Settings that Spark's UI, its log and `SET` do not show: a pickled function may hold secrets."""
_ISOLATION = "spark.sql.artifact.isolation.enabled"
"""With it, Python starts in a folder of its session, one below the one where archives are. pyspark
turns it off; what starts without pyspark does not.
"""


@dataclass(frozen=True)
class Program:
    """What runs in the JVM."""

    jar: str
    main_class: str
    """Empty where the jar's own manifest says it, and nobody needs to know."""

    @property
    def is_file(self) -> bool:
        """True if there is a jar to put on the class path."""
        return self.jar not in _BY_NAME


def is_one(script: str | Path | None, main_class: str | None) -> bool:
    """True if what is to run is a program of the JVM rather than a Python file."""
    return script is not None and (bool(main_class) or str(script).lower().endswith(".jar"))


def program(jar: str | Path, main_class: str | None, conf: Mapping[str, str]) -> Program:
    """What is to run, looked for in the jars of this machine.

    Args:
        main_class: default: what the jar's manifest says.
        conf: the settings that bring other jars.

    Raises:
        LaunchError: the jar is not there or is none, or it has no such class.
    """
    if str(jar) in _BY_NAME or files.is_remote(jar):
        if not main_class:
            raise _unnamed(str(jar), "it is not a file of this machine, so it was not looked into")
        return Program(str(jar), main_class)
    classes, named = _read(files.named(jar))
    if not main_class and not named:
        raise _unnamed(str(jar), "its manifest has no Main-Class")
    main_class = main_class or named
    others = [path for path in conf.get(JARS, "").split(",") if path]
    here = [path for path in map(files.named, others) if files.is_file(path)]
    unknown = any(conf.get(key) for key in _ELSEWHERE) or len(here) < len(others)
    if not unknown and not main_class.startswith(_SPARKS_OWN):
        for other in here:
            classes |= _read(other)[0]
        _refuse_missing(main_class, classes, str(jar))
    return Program(str(jar), main_class)


def refuse_unreadable(jar: str | Path) -> None:
    """Raise if a jar of this machine is not there, or is none.

    Raises:
        LaunchError: it is not.
    """
    if not files.is_remote(jar):
        _read(files.named(jar))


def _read(path: Path) -> tuple[set[str], str]:
    """The classes of a jar, and the main class that its manifest names."""
    if not files.is_file(path):
        raise LaunchError(
            "launch.jar-missing",
            "the jar is not there",
            value=str(path),
            cause=f"looked for {path.absolute()}",
            cure="check the path; it is relative to the working directory. A build writes it to"
            " target/ (Maven, sbt) or build/libs/ (Gradle)",
        )
    try:
        with zipfile.ZipFile(path) as jar:
            names = jar.namelist()
            manifest = jar.read("META-INF/MANIFEST.MF") if "META-INF/MANIFEST.MF" in names else b""
    except (OSError, zipfile.BadZipFile, RuntimeError, ValueError) as error:
        raise LaunchError(
            "launch.jar-unreadable",
            "the jar cannot be read",
            value=str(path),
            cause=f"it is no zip file, or is damaged: {error}",
            cure="build it again",
        ) from error
    classes = {
        name.removesuffix(".class").replace("/", ".") for name in names if name.endswith(".class")
    }
    return classes, _main_of(manifest.decode("utf-8", "replace"))


def _main_of(manifest: str) -> str:
    """The Main-Class; a line that begins with a space goes on with the one before."""
    lines = manifest.replace("\r\n", "\n").replace("\n ", "").split("\n")
    said = (line.partition(":") for line in lines)
    return next((text.strip() for key, _, text in said if key.lower() == "main-class"), "")


def _unnamed(jar: str, cause: str) -> LaunchError:
    return LaunchError(
        "launch.main-class-unnamed",
        "nobody says which class of the jar is to run",
        value=jar,
        cause=cause,
        cure="name it: boat launch --class com.example.Main app.jar; in Python,"
        ' captain.submit("app.jar", main_class="com.example.Main")',
    )


def _refuse_missing(main_class: str, classes: set[str], jar: str) -> None:
    if main_class in classes:
        return
    simple = main_class.rpartition(".")[2]
    same = sorted(name for name in classes if name.rpartition(".")[2] == simple)
    own = sorted(name for name in classes if "$" not in name)
    near = (same or difflib.get_close_matches(main_class, own, n=3))[:3]
    cure = f"perhaps {' or '.join(near)}" if near else f"unzip -l {jar} lists what it has"
    raise LaunchError(
        "launch.main-class-missing",
        "the main class is not in the jar",
        value=f"{main_class} in {jar}",
        cause="a typing mistake, or it is in another jar; an inner class is Outer$Inner",
        cure=f"{cure}; --jars OTHER.jar where another jar has it",
    )


def driver(main_class: str, functions: Sequence[Mapping[str, Any]]) -> str:
    """The script that spark-submit runs: a driver that registers the functions, then calls main."""
    said = json.dumps([main_class, list(functions)])
    return f"{_DRIVER.read_text('utf-8')}\n\nimport json\n\nmain(*json.loads({said!r}))\n"


def for_jvm(order: Order) -> dict[str, str]:
    """What is set besides, where Spark starts by itself: a session extension has the functions."""
    found = {_ISOLATION: "false"}
    if order.functions:
        found[JARS] = listed(order.complete.get(JARS, ""), str(JAR))
        found[_EXTENSIONS] = listed(order.complete.get(_EXTENSIONS, ""), _EXTENSION)
        theirs = order.complete.get(_REDACTION) or f"(?i){SENSITIVE}"
        found[_REDACTION] = f"{theirs}|{_FUNCTIONS.replace('.', '[.]')}"
        found[_FUNCTIONS] = " ".join(_word(order, each) for each in order.functions)
    return found


def _word(order: Order, function: Mapping[str, Any]) -> str:
    """One function as Functions.java reads it."""
    said = dict(function["returns"] or {"none": ""})
    ((how, text),) = said.items()
    # what is planned in Python is planned on the driver; executors are told theirs by a setting
    python = order.conf.get(DRIVER_PYTHON) if function["plans"] else None
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    return ",".join(
        [
            function["name"],
            function["kind"],
            str(function["type"]),
            str(function["deterministic"]).lower(),
            _base64(python or order.conf[PYTHON]),
            minor,
            how,
            _base64(text),
            function["pickled"],
        ]
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def with_jar(program: Program, conf: Mapping[str, str]) -> dict[str, str]:
    """What is set besides, so that the driver's JVM has the program's classes."""
    named = {APP_NAME: conf.get(APP_NAME) or program.main_class}
    if not program.is_file:
        return named
    jars = [program.jar, *(each for each in conf.get(JARS, "").split(",") if each)]
    return {**named, JARS: ",".join(dict.fromkeys(jars))}
