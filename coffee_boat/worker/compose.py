"""Composes the environment of one generation.

A generation that changed or removed packages is a complete folder of links: the base and the layers
that lie on the node already, each without the files of what went. So nothing is shadowed: metadata,
entry points, data files, scripts and the search paths of libraries are as in any environment.

What is sent of it is a folder `boat-gen-...` of some kB: `generation.json`, and a program
`bin/pythonX.Y`, which runs worker/become.py with the base's interpreter (`-I -S`). The first
process of an executor composes, aside, and renames; the others wait for it. Where all of the base
counts and no layer, nothing is composed: the base itself runs, and does not see the layers that
came since.

Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

GENERATIONS = "boat-gen-"
"""How the folders that are sent begin."""
SPEC = "generation.json"
SENTINEL = "boat.json"
RUNS = "COFFEE_BOAT_GENERATION"
"""The variable with the folder of the generation that this process, and what it starts, runs."""
LAYER = ".layer"
"""As in worker/layers.py."""
_PACKAGE = "coffee_boat_worker"
_BASE = "COFFEE_BOAT_BASE"
NODE_PYTHON = "COFFEE_BOAT_NODE_PYTHON"
"""The variable with the node's own interpreter, where none is shipped."""
ENVIRONMENT = "env"
"""The composed environment's name in the folder of its generation."""
LOCK = "lock"
"""The file in the folder of a generation that is locked while it is composed."""
_PATIENCE, _PAUSE = 120.0, 0.05
"""Seconds that a process waits for another one that composes; and between two tries."""
_INTERPRETERS = os.path.join("bin", "python")
_SETTLED_IN = os.path.join("lib", "coffee_boat", "conda", "settled")
"""Where worker/prefix.py keeps in which folder conda's files were written: the base's, which stays.
In the composed one it finds them written.
"""


class Spec(NamedTuple):
    """What a generation is made of: `generation.json`."""

    python: str
    """Minor version: "3.11"."""
    has_python: bool
    """False where the nodes' own interpreter runs."""
    base: str
    """The folder of an archive: absolute, or its name beside the generation's."""
    layers: Sequence[str]
    """The same of those on top of it, in order."""
    without: Mapping[str, Sequence[str]]
    """Folder -> the files in it that do not count."""
    known: Sequence[str]
    """Names of all layers that were sent before."""


def try_here(name: str) -> str:
    """Compose a generation that was sent, in a task; why it cannot be done, empty if it is.

    Args:
        name: of its folder, below the working directory or where Spark puts what is added.
    """
    folders = [os.path.join(root, name) for root in _roots()]
    folder = next((one for one in folders if os.path.isfile(os.path.join(one, SENTINEL))), "")
    if not folder:
        return f"{name} did not arrive in {' or '.join(_roots())}"
    folder = os.path.realpath(folder)
    try:
        lock = locked(folder)
        try:
            root = compose(folder, read(folder))
        finally:
            os.close(lock)
    except (OSError, ValueError) as error:
        return failure(folder, error)
    return "" if os.path.isdir(root) else f"{root} is not there"


def read(folder: str) -> Spec:
    """What a generation is made of.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    import json

    with open(os.path.join(folder, SPEC), encoding="utf-8") as stream:
        said = json.load(stream)
    try:
        return Spec(**said)
    except TypeError as error:
        raise ValueError(f"{SPEC} is not as this program writes it: {error}") from error


def hidden() -> frozenset[str] | None:
    """Names of the layers that are not for this process: those that its generation has inside, and
    those that it took out; None for all, where that is not known.
    """
    folder = os.environ.get(RUNS)
    if not folder:
        return frozenset()
    try:
        return frozenset(read(folder).known)
    except (OSError, ValueError) as error:
        say(f"{folder}/{SPEC} cannot be read, so no package that was added is seen: {error}")
        return None


def compose(folder: str, spec: Spec) -> str:
    """The environment of a generation; made if it is not there. The caller holds its lock.

    Raises:
        OSError, ValueError: it cannot be written, or a part of it is not here.
    """
    if not spec.layers and not spec.without:
        return place_of(folder, spec.base)
    root = os.path.join(folder, ENVIRONMENT)
    if os.path.isfile(os.path.join(root, SENTINEL)):
        return root
    _settle(place_of(folder, spec.base), spec.python)
    aside = f"{root}.{os.getpid()}.aside"
    try:
        for name in (spec.base, *spec.layers):
            link_all(place_of(folder, name), aside, frozenset(spec.without.get(name, ())))
        _link(os.path.join(folder, SENTINEL), os.path.join(aside, SENTINEL))
        os.rename(aside, root)
    except BaseException:
        remove(aside)
        if not os.path.isfile(os.path.join(root, SENTINEL)):  # else another process was faster
            raise
    return root


def hold(folder: str, spec: Spec) -> None:
    """Keep what a generation is composed of, where it lies in a folder of the node, as long as this
    process and what it becomes run: on another device it was linked by names. What is gone there is
    composed again.
    """
    from . import layers

    places = [place for name in (spec.base, *spec.layers) for place in _places(folder, name)]
    if not all(map(layers.holds, places)):
        remove(os.path.join(folder, ENVIRONMENT))


def _settle(base: str, python: str) -> None:
    """Have conda's files in a base name its folder, where it did not run here yet: each full start
    of its interpreter sees to that.
    """
    settled = os.path.join(base, _SETTLED_IN)
    if not os.path.isdir(os.path.dirname(settled)) or os.path.exists(settled):
        return
    import subprocess

    plain = {name: value for name, value in os.environ.items() if name not in (RUNS, _BASE)}
    program = os.path.join(base, "bin", f"python{python}")
    try:
        subprocess.run([program, "-I", "-c", ""], env=plain, check=False, timeout=_PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{program} did not start within {_PATIENCE:.0f} s") from error


def place_of(folder: str, name: str) -> str:
    """Where an archive of a generation lies: an absolute folder; or a name beside the generation's
    folder, or in the working directory.

    Raises:
        FileNotFoundError: nowhere, or not whole.
        ValueError: it was sent as a file, which cannot be unpacked (layers.py).
    """
    found = next(filter(_is_ready, _places(folder, name)), None)
    if found is None:
        raise FileNotFoundError(2, "it is not here, or not unpacked to its end", name)
    return os.path.realpath(found)


def _places(folder: str, name: str) -> list[str]:
    return [
        os.path.join(os.path.dirname(folder), name),
        *(os.path.join(root, name) for root in _roots()),
    ]


def _is_ready(place: str) -> bool:
    """True if an archive lies unpacked there; now, where it was sent as a file."""
    if not os.path.isfile(place + LAYER):
        return os.path.isfile(os.path.join(place, SENTINEL))
    import importlib

    # by its name: in a task this function comes by value, from a driver's coffee_boat.worker
    unpacked: bool = importlib.import_module(f"{_PACKAGE}.layers").ready(place)
    return unpacked


def failure(folder: str, error: Exception) -> str:
    """In one line: what failed and why."""
    reason = getattr(error, "strerror", None) or str(error)
    named = getattr(error, "filename", None)
    return f"{folder} cannot be composed: {reason}{f': {named}' if named else ''}"


def link_all(source: str, target: str, without: frozenset[str]) -> None:
    """Link all files of a folder, but for some and what Python compiled of them. No folder is made
    that stays empty: Python takes it for a package.

    Raises:
        OSError: a part of it cannot be read, or not be linked.
    """
    for place, folders, files in os.walk(source, onerror=_fail):
        below = os.path.relpath(place, source)
        inner = "" if below == os.curdir else below + os.sep
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        kept = [name for name in (*files, *links) if not _goes(inner, name, without)]
        kept = [name for name in kept if inner + name not in (SENTINEL, _SETTLED_IN)]
        if kept:
            os.makedirs(os.path.join(target, inner), exist_ok=True)
        for name in kept:
            _link(os.path.join(place, name), os.path.join(target, inner + name))


def _fail(error: OSError) -> None:
    """os.walk passes over what it cannot list, and the environment would lack it."""
    raise error


def _goes(inner: str, name: str, without: frozenset[str]) -> bool:
    if inner + name in without:
        return True
    above, cache = os.path.split(inner.rstrip(os.sep))
    if cache != "__pycache__" or not name.endswith(".pyc"):
        return False
    return os.path.join(above, name.partition(".")[0] + ".py") in without


def _link(source: str, target: str) -> None:
    """A hard link; where that is refused (another device, another user's file) a symbolic one, and
    a copy of an interpreter, which looks for its library beside itself. What lies there goes.
    """
    if os.path.lexists(target):
        os.unlink(target)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        elif source.rpartition(_INTERPRETERS)[1] and os.access(source, os.X_OK):
            import shutil

            shutil.copy2(source, target)
        else:
            os.symlink(source, target)


def locked(folder: str) -> int:
    """A descriptor that holds the generation's lock until it is closed. Where a file system knows
    no locks, or who has it hangs, this process composes under a name of its own.
    """
    import time

    lock = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + _PATIENCE
    while is_held(lock) and time.monotonic() < end:
        time.sleep(_PAUSE)
    if time.monotonic() >= end:
        say(f"{folder} is locked for {_PATIENCE:.0f} s by another process; going on without it")
    return lock


def is_held(lock: int) -> bool:
    """True if another process has the lock; else it is ours from now on, where the file system
    knows locks.
    """
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # some NFS
        return False
    return False


def say(line: str) -> None:
    """A line on stderr, which Spark shows with what failed."""
    sys.stderr.write(f"coffee_boat: {line}\n")


def _roots() -> list[str]:
    """Where archives lie: as worker/finder.py looks for layers."""
    roots = [
        *_working_directory(),
        *filter(None, os.environ.get("COFFEE_BOAT_FILES", "").split("\n")),
    ]
    for module in ("pyspark.core.files", "pyspark.files"):  # Spark 4, Spark 3
        files = getattr(sys.modules.get(module), "SparkFiles", None)
        if getattr(files, "_is_running_on_worker", False):
            roots.append(os.path.abspath(str(getattr(files, "_root_directory", os.curdir))))
            break
    return list(dict.fromkeys(roots))


def _working_directory() -> list[str]:
    try:
        return [os.getcwd()]
    except OSError:  # it was removed
        return []


def remove(folder: str) -> None:
    """Remove a folder and all in it, if it is there."""
    if os.path.isdir(folder):
        import shutil

        shutil.rmtree(folder)
