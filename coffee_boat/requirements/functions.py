"""Python functions for programs of the JVM, as people write them:
"tokenize=mypkg.text:tokenize -> array<string>".
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable, Sequence
from types import MethodType, ModuleType, SimpleNamespace
from typing import Any

from coffee_boat.errors import RequirementError
from coffee_boat.model import Function

_TEXT = re.compile(r"(?P<name>[^=:]+)=(?P<place>[^>]+?)(?:\s*->\s*(?P<returns>.*))?", re.DOTALL)
_PLACE = re.compile(r"(?P<module>[\w.]+):(?P<attribute>[\w.]+)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WRITTEN = "boat launch --function 'tokenize=mypkg.text:tokenize -> array<string>'"


def parse(text: str) -> Function:
    """Read NAME=MODULE:FUNCTION, or NAME=MODULE:FUNCTION -> TYPE.

    Raises:
        RequirementError: it is not written so.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise _unreadable(text, "it is NAME=MODULE:FUNCTION, and perhaps -> TYPE after it")
    returns = found["returns"]
    if returns is not None and not returns.strip():
        raise _unreadable(text, "there is no type after ->")
    return function(found["name"].strip(), found["place"].strip(), (returns or "").strip())


def function(name: str, place: str | Callable[..., Any], returns: str = "") -> Function:
    """One of a module, "mypkg.text:tokenize", or the function itself.

    Args:
        name: in SQL.
        returns: the return type in Spark's words.

    Raises:
        RequirementError: it cannot be read, or cannot go to another process.
    """
    if _NAME.fullmatch(name) is None:
        raise RequirementError(
            "functions.name-invalid",
            "a function cannot have this name in SQL",
            value=repr(name),
            cause="a name has letters, digits and _, and does not begin with a digit",
            cure=f"give it another name: {_WRITTEN}",
        )
    if not isinstance(place, str):
        return _of_object(name, place, returns)
    found = _PLACE.fullmatch(place)
    parts = found.group("module", "attribute") if found else ()
    if not all(part.isidentifier() for text in parts for part in text.split(".")) or not parts:
        raise _unreadable(f"{name}={place}", "the function is written MODULE:FUNCTION")
    return Function(name, parts[0], parts[1], returns)


def refuse_twice(functions: Sequence[Function]) -> None:
    """Raise if two have one name; SQL does not tell capital letters from small ones.

    Raises:
        RequirementError: they have.
    """
    seen: dict[str, Function] = {}
    for each in functions:
        other = seen.setdefault(each.name.lower(), each)
        if other != each:
            raise RequirementError(
                "functions.name-twice",
                "two functions have the same name in SQL",
                value=f"{other.label} and {each.label}",
                cause="SQL does not tell capital letters from small ones",
                cure="give one of them another name",
            )


def _unreadable(text: str, cause: str) -> RequirementError:
    return RequirementError(
        "functions.unreadable",
        "a function cannot be read",
        value=repr(text),
        cause=cause,
        cure=f"write it as {_WRITTEN}",
    )


def _of_object(name: str, given: Any, returns: str) -> Function:
    """By its place where others can import it from there; one of a notebook is pickled."""
    place = _place_of(given)
    if place is not None:
        return Function(name, *place, returns)
    path = _said(given, "__qualname__") or _said(_within(given), "__qualname__")
    shown = path or type(given).__name__
    try:
        data = _pickled(given)
    except Exception as error:  # noqa: BLE001  whatever a stranger's object raises
        raise RequirementError(
            "functions.not-picklable",
            "a function cannot be sent to another process",
            value=f"{name}: {shown}",
            cause=f"{type(error).__name__}: {error}",
            cure='put it into a module: captain.add_local("mymodule.py"), and name it as'
            ' "mymodule:function"',
        ) from None
    return Function(name, "", shown, returns, base64.b64encode(data).decode())


def _pickled(given: Any) -> bytes:
    from pyspark import cloudpickle

    try:
        return bytes(cloudpickle.dumps(given))
    except Exception:
        if not hasattr(given, "evalType"):
            raise
    # what `udf` made holds an object of the JVM once it was used
    names = ("func", "returnType", "evalType", "deterministic")
    return bytes(cloudpickle.dumps(SimpleNamespace(**{n: getattr(given, n) for n in names})))


def _place_of(given: Any) -> tuple[str, str] | None:
    """Module and attribute where exactly this object is: what wraps a function of a module has
    arguments or a type of its own, and may have another name there.
    """
    for each in (given, _within(given)):
        module, path = _said(each, "__module__"), _said(each, "__qualname__")
        if module == "__main__" or not isinstance(sys.modules.get(module), ModuleType):
            continue
        if path and _is(_named(module, path), given):
            return module, path
        for name, value in list(vars(sys.modules[module]).items()):
            if value is given and name.isidentifier():
                return module, name
    return None


def _within(given: Any) -> Any:
    """What a partial, or what `udf` made, calls."""
    return getattr(given, "func", None)


def _said(given: Any, name: str) -> str:
    found = getattr(given, name, "")
    return found if isinstance(found, str) else ""


def _is(found: Any, given: Any) -> bool:
    """A method is another object each time that it is looked up."""
    return found is given or (isinstance(found, MethodType) and bool(found == given))


def _named(module: str, path: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found
