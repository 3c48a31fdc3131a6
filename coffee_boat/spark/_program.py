"""The Python driver of a program of the JVM: starts the session, registers Python functions, and
calls the program's `main` in the same JVM, where `SparkSession.builder().getOrCreate()` is this
session.

spark-submit runs it, with one line more at its end, also in a cluster where no coffee_boat is:
standard library and pyspark only.
"""

from __future__ import annotations

import base64
import os
import pickle
import signal
import sys
import typing
from typing import Any

_OURS = (
    "py4j.",
    "java.base/jdk.internal.reflect.",
    "java.base/java.lang.reflect.",
    "java.base/java.lang.Thread.run",
    "jdk.internal.reflect.",
    "sun.reflect.",
    "java.lang.reflect.",
    "java.lang.Thread.run",
)
_SECOND = "Only one SparkContext should be running"
_HINT = """  cause: the session with the Python functions was started before the program's main
  hint:  use SparkSession.builder().getOrCreate() or SparkContext.getOrCreate() in the program,\
 and give settings as --conf"""
_INTERRUPTED = 130


class Pickled:
    """A function that was pickled where it was asked for."""

    def __init__(self, name: str, data: bytes) -> None:
        self.__name__ = name
        self._data = data

    def __call__(self, *_: Any) -> Any:
        """Only executors call it."""
        raise NotImplementedError

    def __reduce__(self) -> Any:
        return pickle.loads, (self._data,)


class Handler:
    """Stands for the class of a table function until it is pickled."""

    def eval(self, *_: Any) -> None:
        """As pyspark looks for it."""

    @staticmethod
    def analyze(*_: Any) -> None:
        """The same."""


class RefusedError(Exception):
    """Spark does not take a function."""


def register(spark: Any, functions: list[dict[str, Any]]) -> None:
    """Give a session functions, as `_describe.py` describes them.

    Raises:
        RefusedError: one is not taken; for people.
    """
    for each in functions:
        _register_or_refuse(spark, each)


def _register_or_refuse(spark: Any, each: dict[str, Any]) -> None:
    try:
        register_one(spark, each)
    except Exception as error:
        said = (each["returns"] or {}).get("words", "")
        what = f"error: Spark does not take the function {each['name']}"
        raise RefusedError(
            f"{what}{f' -> {said}' if said else ''}\n  cause: {str(error).strip()}\n"
            "  hint:  return types are written as array<string>, bigint, name string, n int"
        ) from error


def register_one(spark: Any, each: typing.Mapping[str, Any], planner: str = sys.executable) -> None:
    """Give a session one function.

    Args:
        planner: the interpreter that the driver's JVM plans table functions in, where it cannot
            start that of the executors.
    """
    from pyspark.sql.types import _parse_datatype_json_string
    from pyspark.sql.udf import UserDefinedFunction
    from pyspark.sql.udtf import UserDefinedTableFunction

    name, said = each["name"], each["returns"]
    command = Pickled(name, base64.b64decode(each["pickled"]))
    returns = said and (said.get("words") or _parse_datatype_json_string(said["json"]))
    about = {"name": name, "evalType": each["type"], "deterministic": each["deterministic"]}
    if each["kind"] == "function":
        made = UserDefinedFunction(command, returns, **about)
        spark._jsparkSession.udf().registerPython(name, made._judf)
        return
    handler = Handler if returns is None else type(name, (), {"eval": Handler.eval})
    made = UserDefinedTableFunction(handler, returns, **about)
    made.func = command
    shipped = spark.sparkContext.pythonExec
    if each["plans"] and not os.access(shipped, os.X_OK):
        # the driver's JVM starts it to plan; executors are told theirs by a setting
        spark.sparkContext.pythonExec = planner
    try:
        spark._jsparkSession.udtf().registerPython(name, made._judtf)
    finally:
        spark.sparkContext.pythonExec = shipped


def call_main(spark: Any, name: str, arguments: list[str]) -> int:
    """Call the `main` of a class; the exit code."""
    from py4j.protocol import Py4JJavaError

    jvm, gateway = spark.sparkContext._jvm, spark.sparkContext._gateway
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    strings = gateway.new_array(jvm.java.lang.String, len(arguments))
    for at, word in enumerate(arguments):
        strings[at] = word
    kinds, values = (gateway.new_array(kind, 1) for kind in (jvm.java.lang.Class, jvm.Object))
    kinds[0], values[0] = strings.getClass(), strings
    try:
        method = jvm.java.lang.Class.forName(name, True, loader).getMethod("main", kinds)
        method.setAccessible(True)
        method.invoke(None, values)
    except Py4JJavaError as error:
        raised = error.java_exception
        if raised.getClass().getName() == "java.lang.reflect.InvocationTargetException":
            raised = raised.getCause()
        _show(jvm, raised)
        return 1
    return 0


def _show(jvm: Any, raised: Any) -> None:
    """As a JVM shows what comes out of a main, on its own stderr: spark-submit puts ours into its
    stdout.
    """
    buffer = jvm.java.io.StringWriter()
    raised.printStackTrace(jvm.java.io.PrintWriter(buffer, True))
    lines = str(buffer.toString()).rstrip().splitlines()
    kept = [line for line in lines if not line.strip().removeprefix("at ").startswith(_OURS)]
    if any(_SECOND in line for line in kept):
        kept.append(_HINT)
    jvm.java.lang.System.err.println('Exception in thread "main" ' + "\n".join(kept))


def main(name: str, functions: list[dict[str, Any]]) -> None:
    """Run a program to its end, with the arguments of this script."""
    from py4j.protocol import Py4JError
    from pyspark.sql import SparkSession

    try:
        spark = SparkSession.builder.getOrCreate()
        code = _run(spark, name, functions)
        if not spark.sparkContext._jsc.sc().isStopped():
            spark.stop()
    except (Py4JError, ConnectionError, EOFError):
        # System.exit in the program: what spark-submit ends with, the JVM has said. Nothing is left
        # to stop, and pyspark would try to.
        if _answers():
            raise
        os._exit(1)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os._exit(_INTERRUPTED)
    sys.exit(code)


def _run(spark: Any, name: str, functions: list[dict[str, Any]]) -> int:
    try:
        register(spark, functions)
    except RefusedError as error:
        spark.sparkContext._jvm.java.lang.System.err.println(str(error))
        return 1
    return call_main(spark, name, sys.argv[1:])


def _answers() -> bool:
    """True if the JVM is there."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext

    try:
        SparkContext._jvm.java.lang.System.nanoTime()
    except (Py4JError, ConnectionError, EOFError, AttributeError):
        return False
    return True
