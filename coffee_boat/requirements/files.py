"""requirements.txt -> Manifest, as pip documents the format.

https://pip.pypa.io/en/stable/reference/requirements-file-format/: comments, continued lines,
${VARIABLES}, nested files, constraints, hashes, and options about indexes. The libraries that read
it are no longer kept up, or import pip's own internals, so this is a small reader of our own. It is
stricter than pip in one way: what pip leaves out in silence is refused.
"""

from __future__ import annotations

import argparse
import codecs
import difflib
import io
import os
import re
import shlex
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import NoReturn

from packaging.utils import canonicalize_name

from coffee_boat import _limits
from coffee_boat._run import redact
from coffee_boat.errors import RequirementError
from coffee_boat.model import Finding, Indexes, Manifest, Requirement
from coffee_boat.requirements import hints, single

_COMMENT = re.compile(r"(^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_EDITABLE = re.compile(r"(?:-e|--editable)[\s=]+(?![\s=])(?P<quote>[\"']?)(?P<place>.+)(?P=quote)")
_OPTION_STARTS = re.compile(r"(?:^|\s)-(?=[-a-zA-Z])")
_REMOTE = re.compile(r"[a-z][a-z0-9+.\-]*://", re.IGNORECASE)
_REPEATED = (
    "-r --requirement",
    "-c --constraint",
    "-f --find-links",
    "--extra-index-url",
    "--no-binary",
    "--only-binary",
    "--trusted-host",
    "--use-feature",
    "--hash",
    "--config-settings --config-setting -C",
    "--global-option",
)
_FILES = 1_000
"""Of one reading: included files and those that they include."""
_NESTED = 50
"""Files within files."""
_LONGEST = 4 << 20
"""Characters of a logical line, with the values of its variables."""
_QUOTED = 1 << 16
"""Characters of options with quotes or backslashes in them: shlex takes the square of a word."""
_OPTIONS = 1_000
"""Words of options in one line, besides hashes; and places of one kind in all lines."""
_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class _Line:
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
        return self.place or f"{self.file}:{self.number}"

    def refuse(self, what: str, *, cause: str = "", cure: str = "") -> RequirementError:
        return single.refusal(what, self.written, self.origin, cause=self.masked(cause), cure=cure)

    def path(self, text: str) -> Path:
        try:
            return Path(text).expanduser()
        except RuntimeError as error:
            raise self.refuse(
                "a home folder is not known", cause=str(error), cure="write the whole path"
            ) from error

    def masked(self, text: str) -> str:
        """The text with the values of variables turned back into their names: they hold tokens."""
        for name, value in self.variables:
            text = text.replace(value, f"${{{name}}}")
        return text


@dataclass
class _Collected:
    requirements: list[Requirement] = field(default_factory=list)
    constraints: list[Requirement] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    indexes: Indexes = field(default_factory=Indexes)
    hashes_required_by: str = ""
    read: set[tuple[Path, bool]] = field(default_factory=set)
    """Files, and whether they were read as constraints."""


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def read(path: Path, *, constraint: bool = False) -> Manifest:
    """See `coffee_boat.requirements.read` and `read_constraints`."""
    found = _Collected()
    _read_file(path, found, constraint=constraint, chain=())
    _check_hashes(found)
    return _manifest(found)


def read_list(lines: Sequence[str], path: Path) -> Manifest:
    """The `pip:` list of a conda environment file: lines of a requirements.txt that would lie
    beside it.

    Raises:
        RequirementError: as `read`.
    """
    found = _Collected()
    for number, written in enumerate(lines, 1):
        for _, joined in _joined(written):
            if text := _COMMENT.sub("", joined).strip():
                line = _expanded(
                    _Line(path, number, written=text, text=text, place=f"{path}: pip[{number}]")
                )
                _read_line(line, found, constraint=False, chain=(path.resolve(),))
    _check_hashes(found)
    return _manifest(found)


def _manifest(found: _Collected) -> Manifest:
    return Manifest(
        requirements=tuple(found.requirements),
        constraints=tuple(found.constraints),
        indexes=found.indexes,
        findings=tuple(found.findings),
    )


def _read_file(path: Path, found: _Collected, *, constraint: bool, chain: tuple[Path, ...]) -> None:
    real = path.resolve()
    if (real, constraint) in found.read and real not in chain:
        return  # all that it says is known
    if real in chain:
        loop = " -> ".join(step.name for step in (*chain[chain.index(real) :], real))
        raise RequirementError(
            "requirements files include each other in a circle",
            value=loop,
            cure="take one of the -r or -c lines out",
        )
    if len(found.read) >= _FILES or len(chain) >= _NESTED:
        raise RequirementError(
            "requirements files include more files than are read",
            value=f"{path}: {len(found.read):,} files so far, {len(chain)} within each other",
            cause=f"at most {_FILES:,} files are read, {_NESTED} within each other",
            cure="put them into fewer files, or name each by itself",
        )
    found.read.add((real, constraint))
    for line in _lines(path):
        _read_line(line, found, constraint=constraint, chain=(*chain, real))


# text -> lines


def _content(path: Path) -> str:
    try:
        raw = _limits.read_bytes(path, _limits.REQUIREMENTS)
    except FileNotFoundError as error:
        raise RequirementError(
            "a requirements file is not there",
            value=str(path),
            cause=f"looked for {path.absolute()}",
            cure=hints.cure_of_missing(path),
        ) from error
    except IsADirectoryError as error:
        raise RequirementError(
            "a requirements file was expected, and this is a folder",
            value=str(path),
            cure=f"captain.add_pip_packages({str(path)!r}), or name a file in it",
        ) from error
    except OSError as error:
        raise RequirementError(
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
    try:
        encoding = (
            next((name for mark, name in _BYTE_ORDER_MARKS.items() if raw.startswith(mark)), "")
            or tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
        )
        text = raw.decode(encoding)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise RequirementError(
            "a requirements file is not UTF-8 text",
            value=str(path),
            cause=str(error),
            cure="save it as UTF-8",
        ) from error
    if "\0" in text:  # nothing of it is quoted: it may be a process's environment
        raise RequirementError(
            "a requirements file is no text",
            value=str(path),
            cause="there are zero bytes in it",
            cure="name a file with one requirement a line",
        )
    return text


def _joined(text: str) -> Iterator[tuple[int, str]]:
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


def _lines(path: Path) -> Iterator[_Line]:
    for number, joined in _joined(_content(path)):
        if text := _COMMENT.sub("", joined).strip():
            yield _expanded(_Line(path, number, written=text, text=text))


def _expanded(line: _Line) -> _Line:
    names = sorted(set(_VARIABLE.findall(line.written)))
    variables = tuple((name, os.environ.get(name, "")) for name in names)
    unset = [name for name, value in variables if not value]
    if unset:
        raise line.refuse(
            "an environment variable of a requirements file is not set",
            cause=", ".join(unset),
            cure=f"export {unset[0]}=..., then start again",
        )
    values = dict(variables)
    length = len(line.written) + sum(len(values[name]) for name in _VARIABLE.findall(line.written))
    if length > _LONGEST:
        raise line.refuse(
            f"a line of a requirements file has {length:,} characters, at most {_LONGEST:,} are"
            " read",
            cause="lines that end with a backslash go on, and variables are replaced",
            cure="write each requirement on a line of its own",
        )
    return replace(
        line, text=_VARIABLE.sub(lambda found: values[found[1]], line.written), variables=variables
    )


@contextmanager
def _masked(line: _Line) -> Iterator[None]:
    """No error shows what a variable holds, nor keeps the error that does."""
    try:
        yield
    except RequirementError as error:
        if not line.variables:
            raise
        raise RequirementError(
            line.masked(error.what),
            value=line.masked(error.value),
            cause=line.masked(error.cause),
            cure=line.masked(error.cure),
        ) from None


# lines -> requirements and options


def _read_line(
    line: _Line, found: _Collected, *, constraint: bool, chain: tuple[Path, ...]
) -> None:
    editable = _EDITABLE.fullmatch(line.text)
    start = _OPTION_STARTS.search(line.text)
    if editable:
        _keep(_editable(line, editable["place"], found), line, found, constraint=constraint)
    elif start is None or start.start() > 0:
        end = start.start() if start else len(line.text)
        _keep(
            _requirement(line, line.text[:end], _parsed(line, line.text[end:]), found),
            line,
            found,
            constraint=constraint,
        )
    else:
        _apply(_parsed(line, line.text), line, found, constraint=constraint, chain=chain)


def _keep(requirement: Requirement, line: _Line, found: _Collected, *, constraint: bool) -> None:
    if not constraint:
        found.requirements.append(requirement)
        return
    if not requirement.name or requirement.extras or requirement.editable:
        raise line.refuse(
            "this cannot be a constraint",
            cause="a constraint has a name, no extras, and is not editable (as in pip)",
            cure='write it like "name<2"',
        )
    found.constraints.append(requirement)


def _requirement(
    line: _Line, text: str, options: argparse.Namespace, found: _Collected
) -> Requirement:
    given = {name for name, value in vars(options).items() if value}
    if extra := sorted(given - {"hash", "config_settings", "global_option"}):
        raise line.refuse(
            "an option stands behind a requirement",
            cause=f"pip leaves {', '.join(extra)} out here, in silence",
            cure="give the option a line of its own",
        )
    if given - {"hash"}:
        found.findings.append(
            Finding(
                "options for a build are left out",
                line.masked(f"{redact(line.text)} ({line.origin})"),
                "wheels are built with the project's own settings",
                "build the wheel yourself, and name it",
            )
        )
    with _masked(line):
        requirement = single.parse(text, origin=line.origin, folder=line.file.absolute().parent)
    return replace(
        requirement,
        hashes=tuple(
            sorted(
                {*requirement.hashes, *(_checked_hash(value, line) for value in options.hash or ())}
            )
        ),
    )


def _checked_hash(value: str, line: _Line) -> str:
    checked = single.checked_hash(value)
    if not checked:
        raise line.refuse(
            "a hash cannot be read",
            cause=f"{value!r} is no sha256, sha384 or sha512",
            cure="write it like --hash=sha256:<64 hex digits>",
        )
    return checked


def _editable(line: _Line, place: str, found: _Collected) -> Requirement:
    with _masked(line):
        requirement = single.parse(place, origin=line.origin, folder=line.file.absolute().parent)
    is_folder = requirement.url.startswith("file:") and not requirement.url.partition("#")[
        0
    ].endswith((".whl", ".gz", ".zip"))
    if not is_folder and not requirement.url.startswith("git+"):
        raise line.refuse("only a folder or a git address can be editable", cure="leave out -e")
    if is_folder:
        found.findings.append(
            Finding(
                "an editable folder is shipped as a wheel",
                f"{place} ({line.origin})",
                "executors cannot see the driver's folders; what is changed there after launch is"
                " not seen",
                "call captain.launch_ship() again after a change, and start the session again",
                "note",
            )
        )
    return replace(requirement, editable=True)


@cache
def _parser() -> _Options:
    parser = _Options(prog="requirements file", add_help=False, allow_abbrev=False)
    for spellings in _REPEATED:
        parser.add_argument(*spellings.split(), action="append")
    for name in ("--no-index", "--pre", "--prefer-binary", "--require-hashes"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("-i", "--index-url", "--pypi-url")
    return parser


def _parsed(line: _Line, text: str) -> argparse.Namespace:
    parser = _parser()
    try:
        words, hashes = _without_hashes(_words(text))
        if len(words) > _OPTIONS:
            raise ValueError(f"{len(words):,} words of options in a line; {_OPTIONS:,} are read")
        if any(
            word.endswith("--") for word in words
        ):  # argparse would end the options there, and drop a value that is "--"
            raise ValueError("two dashes without a name")
        options = parser.parse_args(words) if words else _nothing_said()
        options.hash = [*(options.hash or ()), *hashes] or None
        return options
    except ValueError as error:
        known = re.findall(r"--[a-z-]+", parser.format_usage())
        near = difflib.get_close_matches(text.split(maxsplit=1)[0].partition("=")[0], known, n=1)
        cure = (
            f"did you mean {near[0]}?"
            if near
            else (
                "take it out; https://pip.pypa.io/en/stable/reference/requirements-file-format/"
                " lists what may stand here"
            )
        )
        raise line.refuse(
            "an option of a requirements file cannot be read", cause=str(error), cure=cure
        ) from None


@cache
def _defaults() -> Mapping[str, object]:
    return vars(_parser().parse_args([]))


def _nothing_said() -> argparse.Namespace:
    """As of a line without options, most lines of most files: argparse takes a millisecond."""
    return argparse.Namespace(**_defaults())


def _words(text: str) -> list[str]:
    if not any(mark in text for mark in "\"'\\"):
        return text.split()
    if len(text) > _QUOTED:
        raise ValueError(
            f"{len(text):,} characters of options with quotes in them; {_QUOTED:,} are read"
        )
    return shlex.split(text)


def _without_hashes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hashes apart from other options: a requirement may have thousands, of which argparse takes
    the square.
    """
    others: list[str] = []
    hashes: list[str] = []
    for word in words:
        if others and others[-1] == "--hash" and not word.startswith("-"):
            others.pop()
            hashes.append(word)
        elif word.startswith("--hash="):
            hashes.append(word.removeprefix("--hash="))
        else:
            others.append(word)
    return others, hashes


def _apply(
    options: argparse.Namespace,
    line: _Line,
    found: _Collected,
    *,
    constraint: bool,
    chain: tuple[Path, ...],
) -> None:
    found.indexes = _with_options(found.indexes, options, line)
    if options.require_hashes:
        found.hashes_required_by = line.origin
    if options.hash or options.config_settings or options.global_option:
        raise line.refuse(
            "an option of a requirement stands alone",
            cure="put it behind the requirement, on the same line or after a backslash",
        )
    for name in sorted(name for name in ("prefer_binary", "use_feature") if getattr(options, name)):
        found.findings.append(
            Finding(
                "an option of a requirements file is left out",
                f"--{name.replace('_', '-')} ({line.origin})",
                "it has no meaning for uv",
                severity="note",
            )
        )
    for nested in options.requirement or ():
        _read_file(_beside(nested, line), found, constraint=constraint, chain=chain)
    for nested in options.constraint or ():
        _read_file(_beside(nested, line), found, constraint=True, chain=chain)


def _beside(nested: str, line: _Line) -> Path:
    if _REMOTE.match(nested):
        raise line.refuse(
            "a requirements file is named by a URL",
            cause="files that are fetched can change between plan and launch",
            cure="download it, and name the file",
        )
    path = line.file.parent / line.path(nested)
    if not single.exists(path):
        raise line.refuse(
            "a nested requirements file is not there",
            cause=line.masked(f"looked for {path}"),
            cure=hints.cure_of_missing(path),
        )
    return path


def _with_options(indexes: Indexes, options: argparse.Namespace, line: _Line) -> Indexes:
    more = replace(
        indexes,
        index_url=options.index_url or indexes.index_url,
        extra_index_urls=_united(indexes.extra_index_urls, options.extra_index_url),
        find_links=_united(
            indexes.find_links, [_link(value, line) for value in options.find_links or ()]
        ),
        no_index=indexes.no_index or options.no_index,
        trusted_hosts=_united(indexes.trusted_hosts, options.trusted_host),
        no_binary=_names(indexes.no_binary, options.no_binary),
        only_binary=_names(indexes.only_binary, options.only_binary),
        only_binary_said=_united(
            indexes.only_binary_said,
            [f"{line.origin}: --only-binary"] if options.only_binary else None,
        ),
        prerelease=indexes.prerelease or options.pre,
    )
    for name in ("extra_index_urls", "find_links", "trusted_hosts", "no_binary", "only_binary"):
        if len(getattr(more, name)) > _OPTIONS:
            raise line.refuse(
                f"requirements files name more than {_OPTIONS:,} {name.replace('_', ' ')}",
                cause=f"at most {_OPTIONS:,} are taken",
                cure="take some out; --no-binary and --only-binary take :all:",
            )
    return more


def _united(known: tuple[str, ...], more: list[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *(more or ()))))


def _link(value: str, line: _Line) -> str:
    """As pip: relative to the file if it is there, to the working directory otherwise."""
    if _REMOTE.match(value):
        return value
    path = line.path(value.removeprefix("file:"))
    places = (line.file.absolute().parent / path, path.absolute())
    found = next((str(place) for place in places if single.exists(place)), None)
    if found is None:
        raise line.refuse(
            "a folder of --find-links is not there",
            cause=line.masked(f"looked for {places[0]}"),
            cure=hints.cure_of_missing(places[0]),
        )
    return os.path.normpath(found)


def _names(known: tuple[str, ...], values: list[str] | None) -> tuple[str, ...]:
    """Names as --no-binary takes them: commas between, :all: for every one, :none: to begin
    anew.
    """
    names = list(known)
    for name in (part.strip() for value in values or () for part in value.split(",")):
        names = (
            []
            if name == ":none:"
            else [*names, name if name.startswith(":") else str(canonicalize_name(name))]
        )
    return tuple(dict.fromkeys(names))


def _check_hashes(found: _Collected) -> None:
    bare = [
        requirement
        for requirement in found.requirements
        if not requirement.hashes and not requirement.url.startswith("git+")
    ]
    if found.hashes_required_by and bare:
        raise RequirementError(
            "a requirement has no hash, and --require-hashes asks for one",
            value=f"{redact(bare[0].text)} ({bare[0].origin})"
            + (f" + {len(bare) - 1} others" if len(bare) > 1 else ""),
            cause=f"--require-hashes in {found.hashes_required_by}",
            cure=(
                "write hashes for all: uv pip compile --generate-hashes requirements.in -o"
                " requirements.txt"
            ),
        )
