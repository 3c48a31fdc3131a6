"""Scripts that run wherever the environment lies.

A kernel takes only absolute paths after `#!`, so a script starts as a shell script that finds
Python beside itself and starts it on the same file. Python reads the shell part as one string.
"""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator

from coffee_boat._support import limits
from coffee_boat.errors import BuildError

# `''':'` is `:` to a shell and the start of a string to Python; a shell never reads what follows
# the exec. Links to the script are followed; without an interpreter beside it (ship_python=False)
# the node's own is taken.
_HEADER = """\
#!/bin/sh
''':'
here=$(dirname -- "$(readlink -f -- "$0" || printf %s "$0")")
python=$here/python{minor}
[ -x "$python" ] || python=python{minor}
exec "$python" "$0" "$@"
'''
"""
FOR_PYTHON = b"#!python"
"""What a script begins with whose first line installers replace (binary distribution format)."""
_SCRIPTS = 10_000
"""Entries of an entry_points.txt."""
_INTERPRETER = re.compile(r"bin/python[\d.]*")


def relocatable(source: bytes, minor: str) -> bytes:
    """A Python script for any place; its own `#!` line, if it has one, is replaced.

    Args:
        minor: Python's minor version, as "3.11".
    """
    body = source.partition(b"\n")[2] if source.startswith(b"#!") else source
    return _HEADER.format(minor=minor).encode() + _with_docstring(body)


def is_for_python(source: bytes) -> bool:
    """True if installers replace the script's first line: `#!python` or `#!pythonw`."""
    return source.startswith(FOR_PYTHON)


def is_interpreter(name: str) -> bool:
    """True for the names in an archive that an interpreter may have: bin/python, bin/python3.11."""
    return _INTERPRETER.fullmatch(name) is not None


def entry_points(text: str, wheel: str, minor: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each console and gui script of an entry_points.txt.

    Raises:
        BuildError: the file cannot be read, or a script's name is no plain file name or an
            interpreter's.
    """
    from installer.scripts import Script
    from installer.utils import parse_entrypoints

    try:
        limits.check_lines(text)
        found = list(parse_entrypoints(text))
    except (
        limits.TooMuch,
        configparser.Error,
        AssertionError,
    ) as error:  # installer asserts that each entry is "module:attribute"
        raise _unreadable(wheel, str(error) or 'an entry is not "module:attribute"') from error
    if len(found) > _SCRIPTS:
        raise _unreadable(wheel, f"it has {len(found):,} scripts, at most {_SCRIPTS:,} are made")
    for name, module, attribute, section in found:
        if "/" in name or name in ("", ".", "..") or is_interpreter(f"bin/{name}"):
            raise _unreadable(wheel, f"a script cannot be called {name!r}")
        yield (
            name,
            relocatable(
                Script(name, module, attribute, section).generate("python", "posix")[1], minor
            ),
        )


def _with_docstring(body: bytes) -> bytes:
    """The header's string would hide the docstring, and forbid `from __future__` after it: so it
    becomes an assignment below those imports.
    """
    try:
        statements = ast.parse(body).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last of the parser's stack
        return body
    if not statements or not _is_string(statements[0]):
        return body
    start, end = statements[0].lineno - 1, statements[0].end_lineno or 0
    last = max(
        (
            node.end_lineno or 0
            for node in statements
            if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        ),
        default=end,
    )
    lines = body.splitlines(keepends=True)
    return b"".join(
        [*lines[:start], *lines[end:last], b"__doc__ = ", *lines[start:end], *lines[last:]]
    )


def _is_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _unreadable(wheel: str, cause: str) -> BuildError:
    return BuildError(
        "build.entry-points-invalid",
        "a wheel's entry points cannot be used",
        value=wheel,
        cause=cause,
        cure="tell the authors of the wheel, or pin another version",
    )
