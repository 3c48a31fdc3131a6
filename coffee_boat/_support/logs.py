"""The package's logger, and what libraries log of our requests: no record holds a secret.

    logging.getLogger("coffee_boat").setLevel("INFO")     # what is decided, and why
    logging.getLogger("coffee_boat").setLevel("DEBUG")    # the details: programs, the store

Each module has a child of it, made by `logger(__name__)`. Where records go is the user's to say;
`shown` says it for one command.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from coffee_boat._support.progress import plain_line
from coffee_boat._support.redact import redact

NAME = "coffee_boat"
_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry", "requests.sessions")
_ours = threading.local()


def clean(record: logging.LogRecord) -> None:
    """Take what is secret out of a record, in place: its text, its exception, what goes with it."""
    record.msg, record.args = redact(_text(record)), ()
    if record.exc_info:
        # Handlers get the text: the exception itself is the program's, with its secrets.
        lines = traceback.format_exception(*record.exc_info)
        record.exc_text, record.exc_info = "".join(lines).rstrip("\n"), None
    for name, value in list(vars(record).items()):
        if isinstance(value, str) and name != "msg":
            setattr(record, name, redact(value))


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  (of an argument's own __str__; a record breaks no program)
        return str(record.msg)


class _Redacting(logging.Filter):
    """Of our own records."""

    def filter(self, record: logging.LogRecord) -> bool:
        clean(record)
        return True


class _RedactingOurs(logging.Filter):
    """Of the records of threads that work for us; the user's own requests are theirs to log."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(_ours, "depth", 0):
            clean(record)
        return True


_filter, _filter_of_ours = _Redacting(), _RedactingOurs()


def logger(module: str) -> logging.Logger:
    """The logger of one of our modules.

    A logger's filter sees what is logged to it and nothing of its children: each gets its own.
    """
    made = logging.getLogger(module)
    made.addFilter(_filter)  # adding it again changes nothing
    return made


_package = logger(NAME)
_package.addHandler(logging.NullHandler())


class _Stderr(logging.Handler):
    """Whatever stderr is by then, above a line of progress that moves there."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            plain_line(self.format(record))
        except Exception:  # noqa: BLE001  (as logging's own handlers)
            self.handleError(record)


@contextmanager
def shown(verbosity: int) -> Iterator[None]:
    """While the block lasts, our records are on stderr: from INFO on with 1, from DEBUG on with 2;
    nothing changes with 0. Handlers of others, and what they get, stay.
    """
    if not verbosity:
        yield
        return
    level = logging.INFO if verbosity == 1 else logging.DEBUG
    handler = _Stderr(level)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)-5s %(name)s: %(message)s", "%H:%M:%S")
    )
    before = _package.level
    _package.setLevel(min(before or level, level))
    _package.addHandler(handler)
    try:
        yield
    finally:
        _package.removeHandler(handler)
        _package.setLevel(before)


@contextmanager
def redacted() -> Iterator[None]:
    """While a request of ours is made in this thread."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_filter_of_ours)
    _ours.depth = getattr(_ours, "depth", 0) + 1
    try:
        yield
    finally:
        _ours.depth -= 1
