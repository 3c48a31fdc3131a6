"""A Python function for a program of the JVM, or any other, record by record:

    python -m coffee_boat_worker.pipe mypkg.text:transform

It reads records on stdin, calls the function with each, and writes what it returns to stdout, in
the same order. A record is its length (4 bytes, big-endian, signed: what Java's DataOutputStream
writes) and so many bytes of UTF-8. The length -1 is null, which is None. Where the function raised,
the answer is the length -2 and then a record with the traceback; the next record is read as ever.

Answers are written when no whole record waits any more, or when there are many: who sends several
at once gets the answers at once. It ends at the end of its input. What the function prints goes to
stderr, and its stdin is empty.

Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import os
import struct
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

NULL, FAILED = -1, -2
"""Lengths that are none."""
MOST = 1 << 30
"""Bytes of a record: more is a sender that does not speak this."""
_USAGE = "usage: python -m coffee_boat_worker.pipe [--bytes] MODULE:FUNCTION"
_LENGTH = struct.Struct(">i")
_CHUNK = 1 << 16
"""Bytes that are read, or kept until they are written, at once: what a pipe of Linux holds."""
_WRONG = 2
"""The exit code for a wrong command line and for what is no record."""


def main(argv: list[str]) -> int:
    """Serve until the end of the input; gives the exit code.

    Args:
        argv: of the command line.
    """
    as_bytes = argv[:1] == ["--bytes"]
    named = argv[1:] if as_bytes else argv
    if len(named) != 1 or not all(named[0].partition(":")):
        sys.stderr.write(f"{_USAGE}\n")
        return _WRONG
    source, out = _pipes()
    function = _found(named[0])
    if function is None:
        return _WRONG
    try:
        _serve(source, out, function, as_bytes=as_bytes)
    except BrokenPipeError:  # nobody reads the answers any more
        return 1
    except ValueError as error:
        sys.stderr.write(f"coffee_boat_worker.pipe: {error}\n")
        return _WRONG
    return 0


def _pipes() -> tuple[int, int]:
    """The records and the answers, where neither the function nor its children have them: these
    read nothing, and what they print goes to stderr.
    """
    source, out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, out


def _found(named: str) -> Callable[[Any], Any] | None:
    """The function of MODULE:FUNCTION; why there is none is told."""
    from importlib import import_module

    module, _, path = named.partition(":")
    try:
        found: Any = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        sys.stderr.write(f"coffee_boat_worker.pipe: {named} is not there: {error}\n")
        return None
    except SystemExit as error:  # exit code 0 would say that all records were answered
        sys.stderr.write(f"coffee_boat_worker.pipe: {named} is not there: SystemExit: {error}\n")
        return None
    if not callable(found):
        sys.stderr.write(f"coffee_boat_worker.pipe: {named} is no function\n")
        return None
    return found  # type: ignore[no-any-return]


def _serve(source: int, out: int, function: Callable[[Any], Any], *, as_bytes: bool) -> None:
    answers = bytearray()
    try:
        for record in _records(source):
            if record is _NO_MORE_YET:
                _write(out, answers)
                continue
            answers += _answer(function, record, as_bytes=as_bytes)
            if len(answers) >= _CHUNK:
                _write(out, answers)
    finally:  # also those before a record that is none
        _write(out, answers)


_NO_MORE_YET = object()


def _records(source: int) -> Iterator[Any]:
    """Records as bytes or None; `_NO_MORE_YET` before the next one has to be waited for.

    Raises:
        ValueError: what is read is no record, or ends within one.
    """
    waiting, at = bytearray(), 0
    while True:
        whole = len(waiting) - at >= _LENGTH.size
        size = _LENGTH.unpack_from(waiting, at)[0] if whole else 0
        if whole and not NULL <= size <= MOST:
            raise ValueError(f"a record cannot have the length {size}")
        end = at + _LENGTH.size + max(size, 0)
        if whole and len(waiting) >= end:
            yield None if size == NULL else bytes(waiting[at + _LENGTH.size : end])
            at = end
            continue
        del waiting[:at]
        at = 0
        yield _NO_MORE_YET
        more = os.read(source, _CHUNK)
        if not more:
            break
        waiting += more
    if waiting:
        raise ValueError(f"the input ended within a record, after {len(waiting)} bytes of it")


def _answer(function: Callable[[Any], Any], record: bytes | None, *, as_bytes: bool) -> bytes:
    try:
        given = record if as_bytes or record is None else record.decode("utf-8")
        made = function(given)
        if made is None:
            return _LENGTH.pack(NULL)
        if not isinstance(made, (bytes if as_bytes else str)):
            wanted = "bytes" if as_bytes else "str"
            raise TypeError(f"the function returned {type(made).__name__}, not {wanted} or None")
        return _framed(made if isinstance(made, bytes) else made.encode("utf-8"))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  (whatever it is, sys.exit too: the other side hears of it)
        text = traceback.format_exc()
        return _LENGTH.pack(FAILED) + _framed(text.encode("utf-8", "backslashreplace"))


def _framed(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def _write(out: int, answers: bytearray) -> None:
    while answers:
        del answers[: os.write(out, answers)]  # what is written once is never written again


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
