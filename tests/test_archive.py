"""Archives: concatenation, what is inside, unpacking, copies."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
import resource
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from conftest import MakeWheel

from coffee_boat._support.store import Store
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.chunks import chunk_path, fill_from_tree, make
from coffee_boat.archive.concatenate import copy_to
from coffee_boat.archive.destination import Destination
from coffee_boat.archive.unpack import environment_path, unpack, unpack_chunk
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.model import Archive, Chunk, Lock, Pin, Target
from coffee_boat.pip.chunks import wheel_chunk

TARGET = Target("3.11.7", glibc=(2, 28))
LOCK = Lock(TARGET, (Pin("one", "1.0"), Pin("two", "2.0")))


def chunk_of(
    store: Store, label: str, files: dict[str, str], floor: tuple[int, int] = (0, 0)
) -> Chunk:
    def fill(writer: ChunkWriter) -> tuple[int, int]:
        for name, content in files.items():
            writer.file(name, content.encode(), executable=name.startswith("bin/"))
        return floor

    return make(store, [label, files], label, fill)


def archive_of(store: Store, *chunks: Chunk) -> Archive:
    return assemble(
        chunks,
        target=TARGET,
        lock=LOCK,
        has_python=True,
        inputs={"requirements": ["one"]},
        store=store,
    )


@pytest.fixture
def chunks(store: Store) -> tuple[Chunk, Chunk]:
    return chunk_of(store, "one 1.0", {"bin/one": "#!/bin/sh\n", "lib/one.py": "1"}), chunk_of(
        store, "two 2.0", {"lib/two.py": "2"}, (2, 27)
    )


def tree(folder: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), os.access(path, os.X_OK))
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_archive_is_its_chunks_and_a_tail(store: Store, chunks: tuple[Chunk, Chunk]) -> None:
    archive = archive_of(store, *chunks)
    data = Path(archive.path).read_bytes()
    assert data.startswith(b"".join(chunk_path(store, chunk).read_bytes() for chunk in chunks))
    assert archive.size == len(data)
    assert archive.floor == (2, 27)
    assert Path(archive.path).name == f"{archive.name}.tar.gz"
    assert gzip.decompress(data).endswith(bytes(1024))
    with tarfile.open(archive.path) as tar:
        assert [name for name in tar.getnames() if not tar.getmember(name).isdir()] == [
            "bin/one",
            "lib/one.py",
            "lib/two.py",
            "boat.json",
        ]
        boat = json.load(tar.extractfile("boat.json") or pytest.fail("no boat.json"))
    assert boat == {
        "format": 1,
        "inputs": {"requirements": ["one"]},
        "lock": LOCK.digest,
        "pins": {"one": "1.0", "two": "2.0"},
        "chunks": [{"id": chunk.id, "label": chunk.label} for chunk in chunks],
        "glibc": [2, 27],
        "architecture": "x86_64",
        "python": "3.11.7",
        "has_python": True,
    }


def test_too_little_room_is_told_before_anything_is_unpacked(
    store: Store, chunks: tuple[Chunk, Chunk]
) -> None:
    huge = replace(chunks[0], unpacked=1 << 60)
    for ask in (lambda: unpack_chunk(huge, store), lambda: unpack(archive_of(store, huge), store)):
        with pytest.raises(StoreError) as refused:
            ask()
        assert refused.value.code == "store.too-little-room"
        assert "1152921.5 TB" in refused.value.value or "TB are needed" in refused.value.value
    assert not list(store.root.glob("trees/*"))


def test_the_second_time_nothing_is_written(store: Store, chunks: tuple[Chunk, Chunk]) -> None:
    archive = archive_of(store, *chunks)
    unpack(archive, store)
    unpack_chunk(chunks[0], store)
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    assert archive_of(store, *chunks) == archive
    unpack(archive, store)
    unpack_chunk(chunks[0], store)
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


def test_order_and_inputs_make_another_archive(store: Store, chunks: tuple[Chunk, Chunk]) -> None:
    first = archive_of(store, *chunks)
    assert archive_of(store, *reversed(chunks)).id != first.id
    assert (
        assemble(chunks, target=TARGET, lock=LOCK, has_python=False, inputs={}, store=store).id
        != first.id
    )


def test_unpacking_gives_what_tar_gives(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "big").write_bytes(Random(0).randbytes(3_000_000))
    (source / "deep" / "er" / "run").write_bytes(b"#!/bin/sh\n")
    (source / "deep" / "er" / "run").chmod(0o755)
    (source / "link").symlink_to("deep/big")
    chunk = make(store, "tree", "tree", lambda writer: fill_from_tree(writer, source))
    archive = archive_of(store, chunk)
    root = unpack(archive, store)
    assert root == environment_path(store, archive)
    (tmp_path / "tar").mkdir()
    subprocess.run(
        f'gzip -dc "{archive.path}" | tar -C "{tmp_path}/tar" -xf -', shell=True, check=True
    )
    assert tree(root) == tree(tmp_path / "tar")
    assert os.readlink(root / "link") == "deep/big"
    assert (
        {name: content for name, content in tree(root).items() if name != "boat.json"}
        == tree(source)
        == tree(unpack_chunk(chunk, store))
    )


def test_clashing_files_are_told_and_the_later_one_wins(store: Store) -> None:
    same = {"lib/__init__.py": ""}
    first = chunk_of(store, "one 1.0", {**same, **{f"lib/{n}.py": "1" for n in range(5)}})
    second = chunk_of(store, "two 2.0", {**same, **{f"lib/{n}.py": "2" for n in range(5)}})
    for _ in range(2):
        (finding,) = archive_of(store, first, second).findings
        assert finding.value == "one 1.0 and two 2.0: lib/0.py, lib/1.py, lib/2.py, + 2 others"
    assert (unpack(archive_of(store, first, second), store) / "lib/0.py").read_text() == "2"
    assert archive_of(store, first, chunk_of(store, "three 3.0", same)).findings == ()


def test_a_link_is_replaced_not_followed(store: Store) -> None:
    def links(writer: ChunkWriter) -> None:
        writer.file("bin/python3.11", b"the interpreter")
        writer.link("bin/python3", "python3.11")

    archive = archive_of(
        store, make(store, 1, "python", links), chunk_of(store, "evil 1.0", {"bin/python3": "evil"})
    )
    root = unpack(archive, store)
    assert (root / "bin/python3.11").read_text() == "the interpreter"
    assert (root / "bin/python3").read_text() == "evil"
    assert archive.findings[0].value == "python and evil 1.0: bin/python3"


def test_a_file_where_another_package_has_a_folder(store: Store) -> None:
    one, two = (
        chunk_of(store, "one 1.0", {"lib/x": "file"}),
        chunk_of(store, "two 2.0", {"lib/x/y": "below"}),
    )
    for pair in ((one, two), (two, one)):
        with pytest.raises(BuildError, match="lib/x") as caught:
            archive_of(store, *pair)
        assert "one 1.0" in caught.value.cause
        assert "two 2.0" in caught.value.cause
    assert not (store.root / "archives").exists()


def test_what_was_damaged_in_the_store_is_told(store: Store, chunks: tuple[Chunk, Chunk]) -> None:
    archive = archive_of(store, *chunks)
    whole = Path(archive.path).read_bytes()
    truncated = whole.rindex(b"\x1f\x8b\x08\x00")  # the tail is gone: a reader notices nothing
    for size, data in (
        (archive.size, whole[:-4]),
        (truncated, whole[:truncated]),
        (len(whole), whole[:70] + b"\xff\xff" + whole[72:]),
    ):
        Path(archive.path).write_bytes(data)
        with pytest.raises(BuildError, match="damaged") as caught:
            unpack(replace(archive, size=size), store)
        assert archive.path in caught.value.cure
        assert not environment_path(store, archive).exists()
    Path(archive.path).unlink()
    chunk_path(store, chunks[1]).write_bytes(b"short")
    with pytest.raises(BuildError, match="damaged"):
        archive_of(store, *chunks)
    chunk_path(store, chunks[1]).unlink()
    with pytest.raises(BuildError, match="gone"):
        archive_of(store, *chunks)
    assert not Path(archive.path).exists()


def test_copies(store: Store, chunks: tuple[Chunk, Chunk], tmp_path: Path) -> None:
    archive = archive_of(store, *chunks)
    path = tmp_path / "my boat.tar.gz"
    copied = copy_to(archive, Destination(path))
    assert copied.path == str(path)
    assert path.read_bytes() == Path(archive.path).read_bytes()
    path.write_bytes(b"mine")
    with pytest.raises(BuildError, match="already"):
        copy_to(archive, Destination(path))
    assert path.read_bytes() == b"mine"
    copy_to(archive, Destination(path, overwrite=True))
    assert path.read_bytes() == Path(archive.path).read_bytes()
    assert [
        entry.name for entry in tmp_path.iterdir() if entry.is_file() or entry.name.startswith(".")
    ] == [path.name]
    for wrong in ("boat.zip", "boat"):
        with pytest.raises(BuildError, match="must end in") as caught:
            copy_to(archive, Destination(tmp_path / wrong))
        assert "boat.tar.gz" in caught.value.cure
    with pytest.raises(BuildError, match="written") as caught:
        copy_to(archive, Destination(tmp_path / "no" / "boat.tgz"))
    assert "mkdir" in caught.value.cure


def test_a_disk_that_takes_less_than_it_is_given_is_noticed(
    store: Store, chunks: tuple[Chunk, Chunk], tmp_path: Path
) -> None:
    """A limit on a file's size cuts the last write short, without an error."""
    inputs = {
        "requirements": [hashlib.sha256(str(number).encode()).hexdigest() for number in range(500)]
    }
    whole = assemble(
        chunks,
        target=TARGET,
        lock=LOCK,
        has_python=True,
        inputs=inputs,
        store=store,
        to=Destination(tmp_path / "whole.tar.gz"),
    )
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole.size - 200, limits[1]))
    try:
        with pytest.raises(BuildError, match="cannot be written"):
            assemble(
                chunks,
                target=TARGET,
                lock=LOCK,
                has_python=True,
                inputs=inputs,
                store=store,
                to=Destination(tmp_path / "cut.tar.gz"),
            )
        with pytest.raises(StoreError):
            assemble(chunks, target=TARGET, lock=LOCK, has_python=True, inputs=inputs, store=store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.glob("*.tar.gz")] == ["whole.tar.gz"]
    assert not [*(store.root / "archives").rglob("*.tar.gz")]


def test_an_archive_for_a_place_is_the_same_and_is_whole_or_not_there(
    store: Store, chunks: tuple[Chunk, Chunk], tmp_path: Path
) -> None:
    path = tmp_path / "boat.tar.gz"

    def packed() -> Archive:
        return assemble(
            chunks,
            target=TARGET,
            lock=LOCK,
            has_python=True,
            inputs={"requirements": ["one"]},
            store=store,
            to=Destination(path, overwrite=True),
        )

    at_place = packed()
    assert at_place.path == str(path)
    assert not (store.root / "archives").exists()
    in_store = archive_of(store, *chunks)
    assert replace(in_store, path=str(path)) == at_place
    assert Path(in_store.path).read_bytes() == path.read_bytes()
    chunk_path(store, chunks[1]).unlink()
    before = path.read_bytes()
    with pytest.raises(BuildError, match="gone"):
        packed()
    assert path.read_bytes() == before
    assert [
        entry.name for entry in tmp_path.iterdir() if entry.is_file() or entry.name.startswith(".")
    ] == [path.name]


BUILD = """
import hashlib, os, sys
from pathlib import Path
os.umask(int(sys.argv[3], 8))
from coffee_boat._support.store import Store
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.chunks import fill_from_tree, make
from coffee_boat.pip.chunks import wheel_chunk
from coffee_boat.model import Lock, Pin, Target
store, target = Store(sys.argv[1]), Target("3.11.7", glibc=(2, 28))
wheel = Path(sys.argv[2])
pin = Pin("demo", "1.0", direct=True, requested=True, url="file://" + sys.argv[2], sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
parts = [make(store, 1, "tree", lambda writer: fill_from_tree(writer, wheel.parent / "tree")), wheel_chunk(wheel, pin, target, store)]
print(assemble(parts, target=target, lock=Lock(target, (pin,)), has_python=True, inputs={"requirements": ["demo"]}, store=store).path)
"""  # noqa: E501


def test_the_same_bytes_for_everyone(make_wheel: MakeWheel, tmp_path: Path) -> None:
    archives = []
    for who, umask, zone, seed in (("alice", "022", "UTC", "1"), ("bob", "077", "Asia/Tokyo", "2")):
        home = tmp_path / who
        (home / "tree" / "sub").mkdir(parents=True)
        for name in ("sub/b", "a", "c"):
            (home / "tree" / name).write_text(name)
        wheel = make_wheel(
            folder=home,
            files={f"demo/{name}.py": name * 3000 for name in "abc"},
            console_scripts={"demo": "demo:main"},
        )
        environment = {
            **os.environ,
            "HOME": str(home),
            "USER": who,
            "TZ": zone,
            "PYTHONHASHSEED": seed,
        }
        ran = subprocess.run(
            [sys.executable, "-c", BUILD, str(home / "store"), str(wheel), umask],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        archives.append(Path(ran.stdout.strip()))
    first, second = archives
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    for text in (b"alice", str(tmp_path).encode()):
        assert text not in gzip.decompress(first.read_bytes())


def test_concurrent_assemblies_and_unpackings(store: Store, chunks: tuple[Chunk, Chunk]) -> None:
    code = """
import sys, pickle
from coffee_boat._support.store import Store
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.unpack import unpack
chunks, target, lock = pickle.loads(bytes.fromhex(sys.argv[2]))
store = Store(sys.argv[1])
print(unpack(assemble(chunks, target=target, lock=lock, has_python=True, inputs={"requirements": ["one"]}, store=store), store))
"""  # noqa: E501
    argument = pickle.dumps((chunks, TARGET, LOCK)).hex()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(store.root), argument],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = {process.communicate(timeout=60)[0].strip() for process in running}
    archive = archive_of(store, *chunks)
    assert answers == {str(environment_path(store, archive))}
    assert (
        len(list((store.root / "archives").iterdir()))
        == len(list((store.root / "trees").iterdir()))
        == 1
    )
    assert list((store.root / "tmp").iterdir()) == []


def test_a_wheel_in_an_archive_imports(make_wheel: MakeWheel, store: Store) -> None:
    target = Target(f"{sys.version_info.major}.{sys.version_info.minor}.0")
    wheel = make_wheel(files={"demo/__init__.py": "answer = 42\n" + "# filler\n" * 1000})
    chunk = wheel_chunk(wheel, Pin("demo", "1.0", filename=wheel.name), target, store)
    root = unpack(
        assemble(
            [chunk], target=target, lock=Lock(target), has_python=False, inputs={}, store=store
        ),
        store,
    )
    code = "import demo, importlib.metadata as m; print(demo.answer, m.version('demo'))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(root / target.site_packages)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["42", "1.0"]


WRITER = """
import sys
from pathlib import Path
from coffee_boat.archive.destination import Destination

with Destination(Path(sys.argv[1])).written() as out:
    out.write(b"half")
    print("written", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_wrote_goes_with_the_next_archive(tmp_path: Path) -> None:
    def writer(name: str) -> subprocess.Popen[str]:
        begun = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert begun.stdout is not None
        assert begun.stdout.readline() == "written\n"
        return begun

    others = tmp_path / ".boat-others_"
    (others / "kept").mkdir(parents=True)
    with writer("alive.tar.gz") as alive, writer("killed.tar.gz") as killed:
        killed.kill()
        killed.wait()
        assert len([*tmp_path.glob(".boat-*")]) == 3
        with Destination(tmp_path / "next.tar.gz").written() as out:
            out.write(b"whole")
        assert len([*tmp_path.glob(".boat-*")]) == 2
        alive.communicate()
    assert {path.name for path in tmp_path.iterdir()} == {
        others.name,
        "alive.tar.gz",
        "next.tar.gz",
    }
    assert (others / "kept").exists()
