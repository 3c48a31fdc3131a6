"""Run by the driver's interpreter: reads which Python functions are asked for (JSON on stdin), and
prints as JSON what Spark has to know of each, or why one cannot be had.

Standard library and pyspark only. No Spark runs here: a return type in words stays in words, and
the JVM reads it.
"""

from __future__ import annotations

import base64
import collections.abc
import datetime
import decimal
import difflib
import functools
import importlib
import inspect
import json
import os
import pickle
import sys
import types
import typing
from contextlib import suppress
from operator import attrgetter
from typing import Any

_WORDS = {
    str: "string",
    int: "bigint",
    float: "double",
    bool: "boolean",
    bytes: "binary",
    bytearray: "binary",
    datetime.date: "date",
    datetime.datetime: "timestamp",
    datetime.timedelta: "interval day to second",
    decimal.Decimal: "decimal(38,18)",
}
_LISTS = (list, tuple, collections.abc.Sequence)
_MAPS = (dict, collections.abc.Mapping)
_VECTORS = ("pandas", "pyarrow")
_BATCHED, _TABLE = 100, 300
"""PythonEvalType.SQL_BATCHED_UDF and SQL_TABLE_UDF."""

worded: set[str] = set()
"""Modules that gave return types in words while they were imported: pyspark reads those by the
JVM's parser, so that executors cannot import these modules.
"""


class CannotError(Exception):
    """A function cannot be had."""

    def __init__(self, why: str, text: str = "", near: typing.Sequence[str] = ()) -> None:
        super().__init__(why)
        self.told = {"why": why, "text": text, "near": list(near)}


class Reference:
    """Pickled as the name of what is in a module: executors import it, once a process."""

    def __init__(self, module: types.ModuleType, path: str) -> None:
        self._parts = (attrgetter(path), (module,))

    def __reduce__(self) -> Any:
        return self._parts


def describe(wanted: dict[str, Any]) -> dict[str, Any]:
    """What Spark has to know of one function.

    Raises:
        CannotError: it cannot be had.
    """
    if wanted["pickled"]:
        found = pickle.loads(base64.b64decode(wanted["pickled"]))  # noqa: S301  our own, of the caller
        module = None
    else:
        module = _imported(wanted["module"])
        found = _attribute(module, wanted["attribute"])
    if isinstance(found, type):
        return _table(found, wanted["returns"], _pickle(module, wanted, found))
    if not callable(found) and not hasattr(found, "evalType"):
        raise CannotError("not-callable", type(found).__name__)
    inner = found
    if hasattr(found, "evalType"):
        inner = found.func
        wanted = {**wanted, "attribute": f"{wanted['attribute']}.func"}
    pickled = _pickle(module, wanted, inner)
    if isinstance(inner, type):
        return _table(inner, wanted["returns"], pickled, found)
    return _scalar(inner, wanted["returns"], pickled, found)


def _imported(name: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        ours = name == missing or name.startswith(f"{missing}.")
        raise CannotError("module-missing" if ours else "module-fails", _told(error)) from error
    except (Exception, SystemExit) as error:
        raise CannotError("module-fails", _told(error)) from error


def _attribute(module: types.ModuleType, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        if not hasattr(found, name):
            known = [each for each in dir(found) if not each.startswith("__")]
            raise CannotError("missing", near=difflib.get_close_matches(name, known))
        found = getattr(found, name)
    return found


def _pickle(module: types.ModuleType | None, wanted: dict[str, Any], found: Any) -> str:
    from pyspark import cloudpickle

    for name in worded & sys.modules.keys():
        cloudpickle.register_pickle_by_value(sys.modules[name])
    by_name = module is not None and module.__name__ not in worded
    try:
        data = cloudpickle.dumps(Reference(module, wanted["attribute"]) if by_name else found)  # type: ignore[arg-type]
    except Exception as error:  # whatever a stranger's object raises
        raise CannotError("not-picklable", _told(error)) from error
    return base64.b64encode(data).decode()


def _scalar(inner: Any, words: str, pickled: str, found: Any) -> dict[str, Any]:
    returns: Any = words or getattr(found, "returnType", None)
    kind = getattr(found, "evalType", None)
    if kind is None:
        hints = _hints(inner)
        vectors = any(_is_vector(hint) for hint in hints.values())
        if not returns and not vectors and "return" in hints:
            returns = of_annotation(hints["return"])
        if not returns:
            raise CannotError("no-return-type", "pandas" if vectors else "")
        kind = _vector_kind(inner, returns) if vectors else _BATCHED
    if not returns:
        raise CannotError("no-return-type")
    return {
        "kind": "function",
        "type": kind,
        "returns": _said(returns),
        "deterministic": bool(getattr(found, "deterministic", True)),
        "pickled": pickled,
        "plans": False,
    }


def _table(handler: type, words: str, pickled: str, found: Any = None) -> dict[str, Any]:
    import pyspark

    if not hasattr(handler, "eval"):
        raise CannotError("not-callable", f"class {handler.__name__}, which has no eval")
    returns: Any = words or getattr(found, "returnType", None)
    plans = hasattr(handler, "analyze") and not pyspark.__version__.startswith("3.")
    if not returns and not plans:
        raise CannotError("no-return-type", "table")
    return {
        "kind": "table",
        "type": getattr(found, "evalType", _TABLE),
        "returns": _said(returns) if returns else None,
        "deterministic": bool(getattr(found, "deterministic", False)),
        "pickled": pickled,
        "plans": plans and not returns,
    }


def _said(returns: Any) -> dict[str, str]:
    return {"words": returns} if isinstance(returns, str) else {"json": returns.json()}


def _hints(function: Any) -> dict[str, Any]:
    while isinstance(function, functools.partial):
        function = function.func
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001  an annotation may be any expression
        names = getattr(function, "__globals__", {})
        return {name: _alone(hint, names) for name, hint in _annotations(function).items()}


def _annotations(function: Any) -> dict[str, Any]:
    try:
        if sys.version_info >= (3, 14):  # where one cannot be read, reading all of them raises
            import annotationlib

            return annotationlib.get_annotations(function, format=annotationlib.Format.FORWARDREF)
        return dict(getattr(function, "__annotations__", {}))
    except Exception:  # noqa: BLE001  the same
        return {}


def _alone(hint: Any, names: dict[str, Any]) -> Any:
    """One annotation by itself: it is good whatever another one says."""
    said = types.SimpleNamespace(__annotations__={"return": hint})
    try:
        return typing.get_type_hints(said, names)["return"]
    except Exception:  # noqa: BLE001  the same
        return hint


def _is_vector(hint: Any) -> bool:
    if getattr(hint, "__module__", "").partition(".")[0] in _VECTORS:
        return True
    return any(_is_vector(part) for part in typing.get_args(hint))


def _vector_kind(function: Any, returns: str) -> int:
    from pyspark.sql import functions

    used = {
        part.__module__.partition(".")[0]
        for hint in _hints(function).values()
        for part in (hint, *typing.get_args(hint))
        if getattr(part, "__module__", "").partition(".")[0] in _VECTORS
    }
    make = getattr(functions, "arrow_udf", None) if used == {"pyarrow"} else functions.pandas_udf
    if make is None:
        raise CannotError("module-fails", "this Spark has no arrow_udf")
    try:
        return int(make(function, returns).evalType)
    except Exception as error:  # pyspark's own words
        raise CannotError("module-fails", _told(error)) from error


def of_annotation(hint: Any) -> str:
    """The words of Spark for an annotation of Python; empty if there are none."""
    with suppress(TypeError):  # [str] cannot be looked up
        if hint in _WORDS:
            return _WORDS[hint]
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, getattr(types, "UnionType", typing.Union)):
        rest = [part for part in parts if part is not type(None)]
        return of_annotation(rest[0]) if len(rest) == 1 else ""
    if origin is typing.Annotated:
        return of_annotation(parts[0])
    inner = [of_annotation(part) for part in parts if part is not Ellipsis]
    if origin in _LISTS and len(inner) == 1 and inner[0]:
        return f"array<{inner[0]}>"
    if origin in _MAPS and len(inner) == 2 and all(inner):
        return f"map<{inner[0]},{inner[1]}>"
    return ""


def _told(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def keep_words() -> None:
    """Have pyspark leave return types in words as they are: it has no JVM here that reads them."""
    from pyspark.sql import udf, udtf

    def returns(made: Any) -> Any:
        if isinstance(made._returnType, str):
            frame = inspect.currentframe()
            while frame and frame.f_globals.get("__name__", "").partition(".")[0] in (
                "pyspark",
                __name__,
            ):
                frame = frame.f_back
            worded.add(frame.f_globals["__name__"] if frame else "")
        return made._returnType

    udf.UserDefinedFunction.returnType = property(returns)
    udtf.UserDefinedTableFunction.returnType = property(returns)


def _answer(wanted: dict[str, Any]) -> dict[str, Any]:
    try:
        return describe(wanted)
    except CannotError as error:
        return error.told


def main() -> None:
    """Answer what is asked."""
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        del sys.path[0]  # the folder that this file is in
    out = os.dup(1)
    os.dup2(2, 1)  # what modules print, and processes that they start, is no answer of ours
    keep_words()
    answers = [_answer(wanted) for wanted in json.load(sys.stdin)]
    with os.fdopen(out, "w", encoding="utf-8") as to:
        json.dump(answers, to)


if __name__ == "__main__":
    main()
