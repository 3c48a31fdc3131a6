"""What an interpreter says of itself, and whether it can be shipped."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coffee_boat._support import run
from coffee_boat._support.pythons import NEWEST, OLDEST, SUPPORTED, dotted
from coffee_boat.errors import BuildError
from coffee_boat.model import Finding

_PROBE = Path(__file__).with_name("_probe.py")

STANDALONE = f'python="{dotted(sys.version_info[:2])}" takes a standalone build, which uv fetches'


@dataclass(frozen=True)
class Facts:
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


# what it is


def probed(path: str) -> Facts:
    """What an interpreter says of itself when it runs `_probe.py`."""
    try:
        ran = run.run([path, "-I", "-S", str(_PROBE)], timeout=60)
        said = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        said = _probed_old(path, error)
    if not isinstance(said, dict):
        raise _no_python(path, "it prints something else")
    return Facts(**said)


def _probed_old(path: str, error: Exception) -> Any:
    """Python 2 and 3.3 know neither -I nor what the probe asks: they get far enough to be refused
    by their version.
    """
    try:
        ran = run.run(
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
    refuse_version(tuple(int(part) for part in version.split(".")), f"{version} ({path})")
    raise _no_python(path, "it cannot load its own standard library")


def _no_python(path: str, cause: str) -> BuildError:
    return BuildError(
        "build.not-a-python",
        "this is not a Python that runs here",
        value=path,
        cause=cause,
        cure=f'name another one: python="/path/to/python3"; {STANDALONE}',
    )


def refuse(facts: Facts, path: str) -> None:
    """Refuse an interpreter that cannot be shipped."""
    value = f"{facts.implementation} {facts.version} ({path})"
    if facts.implementation != "cpython":
        raise BuildError(
            "build.not-cpython",
            "only CPython can be shipped",
            value=value,
            cause=(
                "PySpark pickles objects between driver and executors, and wheels are built for"
                " CPython"
            ),
            cure=STANDALONE,
        )
    if facts.platform != "linux":
        raise BuildError(
            "build.not-for-linux",
            "the interpreter is not for Linux",
            value=f"{facts.platform}: {value}",
            cause="executors run Linux",
            cure="build in a Linux container, or use the nodes' own Python: ship_python=False",
        )
    refuse_version(tuple(int(part) for part in facts.version.split(".")), value)
    if facts.free_threaded:
        raise BuildError(
            "build.free-threaded-python",
            "a free-threaded Python cannot be shipped",
            value=value,
            cause="PySpark does not support it, and its wheels are others (an ABI that ends in t)",
            cure="use the ordinary build; " + STANDALONE,
        )
    if facts.debug:
        raise BuildError(
            "build.debug-python",
            "a debug build of Python cannot be shipped",
            value=value,
            cause="its ABI is not the one that wheels are built for",
            cure="use the ordinary build; " + STANDALONE,
        )
    if "zlib" not in facts.builtin and not any(
        Path(folder).glob("zlib.*") for folder in facts.extensions
    ):
        raise BuildError(
            "build.zlib-missing",
            "the interpreter lacks the module zlib",
            value=value,
            cause="it was built on a machine without zlib's headers; PySpark needs it",
            cure="build it again with zlib1g-dev installed; " + STANDALONE,
        )


def refuse_version(parts: tuple[int, ...], value: str) -> None:
    """Refuse a version that no supported PySpark runs on. One that is newer than those that were
    tried is `untried`.
    """
    if parts[:2] < OLDEST:
        raise BuildError(
            "build.python-not-supported",
            "this version of Python is not supported",
            value=value,
            cause=f"coffee_boat ships Python {dotted(OLDEST)} and later",
            cure=f"{STANDALONE}; or leave out python=, for the driver's own",
        )


def untried(version: str) -> Finding | None:
    """What is said of a Python that is newer than those that were tried; None of the others.

    Args:
        version: "3.11" or "3.11.7".
    """
    if tuple(map(int, version.split(".")[:2])) <= NEWEST:
        return None
    return Finding(
        "build.python-untested",
        "coffee_boat was not tried with this Python",
        value=version,
        cause=f"it is newer than those that it was tried with, {SUPPORTED}; nothing is known"
        " against it",
        cure=f'if it fails: python="{dotted(NEWEST)}", and a driver of that version;'
        ' untested_python = "refuse" refuses what was not tried',
    )
