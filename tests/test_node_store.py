"""The node store: unpacked once a node, by whoever is first; never shared with another user, never
half, never changed.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from lanes import cannot_run

from coffee_boat._support.store import Store
from coffee_boat.archive import seek
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.chunks import make
from coffee_boat.archive.unpack import unpack, unpack_chunk
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.clusters import kind_of
from coffee_boat.errors import BuildError, SettingsError
from coffee_boat.interpreter import starter
from coffee_boat.model import (
    Archive,
    Chunk,
    CondaPin,
    ConfPatch,
    Lock,
    Manifest,
    Shipped,
    SparkFacts,
    Target,
)
from coffee_boat.settings import Settings, load
from coffee_boat.worker.starter import entries, files, kept, places
from coffee_boat.worker.starter import start as starting
from coffee_boat.worker.starter import unpack as unpacking
from coffee_boat.worker.starter.index import NAME, OF_APPLICATION, Index, Part, read, written
from coffee_boat.workflow import node_store
from coffee_boat.workflow.built import Built
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.tools import Tools

TARGET = Target("3.11.7", glibc=(2, 28))
SITE = TARGET.site_packages
ROOT = Path(__file__).resolve().parent.parent
PYTHON = """#!/bin/sh
echo "$0" "$@"
"""


def chunk_of(store: Store, label: str, content: dict[str, bytes], *links: str) -> Chunk:
    def fill(writer: ChunkWriter) -> None:
        for name, data in content.items():
            writer.file(name, data, executable=name.startswith("bin/"))
        for name in links:
            writer.link(name, os.path.basename(next(iter(content))))

    key = [label, {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}, links]
    return make(store, key, label, fill)


def archive_of(store: Store, *chunks: Chunk) -> Archive:
    return assemble(
        chunks,
        target=TARGET,
        lock=Lock(TARGET),
        has_python=True,
        inputs={"requirements": []},
        store=store,
    )


@pytest.fixture
def archive(store: Store) -> Archive:
    """With all that an archive may have: links, programs, long and strange names, files that have
    parts of their own, and a file that two packages have.
    """
    python = chunk_of(store, "python 3.11.7", {"bin/python3.11": PYTHON.encode()}, "bin/python3")
    big = {f"{SITE}big/{n}.bin": Random(n).randbytes((2 << 20) + n) for n in range(3)}
    names = {f"{SITE}a/{'l' * 120}/{'o' * 120}.py": b"long", f"{SITE}a/caf\u00e9.py": b"x"}
    one = chunk_of(store, "one 1.0", {f"{SITE}shared/__init__.py": b"1", **names})
    two = chunk_of(store, "two 1.0", {f"{SITE}shared/__init__.py": b"22", f"{SITE}two.py": b"2"})
    return archive_of(store, python, chunk_of(store, "big 1.0", big), one, two)


def index_of(archive: Archive, store: Store, **changed: object) -> Index:
    told = Index(
        id=archive.id,
        name=archive.name,
        cargo=f"{archive.name}.cargo",
        python="3.11",
        size=archive.size,
        unpacked=sum(chunk.unpacked for chunk in archive.chunks) + archive.size,
        files=seek.files(archive, store),
        folder="",
        most=1 << 30,
        parts=seek.parts(archive, store),
    )
    return told._replace(**changed)  # type: ignore[arg-type]


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    return {
        str(path.relative_to(folder)): (str(path.readlink()),)
        if path.is_symlink()
        else (path.read_bytes(), os.access(path, os.X_OK))
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def node(tmp_path: Path) -> str:
    """A folder of a node, as `places.opened` gives it."""
    return places.opened(str(tmp_path))


def test_parts_that_are_unpacked_side_by_side_are_what_the_archive_is(
    archive: Archive, store: Store, node: str
) -> None:
    told = index_of(archive, store)
    assert len(told.parts) >= 6, "the chunk with large files has several"
    assert [p.offset for p in told.parts[1:]] == [p.offset + p.length for p in told.parts[:-1]]
    made = Path(kept.environment(node, told, archive.path))
    assert tree(made) == tree(unpack(archive, store))
    assert (made / SITE / "shared/__init__.py").read_bytes() == b"22"
    assert stat.S_IMODE(os.stat(node).st_mode) == 0o700
    assert kept.environment(node, told, "/no/cargo/is/needed") == str(made)


def test_a_file_of_which_one_part_has_two_is_the_later_one(store: Store, node: str) -> None:
    def fill(writer: ChunkWriter) -> None:
        writer.file("a/x.py", b"first")
        writer.file("a/x.py", b"second")

    archive = archive_of(store, make(store, ["twice"], "twice 1", fill))
    made = kept.environment(node, index_of(archive, store), archive.path)
    assert Path(made, "a/x.py").read_bytes() == b"second"


def test_a_name_that_looks_as_a_size_is_none(store: Store, node: str) -> None:
    names = ("a/\u00e9 size=5 .txt", "a/\u00e9 size=7", f"a/{'l' * 120} size=x")
    content = {f"{SITE}{name}": b"1" * 600 for name in names}
    archive = archive_of(store, chunk_of(store, "odd 1.0", content))
    made = kept.environment(node, index_of(archive, store), archive.path)
    assert all(Path(made, name).read_bytes() == b"1" * 600 for name in content)


def test_parts_of_a_chunk_are_remembered_and_a_damaged_archive_has_none(
    archive: Archive, store: Store
) -> None:
    first = seek.parts(archive, store)
    assert seek.parts(archive, store) == first
    with open(archive.path, "r+b") as out:
        out.truncate(archive.size - 100)
    with pytest.raises(BuildError, match="gone or damaged"):
        seek.parts(archive, store)


# many at once

RUN = """
import sys
sys.path.insert(0, sys.argv[1])
from starter import index, kept
told = index.read(sys.argv[2])
print(kept.environment(sys.argv[3], told, sys.argv[4]), flush=True)
sys.stdin.read()
"""
"""As on a node: without the rest of us."""


def begun(
    folder: Path, node: str, archive: Archive, store: Store, run: str = RUN
) -> subprocess.Popen[str]:
    if not (folder / NAME).exists() or read(str(folder)).id != archive.id:
        (folder / NAME).write_text(written(index_of(archive, store)))
    argv = [str(ROOT / "coffee_boat/worker"), str(folder), node, archive.path]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", run, *argv],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_of_sixteen_that_start_at_once_one_unpacks(
    archive: Archive, store: Store, node: str, tmp_path: Path
) -> None:
    many = [begun(tmp_path, node, archive, store) for _ in range(16)]
    ended = [process.communicate("") for process in many]
    assert [process.returncode for process in many] == [0] * 16
    assert len({out for out, _ in ended}) == 1
    assert sum(error.count("unpacked once for this node") for _, error in ended) == 1, ended
    assert sorted(name.partition(".")[2] for name in os.listdir(node)) == ["", "lock"]


def test_what_is_killed_while_it_unpacks_leaves_nothing_under_its_name(
    store: Store, node: str, tmp_path: Path
) -> None:
    large = {f"{SITE}large/{n}.bin": Random(n).randbytes(1 << 20) for n in range(24)}
    archive = archive_of(store, chunk_of(store, "large 1.0", large))
    process = begun(tmp_path, node, archive, store)
    end = time.monotonic() + 20
    while not any(name.endswith(".aside") for name in os.listdir(node)):
        assert time.monotonic() < end
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    Path(node, f"{'0' * 32}.4711.aside/tree").mkdir(parents=True)  # of one that nobody wants now
    told = index_of(archive, store)
    made = kept.environment(node, told, archive.path)
    assert files.differs(os.path.dirname(made), archive.id) is None
    assert not [name for name in os.listdir(node) if name.endswith(".aside")]


STARVED = """
import os, resource, sys
sys.path.insert(0, sys.argv[1])
from starter import index, unpack
told = index.read(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
try:
    unpack.unpack(sys.argv[4], told, sys.argv[3], count=16)
except OSError as error:
    print(error.strerror, len(os.listdir("/proc/self/fd")))
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child")
"""


def test_where_not_all_processes_can_be_started_those_that_were_are_ended(
    archive: Archive, store: Store, node: str, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_text(written(index_of(archive, store)))
    argv = [str(ROOT / "coffee_boat/worker"), str(tmp_path), node, archive.path]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STARVED, *argv],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["Too many open files 4", "no child"], done.stderr


def test_parts_may_be_more_than_a_pipe_takes(node: str) -> None:
    data = gzip.compress(member("d", tarfile.DIRTYPE).tobuf())
    Path(node, "cargo").write_bytes(data)
    part = Part(0, len(data), 0, hashlib.sha256(data).hexdigest())
    many = [part] * ((1 << 13) + 1)
    told = Index("ab" * 32, "boat-x", "cargo", "3.11", len(data), 99, 0, "", 1 << 30, many)
    unpacking.unpack(str(Path(node, "cargo")), told, node)
    assert Path(node, "d").is_dir()


# what another environment has


def with_one_more(archive: Archive, store: Store, content: dict[str, bytes]) -> Archive:
    return archive_of(store, *archive.chunks, chunk_of(store, "more 1.0", content))


def without_the_bytes_of(
    archive: Archive, other: Archive, store: Store, cargo: Path
) -> tuple[Index, str]:
    """A cargo of which only those parts can be unpacked that the other archive has not."""
    told, had = index_of(archive, store), {p.sha256 for p in seek.parts(other, store)}
    data = bytearray(Path(archive.path).read_bytes())
    for part in told.parts:
        if part.sha256 in had:
            data[part.offset : part.offset + part.length] = bytes(part.length)
    cargo.write_bytes(data)
    return told, str(cargo)


def test_an_environment_with_one_package_more_costs_that_package(
    archive: Archive, store: Store, node: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = Path(begun(tmp_path, node, archive, store).communicate("")[0].strip())
    (first / SITE / "__pycache__").mkdir()
    (first / SITE / "__pycache__/two.cpython-311.pyc").touch()
    more = with_one_more(archive, store, {f"{SITE}more.py": b"more"})
    told, cargo = without_the_bytes_of(more, archive, store, tmp_path / "cargo")
    second = Path(kept.environment(node, told, cargo))
    assert tree(second) == tree(unpack(more, store))
    assert f" of its {len(told.parts)} parts were there): {second.parent}" in capfd.readouterr().err
    for name, is_one in (("two.py", True), ("big/1.bin", False)):
        assert (first / SITE / name).samefile(second / SITE / name) is is_one, "data are copied"
    assert files.differs(str(first.parent), archive.id) is None
    third = with_one_more(more, store, {f"{SITE}third.py": b"3"})
    told, cargo = without_the_bytes_of(third, more, store, tmp_path / "cargo")
    assert tree(Path(kept.environment(node, told, cargo))) == tree(unpack(third, store))


def test_a_package_that_replaces_a_file_of_another_has_its_own(
    archive: Archive, store: Store, node: str
) -> None:
    kept.environment(node, index_of(archive, store), archive.path)
    content = {f"{SITE}two.py": b"mine", f"{SITE}shared/__init__.py": b"mine"}
    more = with_one_more(archive, store, content)
    made = Path(kept.environment(node, index_of(more, store), more.path))
    assert tree(made) == tree(unpack(more, store))
    first = Path(node, archive.id[:32], "tree")
    assert tree(first) == tree(unpack(archive, store))


@pytest.mark.parametrize(
    "change", ["changed", "planted", "unlisted", "locked", "no list", "other list", "no names"]
)
def test_nothing_is_taken_of_an_environment_that_is_not_as_it_was_made(
    archive: Archive, store: Store, node: str, tmp_path: Path, change: str
) -> None:
    begun(tmp_path, node, archive, store).communicate("")
    place = Path(node, archive.id[:32])
    listed = place / "parts.json"
    if change == "changed":
        (place / "tree" / SITE / "big/1.bin").write_bytes(b"else")
    elif change == "planted":
        (place / "tree/x.pth").touch()
    elif change == "unlisted":
        listed.write_text(listed.read_text().replace("two.py", "../../two.py"))
    elif change == "no list":
        listed.write_text(listed.read_text()[:-9])
    elif change == "other list":
        listed.write_text('{"format": 2}')
    elif change == "no names":
        listed.write_text(json.dumps({key: [["x"]] for key in json.loads(listed.read_text())}))
    more = with_one_more(archive, store, {f"{SITE}more.py": b"more"})
    with open(f"{place}.lock", "ab") as lock:
        if change == "locked":
            fcntl.flock(lock, fcntl.LOCK_EX)
        made = Path(kept.environment(node, index_of(more, store), more.path))
    assert tree(made) == tree(unpack(more, store))
    is_one = (made / SITE / "a/caf\u00e9.py").samefile(place / "tree" / SITE / "a/caf\u00e9.py")
    assert is_one is (change == "unlisted"), "only that part is unpacked"


# what was changed


def changes(made: Path) -> list[tuple[Path, Callable[[], object]]]:
    site = made / SITE
    module, planted, library, link = site / "two.py", site / "x.pth", made / "x.so.1", made / "x"
    return [
        (module, lambda: module.write_bytes(b"")),
        (module, module.unlink),
        (module, lambda: os.utime(module, (1, 1))),
        (module, lambda: module.chmod(0o777)),
        (planted, planted.touch),
        (library, library.touch),
        (made / "bin/pyvenv.cfg", (made / "bin/pyvenv.cfg").touch),
        (made / "lib/python311.zip", (made / "lib/python311.zip").touch),
        (link, lambda: link.symlink_to("/etc")),
    ]


def test_an_environment_that_was_changed_is_told_and_unpacked_again(
    archive: Archive, store: Store, node: str, tmp_path: Path
) -> None:
    begun(tmp_path, node, archive, store).communicate("")  # it ends, and so its lock
    made = Path(node, archive.id[:32], "tree")
    (made / SITE / "__pycache__").mkdir()
    (made / SITE / "__pycache__/two.cpython-311.pyc").touch()
    for name in ("cache.json", "corpus.zip", "setup.cfg", "__pycache__/_cffi__x1.so"):
        (made / SITE / name).touch()
    assert files.differs(str(made.parent), archive.id) is None, "bytecode and caches are no change"
    for path, change in changes(made):
        change()
        said = begun(tmp_path, node, archive, store).communicate("")[1]
        assert f"is not as it was made: tree/{path.relative_to(made)}" in said
        assert files.differs(str(made.parent), archive.id) is None


def test_a_half_written_list_of_files_is_a_change(
    archive: Archive, store: Store, node: str, tmp_path: Path
) -> None:
    begun(tmp_path, node, archive, store).communicate("")
    listed = Path(node, archive.id[:32], "files.json")
    listed.write_text(listed.read_text()[:-9])
    assert files.differs(str(listed.parent), archive.id)
    kept.environment(node, index_of(archive, store), archive.path)
    assert files.differs(str(listed.parent), archive.id) is None


def test_what_others_run_from_is_not_replaced(
    archive: Archive, store: Store, node: str, tmp_path: Path
) -> None:
    with running(begun(tmp_path, node, archive, store)) as made:
        (Path(made) / SITE / "two.py").write_bytes(b"else")
        with pytest.raises(kept.ChangedError, match="processes run from it"):
            kept.environment(node, index_of(archive, store), archive.path, moment=0.1)
    assert (Path(made) / SITE / "two.py").read_bytes() == b"else"


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.communicate("")


def test_a_cargo_that_is_not_what_was_sent_is_refused_and_nothing_kept(
    archive: Archive, store: Store, node: str, tmp_path: Path
) -> None:
    data = bytearray(Path(archive.path).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "cargo").write_bytes(data)
    told = index_of(archive, store)
    with pytest.raises(ValueError, match=r"damaged|not what was sent"):
        kept.environment(node, told, str(tmp_path / "cargo"))
    (tmp_path / "cargo").write_bytes(data[:-1])
    with pytest.raises(ValueError, match="were sent"):
        kept.environment(node, told, str(tmp_path / "cargo"))
    assert os.listdir(node) == [f"{archive.id[:32]}.lock"]


# names, as coffee_boat/archive/unpack.py checks them


def hostile(*members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    packed = zlib.compressobj(wbits=31)
    return packed.compress(out.getvalue()) + packed.flush()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, 1 if kind == tarfile.REGTYPE else 0
    return made


def unpacked(data: bytes, node: str, *, files: int = 0) -> Path:
    cargo, root = Path(node, "cargo"), Path(node, "root")
    cargo.write_bytes(data)
    root.mkdir()
    part = Part(0, len(data), 0, hashlib.sha256(data).hexdigest())
    told = Index("ab" * 32, "boat-x", "cargo", "3.11", len(data), 99, files, "", 1 << 30, [part])
    unpacking.unpack(str(cargo), told, str(root))
    return root


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([member("../x")], "leads out"),
        ([member("/dev/null/x")], "leads out"),
        ([member("a/./x")], "leads out"),
        ([member("a/../../x")], "leads out"),
        ([member("/".join(["d"] * 70))], "leads out"),
        ([member("a", tarfile.SYMTYPE, "../out")], "leads out"),
        ([member("a", tarfile.SYMTYPE, "/etc")], "leads out"),
        ([member("a/b", tarfile.SYMTYPE, "c/../../..")], "leads out"),
        ([member("a", tarfile.LNKTYPE, "/etc/passwd")], "ours have not"),
        ([member("a", tarfile.CHRTYPE)], "ours have not"),
        ([member("a", tarfile.FIFOTYPE)], "ours have not"),
        ([member("l", tarfile.SYMTYPE, "d"), member("l/x")], "is in the cargo twice"),
        ([member("l", tarfile.SYMTYPE, "d"), member("l/m", tarfile.SYMTYPE, "x")], "behind a link"),
    ],
    ids=lambda said: said if isinstance(said, str) else f"{said[-1].name[:9]}{len(said)}",
)
def test_what_leads_out_is_refused(members: list[tarfile.TarInfo], said: str, node: str) -> None:
    with pytest.raises(ValueError, match=said):
        unpacked(hostile(*members), node)
    assert not (Path(node) / "x").exists()


def test_what_stays_inside_is_written(node: str) -> None:
    members = member("a/x"), member("b/l", tarfile.SYMTYPE, "../a/x"), member("d", tarfile.DIRTYPE)
    root = unpacked(hostile(*members), node, files=2)
    assert (root / "b/l").read_bytes() == b"x"
    assert (root / "d").is_dir()


def test_more_than_was_sent_is_not_written(node: str) -> None:
    big = member("big")
    big.size = 1 << 20
    data = hostile(big)
    Path(node, "cargo").write_bytes(data)
    part = Part(0, len(data), 0, hashlib.sha256(data).hexdigest())
    with pytest.raises(ValueError, match="more in it"), open(Path(node, "cargo"), "rb") as cargo:
        entries.write(cargo.fileno(), part, os.fsencode(node), 1000)


@pytest.mark.parametrize("size", ["-1000", "-", "1e3", "٣"])
def test_a_size_that_is_none_is_refused(node: str, size: str) -> None:
    odd = member("odd")
    odd.pax_headers = {"size": size}
    data = hostile(odd, member("next"))
    Path(node, "cargo").write_bytes(data)
    part = Part(0, len(data), 0, hashlib.sha256(data).hexdigest())
    with pytest.raises(ValueError, match="pax header"), open(Path(node, "cargo"), "rb") as cargo:
        entries.write(cargo.fileno(), part, os.fsencode(node), 1000)


# whose the folder is


@pytest.mark.parametrize("of_another", ["folder", "above"])
def test_two_users_do_not_share(tmp_path: Path, of_another: str) -> None:
    if os.geteuid() != 0:
        cannot_run("only root can give a folder to another user")
    parent = tmp_path / "local"
    parent.mkdir()
    planted = parent / f"coffee_boat-node-{os.geteuid()}"
    planted.mkdir(0o700)
    os.chown(planted if of_another == "folder" else parent, 4711, 4711)
    with pytest.raises(places.UnusableError, match="another user"):
        places.opened(str(parent))


@pytest.mark.parametrize("how", ["entered", "above", "link", "file"])
def test_a_folder_that_others_may_write_or_have_planted_is_refused(
    tmp_path: Path, how: str
) -> None:
    parent = tmp_path / "local"
    parent.mkdir()
    planted = parent / f"coffee_boat-node-{os.geteuid()}"
    if how == "link":
        (tmp_path / "elsewhere").mkdir(0o700)
        planted.symlink_to(tmp_path / "elsewhere")
    elif how == "file":
        planted.touch(0o600)
    else:
        planted.mkdir(0o700)
        (planted if how == "entered" else parent).chmod(0o777)
    with pytest.raises(places.UnusableError, match=r"others may|somebody else made it"):
        places.opened(str(parent))


def test_a_sticky_folder_that_all_may_write_serves_as_tmp_does(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    assert places.opened(str(tmp_path / "tmp")).startswith(str(tmp_path / "tmp"))


def test_the_folder_of_sparks_local_files_comes_first(archive: Archive, store: Store) -> None:
    told = index_of(archive, store)
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    blocks = f"/data/local/spark-{uuid}/executor-{uuid}/blockmgr-{uuid}"
    environ = {"SPARK_LOCAL_DIRS": f"{blocks},/other", "TMPDIR": "/scratch"}
    assert places.folders(told, environ) == ["/data/local", "/scratch", "/tmp"]
    assert places.folders(told, {"SPARK_LOCAL_DIRS": "/odd"}) == ["/tmp"]
    of_yarn = f"/yarn/usercache/ada/appcache/application_1700000000000_0042/blockmgr-{uuid}"
    assert places.folders(told, {"SPARK_LOCAL_DIRS": of_yarn}) == ["/yarn/usercache/ada", "/tmp"]
    assert places.folders(told._replace(folder="/named"), environ) == ["/named"]


# what a disk does


def mounted(folder: Path, options: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "node", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        cannot_run(f"needs the right to mount a tmpfs: {done.stderr.strip()}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("mode=755,size=1m", "MiB free"),
        ("mode=755,noexec", "noexec"),
        ("mode=755,ro", "Read-only"),
        ("mode=755,nr_inodes=12", "No space left"),
    ],
)
def test_where_a_disk_cannot_serve_the_executor_unpacks_for_itself(
    archive: Archive,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    said: str,
) -> None:
    monkeypatch.setenv(starting.NOT_SHARED, "")
    (tmp_path / "disk").mkdir()
    around = tmp_path / "executor"
    around.mkdir()
    told = index_of(archive, store, folder=str(tmp_path / "disk"))
    os.link(archive.path, around / told.cargo)
    mounted(tmp_path / "disk", options)
    try:
        made = starting.ready(told, str(around))
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "disk")], check=True)
    assert Path(made).is_relative_to(around)
    assert said in os.environ[starting.NOT_SHARED]
    assert tree(Path(made)) == tree(unpack(archive, store))


def test_a_folder_in_memory_serves_only_if_it_was_named(
    archive: Archive, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(starting.NOT_SHARED, "")
    memory, around = tmp_path / "memory", tmp_path / "executor"
    memory.mkdir()
    around.mkdir()
    told = index_of(archive, store, folder=str(memory))
    os.link(archive.path, around / told.cargo)
    mounted(memory, "mode=755")
    try:
        with pytest.raises(places.UnusableError, match=f"{memory} is in memory"):
            places.opened(str(memory), may_be_memory=False)
        made = starting.ready(told, str(around))
    finally:
        subprocess.run(["umount", "-l", str(memory)], check=True)
    assert Path(made).is_relative_to(memory)


def test_what_was_used_longest_ago_goes_but_never_what_runs(
    store: Store, node: str, tmp_path: Path
) -> None:
    def packed(name: str) -> Archive:
        return archive_of(
            store, chunk_of(store, name, {f"{SITE}{name}.bin": Random(name).randbytes(1 << 16)})
        )

    old, runs, new = packed("old"), packed("runs"), packed("new")
    for archive in (old, runs):
        begun(tmp_path, node, archive, store).communicate("")
    for age, archive in enumerate((new, old, runs)):
        with suppress(FileNotFoundError):
            os.utime(Path(node, f"{archive.id[:32]}.lock"), (age, age))
    with running(begun(tmp_path, node, runs, store)):
        os.utime(Path(node, f"{runs.id[:32]}.lock"), (1, 1))  # the oldest
        kept.environment(node, index_of(new, store, most=1), new.path)
    there = {name for name in os.listdir(node) if "." not in name}
    assert there == {runs.id[:32], new.id[:32]}
    assert not Path(node, f"{old.id[:32]}.lock").exists()


def test_what_runs_does_not_count_against_what_is_idle(
    store: Store, node: str, tmp_path: Path
) -> None:
    idle, runs, new = (
        archive_of(
            store, chunk_of(store, name, {f"{SITE}{name}.bin": Random(name).randbytes(size)})
        )
        for name, size in (("idle", 1 << 10), ("runs", 1 << 18), ("new", 1 << 10))
    )
    begun(tmp_path, node, idle, store).communicate("")
    with running(begun(tmp_path, node, runs, store)):
        kept.environment(node, index_of(new, store, most=1 << 17), new.path)
    assert Path(node, idle.id[:32]).is_dir()


def test_who_waits_for_another_process_says_so_with_its_lock(
    archive: Archive, store: Store, node: str, capfd: pytest.CaptureFixture[str]
) -> None:
    told = index_of(archive, store)
    with open(Path(node, f"{archive.id[:32]}.lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(places.UnusableError, match="is held for 0 s by another process"):
            kept.environment(node, told, archive.path, patience=0.2, moment=0.05)
    said = capfd.readouterr().err
    assert said.count(f"waits for another process that unpacks: {lock.name} is held") == 1


# the executor's own folder

OWN = RUN.replace("kept.environment", "kept.own")


NO_LOCKS = """
import errno, fcntl
def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
"""


@pytest.mark.parametrize("script", [OWN, NO_LOCKS + OWN], ids=["locks", "no locks"])
def test_of_two_that_start_at_once_on_an_executor_both_have_its_own(
    archive: Archive, store: Store, node: str, tmp_path: Path, script: str
) -> None:
    two = [begun(tmp_path, node, archive, store, run=script) for _ in range(2)]
    ended = [process.communicate("") for process in two]
    folder = Path(node, "boat-unpacked")
    made = folder / archive.id[:32] / "tree"
    assert [out.strip() for out, _ in ended] == [str(made)] * 2, ended
    assert {name.partition(".lock")[0] for name in os.listdir(folder)} == {archive.id[:32]}
    assert tree(made) == tree(unpack(archive, store))
    if script is OWN:
        assert sum("unpacked once for this executor" in said for _, said in ended) == 1


def test_what_an_executors_functions_change_in_its_own_stays(
    archive: Archive, store: Store, node: str, tmp_path: Path
) -> None:
    with running(begun(tmp_path, node, archive, store, run=OWN)) as made:
        (Path(made) / SITE / "installed.py").write_text("x = 1\n")
        assert kept.own(node, index_of(archive, store), archive.path) == made
    assert (Path(made) / SITE / "installed.py").is_file()


def test_an_own_one_that_was_removed_while_it_runs_is_unpacked_again(
    archive: Archive, store: Store, node: str, tmp_path: Path
) -> None:
    with running(begun(tmp_path, node, archive, store, run=OWN)) as made:
        shutil.rmtree(made)
        assert kept.own(node, index_of(archive, store), archive.path) == made
    assert tree(Path(made)) == tree(unpack(archive, store))


# the starter, and what is sent


def begins(
    archive: Archive,
    store: Store,
    folder: Path,
    kept_in: str | None = None,
    executor: str = "executor",
    *,
    on_demand: bool = False,
) -> tuple[Path, Path]:
    """An executor's working directory, with what Spark puts there; and the starter in it."""
    kept_in = kept_in or str(folder / "node")
    small = starter.build(
        archive, cargo="the.cargo", folder=kept_in, store=store, on_demand=on_demand
    )
    (folder / "node").mkdir(exist_ok=True)
    around = folder / executor
    around.mkdir(parents=True)
    if not on_demand:
        os.link(archive.path, around / "the.cargo")
    root = around / small.name
    for chunk in small.chunks:
        subprocess.run(["cp", "-r", f"{unpack_chunk(chunk, store)}/.", str(root)], check=True)
    return around, root / SITE


def started(around: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import site; site.addsitedir({str(site)!r})", "-m", "daemon"],
        cwd=around,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_starter_becomes_the_interpreter_of_the_environment(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    around, site = begins(archive, store, tmp_path)
    assert read(str(site / "coffee_boat_starter")).id == archive.id
    done = started(around, site)
    env = tmp_path / f"node/coffee_boat-node-{os.geteuid()}/{archive.id[:32]}/tree"
    assert done.stdout.startswith(f"{env}/bin/python3.11 -c import site")
    assert done.stdout.rstrip().endswith("-m daemon")
    assert (around / archive.name).resolve() == env
    (around / "the.cargo").unlink()
    kept._remove(str(env.parent))
    done = started(around, site)
    assert done.returncode == 1
    assert "the environment cannot be started on this node" in done.stderr
    assert "Traceback" not in done.stderr


STANDALONE = "work/app-20261130204115-0000"
YARN = "nm/usercache/me/appcache/application_1_0001"
APPLICATIONS = pytest.mark.parametrize(
    ("application", "executor"),
    [(STANDALONE, "{}"), (YARN, "container_1_0001_01_00000{}")],
    ids=["standalone", "YARN"],
)


@contextmanager
def fetching(executors: Sequence[Path], fetch: Callable[[Path], object]) -> Iterator[list[Path]]:
    """What Spark's plugin does on executors while the block lasts; gives for whom it did it."""
    served: list[Path] = []
    ended = threading.Event()

    def serve() -> None:
        while not ended.wait(0.02):
            for around in executors:
                wanted = around / "the.cargo.wanted"
                if wanted.exists():
                    wanted.unlink()
                    served.append(around)
                    fetch(around)

    with ThreadPoolExecutor(1) as plugin:
        done = plugin.submit(serve)
        try:
            yield served
        finally:
            ended.set()
            done.result()


@APPLICATIONS
def test_of_the_executors_of_a_node_one_asks_for_the_cargo(
    archive: Archive, store: Store, tmp_path: Path, application: str, executor: str
) -> None:
    executors = [
        begins(
            archive,
            store,
            tmp_path,
            OF_APPLICATION,
            f"{application}/{executor.format(number)}",
            on_demand=True,
        )
        for number in (1, 2, 3)
    ]
    with (
        fetching(
            [around for around, _ in executors],
            lambda around: os.link(archive.path, around / "the.cargo"),
        ) as served,
        ThreadPoolExecutor(6) as several,
    ):
        ended = list(several.map(lambda two: started(*two), executors * 2))
    assert not any(done.returncode for done in ended), ended
    assert len(served) == 1
    assert tree(of_application(archive, tmp_path / application)) == tree(unpack(archive, store))


def test_a_cargo_that_is_asked_for_in_vain_is_told_and_asked_for_again_by_the_next(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    around, site = begins(archive, store, tmp_path, on_demand=True)
    failed, answers = around / "the.cargo.failed", ["Stream '/files/x' was not found.", "a", "b"]
    with fetching([around], lambda _: failed.write_text(answers.pop(0))) as served:
        done = started(around, site)
        assert done.returncode == 1
        assert "the environment cannot be started on this node: [Errno 5] it cannot be fetched" in (
            done.stderr
        )
        assert "Stream '/files/x' was not found." in done.stderr
        with ThreadPoolExecutor(2) as several:
            both = list(several.map(lambda _: started(around, site).returncode, range(2)))
        assert both == [1, 1]
        assert len(served) >= 2
    assert not list((tmp_path / "node").rglob("tree"))
    with fetching([around], lambda _: os.link(archive.path, around / "the.cargo")):
        assert started(around, site).returncode == 0


ORPHAN = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from starter.cargo import fetch
if os.fork():
    while not os.path.exists(sys.argv[2] + ".wanted"):
        time.sleep(0.01)
    os._exit(0)
try:
    fetch(sys.argv[2])
except OSError as error:
    print(error.strerror, error.filename)
"""


def test_who_asks_for_the_cargo_does_not_outlive_its_executor(tmp_path: Path) -> None:
    words = [sys.executable, "-c", ORPHAN, str(ROOT / "coffee_boat/worker"), f"{tmp_path}/a.cargo"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"the executor ended {tmp_path}/a.cargo\n"


def test_a_starter_that_cannot_become_an_interpreter_ends(store: Store, tmp_path: Path) -> None:
    without = archive_of(store, chunk_of(store, "python 3.11.7", {"bin/python3.12": b""}))
    done = started(*begins(without, store, tmp_path))
    assert done.returncode == 1, "the bare starter does not go on"
    assert "the environment cannot be started on this node: [Errno 2]" in done.stderr
    assert "Error processing line" not in done.stderr


def test_an_executor_may_have_an_environment_of_its_own(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    around, site = begins(archive, store, tmp_path, OF_APPLICATION)
    own = around / f"boat-unpacked/{archive.id[:32]}/tree"
    with ThreadPoolExecutor(4) as several:
        ended = list(several.map(lambda _: started(around, site), range(4)))
    for done in ended:
        assert done.stdout.startswith(f"{own}/bin/python3.11 -c import site"), done.stderr
        assert "COFFEE_BOAT_NOT_SHARED" not in done.stderr
    assert sum("unpacked once for this executor" in done.stderr for done in ended) == 1
    assert (around / archive.name).resolve() == own
    assert not list((tmp_path / "node").iterdir())


def of_application(archive: Archive, application: Path) -> Path:
    return application / f"boat-unpacked/{os.uname().nodename}/{archive.id[:32]}/tree"


@APPLICATIONS
def test_the_executors_of_an_application_share_one_where_their_folders_lie_together(
    archive: Archive, store: Store, tmp_path: Path, application: str, executor: str
) -> None:
    executors = [
        begins(archive, store, tmp_path, OF_APPLICATION, f"{application}/{executor.format(number)}")
        for number in (1, 12)
    ]
    with ThreadPoolExecutor(4) as several:
        ended = list(several.map(lambda two: started(*two), executors * 2))
    assert not any(done.returncode for done in ended), ended
    told = "".join(done.stderr for done in ended)
    assert told.count("unpacked once for this application in") == 1
    places = {(around / archive.name).resolve() for around, _ in executors}
    assert places == {of_application(archive, tmp_path / application)}
    assert tree(places.pop()) == tree(unpack(archive, store))


def test_where_yarn_has_several_disks_the_containers_meet_on_one(
    archive: Archive, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks = [tmp_path / f"disk-{number}" / YARN for number in (1, 2, 3)]
    executors = [
        begins(archive, store, tmp_path, OF_APPLICATION, f"{disk}/container_1_0001_01_000001")
        for disk in disks[1:]
    ]
    for local_dirs in (f"{disks[2]},{disks[1]}", f"{disks[1]},/other,{disks[0]},{disks[2]}"):
        monkeypatch.setenv("LOCAL_DIRS", local_dirs)
        for around, site in executors:
            assert started(around, site).returncode == 0
            place = (around / archive.name).resolve()
            assert place == of_application(archive, disks[1]), "one is not there on this node"


@pytest.mark.parametrize("in_the_way", ["file", "no locks"])
def test_where_it_cannot_be_shared_each_executor_unpacks_for_itself(
    archive: Archive, store: Store, tmp_path: Path, in_the_way: str
) -> None:
    work = tmp_path / STANDALONE
    node = work / "7"
    node.mkdir(parents=True)
    if in_the_way == "file":
        (work / "boat-unpacked").touch()
    script = RUN.replace("kept.environment(", "*kept.of_application(")
    if in_the_way == "no locks":
        script = NO_LOCKS + script
    out, said = begun(tmp_path, str(node), archive, store, run=script).communicate("")
    own, reason = out.strip().split(" ", 1)
    assert own == str(node / f"boat-unpacked/{archive.id[:32]}/tree"), said
    assert str(work) in reason


def test_what_functions_change_in_one_of_an_application_stays_whoever_looks(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    """Also for an executor that was waiting while it was made."""
    node = tmp_path / STANDALONE / "1"
    node.mkdir(parents=True)
    told = index_of(archive, store)
    made = Path(kept.of_application(str(node), told, archive.path)[0])
    (made / SITE / "installed.py").write_text("x = 1\n")
    lock = made.parent.with_name(f"{archive.id[:32]}.lock")
    with lock.open("r+") as held, ThreadPoolExecutor(1) as other:
        os.rename(made / "boat.json", made / "hidden")  # it looks as if it were being made
        fcntl.flock(held, fcntl.LOCK_EX)
        waits = other.submit(kept.of_application, str(node), told, archive.path)
        time.sleep(0.3)
        os.rename(made / "hidden", made / "boat.json")
        fcntl.flock(held, fcntl.LOCK_UN)
        assert waits.result() == (str(made), "")
    assert (made / SITE / "installed.py").is_file()


def test_what_a_killed_executor_left_half_done_is_removed_by_the_next(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    node = tmp_path / STANDALONE / "1"
    node.mkdir(parents=True)
    folder = places.inside(str(node.parent), "boat-unpacked", os.uname().nodename)
    rest = Path(folder, f"{archive.id[:32]}.77.aside")
    (rest / "tree").mkdir(parents=True)
    made, _ = kept.of_application(str(node), index_of(archive, store), archive.path)
    assert tree(Path(made)) == tree(unpack(archive, store))
    assert not rest.exists()
    (Path(made) / "boat.json").unlink()  # somebody began to remove it
    assert kept.of_application(str(node), index_of(archive, store), archive.path) == (made, "")
    assert tree(Path(made)) == tree(unpack(archive, store))


def test_who_waits_too_long_for_another_executor_unpacks_for_itself_and_stays_with_it(
    archive: Archive, store: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    node = tmp_path / STANDALONE / "1"
    node.mkdir(parents=True)
    folder = places.inside(str(node.parent), "boat-unpacked", os.uname().nodename)
    told, own = index_of(archive, store), str(node / f"boat-unpacked/{archive.id[:32]}/tree")
    with open(f"{folder}/{archive.id[:32]}.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        place, reason = kept.of_application(str(node), told, archive.path, patience=0.3, moment=0.1)
        assert (place, "is held for" in reason) == (own, True)
        assert "waits for another process that unpacks" in capfd.readouterr().err
        assert kept.of_application(str(node), told, archive.path) == (own, ""), "at once"
    assert kept.of_application(str(node), told, archive.path) == (own, "")


@pytest.mark.parametrize("mode", [0o777, 0o755])
def test_a_folder_that_others_may_enter_is_not_the_applications(
    archive: Archive, store: Store, tmp_path: Path, mode: int
) -> None:
    node = tmp_path / STANDALONE / "1"
    node.mkdir(parents=True)
    (node.parent / "boat-unpacked").mkdir()
    (node.parent / "boat-unpacked").chmod(mode)
    place, reason = kept.of_application(str(node), index_of(archive, store), archive.path)
    assert Path(place).is_relative_to(node)
    assert "others may enter" in reason


def sent(
    tmp_path: Path, store: Store, archive: Archive, jvm: Any | None = None, **how: str
) -> ConfPatch:
    given = {"master": "spark://h:7077", "node_store": "on", **how}
    settings = Settings(
        store=str(store.root),
        node_store=given["node_store"],
        stage=given.get("stage"),
    )
    lock = Lock(TARGET)
    if "conda" in how:
        lock = replace(lock, conda=(CondaPin("x", "1", "0", "c", "linux-64", "f", "u", "s"),))
    if "ship_python" in how:
        archive = replace(archive, has_python=False)
    built = Built(Request((Manifest(),)), lock, archive)
    facts = SparkFacts(
        "4.1.0",
        given["master"],
        deploy_mode=given.get("deploy_mode", "client"),
        conf={
            "spark.files": "hdfs:///own.txt",
            "spark.plugins": "theirs.Plugin",
            "spark.python.use.daemon": given.get("daemon", ""),
        },
    )
    kind = kind_of(facts.master)

    def send(one: Archive) -> ConfPatch:
        return kind.patch(facts, Shipped(one, Path(one.path).as_uri()), environment=None)

    return node_store.sent(Tools.of(settings), built, facts, send, jvm)


def test_it_is_sent_as_a_starter_and_one_plain_file(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    made = sent(tmp_path, store, archive)
    own, cargo = made.conf["spark.files"].split(",")
    assert own == "hdfs:///own.txt"
    assert cargo.endswith(f"/{archive.name}.cargo")
    assert Path(cargo.removeprefix("file://")).read_bytes() == Path(archive.path).read_bytes()
    name = made.conf["spark.archives"].partition("#")[2]
    assert name != archive.name
    assert made.python == f"./{name}/bin/python3.11"
    assert not made.findings


@pytest.mark.parametrize(
    ("master", "archives", "plain", "named"),
    [
        ("local-cluster[2,1,1024]", "spark.archives", "spark.files", "on"),
        ("k8s://https://h:6443", "spark.archives", "spark.files", "/volume"),
        ("yarn", "spark.yarn.dist.archives", "spark.yarn.dist.files", "on"),
    ],
)
def test_each_kind_of_cluster_is_told_by_its_own_settings(
    archive: Archive,
    store: Store,
    tmp_path: Path,
    master: str,
    archives: str,
    plain: str,
    named: str,
) -> None:
    made = sent(tmp_path, store, archive, master=master, node_store=named)
    assert made.conf[plain].endswith(f"/{archive.name}.cargo")
    assert f"{made.conf[archives].partition('#')[2]}/bin/python3.11" in made.python
    assert archive.name not in made.conf[archives]
    assert not made.findings


@pytest.mark.parametrize("lies_as", ["link", "copy"])
def test_a_cargo_that_was_damaged_is_made_again(
    archive: Archive, store: Store, tmp_path: Path, lies_as: str
) -> None:
    whole = Path(archive.path).read_bytes()
    cargo = Path(sent(tmp_path, store, archive).conf["spark.files"].partition("file://")[2])
    damaged = b"x" + whole[1:]
    if lies_as == "link":
        Path(archive.path).unlink()  # as what makes the archive again
        Path(archive.path).write_bytes(whole)
    else:
        shutil.copyfile(cargo, tmp_path / "copy")
        os.replace(tmp_path / "copy", cargo)
    cargo.write_bytes(damaged)
    sent(tmp_path, store, archive)
    assert cargo.read_bytes() == whole == Path(archive.path).read_bytes()


def test_a_cargo_that_is_a_link_to_the_archive_is_counted_once(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    sent(tmp_path, store, archive)
    assert archive.size in [entry.size for entry in store.entries() if entry.kind == "archives"]


@pytest.mark.parametrize("how", [{"node_store": "off"}, {"master": "local-cluster[1,1,1024]"}])
def test_off_sets_what_it_set_before(
    archive: Archive, store: Store, tmp_path: Path, how: dict[str, str]
) -> None:
    made = sent(tmp_path, store, archive, **{**how, "node_store": "off"})
    assert "spark.files" not in made.conf
    assert made.conf["spark.archives"].endswith(f"#{archive.name}")
    assert not made.findings


@pytest.mark.parametrize("master", ["spark://h:7077", "local-cluster[1,1,1024]"])
def test_each_application_may_unpack_by_itself(
    archive: Archive, store: Store, tmp_path: Path, master: str
) -> None:
    made = sent(tmp_path, store, archive, node_store="application", master=master)
    assert made.conf["spark.files"].endswith(".cargo")
    assert not made.findings
    small = url2pathname(urlsplit(made.conf["spark.archives"]).path)
    subprocess.run(["tar", "-xf", small, "-C", str(tmp_path)], check=True)
    assert read(str(tmp_path / SITE / "coffee_boat_starter")).folder == OF_APPLICATION


class ApplicationLoader:
    """What spark-submit makes for the classes of an application, as py4j shows it; and the rest of
    the JVM that leads there.
    """

    def __init__(self, *, takes_jars: bool = True) -> None:
        reason = "needs pyspark: pip install coffee_boat[local]"
        self.errors = pytest.importorskip("py4j.protocol", reason=reason)
        self.jars: list[str] = []
        thread = SimpleNamespace(getContextClassLoader=lambda: self)
        self.java = SimpleNamespace(
            lang=SimpleNamespace(Thread=SimpleNamespace(currentThread=lambda: thread)),
            io=SimpleNamespace(File=lambda path: SimpleNamespace(toURI=lambda: Url(path))),
        )
        if takes_jars:
            self.addURL = self.jars.append

    def loadClass(self, name: str) -> None:  # noqa: N802  Java's name
        for jar in self.jars:
            if f"{name.replace('.', '/')}.class" in zipfile.ZipFile(jar).namelist():
                return
        raise self.errors.Py4JJavaError(name, SimpleNamespace(_target_id=""))

    def __getattr__(self, name: str) -> Any:
        raise self.errors.Py4JError(f"Method {name} does not exist")


class Url(NamedTuple):
    path: str

    def toURL(self) -> str:  # noqa: N802  Java's name
        return self.path


def large(archive: Archive) -> Archive:
    python, *rest = archive.chunks
    return replace(archive, chunks=(python, *(replace(one, unpacked=1 << 26) for one in rest)))


@pytest.mark.parametrize("master", ["spark://h:7077", "local-cluster[1,1,1024]", "yarn"])
def test_a_session_of_this_process_has_executors_unpack_before_they_take_tasks(
    archive: Archive, store: Store, tmp_path: Path, master: str
) -> None:
    jvm = ApplicationLoader()
    made = sent(
        tmp_path, store, large(archive), jvm, node_store=Settings().node_store, master=master
    )
    if master == "yarn":  # a node has it once, from its own file system
        assert made.conf["spark.yarn.dist.files"].endswith(f"/{archive.name}.cargo")
        assert made.conf["spark.coffee_boat.cargo"] == ""
    else:
        assert made.conf["spark.files"] == "hdfs:///own.txt", "executors fetch what they need"
        cargo = Path(made.conf["spark.coffee_boat.cargo"])
        assert cargo.name == f"{archive.name}.cargo"
        assert cargo.read_bytes() == Path(archive.path).read_bytes()
    assert made.conf["spark.plugins"] == "theirs.Plugin,coffee_boat.Environment"
    assert [made.conf["spark.jars"]] == jvm.jars
    assert not made.findings
    again = sent(tmp_path, store, large(archive), jvm, node_store="auto", master=master)
    assert again == made
    assert len(jvm.jars) == 1, "the JVM stays for the next session"


@pytest.mark.parametrize(
    "how",
    [
        {"master": "k8s://https://h:6443"},
        {"conda": "yes"},
        {"stage": "hdfs:///boats"},
        {"driver": "none: a submission"},
        {"driver": "its loader takes no jars"},
        {"size": "small"},
    ],
)
def test_else_spark_unpacks_and_nothing_is_said(
    archive: Archive, store: Store, tmp_path: Path, how: dict[str, str]
) -> None:
    jvm = ApplicationLoader(takes_jars="driver" not in how)
    given = archive if "size" in how else large(archive)
    made = sent(
        tmp_path,
        store,
        given,
        None if how.get("driver", "").startswith("none") else jvm,
        **{"node_store": "auto", **how},
    )
    assert not {"spark.plugins", "spark.jars"} & made.conf.keys()
    assert not any(value.endswith(".cargo") for value in made.conf.values())
    assert not made.findings


def test_an_archive_of_which_no_parts_are_found_is_sent_as_ever_with_a_note(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    with open(archive.path, "r+b") as out:
        out.truncate(archive.size - 100)
    made = sent(tmp_path, store, archive)
    assert "spark.files" not in made.conf
    assert [f.code for f in made.findings] == ["launch.node-store-not-used"]
    assert "gone or damaged" in made.findings[0].cause


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"deploy_mode": "cluster", "master": "yarn"}, "the driver runs in the cluster"),
        ({"master": "k8s://https://h:6443"}, "a pod keeps nothing"),
        ({"stage": "hdfs:///boats"}, "in a stage"),
        ({"ship_python": "no"}, "no interpreter is shipped"),
        ({"conda": "yes"}, "conda packages"),
        ({"daemon": "false"}, "Spark waits 10 s for each Python"),
    ],
)
def test_where_it_is_not_used_a_note_says_why(
    archive: Archive, store: Store, tmp_path: Path, how: dict[str, str], said: str
) -> None:
    made = sent(tmp_path, store, archive, **how)
    assert [(f.code, f.severity) for f in made.findings if said in f.cause] == [
        ("launch.node-store-not-used", "note")
    ]
    assert not any(value.endswith(".cargo") for value in made.conf.values())


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        ("1", "on"),
        ("off", "off"),
        (True, "on"),
        ("/data", "/data"),
        ("Auto", "auto"),
        ("application", "application"),
    ],
)
def test_the_setting_is_a_word_or_a_folder_of_nodes(
    value: object, read_as: str, tmp_path: Path
) -> None:
    if isinstance(value, str):
        environ = {"COFFEE_BOAT_NODE_STORE": value, "HOME": str(tmp_path)}
        assert load({}, folder=tmp_path, environ=environ)[0].node_store == read_as
    else:
        assert load({"node_store": value}, folder=tmp_path, environ={})[0].node_store == read_as


@pytest.mark.parametrize("value", ["relative/folder", "maybe", ["on"], 3])
def test_anything_else_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="setting cannot be used"):
        load({"node_store": value}, folder=tmp_path, environ={})
