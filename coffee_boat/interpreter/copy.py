"""An interpreter copied so that it runs wherever it is put, and made into a chunk."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffee_boat._support.store import Store
from coffee_boat.archive import chunks, elf
from coffee_boat.archive import writer as archive_writer
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.interpreter import bytecode, libraries, linked, unpacked
from coffee_boat.interpreter.facts import STANDALONE, Facts, probed
from coffee_boat.interpreter.parts import extension_modules, standard_library, unreadable
from coffee_boat.model import Chunk, Interpreter

_LANDMARK = (
    "CPython knows its exec_prefix by this folder, also where all modules are built in; archives"
    " have no empty folders.\n"
)


@dataclass(frozen=True)
class Floor:
    """The glibc that an interpreter needs, and why."""

    glibc: tuple[int, int]
    by: tuple[str, ...]
    """The files that set it, relative to the archive's root."""


def tree(interpreter: Interpreter, store: Store, *, python: str | None = None) -> Path:
    """The interpreter's relocatable copy, made once for all processes.

    It is complete, compiled, and checked: it ran, or, for another machine, each of its files was
    read.

    Args:
        python: for an interpreter that does not run here: one of its minor version that does, for
            the bytecode; without it there is none.

    Raises:
        BuildError: it cannot be copied, or the copy does not work.
        StoreError: it is not there yet, and the store cannot be written.
    """
    name = f"python-{interpreter.key}"
    while not store.keep("trees", name):
        with store.lock(f"tree {name}"):
            if not store.has("trees", name):
                with store.publish("trees", name) as root:
                    needs = _copy(interpreter, root, python)
                store.remember("floor", interpreter.key, _highest(needs))
    return store.path("trees", name)


def chunk(interpreter: Interpreter, store: Store, *, python: str | None = None) -> Chunk:
    """The interpreter as a chunk, made once for all processes; its floor does not count the
    fallback libraries.

    Args:
        python: as for `tree`.

    Raises:
        BuildError: it cannot be copied, or the copy does not work.
        StoreError: it is not there yet, and the store cannot be written.
    """

    def fill(writer: archive_writer.ChunkWriter) -> tuple[int, int]:
        copied = tree(interpreter, store, python=python)
        if interpreter.native:
            chunks.fill_from_tree(writer, copied, keep=bool)
        else:  # nothing is asked of this machine's file system: it may have no links, or no modes
            program = f"bin/python{_minor(interpreter)}"
            chunks.fill_from_tree(writer, copied, keep=bool, runs=program.__eq__)
            for name, target in sorted(_all_links(interpreter).items()):
                writer.link(name, target)
        return floor(interpreter, store).glibc

    return chunks.make(store, _chunk_key(interpreter), f"python {interpreter.version}", fill)


def recall(interpreter: Interpreter, store: Store) -> Chunk | None:
    """The interpreter's chunk if it was made before."""
    return chunks.recall(store, _chunk_key(interpreter))


def floor(interpreter: Interpreter, store: Store) -> Floor:
    """The glibc that the interpreter needs and which of its files need it; the fallback libraries
    are not counted, since they are loaded only where a node has none.

    Nothing is copied.

    Raises:
        BuildError: one of its files cannot be read.
    """
    known = store.recall("floor", interpreter.key)
    if known is None:
        known = _highest(_load(_facts(interpreter), interpreter.native).read)
        with suppress(StoreError):
            store.remember("floor", interpreter.key, known)
    return Floor((known["glibc"][0], known["glibc"][1]), tuple(known["by"]))


# the copy


def _facts(interpreter: Interpreter) -> Facts:
    path = interpreter.executable
    return probed(path) if interpreter.native else unpacked.facts(Path(path))


def _copy(interpreter: Interpreter, root: Path, python: str | None) -> dict[str, elf.Elf]:
    """Make the copy; returns its binaries."""
    facts = _facts(interpreter)
    load = _load(facts, interpreter.native)
    _copy_files({**load.binaries, **standard_library(facts)}, root)
    (root / load.program).chmod(0o755)
    if interpreter.native:  # this machine's binutils know no others
        libraries.strip(root, load.read)
    libraries.make_relocatable(root, load.program, load.read)
    if interpreter.native:
        for name, target in {**_links(facts), **load.links}.items():
            _link(root / name, target)
    _write_landmark(root, facts)
    compiler = str(root / load.program) if interpreter.native else python
    if compiler:
        bytecode.compile_tree(
            compiler, root, [name for name in _names(root) if not bytecode.RARE.search(name)]
        )
    if interpreter.native:
        _check(facts, root, load)
    return load.read


@dataclass(frozen=True)
class _Load:
    """The binaries of a copy, by their names in it."""

    program: str
    modules: list[str]
    """The modules that they are, as they are imported."""
    binaries: dict[str, Path]
    read: dict[str, elf.Elf]
    links: dict[str, str]


def _load(facts: Facts, native: bool) -> _Load:
    program, found = f"bin/python{facts.minor}", dict(extension_modules(facts))
    asked = libraries if native else linked
    needs = asked.needs(facts.program, found.values())
    modules = {name: path for name, path in found.items() if path not in needs.unusable}
    shared = {f"lib/{name}": path for name, path in needs.libraries.items()}
    located = asked.fallbacks(facts.program)
    spare = {
        f"lib/fallback/{name}": path
        for name, path in located.items()
        if name not in needs.libraries
    }
    # Links, not copies: the loader tells libraries apart by inode, and would map a copy a second
    # time.
    links = {f"lib/fallback/{name}": f"../{name}" for name in located if name in needs.libraries}
    binaries = {program: facts.program, **modules, **shared, **spare}
    read = {name: needs.read.get(path) or elf.read(path) for name, path in binaries.items()}
    return _Load(
        program, sorted(Path(name).name.split(".")[0] for name in modules), binaries, read, links
    )


def _minor(interpreter: Interpreter) -> str:
    return ".".join(interpreter.version.split(".")[:2])


def _all_links(interpreter: Interpreter) -> dict[str, str]:
    facts = _facts(interpreter)
    return {**_links(facts), **_load(facts, interpreter.native).links}


def _write_landmark(root: Path, facts: Facts) -> None:
    path = root / f"lib/python{facts.minor}/lib-dynload/README"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_LANDMARK.encode())
    path.chmod(0o644)


def _copy_files(files: dict[str, Path], root: Path) -> None:
    for name, path in sorted(files.items()):
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, target)
        except (PermissionError, FileNotFoundError) as error:
            raise unreadable(path, error) from error
        target.chmod(0o644)


def _links(facts: Facts) -> dict[str, str]:
    links = {"bin/python3": f"python{facts.minor}", "bin/python": f"python{facts.minor}"}
    if facts.libdir != "lib":
        links[facts.libdir] = "lib"
    packages = f"lib/python{facts.minor}/site-packages"
    looks = [Path(os.path.relpath(path, facts.base)).as_posix() for path in facts.site]
    debian = "lib/python3/dist-packages"
    if packages not in looks and debian in looks:
        links[debian] = posixpath.relpath(packages, posixpath.dirname(debian))
    return links


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _check(facts: Facts, root: Path, load: _Load) -> None:
    copy = bytecode.ask(
        str(root / load.program), "import", {"modules": load.modules}, env={"LD_LIBRARY_PATH": None}
    )
    if copy["failed"]:
        original = bytecode.ask(str(facts.program), "import", {"modules": load.modules})
        broken = {
            name: cause for name, cause in copy["failed"].items() if name not in original["failed"]
        }
        if broken:
            raise _does_not_move(facts, *next(iter(broken.items())))
    reason = bytecode.ask(str(root / load.program), "begin", {}, env={"LD_LIBRARY_PATH": None})
    if reason:
        raise _does_not_move(facts, f"site.py: {reason}", "its standard library is not complete")
    for path in copy["mapped"]:
        if not Path(path).is_relative_to(root) and not elf.is_glibc(Path(path).name):
            raise _does_not_move(
                facts, path, "the copy loads it from this machine, a node may lack it"
            )


def _does_not_move(facts: Facts, value: str, cause: str) -> BuildError:
    return BuildError(
        "build.interpreter-not-movable",
        f"the interpreter {facts.program} cannot be moved",
        value=value,
        cause=cause,
        cure=STANDALONE,
    )


# the chunk


def _chunk_key(interpreter: Interpreter) -> list[str]:
    return ["interpreter", interpreter.key]


def _names(root: Path) -> list[str]:
    """Files and links below a folder, sorted."""
    found = []
    for folder, folders, files in os.walk(root):
        below = [*files, *(name for name in folders if Path(folder, name).is_symlink())]
        found += [Path(folder, name).relative_to(root).as_posix() for name in below]
    return sorted(found)


def _highest(binaries: Mapping[str, elf.Elf]) -> dict[str, Any]:
    needs = {
        name: found.glibc
        for name, found in sorted(binaries.items())
        if not name.startswith("lib/fallback/")
    }
    highest = max(needs.values())
    return {
        "glibc": list(highest),
        "by": [name for name, glibc in needs.items() if glibc == highest],
    }
