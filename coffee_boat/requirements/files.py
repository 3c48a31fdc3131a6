"""requirements.txt -> Manifest, as pip documents the format.

https://pip.pypa.io/en/stable/reference/requirements-file-format/: comments, continued lines,
${VARIABLES}, nested files, constraints, hashes, and options about indexes. The libraries that read
it are no longer kept up, or import pip's own internals, so this is a small reader of our own. It is
stricter than pip in one way: what pip leaves out in silence is refused.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from coffee_boat._support.files import exists, is_remote, named
from coffee_boat._support.redact import redact
from coffee_boat.errors import RequirementError
from coffee_boat.model import Finding, Indexes, Manifest, Requirement
from coffee_boat.requirements import hints, local, single, spelling
from coffee_boat.requirements.lines import (
    COMMENT,
    Line,
    expanded,
    lines_of,
    logical_lines,
    masked_error,
)
from coffee_boat.requirements.options import OPTION_LINES, parsed, with_options

_EDITABLE = re.compile(r"(?:-e|--editable)[\s=]+(?![\s=])(?P<quote>[\"']?)(?P<place>.+)(?P=quote)")
_OPTION_STARTS = re.compile(r"(?:^|\s)-(?=[-a-zA-Z])")

_FILES = 1_000
"""Of one reading: included files and those that they include."""
_NESTED = 50
"""Files within files."""


@dataclass
class _Collected:
    requirements: list[Requirement] = field(default_factory=list)
    constraints: list[Requirement] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    indexes: Indexes = field(default_factory=Indexes)
    option_lines: int = 0
    hashes_required_by: str = ""
    read: set[tuple[Path, bool]] = field(default_factory=set)
    """Files, and whether they were read as constraints."""


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
        for _, joined in logical_lines(written):
            if text := COMMENT.sub("", joined).strip():
                line = expanded(
                    Line(path, number, written=text, text=text, place=f"{path}: pip[{number}]")
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
            "requirements.files-in-circle",
            "requirements files include each other in a circle",
            value=loop,
            cure="take one of the -r or -c lines out",
        )
    if len(found.read) >= _FILES or len(chain) >= _NESTED:
        raise RequirementError(
            "requirements.too-many-files",
            "requirements files include more files than are read",
            value=f"{path}: {len(found.read):,} files so far, {len(chain)} within each other",
            cause=f"at most {_FILES:,} files are read, {_NESTED} within each other",
            cure="put them into fewer files, or name each by itself",
        )
    found.read.add((real, constraint))
    for line in lines_of(path):
        _read_line(line, found, constraint=constraint, chain=(*chain, real))


# lines -> requirements and options


def _read_line(line: Line, found: _Collected, *, constraint: bool, chain: tuple[Path, ...]) -> None:
    editable = _EDITABLE.fullmatch(line.text)
    start = _OPTION_STARTS.search(line.text)
    if editable:
        _keep(_editable(line, editable["place"], found), line, found, constraint=constraint)
    elif start is None or start.start() > 0:
        end = start.start() if start else len(line.text)
        _keep(
            _requirement(line, line.text[:end], parsed(line, line.text[end:]), found),
            line,
            found,
            constraint=constraint,
        )
    else:
        _apply(parsed(line, line.text), line, found, constraint=constraint, chain=chain)


def _keep(requirement: Requirement, line: Line, found: _Collected, *, constraint: bool) -> None:
    if not constraint:
        found.requirements.append(requirement)
        return
    if not requirement.name or requirement.extras or requirement.editable:
        raise line.refuse(
            "requirements.not-a-constraint",
            "this cannot be a constraint",
            cause="a constraint has a name, no extras, and is not editable (as in pip)",
            cure='write it like "name<2"',
        )
    found.constraints.append(requirement)


def _requirement(
    line: Line, text: str, options: argparse.Namespace, found: _Collected
) -> Requirement:
    given = {name for name, value in vars(options).items() if value}
    if extra := sorted(given - {"hash", "config_settings", "global_option"}):
        raise line.refuse(
            "requirements.option-after-requirement",
            "an option stands behind a requirement",
            cause=f"pip leaves {', '.join(extra)} out here, in silence",
            cure="give the option a line of its own",
        )
    if given - {"hash"}:
        found.findings.append(
            Finding(
                "requirements.build-options-ignored",
                "options for a build are left out",
                value=line.masked(f"{redact(line.text)} ({line.origin})"),
                cause="wheels are built with the project's own settings",
                cure="build the wheel yourself, and name it",
            )
        )
    with masked_error(line):
        requirement = single.parse(text, origin=line.origin, folder=line.file.absolute().parent)
    return replace(
        requirement,
        hashes=tuple(
            sorted(
                {*requirement.hashes, *(_checked_hash(value, line) for value in options.hash or ())}
            )
        ),
    )


def _checked_hash(value: str, line: Line) -> str:
    checked = spelling.checked_hash(value)
    if not checked:
        raise line.refuse(
            "requirements.hash-unreadable",
            "a hash cannot be read",
            cause=f"{value!r} is not a valid sha256, sha384 or sha512",
            cure="write it like --hash=sha256:<64 hex digits>",
        )
    return checked


def _editable(line: Line, place: str, found: _Collected) -> Requirement:
    with masked_error(line):
        code = local.code_in(place, origin=line.origin, folder=line.file.absolute().parent)
        if code is not None:
            found.findings += code.findings
            return code.requirements[0]
        requirement = single.parse(place, origin=line.origin, folder=line.file.absolute().parent)
    is_folder = requirement.url.startswith("file:") and not requirement.url.partition("#")[
        0
    ].endswith((".whl", ".gz", ".zip"))
    if not is_folder and not requirement.url.startswith("git+"):
        raise line.refuse(
            "requirements.not-editable",
            "only a folder or a git address can be editable",
            cure="leave out -e",
        )
    if is_folder:
        found.findings.append(
            Finding(
                "requirements.editable-as-wheel",
                "an editable folder is shipped as a wheel",
                value=f"{place} ({line.origin})",
                cause="executors cannot see the driver's folders",
                cure="after an edit captain.refresh() sends it to the running session",
                severity="note",
            )
        )
    return replace(requirement, editable=True)


def _apply(
    options: argparse.Namespace,
    line: Line,
    found: _Collected,
    *,
    constraint: bool,
    chain: tuple[Path, ...],
) -> None:
    found.option_lines += 1
    if found.option_lines > OPTION_LINES:
        raise line.refuse(
            "requirements.too-many-option-lines",
            f"requirements files have more than {OPTION_LINES:,} lines of options",
            cause=f"at most {OPTION_LINES:,} are read",
            cure="say each option once",
        )
    found.indexes = with_options(found.indexes, options, line)
    if options.require_hashes:
        found.hashes_required_by = line.origin
    if options.hash or options.config_settings or options.global_option:
        raise line.refuse(
            "requirements.option-without-requirement",
            "an option of a requirement stands alone",
            cure="put it behind the requirement, on the same line or after a backslash",
        )
    for name in sorted(name for name in ("prefer_binary", "use_feature") if getattr(options, name)):
        found.findings.append(
            Finding(
                "requirements.option-ignored",
                "an option of a requirements file is left out",
                value=f"--{name.replace('_', '-')} ({line.origin})",
                cause="it has no meaning for uv",
                severity="note",
            )
        )
    for nested in options.requirement or ():
        _read_file(_beside(nested, line), found, constraint=constraint, chain=chain)
    for nested in options.constraint or ():
        _read_file(_beside(nested, line), found, constraint=True, chain=chain)


def _beside(nested: str, line: Line) -> Path:
    if is_remote(nested):
        raise line.refuse(
            "requirements.file-by-url",
            "a requirements file is named by a URL",
            cause="files that are fetched can change between plan and launch",
            cure="download it, and name the file",
        )
    path = line.file.parent / line.path(str(named(nested)))
    if not exists(path):
        raise line.refuse(
            "requirements.nested-file-missing",
            "a nested requirements file is not there",
            cause=line.masked(f"looked for {path}"),
            cure=hints.cure_of_missing(path),
        )
    return path


def _check_hashes(found: _Collected) -> None:
    bare = [
        requirement
        for requirement in found.requirements
        if not requirement.hashes and not requirement.url.startswith("git+")
    ]
    if found.hashes_required_by and bare:
        raise RequirementError(
            "requirements.hash-missing",
            "a requirement has no hash, and --require-hashes asks for one",
            value=f"{redact(bare[0].text)} ({bare[0].origin})"
            + (f" + {len(bare) - 1} others" if len(bare) > 1 else ""),
            cause=f"--require-hashes in {found.hashes_required_by}",
            cure=(
                "write hashes for all: uv pip compile --generate-hashes requirements.in -o"
                " requirements.txt"
            ),
        )
