"""Which files of a package stay behind, where a person said so (`exclude`).

A pattern leaves out what it names. A group is a habit of packages, not a rule, so it is careful:

    tests             folders called `tests`, and folders called `test` that have modules called
                      test_*.py or *_test.py, below a package. A package that is called so itself
                      stays, and so does each module in them that the rest of the package imports:
                      numpy.testing needs a module of numpy's tests, astropy one of its own.
    stubs             *.pyi, but for those that a module is loaded by (lazy_loader.attach_stub)
    headers           what compilers read: *.h and their kind, Cython's *.pxd, all of include/
    static-libraries  *.a and *.la

Metadata (.dist-info, .egg-info) always stays, and the program of an interpreter.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from coffee_boat.model.excluded import GROUPS, LeftOut

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

EXCLUDES = 2
"""Part of the key of what something was left out of: raise it when a group has other files."""

Read = Callable[[str], bytes]
"""A file's name in the archive -> its content."""

_METADATA = re.compile(r"[^/]+\.(?:dist-info|egg-info)(?:/|$)")
_PROGRAM = re.compile(r"bin/python(?:\d(?:\.\d+)?)?")
_TEST_FOLDERS = ("test", "tests")
_TEST_MODULE = re.compile(r"(?:test_.*|.*_test|conftest)\.py")
_TESTS = re.compile(rb"\btests?\b")
"""What a module has in it that may import a module of tests: few are read closely."""
_WORD = re.compile(r"[\w.]+")
_HEADERS = (".h", ".hh", ".hpp", ".hxx", ".h++", ".cuh", ".pxd")
_ATTACHES = b"attach_stub"


def left_out(
    rules: Sequence[str], sizes: Mapping[str, int], site: str, read: Read
) -> tuple[frozenset[str], tuple[LeftOut, ...]]:
    """The files of a package that stay behind, and how much each rule left out; a rule that found
    only what others left out already has nothing.

    Args:
        rules: groups and patterns.
        sizes: name of each file of the package in the archive -> bytes.
        site: Target.site_packages.
        read: gives the content of one of the files.
    """
    names = sorted(name for name in sizes if not _stays(name, site))
    gone: set[str] = set()
    told = []
    for rule in sorted(rules, key=lambda rule: (rule in GROUPS, rule)):  # a group is careful
        found = _found(rule, names, sizes.keys() - gone, site, read)
        if found:
            new = found - gone
            told.append(LeftOut(rule, len(new), sum(sizes[name] for name in new)))
            gone |= new
    return frozenset(gone), tuple(told)


def _found(
    rule: str, names: Sequence[str], there: Collection[str], site: str, read: Read
) -> set[str]:
    if rule == "tests":
        return _tests(names, there, site, read)
    if rule == "stubs":
        return {name for name in names if _is_stub(name, there, site, read)}
    if rule == "headers":
        return {name for name in names if name.startswith("include/") or name.endswith(_HEADERS)}
    if rule == "static-libraries":
        return {name for name in names if name.endswith((".a", ".la"))}
    spec = pattern(rule)
    return {name for name in names if spec.match_file(_below(name, site))}


@lru_cache(maxsize=100)
def pattern(rule: str) -> GitIgnoreSpec:
    """A pattern as .gitignore has them.

    Raises:
        ValueError: it is none.
    """
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines([rule])


def _below(name: str, site: str) -> str:
    """The path that patterns are compared with: below site-packages, else below the prefix."""
    return name.removeprefix(site)


def _stays(name: str, site: str) -> bool:
    inside = _below(name, site)
    return (inside != name and _METADATA.match(inside) is not None) or bool(
        _PROGRAM.fullmatch(name)
    )


def _is_stub(name: str, there: Collection[str], site: str, read: Read) -> bool:
    if not name.startswith(site) or not name.endswith(".pyi"):
        return False
    module = name.removesuffix("i")
    return module not in there or _ATTACHES not in read(module)


# tests


def _tests(names: Sequence[str], there: Collection[str], site: str, read: Read) -> set[str]:
    """Without what the modules that stay import, and what these import in turn."""
    found = set(_in_test_folders(names, site))
    if not found:
        return found
    modules = {_module(name, site): name for name in found if name.endswith((".py", ".so"))}
    waiting = [name for name in sorted(there) if name not in found]
    while waiting:
        name = waiting.pop()
        try:
            imported = set(_imports(name, site, read, every=name in modules.values()))
        except (SyntaxError, ValueError, RecursionError):  # another Python's: nobody can tell
            return set()
        kept = {modules[module] for module in imported if modules.get(module) in found}
        found -= kept
        waiting += sorted(kept)
    return found


def _in_test_folders(names: Sequence[str], site: str) -> Iterator[str]:
    """What lies in folders of tests, below a package that is not called so itself."""
    paths = {name: path for name in names if (path := _importable(name, site)) is not None}
    holders = {
        "/".join(path.parts[: at + 1])
        for path in paths.values()
        if _TEST_MODULE.fullmatch(path.name)
        for at in range(len(path.parts) - 1)
    }
    for name, path in paths.items():
        folders = path.parts[:-1]
        if not folders or folders[0] in _TEST_FOLDERS:
            continue
        if any(
            part == "tests" or (part == "test" and "/".join(folders[: at + 1]) in holders)
            for at, part in enumerate(folders)
        ):
            yield name


def _importable(name: str, site: str) -> PurePosixPath | None:
    """Below the folder that Python imports it from: site-packages, or the standard library's."""
    for root in (site, site.removesuffix("site-packages/")):
        if name.startswith(root):
            return PurePosixPath(name[len(root) :])
    return None


def _module(name: str, site: str) -> str:
    """Dotted; of a package's __init__.py the package."""
    path = _importable(name, site)
    parts = list(path.parts) if path is not None else [name]
    last = parts.pop().partition(".")[0]
    return ".".join(parts if last == "__init__" else [*parts, last])


def _imports(name: str, site: str, read: Read, *, every: bool) -> Iterator[str]:
    """Dotted names of what a file imports, each with the packages that it lies in; also what
    stands in it as a text, for import_module and entry points.

    Args:
        every: False for a module that can import tests by their name only.
    """
    if name.endswith("/entry_points.txt"):
        for word in _WORD.findall(read(name).decode("utf-8", "replace")):
            yield from _upwards(word)
        return
    path = _importable(name, site)
    if path is None or path.suffix != ".py":
        return
    data = read(name)
    if not every and not _TESTS.search(data):
        return
    package = list(path.parts[:-1])
    for node in ast.walk(ast.parse(data)):
        for module in _named(node, package):
            yield from _upwards(module)


def _named(node: ast.AST, package: Sequence[str]) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = package[: len(package) - node.level + 1] if node.level else []
        base = ".".join([*above, *filter(None, [node.module])])
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _as_text(node.value, package)
    return []


def _as_text(text: str, package: Sequence[str]) -> Iterable[str]:
    """What import_module makes of it: with dots at its beginning it is below the package."""
    if not _WORD.fullmatch(text):
        return []
    name = text.lstrip(".")
    level = len(text) - len(name)
    above = package[: len(package) - level + 1] if level else []
    return [".".join([*above, name])] if name else []


def _upwards(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))
