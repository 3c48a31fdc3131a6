"""Nodes that have Spark's Python code in zips: the archive's is imported where it is the same."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coffee_boat._support.store import Store
from coffee_boat.archive import unpack
from coffee_boat.interpreter import pyspark
from coffee_boat.worker import spark_zips
from tests.test_pyspark_files import PY4J, PYSPARK, TARGET, driver, installed, write, write_zip

__all__ = ["driver"]

JAR = "/node/jars/spark-core_2.13-4.3.0.jar"
CODE = {name: text for name, text in PYSPARK.items() if name.endswith((".py", ".json"))}
CODE["pyspark/version.py"] = "__version__ = 'not this one'\n"
Nodes = Callable[..., list[str]]


@pytest.fixture
def nodes(driver: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """Gives what is left of a node's sys.path, of zips with this code."""

    def left(
        here: dict[str, str],
        there: dict[str, str],
        py4j: dict[str, str],
        between: Path | None = None,
    ) -> list[str]:
        site = installed(tmp_path / "site")
        lib = site / "pyspark/python/lib"
        write_zip(lib / "pyspark.zip", here)
        write_zip(lib / "py4j-0.10.9.7-src.zip", PY4J)
        driver(site)
        store = Store(tmp_path / "store")
        unpacked = unpack.unpack_chunk(pyspark.chunk(TARGET, store), store)
        root = tmp_path / "node-env"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(unpacked, root)
        node = tmp_path / "node"
        zips = [
            write_zip(node / "pyspark.zip", there),
            write_zip(node / "py4j-0.10.9.7-src.zip", py4j),
        ]
        some = [str(between)] if between else []
        site_packages = str(root / TARGET.site_packages)
        path = ["", *map(str, zips), *some, JAR, "/own/pyspark.zip", site_packages]
        monkeypatch.setattr(sys, "path", list(path))
        spark_zips.pass_over(str(root))
        assert [entry for entry in path if entry in sys.path] == sys.path, "in their order"
        return [Path(entry).name for entry in sys.path if entry not in ("", path[-1])]

    return left


def test_what_is_the_same_is_imported_from_the_archive(nodes: Nodes) -> None:
    assert nodes(CODE, dict(reversed(CODE.items())), PY4J) == ["pyspark.zip"]


@pytest.mark.parametrize(
    "there",
    [
        {**CODE, "pyspark/worker.py": "import pyspark, vendor\n"},
        {**CODE, "pyspark/vendor.py": ""},
        {name: text for name, text in CODE.items() if "worker" not in name},
    ],
    ids=["changed", "more", "less"],
)
def test_a_vendors_code_goes_before_ours(nodes: Nodes, there: dict[str, str]) -> None:
    left = ["pyspark.zip", Path(JAR).name, "pyspark.zip"]
    assert nodes(CODE, there, PY4J) == left
    assert nodes(CODE, CODE, {**PY4J, "py4j/version.py": "__version__ = '0.10.9.8'\n"}) == [
        "py4j-0.10.9.7-src.zip",
        "pyspark.zip",
    ]


def test_nothing_else_comes_to_light(nodes: Nodes, tmp_path: Path) -> None:
    """An older pyspark in a folder of the nodes' PYTHONPATH, which was behind the zip."""
    (tmp_path / "site/pyspark").mkdir(parents=True)
    left = nodes(CODE, CODE, PY4J, between=write(tmp_path / "older", CODE))
    assert left == [
        "pyspark.zip",
        "py4j-0.10.9.7-src.zip",
        "older",
        Path(JAR).name,
        "pyspark.zip",
    ]
    assert nodes(CODE, CODE, PY4J, between=tmp_path / "empty") == ["empty", "pyspark.zip"]


def test_what_the_zip_has_besides_is_shipped_but_for_tests(nodes: Nodes, tmp_path: Path) -> None:
    more = {**CODE, "pyspark/bench/it.py": "", "pyspark/tests/test_it.py": "", "pyspark/x.pyi": ""}
    assert nodes(more, more, PY4J) == ["pyspark.zip"]
    here = {
        path.relative_to(tmp_path / "node-env" / TARGET.site_packages).as_posix()
        for path in (tmp_path / "node-env").rglob("pyspark/**/*.py")
    }
    code = {name for name in CODE if name.endswith(".py") and "/tests/" not in name}
    assert here == code | {"pyspark/bench/it.py"}


def test_a_zip_with_another_package_is_not_passed_over(nodes: Nodes) -> None:
    more = {**CODE, "vendor/__init__.py": ""}
    assert nodes(more, more, PY4J) == ["pyspark.zip", Path(JAR).name, "pyspark.zip"]


def test_of_a_driver_whose_zip_is_another_nothing_is_known(nodes: Nodes) -> None:
    other = {**CODE, "pyspark/worker.py": "import another\n"}
    assert nodes(other, other, PY4J) == ["pyspark.zip", Path(JAR).name, "pyspark.zip"]


def test_what_cannot_be_read_stays(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes(CODE, CODE, PY4J)
    root = tmp_path / "node-env"
    damaged = tmp_path / "damaged" / "pyspark.zip"
    damaged.parent.mkdir()
    damaged.write_bytes(b"PK")
    path = [str(damaged), str(tmp_path / "nowhere/pyspark.zip"), JAR]
    monkeypatch.setattr(sys, "path", list(path))
    spark_zips.pass_over(str(root))
    assert sys.path == path
    for text in ("{", "null", "[]"):
        (root / "lib/coffee_boat" / spark_zips.TOLD).write_text(text)
        spark_zips.pass_over(str(root))
        assert sys.path == path
