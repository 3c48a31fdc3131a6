"""A person's own code: which files of a folder are sent, and what tells one state of it from
another.

    helpers.py              one module
    src/mypkg/__init__.py   a package: all of its folder
    a folder of both        its modules, its packages, and the modules of the folders below it; data
                            that lies beside them, and not in a package, stays

A project with a build step is no such code: its build tells what is in it (sources.py).
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from packaging.utils import canonicalize_name

from coffee_boat._support import limits
from coffee_boat._support.digest import fault_of_folder, file_digest, largest
from coffee_boat._support.words import human_size
from coffee_boat.archive.names import is_plain
from coffee_boat.errors import RequirementError
from coffee_boat.model import Finding
from coffee_boat.pip.ignored import Ignored, is_litter
from coffee_boat.spark import packages as spark_packages

_SUFFIXES = (".py", ".so")
_PACKAGE = "__init__.py"
_SHOWN = 3
_FALLBACK = "own-code"
Read = TypeVar("Read")


@dataclass(frozen=True)
class File:
    """One file that is sent."""

    name: str
    """As it is imported: relative to site-packages."""
    path: Path
    size: int
    runs: bool


@dataclass(frozen=True)
class Code:
    """What is sent of a file or a folder, as it lies there now."""

    place: Path
    files: tuple[File, ...]
    """Sorted by name."""
    findings: tuple[Finding, ...] = ()

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files)

    @property
    def modules(self) -> frozenset[str]:
        """The names that an import statement begins with."""
        return frozenset(file.name.partition("/")[0].partition(".")[0] for file in self.files)

    @property
    def root(self) -> Path:
        """The folder that it is imported from."""
        is_plain_folder = self.place.is_dir() and not _is_package(self.place)
        return self.place if is_plain_folder else self.place.parent

    def digest(self) -> str:
        """sha256 (hex) of names, run bits and bytes; times do not count.

        Raises:
            RequirementError: a file cannot be read.
        """
        return digest_of((file, content_of(file.path, file_digest)) for file in self.files)


def read(place: Path) -> Code:
    """What would be sent of a file or a folder; no file is opened.

    Raises:
        RequirementError: there is no module in it, it cannot be imported, is too large, has a link
            that leads out of it, or cannot be read.
    """
    if not place.is_dir():
        return _of_a_file(place)
    if fault := fault_of_folder(place.resolve()):
        raise RequirementError(
            "requirements.not-a-code-folder",
            "a folder is not one of code",
            value=str(place),
            cause=fault,
            cure="name the folder that the modules lie in",
        )
    walk = _Walk(place)
    try:
        is_package = (place / _PACKAGE).is_file()
        found = list(walk.package(place, place.name) if is_package else walk.top(place))
    except OSError as error:
        raise _unreadable(error.filename or place, error) from error
    if is_package:
        _refuse_name(place.name, place)
    files = tuple(sorted(found, key=lambda file: file.name))
    if not files:
        raise RequirementError(
            "requirements.no-module-in-folder",
            "no Python module is in a folder",
            value=str(place),
            cause="only .py and .so files, and packages, can be imported; what .gitignore names"
            " stays behind",
            cure="name the folder that the modules lie in",
        )
    code = Code(place, files, tuple(walk.findings))
    _refuse_large(code)
    return code


def name_of(place: Path) -> str:
    """What the code of a file or a folder is called among packages: normalized."""
    said = place.stem if place.is_file() else place.name
    name = str(canonicalize_name(re.sub(r"[^A-Za-z0-9.]+", "-", said).strip("-.")))
    return f"{name}-code" if name in spark_packages.DRIVERS_OWN else name or _FALLBACK


def digest_of(contents: Iterable[tuple[File, str]]) -> str:
    """sha256 (hex) over files and the sha256 of what is in each."""
    digest = hashlib.sha256()
    for file, content in contents:
        line = f"{file.name}\0{'run' if file.runs else 'file'} {content}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def content_of(path: Path, how: Callable[[Path], Read]) -> Read:
    """What is read of a file.

    Raises:
        RequirementError: it cannot be.
    """
    try:
        return how(path)
    except OSError as error:
        raise _unreadable(path, error) from error


# which files


def _of_a_file(place: Path) -> Code:
    _refuse_name(place.name.partition(".")[0], place)
    if place.suffix not in _SUFFIXES:
        raise RequirementError(
            "requirements.not-a-module",
            "a file is not a Python module",
            value=str(place),
            cause="its name does not end in .py or .so",
            cure="name a module or a folder of them; a wheel goes to"
            f' captain.add_pip_packages("{place.name}")',
        )
    try:
        code = Code(place, (_file(place.name, place),))
    except OSError as error:
        raise _unreadable(place, error) from error
    _refuse_large(code)
    return code


class _Walk:
    """Through one folder of code."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._ignored = Ignored(root)
        self._count = 0
        self.findings: list[Finding] = []

    def top(self, folder: Path) -> Iterator[File]:
        """Of a folder that is no package, what it makes importable. What bears a name of Python's
        own stays behind: no executor would find it.
        """
        for path, is_folder in self._entries(folder):
            name = path.name.partition(".")[0]
            found = list(self._importable(path, path.name, is_folder=is_folder))
            if found and _is_pythons(name) and not (is_folder and not _is_package(path)):
                self.findings.append(_left_behind(name, path))
            elif found and not (is_folder and name in sys.stdlib_module_names):
                yield from found

    def package(self, folder: Path, name: str) -> Iterator[File]:
        """Of a package all."""
        for path, is_folder in self._entries(folder):
            inside = f"{name}/{path.name}"
            if path.is_symlink():
                self._refuse_link(path)
            if is_folder:
                yield from self.package(path, inside)
            elif path.is_file():
                yield _file(inside, path)

    def _importable(self, path: Path, name: str, *, is_folder: bool) -> Iterator[File]:
        """Of what lies in a folder that is no package: modules, packages, modules of folders."""
        if not path.name.partition(".")[0].isidentifier():
            return
        if is_folder:
            if _is_package(path):
                if path.is_symlink():
                    self._refuse_link(path)
                yield from self.package(path, name)
            elif not path.is_symlink():  # data, perhaps far away
                for below, is_below in self._entries(path):
                    yield from self._importable(below, f"{name}/{below.name}", is_folder=is_below)
        elif path.suffix in _SUFFIXES and path.is_file():
            if path.is_symlink():
                self._refuse_link(path)
            yield _file(name, path)

    def _entries(self, folder: Path) -> Iterator[tuple[Path, bool]]:
        with os.scandir(folder) as listing:
            names = sorted(entry.name for entry in listing)
        for name in names:
            path = folder / name
            is_folder = path.is_dir()
            if is_litter(path, is_folder=is_folder) or self._ignored(path, is_folder=is_folder):
                continue
            self._count += 1
            if self._count > limits.TREE_FILES:
                raise _too_many(self._root)
            yield path, is_folder

    def _refuse_link(self, path: Path) -> None:
        """A link to what is not sent, or round in a circle."""
        try:
            real = path.resolve(strict=True)
            above = [folder.resolve() for folder in path.parents]
            leads_out = not real.is_relative_to(self._root) or real in above
        except (OSError, RuntimeError):  # broken, or to itself
            leads_out = True
        if leads_out:
            raise RequirementError(
                "requirements.own-code-link",
                "a link in your code leads out of its folder",
                value=f"{path} -> {path.readlink()}",
                cause="what it leads to is not sent, is gone, or has the link in it",
                cure="put a copy in its place, or name the link in .gitignore: then it stays",
            )


def _is_package(folder: Path) -> bool:
    return (folder / _PACKAGE).is_file()


def _file(name: str, path: Path) -> File:
    status = path.stat()
    if not is_plain(name):
        raise RequirementError(
            "requirements.own-code-name",
            "a file of your code has a name that executors cannot have",
            value=repr(name),
            cause="a part of it is longer than 255 bytes, or there are more than 64 folders",
            cure="give it a shorter name, or name it in .gitignore: then it stays behind",
        )
    if not _is_utf8(name):
        raise RequirementError(
            "requirements.own-code-name",
            "a file of your code has a name that executors cannot have",
            value=repr(name),
            cause="it is not UTF-8, as names in a wheel are",
            cure="give it another name, or name it in .gitignore: then it stays behind",
        )
    if not os.access(path, os.R_OK):
        raise _unreadable(path, "Permission denied")
    return File(name, path, status.st_size, bool(status.st_mode & 0o111))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_pythons(name: str) -> bool:
    return name in sys.stdlib_module_names or name in spark_packages.DRIVERS_OWN


def _left_behind(name: str, path: Path) -> Finding:
    return Finding(
        "requirements.shadows-python-left-out",
        "a module that has the name of one of Python's stays behind",
        value=str(path),
        cause=f"`import {name}` gives Python's or Spark's own on executors",
        cure="give it another name",
    )


def _refuse_name(name: str, place: Path) -> None:
    if not name.isidentifier():
        raise RequirementError(
            "requirements.own-code-not-importable",
            "code cannot be imported by its name",
            value=str(place),
            cause=f"{name!r} is not a name in Python",
            cure="rename it: letters, digits and _",
        )
    if _is_pythons(name):
        raise RequirementError(
            "requirements.shadows-python",
            "a module has the name of one that Python or Spark brings",
            value=str(place),
            cause=f"`import {name}` gives Python's or Spark's own on executors",
            cure="give it another name",
        )


def _refuse_large(code: Code) -> None:
    if code.size > limits.TREE:
        sizes = ((file.path, file.size) for file in code.files)
        raise RequirementError(
            "requirements.own-code-too-large",
            "your own code is too large to be sent",
            value=f"{code.place}: {human_size(code.size)}, of which {largest(code.place, sizes)}",
            cause=f"at most {human_size(limits.TREE)} are sent of a folder: it goes to each"
            " executor again whenever it changes",
            cure="name data in .gitignore: then it stays; executors can read it from storage",
        )


def _too_many(folder: Path) -> RequirementError:
    return RequirementError(
        "requirements.own-code-too-many-files",
        "a folder has more files than are looked at",
        value=str(folder),
        cause=f"at most {limits.TREE_FILES:,} are",
        cure="name the folder that the modules lie in, or name data in .gitignore",
    )


def _unreadable(path: object, error: object) -> RequirementError:
    return RequirementError(
        "requirements.own-code-unreadable",
        "a file of your own code cannot be read",
        value=str(path),
        cause=str(error),
        cure="make it readable, or name it in .gitignore: then it stays behind",
    )
