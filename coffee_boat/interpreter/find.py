"""The interpreter that is meant: this process's own, a file, or one of a version."""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coffee_boat._support import files, home, trust
from coffee_boat._support.digest import digest_of, file_state
from coffee_boat._support.host import Host
from coffee_boat._support.logs import logger
from coffee_boat._support.pythons import dotted
from coffee_boat._support.store import Store
from coffee_boat.archive import elf
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.interpreter import standalone, unpacked
from coffee_boat.interpreter.facts import STANDALONE, probed, refuse, refuse_version
from coffee_boat.interpreter.parts import FORMAT, copy_key, read_key
from coffee_boat.model import Interpreter

_log = logger(__name__)
_LOADERS = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}
"""Where glibc's loader lies on every Linux (the ABIs' own documents); another place is of one
distribution only.
"""


def find(
    python: str | None = None,
    *,
    offline: bool = False,
    portable: bool = False,
    machine: str = "",
    store: Store | None = None,
    here: Host | None = None,
) -> Interpreter:
    """The interpreter that is meant. One for another machine than this one is read, never run.

    Args:
        python: None for the driver's own; a version ("3.11", "3.11.7"), which is the driver's own
            if it fits and is otherwise looked for, then fetched, by uv; the path of an interpreter
            or of the folder of an environment; a command on PATH. Of a virtual environment the base
            is taken. With `machine`, a version or None is a standalone build for that.
        offline: fetch nothing.
        portable: a version means a standalone build (python-build-standalone, by uv), which needs
            glibc 2.17 only: the nodes are older than this machine.
        machine: what the nodes are, as platform.machine() says it, where this machine is another.
        store: remembers what the program's file says of itself.
        here: the driver's machine; by default this one.

    Raises:
        BuildError: there is none, or it cannot be shipped: the reason and the cure are in it.
        SettingsError: the uv program is missing, and a version is to be found.
    """
    path, why = (
        _for_machine(python, machine, offline, store or Store())
        if machine and (python is None or is_version(python))
        else _located(python, offline, portable)
    )
    native = not unpacked.is_foreign(Path(path), here or Host.here())
    facts = probed(path) if native else unpacked.facts(Path(path))
    refuse(facts, path)
    program = facts.program
    found = _binary(program, store)
    _log.info("interpreter: Python %s for %s, %s (%s)", facts.version, found.machine, program, why)
    key = copy_key(facts, program, store) if native else read_key(facts, program, store)
    return Interpreter(str(program), facts.version, found.machine, digest_of(key), native)


def is_version(python: str) -> bool:
    """True for a version, not a path or a command."""
    return re.fullmatch(r"\s*\d+(\.\d+)*\s*", python) is not None


# which one


def _located(python: str | None, offline: bool, portable: bool) -> tuple[str, str]:
    """Its path; and why it is this one, for people."""
    if python is None:
        return _own(), "this process's own: nothing else is set"
    python = python.strip()
    if is_version(python):
        return _of_version(python, offline, portable)
    path = home.expanded(python)
    if files.is_dir(path):
        inner = unpacked.program_in(path) or path / "bin" / "python3"
        path = path / "python3" if path.name == "bin" and not files.exists(inner) else inner
    known = shutil.which(python, path=trust.absolute_path(os.environ))
    if known is None and files.exists(path) and os.sep in str(path):
        known = str(path)  # a command's bare name is not a file of the working directory
    if known is None:
        raise BuildError(
            "build.interpreter-missing",
            "there is no such interpreter",
            value=python,
            cause="neither a version, a file, the folder of an environment nor a command on PATH",
            cure=STANDALONE,
        )
    return str(Path(known).absolute()), f"python={python!r} names it"


def _own() -> str:
    if not sys.executable:
        raise BuildError(
            "build.own-interpreter-unknown",
            "this process does not know its own interpreter",
            cause="Python is embedded in another program: sys.executable is empty",
            cure='name it: python="/path/to/python3"',
        )
    return sys.executable


def _for_machine(python: str | None, machine: str, offline: bool, store: Store) -> tuple[str, str]:
    version = dotted(sys.version_info[:2]) if python is None else python.strip()
    _checked(version)
    if machine not in _LOADERS:
        raise _not_made_for(machine)
    folder = standalone.for_machine(version, machine, offline=offline, store=store)
    program = unpacked.program_in(folder) or folder / "bin" / "python3"
    return str(program), f"a Python {version} for {machine}, a standalone build by uv"


def _checked(version: str) -> tuple[int, ...]:
    parts = tuple(int(part) for part in version.split("."))
    if len(parts) not in (2, 3):
        raise BuildError(
            "build.python-version-invalid",
            "a Python version has two or three numbers",
            value=version,
            cause="PySpark needs the driver's minor version on executors",
            cure='say python="3.11" or "3.11.7"',
        )
    refuse_version(parts, version)
    return parts


def _of_version(version: str, offline: bool, portable: bool) -> tuple[str, str]:
    parts = _checked(version)
    if (
        not portable
        and sys.version_info[: len(parts)] == parts
        and sys.executable
        and _can_be_shipped(sys.executable)
    ):
        return sys.executable, f"this process's own, which is a Python {version}"
    why = "a standalone build by uv: the nodes are older than this machine" if portable else "by uv"
    return standalone.for_here(version, offline, portable), f"a Python {version}, {why}"


def _can_be_shipped(path: str) -> bool:
    try:
        refuse(probed(path), path)
    except BuildError:
        return False
    return True


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
            "build.interpreter-not-a-program",
            "the interpreter is not a program of its own",
            value=str(program),
            cause="a script or wrapper that starts another program",
            cure="name what it starts; " + STANDALONE,
        ) from error
    if "musl" in found.loader:
        raise BuildError(
            "build.musl-python",
            "an interpreter for musl cannot be shipped",
            value=str(program),
            cause="it is Alpine's; manylinux wheels and most nodes need glibc",
            cure="build on a glibc system, as Debian or RHEL; " + STANDALONE,
        )
    if found.machine not in _LOADERS or found.bits != 64:
        raise _not_made_for(f"{found.machine}, {found.bits} bits")
    if found.loader != _LOADERS[found.machine]:
        raise BuildError(
            "build.own-loader",
            "the interpreter is started by a loader of its own",
            value=found.loader or "static program",
            cause=f"nodes have {_LOADERS[found.machine]} only; Nix, Guix and Homebrew build so",
            cure=STANDALONE,
        )
    return found


def _not_made_for(machine: str) -> BuildError:
    return BuildError(
        "build.architecture-not-supported",
        "this architecture is not supported",
        value=machine,
        cause="archives are made for x86_64 and aarch64",
        cure="use the nodes' own Python: ship_python=False",
    )
