"""The logical lines of a requirements file."""

from __future__ import annotations

import codecs
import io
import os
import re
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from coffee_boat._support import limits
from coffee_boat.errors import RequirementError
from coffee_boat.model.hidden import Redacted
from coffee_boat.requirements import doors, hints, spelling

COMMENT = re.compile(r"(^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")

_LONGEST = 4 << 20
"""Characters of a logical line, with the values of its variables."""

_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True, repr=False)
class Line(Redacted):
    """A logical line: continued lines joined, comments gone, variables replaced."""

    file: Path
    number: int
    written: str
    """Before variables were replaced: what an error may show."""
    text: str
    variables: tuple[tuple[str, str], ...] = ()
    """Name and value of those that were replaced."""
    place: str = ""
    """For people, where it is not a line of the file."""

    @property
    def origin(self) -> str:
        """File and line, for messages."""
        return self.place or f"{self.file}:{self.number}"

    def refuse(self, code: str, what: str, *, cause: str = "", cure: str = "") -> RequirementError:
        """The error that shows this line."""
        return spelling.refusal(
            code, what, self.written, self.origin, cause=self.masked(cause), cure=cure
        )

    def path(self, text: str) -> Path:
        """A path in this line, `~` expanded."""
        try:
            return Path(text).expanduser()
        except RuntimeError as error:
            raise self.refuse(
                "settings.home-folder-unknown",
                "a home folder is not known",
                cause=str(error),
                cure="write the whole path",
            ) from error

    def masked(self, text: str) -> str:
        """The text with the values of variables turned back into their names: they hold tokens."""
        for name, value in self.variables:
            text = text.replace(value, f"${{{name}}}")
        return text


# text -> lines


def _content(path: Path) -> str:
    try:
        raw = limits.read_bytes(path, limits.REQUIREMENTS)
    except FileNotFoundError as error:
        raise RequirementError(
            "requirements.file-missing",
            "a requirements file is not there",
            value=str(path),
            cause=f"looked for {path.absolute()}",
            cure=hints.cure_of_missing(path),
        ) from error
    except IsADirectoryError as error:
        raise RequirementError(
            "requirements.file-is-folder",
            "a requirements file was expected, and this is a folder",
            value=str(path),
            cure=doors.to(path) or f"captain.add_pip_packages({str(path)!r}), or name a file in it",
        ) from error
    except OSError as error:
        raise RequirementError(
            "requirements.file-unreadable",
            "a requirements file cannot be read",
            value=str(path),
            cause=error.strerror or str(error),
            cure="give a file that you may read",
        ) from error
    return _decoded(raw, path)


def _decoded(raw: bytes, path: Path) -> str:
    """PEP 263 and byte order marks are honoured; all else is UTF-8.

    PowerShell's `pip freeze > file` writes UTF-16.
    """
    mark = next((name for mark, name in _BYTE_ORDER_MARKS.items() if raw.startswith(mark)), "")
    if not mark and b"\0" in raw:
        raise _no_text(path)
    try:
        encoding = mark or tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
        text = raw.decode(encoding)
    # rot13 is no coding of texts; undefined and punycode have errors of their own
    except (SyntaxError, ValueError, LookupError) as error:
        raise RequirementError(
            "requirements.file-not-utf8",
            "a requirements file is not UTF-8 text",
            value=str(path),
            cause=str(error),
            cure="save it as UTF-8",
        ) from error
    if "\0" in text:
        raise _no_text(path)
    return text


def _no_text(path: Path) -> RequirementError:
    """Nothing of it is quoted: it may be a process's environment."""
    return RequirementError(
        "requirements.file-not-text",
        "a requirements file is not text",
        value=str(path),
        cause="there are zero bytes in it",
        cure="name a file with one requirement a line, saved as UTF-8",
    )


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first line.

    A comment ends a continued line, as in pip.
    """
    parts: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if parts else number
        comment = line.lstrip().startswith("#")
        if line.rstrip().endswith("\\") and not comment:
            parts.append(line.rstrip().rstrip("\\"))
            continue
        parts.append(f" {line}" if comment else line)
        yield start, "".join(parts)
        parts = []
    if parts:
        yield start, "".join(parts)


def lines_of(path: Path) -> Iterator[Line]:
    """The lines of a file that say something."""
    for number, joined in logical_lines(_content(path)):
        if text := COMMENT.sub("", joined).strip():
            yield expanded(Line(path, number, written=text, text=text))


def expanded(line: Line) -> Line:
    """The line with `${NAME}` replaced; refuses names that are not set."""
    names = sorted(set(_VARIABLE.findall(line.written)))
    variables = tuple((name, os.environ.get(name, "")) for name in names)
    unset = [name for name, value in variables if not value]
    if unset:
        raise line.refuse(
            "requirements.variable-not-set",
            "an environment variable of a requirements file is not set",
            cause=", ".join(unset),
            cure=f"export {unset[0]}=..., then start again",
        )
    values = dict(variables)
    length = len(line.written) + sum(len(values[name]) for name in _VARIABLE.findall(line.written))
    if length > _LONGEST:
        raise line.refuse(
            "requirements.file-line-too-long",
            f"a line of a requirements file has {length:,} characters, at most {_LONGEST:,} are"
            " read",
            cause="lines that end with a backslash go on, and variables are replaced",
            cure="write each requirement on a line of its own",
        )
    return replace(
        line, text=_VARIABLE.sub(lambda found: values[found[1]], line.written), variables=variables
    )


@contextmanager
def masked_error(line: Line) -> Iterator[None]:
    """No error shows what a variable holds, nor keeps the error that does."""
    try:
        yield
    except RequirementError as error:
        if not line.variables:
            raise
        raise RequirementError(
            error.code,
            line.masked(error.what),
            value=line.masked(error.value),
            cause=line.masked(error.cause),
            cure=line.masked(error.cure),
        ) from None
