"""Zips with Spark's Python code, as a Spark installation has them in python/lib, and pip's pyspark
likewise: what nodes are told of those whose code the archive has (worker/spark_zips.py).
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from coffee_boat.worker import spark_zips


def found(package: str, root: Path) -> list[Path]:
    """Those of one package that the driver has.

    Args:
        package: "pyspark" or "py4j".
        root: the folder, or the zip, that holds the package pyspark.
    """
    name = "pyspark.zip" if package == "pyspark" else "py4j-*-src.zip"
    homes = [Path(home, "python/lib") for home in (os.environ.get("SPARK_HOME"),) if home]
    folders = [root / "lib", root.parent, root / "pyspark/python/lib", *homes]
    return [path for folder in folders for path in _in(folder, name)]


def _in(folder: Path, name: str) -> list[Path]:
    try:
        return sorted(folder.glob(name))
    except OSError:  # SPARK_HOME may be another user's
        return []


@dataclass(frozen=True)
class Same:
    """A zip whose code is that of the driver's package."""

    digest: str
    more: Mapping[str, bytes]
    """What the driver's package has not, and executors import from the zip: benchmarks, say."""


def same(
    package: str, files: Mapping[str, bytes], root: Path, belongs: Callable[[str, str], bool]
) -> Same | None:
    """The zip with what is shipped of a package, if the driver has one.

    Args:
        files: what is shipped, relative to a site-packages folder.
        root: as above.
        belongs: whether a name in the zip is to be shipped of a package.
    """
    for path in found(package, root)[:1]:
        with suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as zipped:
            theirs = {one.filename: (one.file_size, one.CRC) for one in zipped.infolist()}
            ours = {name: (len(data), zlib.crc32(data)) for name, data in files.items()}
            if all(name.startswith(f"{package}/") for name in theirs) and (
                ours.items() <= theirs.items()
            ):
                more = sorted(name for name in theirs if belongs(name, package))
                return Same(
                    spark_zips.digest(zipped),
                    {name: zipped.read(name) for name in more if name not in ours},
                )
    return None
