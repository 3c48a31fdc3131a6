"""What leaves us as an exception holds no secret: neither the one that is raised nor those that it
was raised from, which a traceback shows above it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from os import fspath
from pathlib import PurePath
from typing import Any, TypeVar

from coffee_boat._support import secrets
from coffee_boat._support.redact import redact as _redact
from coffee_boat.errors import BoatError

T = TypeVar("T", bound=type)
Explain = Callable[[BaseException], "BoatError | None"]
F = TypeVar("F", bound=Callable[..., Any])
_known: ContextVar[tuple[str, ...]] = ContextVar("known", default=())
"""What is secret in what a user gave, while an exception is cleaned: libraries quote it alone."""


def redact(text: str) -> str:
    """The text without secrets, those that were given among them."""
    return secrets.masked(_redact(text), _known.get())


@contextmanager
def without_secrets(*given: object) -> Iterator[None]:
    """Around what a user calls with what is given."""
    try:
        yield
    except BaseException as error:
        before = _known.set(_secrets_of(given))
        try:
            clean(error)
        finally:
            _known.reset(before)
        raise


def _secrets_of(given: Iterable[object]) -> tuple[str, ...]:
    found: set[str] = set()
    for one in given:
        if isinstance(one, (list, tuple)):
            found |= set(_secrets_of(one))
        elif isinstance(one, (str, PurePath)):
            text = secrets.as_read(fspath(one))
            found |= set(secrets.hidden_in(text, _redact(text)))
    return tuple(sorted(found, key=len, reverse=True))


def _unknown(_: BaseException) -> BoatError | None:
    return None


def door(made: T, *, explain: Explain = _unknown) -> T:
    """A class whose public functions are called by users, and hand out no exception with a secret.

    Constructors and classmethods are among them; properties, which raise nothing, are not.

    Args:
        explain: as for `guarded`.
    """
    for name, member in list(vars(made).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, classmethod):
            setattr(made, name, classmethod(guarded(member.__func__, explain=explain)))
        elif inspect.isfunction(member):
            setattr(made, name, guarded(member, explain=explain))
    return made


def guarded(function: F, *, explain: Explain = _unknown) -> F:
    """One function that users call, or that others call for them.

    Args:
        explain: what an error that is not ours means, raised in its place; None if it is not known.
    """

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with without_secrets(*args, *kwargs.values()), _explained(explain):
            return function(*args, **kwargs)

    return called  # type: ignore[return-value]


@contextmanager
def _explained(explain: Explain) -> Iterator[None]:
    try:
        yield
    except BoatError:
        raise
    except KeyboardInterrupt as error:
        # its own type, as others look for it; IPython asks the value itself what to show
        vars(error)["_render_traceback_"] = lambda: ["interrupted"]
        raise
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        raise known from error


def clean(error: BaseException) -> None:
    """Take secrets out of an exception and of its chain, in place. Of foreign ones further up the
    chain that hold some, others with the same name and a redacted text take the place.
    """
    _clean_one(error)
    waiting: list[BaseException] = [error]
    known = {id(error): (error, error)}  # what was met, kept alive, and what stands in its place
    while waiting:
        one = waiting.pop()
        for link in ("__cause__", "__context__"):
            linked = getattr(one, link)
            if linked is None:
                continue
            if id(linked) not in known:
                put = _stand_in(linked) if _holds_secrets(linked) else linked
                known[id(linked)] = known[id(put)] = (linked, put)
                waiting.append(put)
            put = known[id(linked)][1]
            if put is not linked:
                suppressed = one.__suppress_context__
                setattr(one, link, put)
                one.__suppress_context__ = suppressed


def _clean_one(error: BaseException) -> None:
    """The exception that is raised keeps its type: callers may look for it."""
    for inner in _inner(error):
        clean(inner)
    if _holds_secrets(error):
        error.args = tuple(redact(arg) if isinstance(arg, str) else arg for arg in error.args)
        if isinstance(error, BoatError):
            texts = {name: getattr(error, name) for name in ("what", "value", "cause", "cure")}
            clean_texts = {name: redact(text) for name, text in texts.items()}
            error.problem = replace(error.problem, **clean_texts)
        if isinstance(error, OSError) and isinstance(error.filename, str):
            error.filename = redact(error.filename)
        for name, value in list(vars(error).items()):
            if isinstance(value, str) and not name.startswith("__"):
                vars(error)[name] = redact(value)
        if _holds_secrets(error) and not isinstance(error, BoatError):
            error.args = (redact(_text(error)),)
        _put_notes(error, error)


def _holds_secrets(error: BaseException) -> bool:
    said = [_text(error), *map(repr, error.args), *map(str, getattr(error, "__notes__", ()))]
    said += [str(value) for value in _attributes(error) if isinstance(value, (str, bytes))]
    return any(redact(text) != text for text in said) or any(map(_holds_secrets, _inner(error)))


def _attributes(error: BaseException) -> Iterator[object]:
    """What a debugger or a log's handler finds in it: the text that a parser stumbled over."""
    yield from vars(error).values()
    if isinstance(error, OSError):
        yield from (error.filename, error.filename2)


def _inner(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group."""
    inner = getattr(error, "exceptions", ())
    if isinstance(inner, (tuple, list)):
        yield from (one for one in inner if isinstance(one, BaseException))


def _stand_in(error: BaseException) -> BaseException:
    if isinstance(error, BoatError):
        _clean_one(error)
        return error
    kind = type(type(error).__name__, (Exception,), {"__module__": type(error).__module__})
    made: BaseException = kind(redact(_text(error)))
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    _put_notes(made, error)
    return made.with_traceback(error.__traceback__)


def _put_notes(error: BaseException, said: BaseException) -> None:
    if notes := getattr(said, "__notes__", None):
        vars(error)["__notes__"] = [redact(str(note)) for note in notes]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (of somebody else's class: a traceback says so)
        return ""
