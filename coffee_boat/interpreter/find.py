"""The interpreter that is meant: this process's own, a file, or one of a version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coffee_boat._support import files, home, run, trust, uv
from coffee_boat._support.digest import digest_of, file_state
from coffee_boat._support.logs import logger
from coffee_boat._support.store import Store
from coffee_boat.archive import elf
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.interpreter.facts import STANDALONE, probed, refuse, refuse_version
from coffee_boat.interpreter.parts import FORMAT, copy_key
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
    path, why = _located(python, offline, portable)
    facts = probed(path)
    refuse(facts, path)
    program = facts.program
    found = _binary(program, store)
    _log.info("interpreter: Python %s for %s, %s (%s)", facts.version, found.machine, program, why)
    return Interpreter(
        str(program), facts.version, found.machine, digest_of(copy_key(facts, program, store))
    )


# which one


def _located(python: str | None, offline: bool, portable: bool) -> tuple[str, str]:
    """Its path; and why it is this one, for people."""
    if python is None:
        return _own(), "this process's own: nothing else is set"
    python = python.strip()
    if re.fullmatch(r"\d+(\.\d+)*", python):
        return _of_version(python, offline, portable)
    path = home.expanded(python)
    if files.is_dir(path):
        inner = path / "bin" / "python3"
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


def _of_version(version: str, offline: bool, portable: bool) -> tuple[str, str]:
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
    if (
        not portable
        and sys.version_info[: len(parts)] == parts
        and sys.executable
        and _can_be_shipped(sys.executable)
    ):
        return sys.executable, f"this process's own, which is a Python {version}"
    why = "a standalone build by uv: the nodes are older than this machine" if portable else "by uv"
    return _by_uv(version, offline, portable), f"a Python {version}, {why}"


def _can_be_shipped(path: str) -> bool:
    try:
        refuse(probed(path), path)
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


def _ask_uv(*arguments: str) -> run.Ran:
    try:
        uv.refuse_strangers(Path.cwd(), os.environ)
        return run.run([uv.binary(), "python", *arguments], env={"NO_COLOR": "1"}, timeout=900)
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            "build.uv-timeout",
            "uv did not answer within 15 minutes",
            value=" ".join(arguments),
            cause="a very slow network or mirror",
            cure='name an interpreter that is here: python="/path/to/python"',
        ) from error


def _not_fetched(version: str, offline: bool, ran: run.Ran) -> BuildError:
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
        "build.no-such-python",
        "no such Python is on this machine, and uv could not fetch one",
        value=version,
        cause=" ".join(ran.tail.split()),
        cure=cure,
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
        raise BuildError(
            "build.architecture-not-supported",
            "this architecture is not supported",
            value=f"{found.machine}, {found.bits} bits",
            cause="archives are made for x86_64 and aarch64",
            cure="use the nodes' own Python: ship_python=False",
        )
    if found.loader != _LOADERS[found.machine]:
        raise BuildError(
            "build.own-loader",
            "the interpreter is started by a loader of its own",
            value=found.loader or "static program",
            cause=f"nodes have {_LOADERS[found.machine]} only; Nix, Guix and Homebrew build so",
            cure=STANDALONE,
        )
    return found
