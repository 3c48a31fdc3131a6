"""The files of an interpreter that travel."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coffee_boat._support.digest import contents_digest
from coffee_boat._support.store import Store
from coffee_boat.errors import BuildError
from coffee_boat.interpreter import bytecode, libraries, linked
from coffee_boat.interpreter.facts import STANDALONE, Facts

FORMAT = 1
"""Part of an interpreter's key: raise it when the copy of the same interpreter changes."""

_LOADER_CACHE = Path("/etc/ld.so.cache")
_SYSTEM = frozenset({"/", "/usr"})
"""Prefixes whose libraries are the system's: the loader's cache stands for them."""

_SKIPPED_FOLDERS = frozenset(
    {
        "__pycache__",
        "dist-packages",
        "ensurepip",
        "idlelib",
        "lib-dynload",
        "lib2to3",
        "msilib",
        "pydoc_data",
        "site-packages",
        "test",
        "tests",
        "tkinter",
        "turtledemo",
    }
)
_SKIPPED_FILES = frozenset(
    {"EXTERNALLY-MANAGED", "sitecustomize.py", "turtle.py", "usercustomize.py"}
)
_SKIPPED_MODULES = re.compile(
    r"(_test.*|_ctypes_test|_xxtestfuzz|xx(limited.*|subtype)|_tkinter|_g?dbm|readline|nis|ossaudiodev|_crypt)\."
)
"""For tests; bound to a desktop; the GPL's (readline); of no use since PEP 594 and bound to the
newest glibc by their libraries (nis, _crypt).
"""


def copy_key(facts: Facts, program: Path, store: Store | None) -> list[Any]:
    """What a copy depends on, for its key in the store."""
    # All that is copied. The loader's cache changes when the system's libraries are upgraded; the
    # tools decide bytes of the copy.
    tools = [tool for tool in (libraries.patchelf_tool(), libraries.strip_tool()) if tool]
    copied = [
        program,
        *_own_libraries(facts),
        *standard_library(facts).values(),
        *(path for _, path in extension_modules(facts)),
    ]
    return [
        FORMAT,
        bytecode.FORMAT,
        facts.build,
        facts.base,
        platform.machine(),
        contents_digest((*copied, _LOADER_CACHE, *map(Path, tools)), store),
    ]


def read_key(facts: Facts, program: Path, store: Store | None) -> list[Any]:
    """The same for an interpreter that is read, wherever it lies: what it says, and the Python that
    compiles for it.
    """
    shared = [path for folder in linked.beside(Path(facts.base)) for path in folder.glob("*.so*")]
    copied = [
        program,
        *sorted(path for path in shared if path.is_file()),
        *standard_library(facts).values(),
        *(path for _, path in extension_modules(facts)),
    ]
    return [
        FORMAT,
        bytecode.FORMAT,
        facts.build,
        platform.python_version(),
        contents_digest(copied, store),
    ]


def _own_libraries(facts: Facts) -> list[Path]:
    # Which of them are loaded only the loader can tell, and asking it takes longer than all else;
    # the system's folders hold everybody's.
    wanted = f"libpython{facts.minor}*.so*" if facts.base in _SYSTEM else "*.so*"
    return sorted(Path(facts.base).glob(f"lib*/{wanted}"))


def standard_library(facts: Facts) -> dict[str, Path]:
    """Name in the copy -> file of the standard library, licence included."""
    files = {
        f"lib/python{facts.minor}/{relative}": path
        for relative, path in _walk(Path(facts.stdlib), "")
    }
    return {**_licence(facts), **files}


def _walk(folder: Path, below: str) -> Iterator[tuple[str, Path]]:
    # Links are followed: Debian's lead into /etc and to other packages.
    for entry in _entries(folder):
        name = entry.name
        if entry.is_dir():
            if name not in _SKIPPED_FOLDERS and not name.startswith("config-"):
                yield from _walk(Path(entry.path), f"{below}{name}/")
        elif (
            entry.is_file()
            and name not in _SKIPPED_FILES
            and not name.endswith((".a", ".o", ".pyc", ".exe"))
        ):
            yield below + name, Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(folder, error) from error


def extension_modules(facts: Facts) -> Iterator[tuple[str, Path]]:
    """Name in the copy and file of each extension module."""
    for folder in facts.extensions:
        for path in sorted(Path(folder).glob("*.so")):
            if not _SKIPPED_MODULES.match(path.name):
                yield f"lib/python{facts.minor}/lib-dynload/{path.name}", path


def _licence(facts: Facts) -> dict[str, Path]:
    # Python's licence asks that its text goes with every copy; distributions keep it in different
    # places.
    base = Path(facts.base)
    places = [
        base / "share/doc" / f"python{facts.minor}" / "copyright",
        base / "LICENSE_PYTHON.txt",
        base / "LICENSE.txt",
        base / "LICENSE",
    ]
    return next(
        ({f"lib/python{facts.minor}/LICENSE.txt": place} for place in places if place.is_file()), {}
    )


def unreadable(path: Path, error: OSError) -> BuildError:
    """The error for a file of an interpreter that cannot be read."""
    return BuildError(
        "build.interpreter-unreadable",
        "a file of the interpreter cannot be read",
        value=str(path),
        cause=str(error),
        cure="reinstall the interpreter, or name another one; " + STANDALONE,
    )
