"""The builds of python-build-standalone that uv fetches, for this machine and for others. Its own
configuration, mirrors and lists of downloads count.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from coffee_boat._support import run, uv
from coffee_boat._support.digest import digest_of
from coffee_boat._support.store import Store
from coffee_boat.errors import BuildError

_LAYOUT = 1
"""Of what is kept of a build for another machine: another number fetches all again."""


def for_here(version: str, offline: bool, portable: bool) -> str:
    """The program of a version for this machine: one that is here, else one that uv fetches.

    Args:
        version: "3.11" or "3.11.7".
        offline: fetch nothing.
        portable: a standalone build, not what else is here.

    Raises:
        BuildError: there is none, and none can be fetched.
        SettingsError: the uv program is missing.
    """
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


def for_machine(version: str, machine: str, *, offline: bool, store: Store) -> Path:
    """The folder of a standalone build for another machine than this one, in the store. It is
    never run; which patch version it is stays as it was when it was fetched.

    Args:
        version: "3.11" or "3.11.7".
        machine: as platform.machine() says it.
        offline: fetch nothing.

    Raises:
        BuildError: none can be fetched.
        SettingsError: the uv program is missing.
        StoreError: the store cannot be written.
    """
    listed = os.environ.get("UV_PYTHON_DOWNLOADS_JSON_URL", "")
    name = f"standalone-{digest_of([_LAYOUT, version, machine, listed])}"
    while not store.keep("trees", name):
        with store.turn(f"tree {name}"):
            if not store.has("trees", name):
                with store.publish("trees", name) as root, store.scratch() as folder:
                    made = _installed(f"cpython-{version}-linux-{machine}-gnu", offline, folder)
                    made.rename(root)
    return store.path("trees", name)


def _installed(asked: str, offline: bool, folder: Path) -> Path:
    """Have uv put a build into a folder; where it lies there, as it does in its archive."""
    ran = _ask_uv(
        "install",
        "--no-bin",
        f"--install-dir={folder}",
        *(["--offline"] if offline else []),
        asked,
        UV_COMPILE_BYTECODE=None,  # it would run the interpreter
    )
    found = [path for path in folder.glob("cpython-*") if not path.is_symlink()]
    if ran.code or len(found) != 1:
        raise _not_fetched(asked, offline, ran)
    for path in found[0].glob("lib/python3.*/_sysconfigdata*.py"):
        data = path.read_bytes()  # uv wrote the folder of this moment into it
        path.write_bytes(data.replace(str(found[0]).encode(), b"/install"))
    return found[0]


def _ask_uv(*arguments: str, **environment: str | None) -> run.Ran:
    try:
        uv.refuse_strangers(Path.cwd(), os.environ)
        return run.run(
            [uv.binary(), "python", *arguments], env={"NO_COLOR": "1", **environment}, timeout=900
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(
            "build.uv-timeout",
            "uv did not answer within 15 minutes",
            value=" ".join(arguments),
            cause="a very slow network or mirror",
            cure='name an interpreter that is here: python="/path/to/python"',
        ) from error


def _not_fetched(asked: str, offline: bool, ran: run.Ran) -> BuildError:
    cure = (
        'name one that is here, python="/path/to/python", or set UV_PYTHON_INSTALL_MIRROR to a'
        " mirror of python-build-standalone's releases (https://... or file://...), or"
        " UV_PYTHON_DOWNLOADS_JSON_URL to a list of your own"
    )
    if offline:
        cure = (
            f"fetch it while there is a network: uv python install {asked}; or name one that is"
            ' here, python="/path/to/python"; for another machine its folder, as `uv python dir`'
            " has them"
        )
    return BuildError(
        "build.no-such-python",
        "no such Python is on this machine, and uv could not fetch one",
        value=asked,
        cause=" ".join(ran.tail.split()),
        cure=cure,
    )
