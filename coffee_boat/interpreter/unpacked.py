"""An interpreter for another machine than this one, which cannot be run here: its files tell what
it is. A folder as conda, python-build-standalone, a distribution's packages or `make install` lay
it out: bin/python3.X beside lib/python3.X.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from coffee_boat._support.host import Host
from coffee_boat.archive import elf
from coffee_boat.errors import BuildError
from coffee_boat.interpreter.facts import Facts

_PROGRAM = re.compile(r"python3\.\d+t?")
_NEEDED = (
    "_collections_abc.py",
    "abc.py",
    "codecs.py",
    "encodings/__init__.py",
    "importlib/__init__.py",
    "io.py",
    "json/__init__.py",
    "os.py",
    "pickle.py",
    "site.py",
    "socket.py",
    "sysconfig",
)
"""Of the standard library: what each start takes, and pyspark.worker. Distributions cut it into
several packages."""


def is_foreign(path: Path, here: Host) -> bool:
    """True for a program that a machine does not run by itself; whether an emulator would does
    not matter. False for a script, which is asked what it starts.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(20)
    except OSError:
        return False
    return elf.is_elf(head) and not here.runs(elf.machine_of(head))


def program_in(folder: Path) -> Path | None:
    """The interpreter in the folder of an environment; None if it has none."""
    named = folder / "bin" / "python3"
    if os.path.lexists(named):
        return named
    found = sorted(path for path in folder.glob("bin/python3.*") if _PROGRAM.fullmatch(path.name))
    return found[0] if len(found) == 1 else None


def facts(program: Path) -> Facts:
    """What an interpreter's files say of it.

    Raises:
        BuildError: they are not complete, or do not tell its version.
    """
    program = program.resolve()
    base = program.parent.parent
    library = _library(base, program)
    minor = library.name.removeprefix("python").rstrip("t")
    names = "".join(path.name for path in library.glob("_sysconfigdata*.py"))
    flags = (re.match(r"_sysconfigdata_([a-z]*)_", names) or ["", ""])[1]
    version = _version(program, base, library, minor)
    return Facts(
        version=version,
        minor=minor,
        build=f"{version} (read from its files)",
        implementation="cpython",
        platform="linux",
        free_threaded="t" in flags or library.name.endswith("t"),
        debug="d" in flags,
        executable=str(program),
        base=str(base),
        stdlib=str(library),
        libdir=library.parent.name,
        extensions=[str(path) for path in [library / "lib-dynload"] if path.is_dir()],
        site=[_packages(base, library)],
        builtin=["zlib"]
        if any(b"\0zlib\0" in path.read_bytes() for path in _binaries(program, base))
        else [],
    )


def _library(base: Path, program: Path) -> Path:
    """The folder of its standard library."""
    found = [
        path
        for lib in ("lib", "lib64")
        for path in sorted((base / lib).glob("python3.*"))
        if (path / "os.py").is_file()
    ]
    own = [path for path in found if path.name == program.name] or found
    if len(own) != 1:
        raise _incomplete(
            program,
            f"{base}/lib has the standard libraries of {len(own)} Pythons, which are not called as"
            " the program is"
            if own
            else f"{base}/lib/python3.X/os.py is not there",
        )
    for name in _NEEDED:
        path = own[0] / name
        if not (path.exists() or path.with_suffix(".py").exists()):
            raise _incomplete(program, f"{path} is not there")
    return own[0]


def _incomplete(program: Path, cause: str) -> BuildError:
    return BuildError(
        "build.interpreter-incomplete",
        "an interpreter for another machine is not complete",
        value=str(program),
        cause=f"{cause}; what cannot be run here is known by its files",
        cure="unpack all of it, a distribution's packages of its standard library too, and name the"
        ' folder that has bin/ and lib/: python="/path/to/folder"; or python="3.11", which takes a'
        " standalone build that uv fetches",
    )


def _version(program: Path, base: Path, library: Path, minor: str) -> str:
    """The full version: of its header file, else as the program exports it, or as it stands in it
    (Python 3.10 exports none).
    """
    number = rb"(" + re.escape(minor.encode()) + rb"\.\d+(?:(?:a|b|rc)\d+)?\+?)"
    header = base / "include" / library.name / "patchlevel.h"
    text = header.read_bytes() if header.is_file() else b""
    if said := re.search(rb'define\s+PY_VERSION\s+"' + number + rb'"', text):
        return said[1].decode()
    for path in _binaries(program, base):
        value = elf.exported_number(path, "Py_Version")
        if value:
            return _of_hex(value)
        if said := re.search(rb"\0" + number + rb"\0", path.read_bytes()):
            return said[1].decode()
    raise _incomplete(program, "neither a header file nor the program tells its version")


def _of_hex(value: int) -> str:
    """A version as PY_VERSION_HEX has it (CPython's C API, "API and ABI versioning")."""
    major, minor, patch, level = value >> 24, value >> 16 & 255, value >> 8 & 255, value >> 4 & 15
    kinds = {10: "a", 11: "b", 12: "rc"}
    return f"{major}.{minor}.{patch}" + (f"{kinds[level]}{value & 15}" if level in kinds else "")


def _binaries(program: Path, base: Path) -> list[Path]:
    """The program, and the library that it may be in."""
    shared = (path for lib in ("lib", "lib64") for path in base.glob(f"{lib}/**/libpython3.*.so*"))
    kept = {path.resolve(): None for path in (program, *sorted(shared))}
    return [path for path in kept if path.is_file() and elf.is_elf_file(path)]


def _packages(base: Path, library: Path) -> str:
    """Where it looks for packages; Debian's own site.py looks elsewhere than the others'."""
    is_debians = b"dist-packages" in (library / "site.py").read_bytes()
    return str(base / "lib/python3/dist-packages" if is_debians else library / "site-packages")
