"""Areas of an archive are owned: what packages may not reach, and what they may."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import hostile
import pytest
from hostile import MINOR, SITE, Victim
from test_installed import TARGET, install, pin_of

from coffee_boat._support.store import Store
from coffee_boat.archive import areas, chunks, unpack
from coffee_boat.archive import writer as archive_writer
from coffee_boat.archive.assemble import assemble
from coffee_boat.errors import BuildError
from coffee_boat.model import Chunk, Lock
from coffee_boat.pip.chunks import wheel_chunk


def packed(wheel: Path, store: Store) -> Chunk:
    return wheel_chunk(wheel, pin_of(wheel), TARGET, store)


@pytest.mark.parametrize("case", hostile.AREAS, ids=str)
def test_a_wheel_that_reaches_into_anothers_area_is_refused(
    case: hostile.Case, tmp_path: Path, store: Store
) -> None:
    with pytest.raises(BuildError) as caught:
        packed(case.make(tmp_path), store)
    assert case.words.casefold() in str(caught.value).casefold()
    assert caught.value.cure
    assert not (store.root / "chunks").exists(), "nothing of it is kept"


@pytest.mark.parametrize("name", hostile.LEGAL)
def test_what_wheels_in_the_wild_bring_is_taken(name: str, tmp_path: Path, store: Store) -> None:
    data = hostile.LEGAL[name]
    tree = install(hostile.wheel(tmp_path, name, data=data), store)
    assert sum(path.is_file() for path in tree.rglob("*")) == len(data) + 5


def test_a_record_of_conda_in_a_wheel_rewrites_nothing(tmp_path: Path, store: Store) -> None:
    victim = Victim.below(tmp_path)
    record = hostile.conda_record(str(victim.path))
    wheel = hostile.wheel(tmp_path, data={"data/conda-meta/x.json": record})
    with pytest.raises(BuildError, match="only conda packages may have files"):
        install(wheel, store)
    assert victim.untouched


@pytest.mark.parametrize("package", ["pyspark", "py4j"])
def test_of_a_wheel_that_vendors_spark_the_drivers_own_wins_and_it_is_said(
    package: str, tmp_path: Path, store: Store
) -> None:
    files = {
        f"{package}/__init__.py": "",
        f"{package}/worker/__init__.py": "",
        f"{package}/serializers.abi3.so": "x",
        "connect.py": "",
    }
    chunk = packed(hostile.wheel(tmp_path, "connect", files=files), store)
    tree = unpack.unpack_chunk(chunk, store)
    assert not (tree / SITE / package).exists()
    assert (tree / SITE / "connect.py").exists()
    assert package not in (tree / SITE / "connect-1.0.dist-info/RECORD").read_text()
    [said] = chunks.findings([chunk], store)
    assert (
        said.what == f"a package brings files of {package}; the driver's own are what executors get"
    )
    assert f"{SITE}{package}/__init__.py" in said.value
    assert said.cure


def test_jars_beside_sparks_own_are_left_out_and_it_is_said(tmp_path: Path, store: Store) -> None:
    files = {"pyspark/jars/ext.jar": "PK", "gresearch/__init__.py": ""}
    chunk = packed(hostile.wheel(tmp_path, "pyspark-extension", files=files), store)
    [said] = chunks.findings([chunk], store)
    assert "pyspark/jars/ext.jar" in said.value
    assert not (unpack.unpack_chunk(chunk, store) / SITE / "pyspark").exists()


def owner(store: Store, label: str, files: dict[str, str]) -> Chunk:
    def fill(writer: archive_writer.ChunkWriter) -> None:
        for name, content in files.items():
            writer.file(name, content.encode())

    return chunks.make(store, [label], label, fill)


def test_a_wheels_library_in_the_place_of_the_interpreters_is_refused(
    tmp_path: Path, store: Store
) -> None:
    own = owner(store, "python 3.11.7", {"lib/libown.so.8": "own", "share/x": "own"})
    same = packed(hostile.wheel(tmp_path / "1", data={"data/lib/libown.so.8": "own"}), store)
    other = packed(hostile.wheel(tmp_path / "2", data={"data/lib/libown.so.8": "evil"}), store)
    areas.refuse_overlaps([own], [same], TARGET, store)
    with pytest.raises(BuildError, match="replace a file of the environment") as caught:
        areas.refuse_overlaps([own], [same, other], TARGET, store)
    assert caught.value.value == "hostile 1.0: lib/libown.so.8"
    assert "python 3.11.7" in caught.value.cause


def test_two_wheels_with_one_file_are_told_as_ever(tmp_path: Path, store: Store) -> None:
    some = [
        packed(hostile.wheel(tmp_path, name, files={"shared.py": name}), store)
        for name in ("one", "two")
    ]
    archive = assemble(
        some, target=TARGET, lock=Lock(TARGET), has_python=False, inputs={}, store=store
    )
    assert "one 1.0 and two 1.0: " in archive.findings[0].value


def test_no_word_of_a_package_is_in_boat_json(tmp_path: Path, store: Store) -> None:
    archive = assemble(
        [packed(hostile.wheel(tmp_path), store)],
        target=TARGET,
        lock=Lock(TARGET),
        has_python=False,
        inputs={},
        store=store,
    )
    said = json.loads((unpack.unpack(archive, store) / "boat.json").read_text())
    assert "records" not in said
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" == MINOR
