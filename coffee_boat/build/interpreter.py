"""The interpreter that travels: found, copied so that it runs wherever it is put, and made into a
chunk.

    bin/python3.11  (python3, python)    the executable, with a DT_RPATH of $ORIGIN/../lib
    lib/python3.11/                      the standard library, compiled; lib-dynload/; an empty
                                         site-packages is made by what comes later
    lib/*.so*                            shared libraries that are not part of glibc
    lib/fallback/                        libraries that are loaded only where the node has none
                                         (worker/node.py)
    lib64, lib/python3/dist-packages     links, where the interpreter was built to look there

No PYTHONHOME is needed: CPython finds its prefix from the executable's own place
(Modules/getpath.py).
"""

from __future__ import annotations

import json
import os
import platform
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from coffee_boat import _run, _trust, _uv
from coffee_boat._digest import contents_digest, file_state
from coffee_boat._pythons import NEWEST, OLDEST, SUPPORTED, dotted
from coffee_boat._store import Store
from coffee_boat.build import bytecode, chunks, elf, libraries
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.model import Chunk, Interpreter, digest_of

FORMAT = 1
"""Part of an interpreter's key: raise it when the copy of the same interpreter changes."""

_PROBE = Path(__file__).with_name("_probe.py")
_LOADERS = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}
"""Where glibc's loader lies on every Linux (the ABIs' own documents); another place is of one
distribution only.
"""
_LOADER_CACHE = Path("/etc/ld.so.cache")
_SYSTEM = frozenset({"/", "/usr"})
"""Prefixes whose libraries are the system's: the loader's cache stands for them."""
_STANDALONE = f'python="{dotted(sys.version_info[:2])}" takes a standalone build, which uv fetches'
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
_LANDMARK = (
    "CPython knows its exec_prefix by this folder, also where all modules are built in; archives"
    " have no empty folders.\n"
)


@dataclass(frozen=True)
class _Facts:
    """What `_probe.py` says."""

    version: str
    minor: str
    build: str
    implementation: str
    platform: str
    free_threaded: bool
    debug: bool
    executable: str
    base: str
    stdlib: str
    libdir: str
    extensions: list[str]
    site: list[str]
    builtin: list[str]

    @property
    def program(self) -> Path:
        """The base interpreter's own executable, links followed; a venv's may be a copy of it."""
        usual = Path(self.base, "bin", f"python{self.minor}")
        return (usual if usual.exists() else Path(self.executable)).resolve()


@dataclass(frozen=True)
class Floor:
    """The glibc that an interpreter needs, and why."""

    glibc: tuple[int, int]
    by: tuple[str, ...]
    """The files that set it, relative to the archive's root."""


def find(
    python: str | None = None,
    *,
    offline: bool = False,
    portable: bool = False,
    store: Store | None = None,
) -> Interpreter:
    """The interpreter that is meant.

    Args:
        python: None for the driver's own; a version ("3.11", "3.11.7"), which is the driver's own
            if it fits and is otherwise looked for, then fetched, by uv; the path of an interpreter
            or of the folder of an environment; a command on PATH. Of a virtual environment the base
            is taken.
        offline: fetch nothing.
        portable: a version means a standalone build (python-build-standalone, by uv), which needs
            glibc 2.17 only: the nodes are older than this machine.
        store: remembers what the program's file says of itself.

    Raises:
        BuildError: there is none, or it cannot be shipped: the reason and the cure are in it.
        SettingsError: the uv program is missing, and a version is to be found.
    """
    path = _located(python, offline, portable)
    facts = _probed(path)
    _refuse(facts, path)
    program = facts.program
    found = _binary(program, store)
    return Interpreter(
        str(program), facts.version, found.machine, digest_of(_key(facts, program, store))
    )


def tree(interpreter: Interpreter, store: Store) -> Path:
    """The interpreter's relocatable copy, made once for all processes.

    It is complete, compiled, and checked.

    Raises:
        BuildError: it cannot be copied, or the copy does not work.
        StoreError: it is not there yet, and the store cannot be written.
    """
    name = f"python-{interpreter.key}"
    if not store.has("trees", name):
        with store.lock(f"tree {name}"):
            if not store.has("trees", name):
                with store.publish("trees", name) as root:
                    needs = _copy(_probed(interpreter.executable), root)
                store.remember("floor", interpreter.key, _highest(needs))
    return store.path("trees", name)


def chunk(interpreter: Interpreter, store: Store) -> Chunk:
    """The interpreter as a chunk, made once for all processes; its floor does not count the
    fallback libraries.

    Raises:
        BuildError: it cannot be copied, or the copy does not work.
        StoreError: it is not there yet, and the store cannot be written.
    """

    def fill(writer: chunks.ChunkWriter) -> tuple[int, int]:
        chunks.fill_from_tree(writer, tree(interpreter, store), keep=bool)
        return floor(interpreter, store).glibc

    return chunks.make(store, _chunk_key(interpreter), f"python {interpreter.version}", fill)


def recall(interpreter: Interpreter, store: Store) -> Chunk | None:
    """The interpreter's chunk if it was made before."""
    return chunks.recall(store, _chunk_key(interpreter))


def floor(interpreter: Interpreter, store: Store) -> Floor:
    """The glibc that the interpreter needs and which of its files need it; the fallback libraries
    are not counted, since they are loaded only where a node has none.

    Raises:
        BuildError: it cannot be copied.
    """
    known = store.recall("floor", interpreter.key)
    if known is None:
        known = _highest(_binaries(tree(interpreter, store)))
        store.remember("floor", interpreter.key, known)
    return Floor((known["glibc"][0], known["glibc"][1]), tuple(known["by"]))


# which one


def _located(python: str | None, offline: bool, portable: bool) -> str:
    if python is None:
        return _own()
    python = python.strip()
    if re.fullmatch(r"\d+(\.\d+)*", python):
        return _of_version(python, offline, portable)
    path = Path(python).expanduser()
    if path.is_dir():
        path = path / "bin" / "python3"
    known = shutil.which(python, path=_trust.absolute_path(os.environ))
    if known is None and path.exists() and os.sep in str(path):
        known = str(path)  # a command's bare name is not a file of the working directory
    if known is None:
        raise BuildError(
            "there is no such interpreter",
            value=python,
            cause="neither a version, a file, the folder of an environment nor a command on PATH",
            cure=_STANDALONE,
        )
    return str(Path(known).absolute())


def _own() -> str:
    if not sys.executable:
        raise BuildError(
            "this process does not know its own interpreter",
            cause="Python is embedded in another program: sys.executable is empty",
            cure='name it: python="/path/to/python3"',
        )
    return sys.executable


def _of_version(version: str, offline: bool, portable: bool) -> str:
    parts = tuple(int(part) for part in version.split("."))
    if len(parts) not in (2, 3):
        raise BuildError(
            "a Python version has two or three numbers",
            value=version,
            cause="PySpark needs the driver's minor version on executors",
            cure='say python="3.11" or "3.11.7"',
        )
    _refuse_version(parts, version)
    if (
        not portable
        and sys.version_info[: len(parts)] == parts
        and sys.executable
        and _can_be_shipped(sys.executable)
    ):
        return sys.executable
    return _by_uv(version, offline, portable)


def _can_be_shipped(path: str) -> bool:
    try:
        _refuse(_probed(path), path)
    except BuildError:
        return False
    return True


def _by_uv(version: str, offline: bool, portable: bool) -> str:
    found = _ask_uv(
        "find",
        "--no-project",
        "--managed-python" if portable else "--system",
        "--no-python-downloads",
        f"cpython@{version}",
    )
    if found.code:
        fetched = _ask_uv(
            "install", "--no-bin", *(["--offline"] if offline else []), f"cpython@{version}"
        )
        found = _ask_uv(
            "find",
            "--no-project",
            "--managed-python",
            "--no-python-downloads",
            f"cpython@{version}",
        )
        if fetched.code or found.code:
            raise _not_fetched(version, offline, fetched if fetched.code else found)
    return found.stdout.strip()


def _ask_uv(*arguments: str) -> _run.Ran:
    try:
        _uv.refuse_strangers(Path.cwd(), os.environ)
        return _run.run([_uv.binary(), "python", *arguments], env={"NO_COLOR": "1"}, timeout=900)
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            "uv did not answer within 15 minutes",
            value=" ".join(arguments),
            cause="a very slow network or mirror",
            cure='name an interpreter that is here: python="/path/to/python"',
        ) from error


def _not_fetched(version: str, offline: bool, ran: _run.Ran) -> BuildError:
    cure = (
        'name one that is here, python="/path/to/python", or set UV_PYTHON_INSTALL_MIRROR to a'
        " mirror of python-build-standalone's releases (https://... or file://...)"
    )
    if offline:
        cure = (
            f"fetch it while there is a network: uv python install {version}; or name one that is"
            ' here: python="/path/to/python"'
        )
    return BuildError(
        "no such Python is on this machine, and uv could not fetch one",
        value=version,
        cause=" ".join(ran.tail.split()),
        cure=cure,
    )


# what it is


def _probed(path: str) -> _Facts:
    try:
        ran = _run.run([path, "-I", "-S", str(_PROBE)], timeout=60)
        said = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        said = _probed_old(path, error)
    if not isinstance(said, dict):
        raise _no_python(path, "it prints something else")
    return _Facts(**said)


def _probed_old(path: str, error: Exception) -> Any:
    """Python 2 and 3.3 know neither -I nor what the probe asks: they get far enough to be refused
    by their version.
    """
    try:
        ran = _run.run(
            [path, "-E", "-s", "-S", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"],
            cwd="/",  # -c would import from the working directory, and these know no -I
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise _no_python(path, str(error)) from error
    version = ran.stdout.strip()
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise _no_python(
            path, next(iter(ran.stderr.strip().splitlines()), "it does not answer as Python does")
        )
    _refuse_version(tuple(int(part) for part in version.split(".")), f"{version} ({path})")
    raise _no_python(path, "it cannot load its own standard library")


def _no_python(path: str, cause: str) -> BuildError:
    return BuildError(
        "this is not a Python that runs here",
        value=path,
        cause=cause,
        cure=f'name another one: python="/path/to/python3"; {_STANDALONE}',
    )


def _refuse(facts: _Facts, path: str) -> None:
    value = f"{facts.implementation} {facts.version} ({path})"
    if facts.implementation != "cpython":
        raise BuildError(
            "only CPython can be shipped",
            value=value,
            cause=(
                "PySpark pickles objects between driver and executors, and wheels are built for"
                " CPython"
            ),
            cure=_STANDALONE,
        )
    if facts.platform != "linux":
        raise BuildError(
            "the interpreter is not for Linux",
            value=f"{facts.platform}: {value}",
            cause="executors run Linux",
            cure="build in a Linux container, or use the nodes' own Python: ship_python=False",
        )
    _refuse_version(tuple(int(part) for part in facts.version.split(".")), value)
    if facts.free_threaded:
        raise BuildError(
            "a free-threaded Python cannot be shipped",
            value=value,
            cause="PySpark does not support it, and its wheels are others (an ABI that ends in t)",
            cure="use the ordinary build; " + _STANDALONE,
        )
    if facts.debug:
        raise BuildError(
            "a debug build of Python cannot be shipped",
            value=value,
            cause="its ABI is not the one that wheels are built for",
            cure="use the ordinary build; " + _STANDALONE,
        )
    if "zlib" not in facts.builtin and not any(
        Path(folder).glob("zlib.*") for folder in facts.extensions
    ):
        raise BuildError(
            "the interpreter lacks the module zlib",
            value=value,
            cause="it was built on a machine without zlib's headers; PySpark needs it",
            cure="build it again with zlib1g-dev installed; " + _STANDALONE,
        )


def _refuse_version(parts: tuple[int, ...], value: str) -> None:
    if not OLDEST <= parts[:2] <= NEWEST:
        raise BuildError(
            "this version of Python is not supported",
            value=value,
            cause=f"coffee_boat ships Python {SUPPORTED}",
            cure=f"{_STANDALONE}; or leave out python=, for the driver's own",
        )


def _read(program: Path, store: Store | None) -> elf.Elf:
    """As `elf.read`; remembered as long as the file is the same: to load the library that reads it
    takes longer than all else here.
    """
    if store is None:
        return elf.read(program)
    key = [FORMAT, *file_state(program)]
    known: dict[str, Any] | None = store.recall("elf", key)
    if known is not None:
        return elf.Elf(
            **{**known, "needed": tuple(known["needed"]), "glibc": tuple(known["glibc"])}
        )
    found = elf.read(program)
    with suppress(StoreError):
        store.remember("elf", key, asdict(found))
    return found


def _binary(program: Path, store: Store | None) -> elf.Elf:
    try:
        found = _read(program, store)
    except BuildError as error:
        raise BuildError(
            "the interpreter is not a program of its own",
            value=str(program),
            cause="a script or wrapper that starts another program",
            cure="name what it starts; " + _STANDALONE,
        ) from error
    if "musl" in found.loader:
        raise BuildError(
            "an interpreter for musl cannot be shipped",
            value=str(program),
            cause="it is Alpine's; manylinux wheels and most nodes need glibc",
            cure="build on a glibc system, as Debian or RHEL; " + _STANDALONE,
        )
    if found.machine not in _LOADERS or found.bits != 64:
        raise BuildError(
            "this architecture is not supported",
            value=f"{found.machine}, {found.bits} bits",
            cause="archives are made for x86_64 and aarch64",
            cure="use the nodes' own Python: ship_python=False",
        )
    if found.loader != _LOADERS[found.machine]:
        raise BuildError(
            "the interpreter is started by a loader of its own",
            value=found.loader or "static program",
            cause=f"nodes have {_LOADERS[found.machine]} only; Nix, Guix and Homebrew build so",
            cure=_STANDALONE,
        )
    return found


def _key(facts: _Facts, program: Path, store: Store | None) -> list[Any]:
    # All that is copied. The loader's cache changes when the system's libraries are upgraded; the
    # tools decide bytes of the copy.
    tools = [tool for tool in (libraries.patchelf_tool(), libraries.strip_tool()) if tool]
    copied = [
        program,
        *_own_libraries(facts),
        *_standard_library(facts).values(),
        *(path for _, path in _extension_modules(facts)),
    ]
    return [
        FORMAT,
        bytecode.FORMAT,
        facts.build,
        facts.base,
        platform.machine(),
        contents_digest((*copied, _LOADER_CACHE, *map(Path, tools)), store),
    ]


def _own_libraries(facts: _Facts) -> list[Path]:
    # Which of them are loaded only the loader can tell, and asking it takes longer than all else;
    # the system's folders hold everybody's.
    wanted = f"libpython{facts.minor}*.so*" if facts.base in _SYSTEM else "*.so*"
    return sorted(Path(facts.base).glob(f"lib*/{wanted}"))


# the copy


def _copy(facts: _Facts, root: Path) -> dict[str, elf.Elf]:
    """Make the copy; returns its binaries."""
    load = _load(facts)
    _copy_files({**load.binaries, **_standard_library(facts)}, root)
    (root / load.program).chmod(0o755)
    libraries.strip(root, load.read)
    libraries.make_relocatable(root, load.program, load.read)
    for name, target in {**_links(facts), **load.links}.items():
        _link(root / name, target)
    _write_landmark(root, facts)
    bytecode.compile_tree(
        str(root / load.program),
        root,
        [name for name in _names(root) if not bytecode.RARE.search(name)],
    )
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


def _load(facts: _Facts) -> _Load:
    program, found = f"bin/python{facts.minor}", dict(_extension_modules(facts))
    needs = libraries.needs(facts.program, found.values())
    modules = {name: path for name, path in found.items() if path not in needs.unusable}
    shared = {f"lib/{name}": path for name, path in needs.libraries.items()}
    located = libraries.fallbacks(facts.program)
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


def _write_landmark(root: Path, facts: _Facts) -> None:
    path = root / f"lib/python{facts.minor}/lib-dynload/README"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_LANDMARK, "utf-8")
    path.chmod(0o644)


def _standard_library(facts: _Facts) -> dict[str, Path]:
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
        raise _unreadable(folder, error) from error


def _extension_modules(facts: _Facts) -> Iterator[tuple[str, Path]]:
    for folder in facts.extensions:
        for path in sorted(Path(folder).glob("*.so")):
            if not _SKIPPED_MODULES.match(path.name):
                yield f"lib/python{facts.minor}/lib-dynload/{path.name}", path


def _licence(facts: _Facts) -> dict[str, Path]:
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


def _copy_files(files: dict[str, Path], root: Path) -> None:
    for name, path in sorted(files.items()):
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, target)
        except (PermissionError, FileNotFoundError) as error:
            raise _unreadable(path, error) from error
        target.chmod(0o644)


def _unreadable(path: Path, error: OSError) -> BuildError:
    return BuildError(
        "a file of the interpreter cannot be read",
        value=str(path),
        cause=str(error),
        cure="reinstall the interpreter, or name another one; " + _STANDALONE,
    )


def _links(facts: _Facts) -> dict[str, str]:
    links = {"bin/python3": f"python{facts.minor}", "bin/python": f"python{facts.minor}"}
    if facts.libdir != "lib":
        links[facts.libdir] = "lib"
    packages = f"lib/python{facts.minor}/site-packages"
    looks = [os.path.relpath(path, facts.base) for path in facts.site]
    debian = "lib/python3/dist-packages"
    if packages not in looks and debian in looks:
        links[debian] = posixpath.relpath(packages, posixpath.dirname(debian))
    return links


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _check(facts: _Facts, root: Path, load: _Load) -> None:
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
        if not Path(path).is_relative_to(root) and not libraries.is_glibc(Path(path).name):
            raise _does_not_move(
                facts, path, "the copy loads it from this machine, a node may lack it"
            )


def _does_not_move(facts: _Facts, value: str, cause: str) -> BuildError:
    return BuildError(
        f"the interpreter {facts.program} cannot be moved",
        value=value,
        cause=cause,
        cure=_STANDALONE,
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


def _binaries(root: Path) -> dict[str, elf.Elf]:
    return {
        name: elf.read(root / name)
        for name in _names(root)
        if not (root / name).is_symlink() and elf.is_elf_file(root / name)
    }


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
