"""The shared libraries of an interpreter that cannot be run here: what `libraries` asks the loader,
read from the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from coffee_boat.archive import elf
from coffee_boat.errors import BuildError
from coffee_boat.interpreter.libraries import BOUND, FALLBACKS, Needs, origin


def needs(executable: Path, modules: Iterable[Path]) -> Needs:
    """What an interpreter and its extension modules load, and from where.

    Raises:
        BuildError: a library that the interpreter itself needs is not beside it.
    """
    found = _Folders(executable)
    read = {binary: elf.read(binary) for binary in [executable, *modules]}
    own, libraries = list(read), dict[str, Path]()
    unusable = set()
    for binary in own:
        wanted = found.all_of(binary, read)
        absent = sorted(name for name, path in wanted.items() if path is None or name in BOUND)
        if absent and binary == executable:
            raise BuildError(
                "build.interpreter-library-missing",
                "a library that an interpreter for another machine needs is not beside it",
                value=f"{executable}: {', '.join(absent)}",
                cause=f"looked for in {', '.join(map(str, found.of(executable, read)))}",
                cure="unpack the packages of these libraries into the same folder; or"
                ' python="3.11", which takes a standalone build that uv fetches',
            )
        if absent:
            unusable.add(binary)
        else:
            libraries.update({name: path for name, path in wanted.items() if path})
    return Needs(libraries, frozenset(unusable), read)


def fallbacks(executable: Path) -> dict[str, Path]:
    """The fallback libraries, as far as they lie beside an interpreter."""
    folders = _Folders(executable)
    read = {executable: elf.read(executable)}
    found = {name: folders.find(name, executable, read) for name in FALLBACKS}
    return {name: path for name, path in sorted(found.items()) if path is not None}


def beside(base: Path) -> list[Path]:
    """The folders where an interpreter's libraries may lie; in the root of a distribution, the
    system's too.
    """
    places = [base, base.parent] if base.name == "usr" else [base]
    found = [
        folder
        for place in places
        for lib in ("lib", "lib64")
        for folder in (place / lib, *sorted(place.glob(f"{lib}/*-linux-gnu*")))
    ]
    return [folder for folder in found if folder.is_dir()]


class _Folders:
    """Where an interpreter's libraries are looked for."""

    def __init__(self, executable: Path) -> None:
        self._executable = executable
        self._beside = beside(executable.parent.parent)
        self._machine = elf.read(executable).machine

    def of(self, binary: Path, read: dict[Path, elf.Elf]) -> Iterator[Path]:
        for one in dict.fromkeys((binary, self._executable)):
            for entry in (read[one].runpath or read[one].rpath).split(":"):
                if entry:
                    yield Path(os.path.normpath(origin(entry, str(one.parent))))
        yield from self._beside

    def find(self, name: str, binary: Path, read: dict[Path, elf.Elf]) -> Path | None:
        for folder in self.of(binary, read):
            path = folder / name
            if path.is_file() and elf.read(path).machine == self._machine:
                return path
        return None

    def all_of(self, binary: Path, read: dict[Path, elf.Elf]) -> dict[str, Path | None]:
        """What a binary needs, and what that needs; None for what is nowhere."""
        wanted: dict[str, Path | None] = {}
        todo = [binary]
        while todo:
            one = todo.pop()
            if one not in read:
                read[one] = elf.read(one)
            for name in read[one].needed:
                if name not in wanted and not elf.is_glibc(name):
                    wanted[name] = path = self.find(name, one, read)
                    todo += [path] if path else []
        return wanted
