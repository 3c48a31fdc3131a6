"""Spark's own zips of Python code stand before all else on sys.path of its workers. Where the
archive has the same code, it is taken from there.

A zip has no bytecode: Python compiles pyspark anew in each process that starts, which takes 0.7
seconds of 0.9. The archive's is compiled.

Standard library only.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zipfile import ZipFile

TOLD = "spark-zips.json"
"""In lib/coffee_boat: the digests of zips whose code the archive has."""


def pass_over(root: str) -> None:
    """Import pyspark and py4j from an archive, where the node's own are the same.

    What is not: a vendor's pyspark, which goes with that vendor's JVM; another version.

    Args:
        root: the folder that the archive was unpacked into; its site-packages are on sys.path.
    """
    zips = [entry for entry in sys.path if _name(entry)]
    if not zips:
        return
    ours = _told(root)
    same = {
        entry for entry in zips if _name(entry) in ours and ours[_name(entry)] == _digest(entry)
    }
    if any(_name(entry) == "pyspark" for entry in same):
        # the code of that Spark's release has no Python in its jar, and Python would read its list
        # of files
        same |= {entry for entry in sys.path if _is_jar(entry)}
    sys.path[:] = [entry for entry in sys.path if entry not in same]


def digest(zipped: ZipFile) -> str:
    """SHA-256 of what is in a zip: names, sizes, CRCs."""
    import hashlib

    names = sorted(f"{one.filename} {one.file_size} {one.CRC}\n" for one in zipped.infolist())
    return hashlib.sha256("".join(names).encode()).hexdigest()


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
            told: dict[str, str] = json.load(stream)
    except (OSError, ValueError):  # of a driver without such zips
        return {}
    return told


def _digest(path: str) -> str | None:
    """None for what cannot be read: Python passes over it, too."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as zipped:
            return digest(zipped)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
