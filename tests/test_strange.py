"""Kinds of damage that ended in a traceback once, each by the door that met it. `make fuzz` looks
for more.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import MakeWheel

from coffee_boat import BoatError, Captain
from coffee_boat._support import parse
from coffee_boat._support.store import Store
from coffee_boat.archive.assemble import assemble
from coffee_boat.model import Lock, Pin, Target
from coffee_boat.pip import chunks, metadata
from coffee_boat.ship import places

TARGET = Target("3.11.7", glibc=(2, 28))


def in_its_list(place: int, shape: str, value: int) -> Callable[[bytearray], None]:
    return lambda data: struct.pack_into(shape, data, data.index(b"PK\1\2") + place, value)


@pytest.mark.parametrize(
    "damage",
    {
        "a version that zipfile does not know": in_its_list(6, "<H", 200),
        "an unknown method": in_its_list(10, "<H", 99),
        "a place behind the end": in_its_list(42, "<I", 0xFFFFFFF0),
        "a name behind the end": in_its_list(28, "<H", 0xFFFF),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_zip_fields(
    make_wheel: MakeWheel, store: Store, damage: tuple[str, Callable[[bytearray], None]]
) -> None:
    wheel = make_wheel()
    data = bytearray(wheel.read_bytes())
    damage[1](data)
    wheel.write_bytes(data)
    with pytest.raises(BoatError):
        chunks.wheel_chunk(wheel, pin(wheel), TARGET, store)


@pytest.mark.parametrize(
    "dist_info",
    [
        {"RECORD": '"' + "x" * 200_000 + '",,\n'},
        {"RECORD": "a\0b,,\n"},
        {"RECORD": "demo/__init__.py,sha256=abc," + "1" * 5001 + "\n"},
        {"WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag:\nTag: a-b\n"},
        {"METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: " + "1" * 5001 + "\n"},
    ],
    ids=["a long field", "a NUL", "many digits", "an empty tag", "a long version"],
)
def test_what_a_wheel_says(make_wheel: MakeWheel, store: Store, dist_info: dict[str, str]) -> None:
    record = dist_info.get("RECORD")
    wheel = make_wheel(dist_info={} if record else dist_info)
    if record is not None:
        wheel = with_record(wheel, record)
    if "WHEEL" in dist_info:  # the name of the file counts
        assert chunks.wheel_chunk(wheel, pin(wheel), TARGET, store).files
        return
    with pytest.raises(BoatError):
        chunks.wheel_chunk(wheel, pin(wheel), TARGET, store)


def with_record(wheel: Path, text: str) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, text if name.endswith("/RECORD") else content)
    return wheel


def test_markers_that_cannot_be_evaluated(make_wheel: MakeWheel, store: Store) -> None:
    wheel = make_wheel(requires=["x; python_version ~= 'abc'"])
    lock = Lock(TARGET, (pin(wheel),))
    with pytest.raises(BoatError, match="metadata of a wheel") as caught:
        metadata.with_edges(lock, {"demo": wheel}, {"python_version": "3.11"}, store=store)
    assert "its marker: " in caught.value.cause


def pin(wheel: Path) -> Pin:
    return Pin(name="demo", version="1.0", kind="wheel", url=wheel.as_uri(), filename=wheel.name)


# texts


@pytest.mark.parametrize(
    "text",
    [
        f"x=={'1' * 5001}",
        f"x==1.0.dev{'9' * 5001}",
        "x; python_version ~= 'abc'",
        "x @ http://h:abc/x-1.0-py3-none-any.whl",
        "git+https://[x/y",
        "./" + "a/" * 3000,
        "\udc80",
        "x===\udc80",
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_requirements(tmp_path: Path, text: str) -> None:
    with pytest.raises(BoatError):
        Captain(store=tmp_path / "store", offline=True).add_pip_packages(text).plan()
    with pytest.raises(BoatError):
        Captain(store=tmp_path / "store", offline=True).add_conda_packages(text)


@pytest.mark.parametrize("coding", ["rot13", "hex", "undefined", "punycode", "utf-16", "none"])
def test_codings(tmp_path: Path, coding: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_bytes(f"# -*- coding: {coding} -*-\nx\n".encode())
    with pytest.raises(BoatError, match="not UTF-8"):
        Captain(store=tmp_path / "store").add_requirements(path)


def test_numbers_that_cannot_be_shown() -> None:
    for text in ("a = 0x" + "f" * 9000, "a = [{b = 0o" + "7" * 9000 + "}]"):
        with pytest.raises(ValueError, match="thousands of digits"):
            parse.toml(text)
    with pytest.raises(ValueError, match="thousands of digits"):
        parse.yaml("a: [0o" + "7" * 9000 + "]")
    assert parse.toml("a = 0xff") == {"a": 255}


@pytest.mark.parametrize("stage", ["http://h:abc", "s3://[x", "a/" * 3000])
def test_stages(stage: str) -> None:
    if stage.startswith("a/"):
        assert places.url_of(stage).startswith("file:")
        return
    with pytest.raises(BoatError, match="stage"):
        places.url_of(stage)


# what lies on this machine


@pytest.mark.parametrize(
    "said",
    ["[]", "1", '{"url": "http://[x"}', '{"url": 1, "dir_info": []}', '{"url": "\\ud800"}', "{"],
)
def test_direct_urls(tmp_path: Path, said: str) -> None:
    environment(tmp_path, {"direct_url.json": said})
    found = Captain.from_environment(tmp_path / "env", store=tmp_path / "store").manifest
    assert "requirements.packages-from-nowhere" in {one.code for one in found.findings}


@pytest.mark.parametrize(
    "files",
    [
        {"RECORD": '"' + "x" * 200_000 + '",,\n'},
        {"METADATA": b"\xff\xfeName: zz"},
        {"direct_url.json": b"\xff"},
    ],
    ids=str,
)
def test_metadata_of_an_environment(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    environment(tmp_path, files)
    found = Captain.from_environment(tmp_path / "env", store=tmp_path / "store").manifest
    codes = {one.code for one in found.findings}
    assert codes & {"requirements.packages-unreadable", "requirements.packages-from-nowhere"}


@pytest.mark.parametrize(
    "said",
    [
        "[]",
        {"name": 1},
        {"name": "zz", "version": 1},
        {"name": "zz", "version": "1", "files": 1},
        {"name": "zz", "version": "1", "url": "http://h:abc/linux-64/zz-1-0.conda"},
        {"name": "zz", "version": "1", "paths_data": []},
        {"name": "\ud800", "version": "1", "url": "https://c/linux-64/x-1-0.conda"},
    ],
    ids=ascii,
)
def test_records_of_conda(tmp_path: Path, said: object) -> None:
    environment(tmp_path, {})
    (tmp_path / "env/pyvenv.cfg").unlink()
    (tmp_path / "env/conda-meta").mkdir()
    (tmp_path / "env/conda-meta/history").touch()
    text = said if isinstance(said, str) else json.dumps(said)
    (tmp_path / "env/conda-meta/zz-1-0.json").write_text(text)
    with pytest.raises(BoatError, match="a record of a conda environment cannot be read"):
        Captain.from_environment(tmp_path / "env", store=tmp_path / "store")


def environment(folder: Path, files: dict[str, str | bytes]) -> None:
    place = folder / "env/lib/python3.11/site-packages/zz-1.0.dist-info"
    place.mkdir(parents=True)
    (folder / "env/bin").mkdir()
    (folder / "env/bin/python").symlink_to(sys.executable)
    (folder / "env/pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
    every: dict[str, str | bytes] = {
        "METADATA": "Metadata-Version: 2.1\nName: zz\nVersion: 1.0\n",
        "RECORD": "zz.py,,\n",
        **files,
    }
    for name, content in every.items():
        (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())


# the store, and the machine


@pytest.mark.parametrize("said", [b"[]", b"{}", b"1", b'"x"', b"[" * 50_000])
def test_key_files_that_something_else_wrote(store: Store, said: bytes) -> None:
    assemble([], target=TARGET, lock=Lock(TARGET, ()), has_python=False, inputs={}, store=store)
    for path in (store.root / "keys").rglob("*.json"):
        path.write_bytes(said)
    assemble([], target=TARGET, lock=Lock(TARGET, ()), has_python=False, inputs={}, store=store)


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 2500, "dangling", "loop", "file"])
def test_stores_that_cannot_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()

    def works() -> None:
        store = Store(tmp_path / name)
        assert list(store.entries()) == []
        with store.lease():
            store.remember("kind", "key", 1)

    with pytest.raises(BoatError):
        works()


def test_an_output_that_is_closed(tmp_path: Path) -> None:
    source = "import sys; sys.stdout = None; from coffee_boat.cli.start import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", source, "plan", "--offline", "--no-ship-python"],
        env={**os.environ, "COFFEE_BOAT_STORE": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr
