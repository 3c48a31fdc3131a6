"""What libraries log of our requests, at DEBUG, holds no secret."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from coffee_boat._support.redact import redact

_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry", "requests.sessions")
_ours = threading.local()


class _Redacting(logging.Filter):
    """Of the records of threads that work for us; the user's own requests are theirs to log."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(_ours, "depth", 0):
            record.msg, record.args = redact(record.getMessage()), ()
        return True


_filter = _Redacting()


@contextmanager
def redacted() -> Iterator[None]:
    """While a request of ours is made in this thread."""
    for name in _LOGGERS:  # adding it again changes nothing
        logging.getLogger(name).addFilter(_filter)
    _ours.depth = getattr(_ours, "depth", 0) + 1
    try:
        yield
    finally:
        _ours.depth -= 1
