"""The header of a script: inline metadata (PEP 723)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffee_boat._support import files, limits, quoting
from coffee_boat.errors import LaunchError, RequirementError

_START = re.compile(r"# /// (?P<type>[a-zA-Z0-9-]+)")
_END = "# ///"


def header(text: str, path: Path) -> dict[str, Any] | None:
    """The `# /// script` block of a script; None if it has none.

    Args:
        text: the script, with newlines as Python reads them.
        path: of the script, for errors.

    Raises:
        RequirementError: there are two, or it is not TOML.
    """
    blocks = [content for kind, content in _blocks(text.split("\n")) if kind == "script"]
    if len(blocks) > 1:
        raise RequirementError(
            "requirements.script-two-headers",
            "a script has two headers that list what it needs",
            value=str(path),
            cause="PEP 723 allows one",
            cure="keep one # /// script block",
        )
    return _parsed(blocks[0], path) if blocks else None


def _blocks(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Type and content of each block, as the reference expression of
    https://packaging.python.org/specifications/inline-script-metadata/ finds them: it ends with the
    last `# ///` of the comment that it stands in. (That expression takes the square of the lines.)
    """
    at = 0
    while at < len(lines):
        begins = _START.fullmatch(lines[at])
        if begins is None:
            at += 1
            continue
        after = at + 1
        while after < len(lines) and (lines[after] == "#" or lines[after].startswith("# ")):
            after += 1
        last = next((n for n in range(after - 1, at + 1, -1) if lines[n] == _END), None)
        if last is not None:
            yield begins["type"], "".join(f"{line}\n" for line in lines[at + 1 : last])
        at = after if last is None else last + 1


def _parsed(block: str, path: Path) -> dict[str, Any]:
    from coffee_boat._support import parse

    try:
        return parse.toml(
            "".join(
                line[2:] if line.startswith("# ") else line[1:]
                for line in block.splitlines(keepends=True)
            )
        )
    except ValueError as error:
        raise RequirementError(
            "requirements.script-header-not-toml",
            "a script's header is not TOML",
            value=str(path),
            cause=quoting.where(error),
            cure="mend the line that the cause names",
        ) from None


@dataclass(frozen=True)
class Header:
    """What a script's inline metadata says."""

    path: str
    requires_python: str = ""


# reading


def read_header(script: str | Path) -> Header | None:
    """The `# /// script` block of a script on this machine; None if it has none, or is no Python
    file on this machine.

    Raises:
        LaunchError: there is no such file.
        RequirementError: the block cannot be read.
    """
    if files.is_remote(script):
        return None
    path = files.named(script)
    if not files.is_file(path):
        raise LaunchError(
            "launch.script-missing",
            "the script is not there",
            value=str(script),
            cause=f"looked for {path.absolute()}",
            cure="check the path; it is relative to the working directory",
        )
    if path.suffix != ".py":
        return None
    try:
        text = limits.read_text(path, limits.PROJECT, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LaunchError(
            "launch.script-unreadable",
            "the script cannot be read",
            value=str(script),
            cause=str(error),
            cure="save it as UTF-8, where you may read it",
        ) from error
    return _header(path, text)


def refuse_other_python(header: Header, version: str) -> None:
    """Refuse a script whose `requires-python` does not hold for the Python it would run with.

    Args:
        version: of the shipped interpreter, as "3.11.7".

    Raises:
        RequirementError: it does not hold, or is no specifier.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        fits = SpecifierSet(header.requires_python).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        raise RequirementError(
            "requirements.script-python-unreadable",
            "a script's requires-python cannot be read",
            value=header.path,
            cause=str(error),
            cure='write it as ">=3.11"',
        ) from error
    if not fits:
        raise RequirementError(
            "requirements.script-other-python",
            "the script asks for another Python",
            value=f"requires-python = {header.requires_python!r} in {header.path}",
            cause=f"driver and executors run Python {version}",
            cure=(
                f"run boat with a Python that fits {header.requires_python}, or change"
                " requires-python"
            ),
        )


def _header(path: Path, text: str) -> Header | None:
    said = header(text, path)
    if said is None:
        return None
    requires = said.get("requires-python", "")
    if not isinstance(requires, str):
        raise RequirementError(
            "requirements.script-python-not-string",
            "a script's requires-python is not a string",
            value=f"{path}: {requires!r}",
            cure='write it as ">=3.11"',
        )
    return Header(str(path), requires)


def imports_beside(path: Path) -> tuple[Path, ...]:
    """Files and folders beside a script that it imports; sorted. Nothing is run; of a script that
    cannot be read, Python says so itself.
    """
    import ast

    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    places = [(path.parent / f"{name}.py", path.parent / name) for name in sorted(names)]
    return tuple(
        file if file.is_file() else folder
        for file, folder in places
        if file.is_file() or (folder / "__init__.py").is_file()
    )
