"""Spark's own zips of Python code stand before all else on sys.path of its workers. Where the
archive has the same code, it is taken from there.

A zip has no bytecode: Python compiles pyspark anew in each process that starts, which takes 0.7
seconds of 0.9. The archive's is compiled.

Standard library only.
"""

from __future__ import annotations

import os
import sys

from . import prefix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zipfile import ZipFile

TOLD = "spark-zips.json"
"""In lib/coffee_boat: the digests of zips whose code the archive has."""


def pass_over(root: str) -> None:
    """Import pyspark and py4j from an archive, where the node's own are the same.

    What is not: a vendor's pyspark, which goes with that vendor's JVM; another version. Nothing is
    passed over where something else would come to light by it.

    Args:
        root: the folder that the archive was unpacked into; its site-packages are on sys.path.
    """
    zips = {entry: name for entry in sys.path if (name := _name(entry))}
    told = _told(root) if zips else {}
    same = {entry for entry, name in zips.items() if name in told and told[name] == _digest(entry)}
    taken = {zips[entry] for entry in same}
    path = [entry for entry in sys.path if entry not in same]
    if not all(_lies_in(root, name, path) for name in taken):
        return
    if "pyspark" in taken:
        # in the jar of that Spark's release is no Python, and Python would read its list of files
        path = [entry for entry in path if not _is_jar(entry)]
    sys.path[:] = path


def digest(zipped: ZipFile) -> str:
    """SHA-256 of what is in a zip: names, sizes, CRCs."""
    names = sorted(f"{one.filename} {one.file_size} {one.CRC}\n" for one in zipped.infolist())
    return prefix.sha256("".join(names).encode())


def _lies_in(root: str, package: str, path: list[str]) -> bool:
    """True if an import from this path would find the archive's."""
    from importlib.machinery import PathFinder

    found = PathFinder.find_spec(package, path)
    origin = found.origin if found is not None else None
    return origin is not None and os.path.realpath(origin).startswith(
        os.path.realpath(root) + os.sep
    )


def _name(entry: str) -> str:
    """The package in one of Spark's zips; empty for what is none of them."""
    file = os.path.basename(entry)
    if file == "pyspark.zip":
        return "pyspark"
    return "py4j" if file.startswith("py4j-") and file.endswith("-src.zip") else ""


def _is_jar(entry: str) -> bool:
    file = os.path.basename(entry)
    return file.startswith("spark-core_") and file.endswith(".jar")


def _told(root: str) -> dict[str, str]:
    import json

    try:
        with open(os.path.join(root, "lib", "coffee_boat", TOLD), encoding="utf-8") as stream:
            told = json.load(stream)
    except (OSError, ValueError):  # of a driver without such zips
        return {}
    return told if isinstance(told, dict) else {}


def _digest(path: str) -> str | None:
    """None for what cannot be read: Python passes over it, too."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as zipped:
            return digest(zipped)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
