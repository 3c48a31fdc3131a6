"""The driver's pyspark and py4j: found where they are, without importing them, and shipped without
what belongs to the JVM.
"""

from __future__ import annotations

import csv
import io
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from coffee_boat._support.store import Store
from coffee_boat.archive.chunks import chunk_path
from coffee_boat.errors import BuildError
from coffee_boat.interpreter import pyspark
from coffee_boat.model import START_FOLDER, Chunk, Target

MINOR = "{}.{}".format(*sys.version_info[:2])
TARGET = Target(f"{MINOR}.0")
FOREIGN = Target("3.10.0" if MINOR != "3.10" else "3.11.0")
"""Of another minor version than the driver's: nothing is compiled for it, so listings are short."""

PYSPARK = {
    "pyspark/__init__.py": "raise ImportError('nobody may import this')\n",
    "pyspark/version.py": "__version__: str = '3.5.1-amzn-1'\n",
    "pyspark/worker.py": "import pyspark\n",
    "pyspark/sql/functions.py": "",
    "pyspark/sql/functions.pyi": "",
    "pyspark/sql/tests/test_it.py": "",
    "pyspark/errors/error-conditions.json": "{}",
    "pyspark/pandas/frame.py": "",
    "pyspark/jars/spark-core.jar": "jar",
    "pyspark/bin/spark-submit": "#!/bin/sh\n",
    "pyspark/work/app-1/0/stdout": "left behind",
    "pyspark/python/lib/pyspark.zip": "zip",
    "pyspark/tests/test_rdd.py": "",
}
PY4J = {
    "py4j/__init__.py": "",
    "py4j/version.py": "__version__ = '0.10.9.7'\n",
    "py4j/tests/x.py": "",
}
SHIPPED = {
    "pyspark/__init__.py",
    "pyspark/version.py",
    "pyspark/worker.py",
    "pyspark/sql/functions.py",
    "pyspark/errors/error-conditions.json",
    "pyspark/pandas/frame.py",
    "py4j/__init__.py",
    "py4j/version.py",
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def write_zip(path: Path, files: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def dist_info(name: str, version: str, files: dict[str, str]) -> dict[str, str]:
    folder = f"{name}-{version}.dist-info"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{folder}/RECORD": "".join(f"{file},,\n" for file in files),
    }


def contents(chunk: Chunk, store: Store, target: Target) -> dict[str, bytes]:
    """Files of a chunk, by names relative to site-packages."""
    with tarfile.open(chunk_path(store, chunk)) as archive:
        members = [m for m in archive if m.isfile() and not m.name.startswith(START_FOLDER)]
        assert all(member.name.startswith(target.site_packages) for member in members)
        return {
            member.name.removeprefix(target.site_packages): archive.extractfile(member).read()
            for member in members
        }  # type: ignore[union-attr]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the driver's sys.path hold these places, and no other pyspark or py4j."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("pyspark", "py4j")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delenv("SPARK_HOME", raising=False)
    import isal.isal_zlib  # noqa: F401 (what is loaded later must be loaded before sys.path shrinks)

    def becomes(*places: Path) -> None:
        kept = [
            path
            for path in sys.path
            if "site-packages" not in path and not Path(path, "pyspark").exists()
        ]
        monkeypatch.setattr(sys, "path", [*map(str, places), *kept])

    import filelock  # noqa: F401

    return becomes


def installed(root: Path) -> Path:
    """As pip leaves it: what RECORD names, and what earlier runs left beside it."""
    recorded = {name: text for name, text in PYSPARK.items() if "/work/" not in name}
    recorded["pyspark/version.py"] = "__version__ = 'not this one'\n"
    write(root, PYSPARK | {"pyspark/stray.py": "not in RECORD"})
    return write(
        root,
        recorded
        | dist_info("pyspark", "4.1.4", recorded)
        | PY4J
        | dist_info("py4j", "0.10.9.9", PY4J),
    )


def spark_home(root: Path) -> Path:
    """As a vendor's tarball: no metadata; py4j is a zip."""
    write(root / "python", PYSPARK)
    write_zip(root / "python/lib/py4j-0.10.9.7-src.zip", PY4J)
    return root


def test_pip_s_pyspark_is_taken_from_its_record(
    driver: Callable[..., None], tmp_path: Path
) -> None:
    driver(installed(tmp_path / "site"))
    store = Store(tmp_path / "store")
    chunk = pyspark.chunk(FOREIGN, store)
    files = contents(chunk, store, FOREIGN)
    metadata = {
        "pyspark-4.1.4.dist-info/METADATA",
        "pyspark-4.1.4.dist-info/RECORD",
        "py4j-0.10.9.9.dist-info/METADATA",
        "py4j-0.10.9.9.dist-info/RECORD",
    }
    assert set(files) == SHIPPED | metadata
    assert (pyspark.driver_version(), chunk.label) == ("4.1.4", "pyspark 4.1.4")
    assert pyspark.location() == tmp_path / "site"
    assert "pyspark" not in sys.modules


def test_the_record_tells_what_is_shipped(driver: Callable[..., None], tmp_path: Path) -> None:
    driver(installed(tmp_path / "site"))
    store = Store(tmp_path / "store")
    files = contents(pyspark.chunk(FOREIGN, store), store, FOREIGN)
    rows = list(csv.reader(io.StringIO(files["pyspark-4.1.4.dist-info/RECORD"].decode())))
    assert {row[0] for row in rows} == {name for name in files if name.startswith("pyspark")}
    assert {row[0]: int(row[2]) for row in rows if row[2]} == {
        name: len(files[name]) for name, *_ in rows if not name.endswith("RECORD")
    }


@pytest.mark.parametrize("by", ["SPARK_HOME", "sys.path"])
def test_a_spark_installation_serves_without_metadata(
    driver: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    home = spark_home(tmp_path / "spark")
    driver(*([home / "python"] if by == "sys.path" else []))
    if by == "SPARK_HOME":
        monkeypatch.setenv("SPARK_HOME", str(home))
    store = Store(tmp_path / "store")
    assert set(contents(pyspark.chunk(FOREIGN, store), store, FOREIGN)) == SHIPPED
    assert pyspark.driver_version() == "3.5.1-amzn-1"
    assert pyspark.location() == home / "python"


def test_a_vendor_s_zip_serves(driver: Callable[..., None], tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "lib/pyspark.zip", PYSPARK)
    write_zip(tmp_path / "lib/py4j-0.10.9.7-src.zip", PY4J)
    driver(archive)
    store = Store(tmp_path / "store")
    assert set(contents(pyspark.chunk(FOREIGN, store), store, FOREIGN)) == SHIPPED
    assert (pyspark.driver_version(), pyspark.location()) == ("3.5.1-amzn-1", archive)


def test_what_executors_import_is_compiled_for_the_driver_s_version(
    driver: Callable[..., None], tmp_path: Path
) -> None:
    driver(installed(tmp_path / "site"))
    store = Store(tmp_path / "store")
    compiled = {
        name
        for name in contents(pyspark.chunk(TARGET, store), store, TARGET)
        if name.endswith(".pyc")
    }
    tag = sys.implementation.cache_tag
    assert {
        f"pyspark/__pycache__/worker.{tag}.pyc",
        f"py4j/__pycache__/__init__.{tag}.pyc",
    } <= compiled
    assert not [name for name in compiled if "/pandas/" in name]


def test_a_second_time_nothing_is_made_and_an_upgrade_is_seen(
    driver: Callable[..., None], tmp_path: Path
) -> None:
    site = installed(tmp_path / "site")
    driver(site)
    store = Store(tmp_path / "store")
    assert pyspark.recall(FOREIGN, store) is None
    first = pyspark.chunk(FOREIGN, store)
    assert pyspark.recall(FOREIGN, store) == first
    (site / "pyspark/worker.py").write_text("import pyspark, sys\n")
    assert pyspark.recall(FOREIGN, store) is None
    assert pyspark.chunk(FOREIGN, store).id != first.id


def test_the_place_of_the_installation_does_not_show(
    driver: Callable[..., None], tmp_path: Path
) -> None:
    ids = set()
    for name in ("a", "b" * 50):
        driver(installed(tmp_path / name / "site"))
        ids.add(pyspark.chunk(TARGET, Store(tmp_path / name / "store")).id)
    assert len(ids) == 1


def test_a_driver_without_pyspark_is_told_what_to_install(
    driver: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver()
    monkeypatch.setenv("SPARK_HOME", "/nowhere")
    with pytest.raises(BuildError, match="no pyspark") as caught:
        pyspark.driver_version()
    assert "pip install pyspark" in caught.value.cure


def test_a_driver_without_py4j_is_told_what_to_install(
    driver: Callable[..., None], tmp_path: Path
) -> None:
    driver(write(tmp_path / "site", PYSPARK))
    with pytest.raises(BuildError, match="no py4j"):
        pyspark.chunk(FOREIGN, Store(tmp_path / "store"))


def test_a_version_that_is_computed_cannot_be_told(
    driver: Callable[..., None], tmp_path: Path
) -> None:
    driver(write(tmp_path / "site", PYSPARK | {"pyspark/version.py": "__version__ = compute()\n"}))
    with pytest.raises(BuildError, match="version of pyspark cannot be told"):
        pyspark.driver_version()
