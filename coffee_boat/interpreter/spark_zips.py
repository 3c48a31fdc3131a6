"""Zips with Spark's Python code, as a Spark installation has them in python/lib, and pip's pyspark
likewise: what nodes are told of those whose code the archive has (worker/spark_zips.py).
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from coffee_boat.worker import spark_zips


def found(package: str, root: Path) -> list[Path]:
    """Those of one package that the driver has.

    Args:
        package: "pyspark" or "py4j".
        root: the folder, or the zip, that holds the package pyspark.
    """
    name = "pyspark.zip" if package == "pyspark" else "py4j-*-src.zip"
    folders = [root / "lib", root.parent, root / "pyspark/python/lib"]
    return [path for folder in folders for path in sorted(folder.glob(name))]


def told(packages: Mapping[str, Mapping[str, bytes]], root: Path) -> bytes:
    """What the archive says of them; empty if it has the code of none.

    Args:
        packages: name -> the files that are shipped of it, relative to a site-packages folder.
        root: as above.
    """
    same = dict(_same(packages, root))
    return json.dumps(same).encode() if same else b""


def _same(packages: Mapping[str, Mapping[str, bytes]], root: Path) -> Iterator[tuple[str, str]]:
    for name, files in packages.items():
        for path in found(name, root)[:1]:
            with suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as zipped:
                theirs = {one.filename: (one.file_size, one.CRC) for one in zipped.infolist()}
                ours = {file: (len(data), zlib.crc32(data)) for file, data in files.items()}
                if ours.items() <= theirs.items():
                    yield name, spark_zips.digest(zipped)
