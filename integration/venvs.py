"""Virtual environments for the pairs of Python and Spark that are supported.

    python -m integration.venvs 3.12 4.1.4      # makes it, prints its folder
    python -m integration.venvs wheels          # pyspark's, for all of them

They are kept in the checkout and made anew when setup.cfg changes. pyspark is a source
distribution of 400 MB and more: its wheel, good for every Python, is built once a version and kept
in the cache folder. Nothing in it is compressed: it is installed where it is made, and its jars are
compressed already."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

SPARKS = {
    "3.5.9": ("3.10", "3.11"),
    "4.1.4": ("3.10", "3.11", "3.12", "3.13", "3.14"),
    "4.3.0": ("3.11", "3.12", "3.13", "3.14"),
}
"""Spark's version -> Python's minor versions."""

_STORED = ("--use-pep517", "--config-settings=--build-option=--compression=stored")


class NoInterpreterError(Exception):
    """This machine has no Python of that minor version."""


OWN_CACHE = CHECKOUT / ".cache"
"""For what is of this checkout: virtual environments that import it, Spark's classes by path."""


def cache_folder() -> Path:
    """Where beds and wheels are kept, for several checkouts if COFFEE_BOAT_TEST_CACHE names it;
    else .cache in the checkout.
    """
    return Path(os.environ.get("COFFEE_BOAT_TEST_CACHE") or OWN_CACHE).absolute()


def venv_for(python: str, spark: str) -> Path:
    """A virtual environment with that Spark and this checkout; bin/python is its interpreter.

    Raises:
        NoInterpreterError: no such Python here.
        subprocess.CalledProcessError: it cannot be made; uv's own words are on stderr.
    """
    interpreter = find_interpreter(python)
    folder = folder_of(python, spark)
    with _locked(folder):
        made_from = folder / "made-from"
        if not made_from.is_file() or made_from.read_text() != _inputs(interpreter):
            _make(folder, interpreter, spark_wheel(spark))
            made_from.write_text(_inputs(interpreter))
    return folder


def newest_for(spark: str) -> Path:
    """The interpreter of a virtual environment with that Spark and the newest Python that is here.

    Raises:
        NoInterpreterError: none that it runs on is here.
        subprocess.CalledProcessError: as `venv_for`.
    """
    for python in reversed(SPARKS[spark]):
        with suppress(NoInterpreterError):
            return venv_for(python, spark) / "bin" / "python"
    raise NoInterpreterError(f"this machine has no Python {' or '.join(SPARKS[spark])}")


def tools_venv(name: str, *requirements: str) -> Path:
    """A virtual environment of this Python with programs that tests use, and without this checkout:
    several may share it.

    Raises:
        subprocess.CalledProcessError: it cannot be made; uv's own words are on stderr.
    """
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_folder() / "venvs" / f"{name}-python{minor}"
    with _locked(folder):
        made_from, inputs = folder / "made-from", f"{sys.base_prefix} {' '.join(requirements)}"
        if not made_from.is_file() or made_from.read_text() != inputs:
            shutil.rmtree(folder, ignore_errors=True)
            _run(_uv("venv", "--quiet", "--python", sys.executable, str(folder)))
            python = f"{folder}/bin/python"
            _run(_uv("pip", "install", "--quiet", "--python", python, *requirements))
            made_from.write_text(inputs)
    return folder


def folder_of(python: str, spark: str) -> Path:
    """Where that environment is, or would be."""
    return OWN_CACHE / "venvs" / f"python{python}-spark{spark}"


@functools.lru_cache
def find_interpreter(python: str) -> Path:
    """A Python of that minor version that is on this machine; none is downloaded.

    Raises:
        NoInterpreterError: there is none.
    """
    # pyenv's shims look like interpreters and fail unless a version is switched on: its versions
    # are named instead
    found = shutil.which("pyenv")
    root = Path(
        os.environ.get("PYENV_ROOT")
        or (Path(found).resolve().parent.parent if found else Path.home() / ".pyenv")
    )
    versions = [
        str(folder) for folder in sorted(root.glob(f"versions/{python}.*/bin"), reverse=True)
    ]
    others = [
        folder for folder in os.environ["PATH"].split(os.pathsep) if not folder.endswith("/shims")
    ]
    search = {**os.environ, "PATH": os.pathsep.join([*versions, *others])}
    done = subprocess.run(
        _uv("python", "find", "--no-python-downloads", "--no-project", "--system", python),
        env=search,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if done.returncode != 0:
        raise NoInterpreterError(f"no Python {python} on this machine (uv python find {python})")
    return Path(done.stdout.strip())


def _make(folder: Path, interpreter: Path, spark_wheel: Path) -> None:
    if folder.exists():  # half made, or from another setup.cfg
        shutil.rmtree(folder)
    _run(_uv("venv", "--quiet", "--python", str(interpreter), str(folder)))
    install = ("pip", "install", "--quiet", "--python", f"{folder}/bin/python", str(spark_wheel))
    with editable():
        _run(_uv(*install, "--editable", str(CHECKOUT)))


def spark_wheel(spark: str) -> Path:
    """The wheel of that version, made unless it is there.

    Raises:
        subprocess.CalledProcessError: it cannot be made; pip's own words are on stderr.
    """
    folder = wheels_folder()
    with _locked(folder / f"pyspark-{spark}"):
        if not (made := list(folder.glob(f"pyspark-{spark}-*.whl"))):
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                run = ("run", "--quiet", "--no-project", "--with", "pip", "--python")
                pip = _uv(*run, sys.executable, "python", "-m", "pip")
                wheel = [*pip, "wheel", "--quiet", "--no-deps", "--no-cache-dir", *_STORED]
                _run([*wheel, "--wheel-dir", scratch, f"pyspark=={spark}"])
                (wheel_file,) = Path(scratch).glob("*.whl")
                made = [wheel_file.rename(folder / wheel_file.name)]
    return made[0]


def wheels_folder() -> Path:
    """Where pyspark's wheels are kept; pip and uv take it as --find-links."""
    folder = cache_folder() / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def editable() -> Iterator[None]:
    """Held while a virtual environment gets this checkout: each time setuptools writes the same
    folder beside the sources.
    """
    with _locked(OWN_CACHE / "editable"):
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Tests in several processes make a folder once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _inputs(interpreter: Path) -> str:
    return f"{interpreter} {hashlib.sha256((CHECKOUT / 'setup.cfg').read_bytes()).hexdigest()}"


def _uv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "uv", *arguments]


def _run(argv: Sequence[str]) -> None:
    subprocess.run(
        argv,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["wheels"]:
        print(*map(spark_wheel, SPARKS), sep="\n")
    else:
        print(venv_for(*sys.argv[1:3]))
