"""What tests of older nodes need: a Debian with an older glibc, and a Python that runs there."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

from integration.beds import BedCannotRun, _maven
from integration.beds._cache import kept

SUITE, GLIBC = "bullseye", "2.31"
"""The system of the nodes."""
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
_PYTHONS = {
    "3.10": "3.10.8-1.5.8",
    "3.11": "3.11.3-1.5.9",
    "3.12": "3.12.1-1.5.10",
    "3.13": "3.13.5-1.5.12",
}
"""Builds of CPython for glibc 2.17, by minor: org.bytedeco:cpython at Maven Central."""
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"


def interpreter(cache: Path) -> Path:
    """A folder with a Python of this minor that needs no newer glibc than 2.17.

    Raises:
        BedCannotRun: there is none, no Maven, or it cannot be fetched.
    """
    if MINOR not in _PYTHONS:
        raise BedCannotRun(f"no build of Python {MINOR} for an older glibc is known")
    artifact = f"org.bytedeco:cpython:{_PYTHONS[MINOR]}:jar:linux-x86_64"

    def fetch(folder: Path) -> None:
        _maven.run(_COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={folder}")
        _unpack(next(folder.glob("*.jar")), folder)

    return kept(cache / "older-nodes", f"python{MINOR}", [artifact.encode()], fetch) / "python"


def _unpack(jar: Path, into: Path) -> None:
    with zipfile.ZipFile(jar) as packed:
        packed.extractall(into / "jar")
    (into / "jar/org/bytedeco/cpython/linux-x86_64").rename(into / "python")
    shutil.rmtree(into / "jar")
    jar.unlink()
    for program in (into / "python/bin").iterdir():  # a jar has no modes
        program.chmod(0o755)
