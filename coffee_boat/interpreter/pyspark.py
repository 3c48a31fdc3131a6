"""The driver's pyspark and py4j, without jars: the Python side of Spark that every archive carries.

Executors then run the very files that the driver runs, wherever nodes have none. Where they have
Spark's own python/lib, Spark puts that before all else on PYTHONPATH: its worker is that of the
executor's JVM, which may be of another patch version than the driver. Where it is the same code,
ours is taken, which is compiled (worker/spark_zips.py).

They are found without importing them, where the driver's own imports would find them: a
distribution (its RECORD tells the files), a folder or zip on sys.path (a vendor's, without
metadata), or SPARK_HOME.
"""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import importlib.util
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from coffee_boat._support.digest import contents_digest
from coffee_boat._support.store import Store
from coffee_boat.archive import chunks
from coffee_boat.archive import writer as archive_writer
from coffee_boat.errors import BuildError
from coffee_boat.interpreter import bytecode, spark_zips
from coffee_boat.model import START_FOLDER, Chunk, Target
from coffee_boat.worker.spark_zips import TOLD

FORMAT = 2
"""Part of the chunk's key: raise it when its bytes for the same sources change."""

_NOT_PYTHON = frozenset(
    {
        "bin",
        "data",
        "examples",
        "jars",
        "licenses",
        "logs",
        "metastore_db",
        "python",
        "sbin",
        "spark-warehouse",
        "tests",
        "work",
        "yarn",
    }
)
"""Folders beside pyspark's modules that hold the JVM's side of Spark, tests, or what earlier runs
left behind.
"""
_RARE = re.compile(r"/pyspark/(ml|mllib|pandas|pipelines|testing|sql/connect)/")
"""Seldom imported on executors, and half of all files: no bytecode, since a node unpacks by the
file.
"""
_METADATA = (
    "METADATA",
    "LICENSE",
    "LICENSE.txt",
    "NOTICE",
    "licenses/LICENSE",
    "licenses/NOTICE",
    "top_level.txt",
)
_DISTRIBUTIONS = {"pyspark": ("pyspark", "pyspark-client"), "py4j": ("py4j",)}
_INSTALL = "pip install pyspark, or set SPARK_HOME to the folder of a Spark installation"


@dataclass(frozen=True)
class _Package:
    """One import package of the driver."""

    name: str
    root: Path
    """The folder or zip file that holds the package's folder."""
    distribution: Distribution | None = None

    @property
    def zipped(self) -> bool:
        return self.root.is_file()

    def files(self) -> dict[str, bytes]:
        """Contents of its Python side by name, relative to a site-packages folder."""
        if self.zipped:
            with zipfile.ZipFile(self.root) as archive:
                return {
                    name: archive.read(name)
                    for name in sorted(archive.namelist())
                    if _belongs(name, self.name)
                }
        return {name: (self.root / name).read_bytes() for name in self._names()}

    def text(self, name: str) -> str | None:
        """One of its files; None if it has no such file."""
        if not self.zipped:
            path = self.root / self.name / name
            return path.read_text("utf-8") if path.is_file() else None
        with zipfile.ZipFile(self.root) as archive:
            inside = f"{self.name}/{name}"
            return archive.read(inside).decode() if inside in archive.namelist() else None

    def metadata(self) -> dict[str, bytes]:
        """The distribution's metadata, named as its dist-info folder is; empty if there is none."""
        if self.distribution is None:
            return {}
        texts = {name: self.distribution.read_text(name) for name in _METADATA}
        name = self.distribution.metadata["Name"].replace("-", "_")
        folder = f"{name}-{self.distribution.version}.dist-info/"
        return {folder + name: text.encode() for name, text in texts.items() if text is not None}

    def _names(self) -> list[str]:
        recorded = self.distribution.files if self.distribution else None
        names = (
            (file.as_posix() for file in recorded)
            if recorded
            else _walk(self.root / self.name, f"{self.name}/")
        )
        return sorted(
            name for name in names if _belongs(name, self.name) and (self.root / name).is_file()
        )

    def stamp(self, store: Store) -> list[object]:
        """What changes when the package does."""
        places = [self.root] if self.zipped else [self.root / name for name in self._names()]
        return [
            str(self.root),
            self.distribution is not None,
            contents_digest(places, store),
        ]


def location() -> Path:
    """The folder, or the zip file, that holds the driver's package pyspark.

    Raises:
        BuildError: the driver has no pyspark.
    """
    return _pyspark().root


def driver_version() -> str:
    """The driver's pyspark version, a vendor's suffix and all, read without importing it.

    Raises:
        BuildError: the driver has no pyspark, or its version cannot be told.
    """
    return _version(_pyspark())


def chunk(target: Target, store: Store, *, python: str | None = None) -> Chunk:
    """The driver's pyspark and py4j as a chunk, compiled, with their metadata if they have any.

    Made once for all processes.

    Args:
        python: an interpreter of the target's minor version, for the bytecode; by default the
            driver's own if it fits, otherwise nothing is compiled.

    Raises:
        BuildError: the driver lacks pyspark or py4j.
        StoreError: it is not there yet, and the store cannot be written.
    """
    packages, compiler = _packages(), python or _own(target)

    def fill(writer: archive_writer.ChunkWriter) -> None:
        with store.scratch() as root:
            root.mkdir()
            _lay_out(packages, root, target.site_packages)
            if compiler:
                bytecode.compile_tree(
                    compiler, root, [name for name in _sources(root) if not _RARE.search(name)]
                )
            chunks.fill_from_tree(writer, root, keep=bool)

    return chunks.make(
        store, _key(packages, target, compiler, store), f"pyspark {_version(packages[0])}", fill
    )


def recall(target: Target, store: Store, *, python: str | None = None) -> Chunk | None:
    """The chunk if it was made before.

    Raises:
        BuildError: the driver lacks pyspark or py4j.
    """
    return chunks.recall(store, _key(_packages(), target, python or _own(target), store))


def _packages() -> list[_Package]:
    spark = _pyspark()
    if spark.distribution is not None and spark.distribution.metadata["Name"] == "pyspark-client":
        return [spark]  # Spark Connect's client needs no py4j
    return [spark, _py4j(spark)]


def _pyspark() -> _Package:
    homes = [Path(home, "python") for home in (os.environ.get("SPARK_HOME"),) if home]
    found = _importable("pyspark") or _beside("pyspark", homes)
    if found is None:
        raise BuildError(
            "build.no-pyspark",
            "the driver has no pyspark",
            value=sys.executable,
            cause="it is neither importable nor in SPARK_HOME/python",
            cure=_INSTALL,
        )
    return found


def _py4j(spark: _Package) -> _Package:
    found = _importable("py4j") or _beside("py4j", spark_zips.found("py4j", spark.root))
    if found is None:
        raise BuildError(
            "build.no-py4j",
            "the driver has no py4j",
            value=str(spark.root),
            cause=(
                "pyspark needs it, on executors too; a Spark installation has it as"
                " python/lib/py4j-*-src.zip"
            ),
            cure="pip install py4j",
        )
    return found


def _importable(name: str) -> _Package | None:
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module that someone put together by hand has no spec
        return None
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    if (
        origin is None
        or origin.name not in ("__init__.py", "__init__.pyc")
        or not origin.parent.parent.exists()
    ):
        return None
    return _package(name, origin.parent.parent)


def _beside(name: str, roots: list[Path]) -> _Package | None:
    candidates = [_Package(name, root) for root in roots if root.exists()]
    return next(
        (
            _package(name, found.root)
            for found in candidates
            if found.text("__init__.py") is not None
        ),
        None,
    )


def _package(name: str, root: Path) -> _Package:
    if root.is_file():
        return _Package(name, root)
    found = (
        dist
        for wanted in _DISTRIBUTIONS[name]
        for dist in distributions(name=wanted, path=[str(root)])
    )
    return _Package(name, root, next((dist for dist in found if dist.read_text("METADATA")), None))


def _version(package: _Package) -> str:
    if package.distribution is not None:
        return package.distribution.version
    for file in ("version.py", "__init__.py"):
        for version in _assigned(package.text(file) or ""):
            return version
    raise BuildError(
        "build.version-unknown",
        f"the version of {package.name} cannot be told",
        value=str(package.root),
        cause=(
            f"it has no metadata, and {package.name}/version.py assigns no plain text to"
            " __version__"
        ),
        cure=_INSTALL,
    )


def _assigned(source: str) -> Iterator[str]:
    for node in ast.parse(source).body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        if any(
            isinstance(name, ast.Name) and name.id == "__version__" for name in targets
        ) and isinstance(value, ast.Constant):
            yield str(value.value)


def _belongs(name: str, package: str) -> bool:
    parts = name.split("/")
    if parts[0] != package or len(parts) < 2 or name.endswith(("/", ".pyc", ".pyi")):
        return False
    return "__pycache__" not in parts and "tests" not in parts and parts[1] not in _NOT_PYTHON


def _walk(folder: Path, below: str) -> Iterator[str]:
    # Folders that do not belong are not entered at all: work/ alone may hold thousands of files, or
    # be unreadable.
    for entry in sorted(folder.iterdir()):
        name = below + entry.name
        if not entry.is_dir():
            yield name
        elif _belongs(f"{name}/_", below.partition("/")[0]):
            yield from _walk(entry, f"{name}/")


def _lay_out(packages: list[_Package], root: Path, site_packages: str) -> None:
    below: dict[str, bytes] = {}
    told: dict[str, str] = {}
    for package in packages:
        files = package.files()
        zipped = spark_zips.same(package.name, files, packages[0].root, _belongs)
        if zipped is not None:
            told[package.name], files = zipped.digest, {**files, **zipped.more}
        files |= package.metadata()
        named = {**files, **_record(files)}.items()
        below |= {f"{site_packages}{name}": data for name, data in named}
    if told:
        below[f"{START_FOLDER}{TOLD}"] = json.dumps(told).encode()
    for name, data in below.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _sources(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in root.rglob("*.py")]


def _record(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """A RECORD of what is shipped ("Recording installed projects", packaging.python.org); none
    without a dist-info.
    """
    place = next(
        (f"{name.split('/')[0]}/RECORD" for name in files if name.endswith(".dist-info/METADATA")),
        None,
    )
    if place is None:
        return {}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerows((name, _hash(data), len(data)) for name, data in sorted(files.items()))
    rows.writerow((place, "", ""))
    return {place: text.getvalue().encode()}


def _hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _own(target: Target) -> str | None:
    own = "{}.{}".format(*sys.version_info[:2])
    return (
        sys.executable
        if own == target.minor and sys.implementation.name == "cpython" and sys.executable
        else None
    )


def _key(
    packages: list[_Package], target: Target, compiler: str | None, store: Store
) -> list[object]:
    zips = [path for one in packages for path in spark_zips.found(one.name, packages[0].root)]
    return [
        "pyspark",
        FORMAT,
        bytecode.FORMAT,
        target.minor,
        [package.stamp(store) for package in packages],
        contents_digest(zips, store),
        bytecode.stamp(compiler, store) if compiler else None,
    ]
