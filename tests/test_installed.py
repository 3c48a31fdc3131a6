"""Wheels as chunks: what an installer would have written, and what is refused."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from importlib.metadata import PathDistribution
from pathlib import Path
from random import Random

import installer
import pytest
from conftest import MakeWheel, row_of, zip_info
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

from coffee_boat._support.store import Store
from coffee_boat.archive.chunks import chunk_path
from coffee_boat.archive.unpack import unpack_chunk
from coffee_boat.errors import BuildError
from coffee_boat.model import Lock, Pin, Target
from coffee_boat.pip.chunks import recall_wheel, wheel_chunk, wheel_chunks
from coffee_boat.pip.metadata import direct_url

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
TARGET = Target(f"{MINOR}.0", glibc=(2, 28))
SITE = TARGET.site_packages
CPYTHON = f"cp{MINOR.replace('.', '')}"


def pin_of(wheel: Path, **more: object) -> Pin:
    name, version = wheel.name.split("-")[:2]
    return replace(
        Pin(
            name.replace("_", "-"), version, filename=wheel.name, url=f"https://index/{wheel.name}"
        ),
        **more,
    )  # type: ignore[arg-type]


def install(wheel: Path, store: Store, **more: object) -> Path:
    return unpack_chunk(wheel_chunk(wheel, pin_of(wheel, **more), TARGET, store), store)


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_written_is_what_pypa_installer_writes(
    make_wheel: MakeWheel, store: Store, tmp_path: Path
) -> None:
    wheel = make_wheel(
        files={
            "demo/__init__.py": "def main(): print('hi')\n",
            "demo/tool.sh": "#!/bin/sh\n",
            "demo/data.bin": Random(0).randbytes(5000),
        },
        executable=["demo/tool.sh", "demo-1.0.data/scripts/demo-script"],
        console_scripts={"demo-hi": "demo:main"},
        data={
            "scripts/demo-script": "#!python\nprint(1)\n",
            "data/share/demo.txt": "d",
            "purelib/demo_pure.py": "p",
            "platlib/demo_plat.py": "q",
            "headers/demo.h": "h",
        },
    )
    ours, theirs = install(wheel, store, requested=True), tmp_path / "theirs"
    schemes = {
        "purelib": theirs / SITE,
        "platlib": theirs / SITE,
        "headers": theirs / f"include/python{MINOR}/demo",
        "scripts": theirs / "bin",
        "data": theirs,
    }
    destination = SchemeDictionaryDestination(
        {name: str(path) for name, path in schemes.items()},
        interpreter="/python",
        script_kind="posix",
    )
    with WheelFile.open(wheel) as source:
        installer.install(source, destination, {"INSTALLER": b"coffee_boat\n", "REQUESTED": b""})
    expected, got = files_below(theirs), files_below(ours)
    assert got.keys() == expected.keys()
    assert {name for name in got if got[name] != expected[name]} == {
        "bin/demo-hi",
        "bin/demo-script",
        f"{SITE}demo-1.0.dist-info/RECORD",
    }
    assert {name for name in got if os.access(ours / name, os.X_OK)} == {
        name for name in expected if os.access(theirs / name, os.X_OK)
    }


def test_record_is_true(make_wheel: MakeWheel, store: Store) -> None:
    wheel = make_wheel(
        console_scripts={"demo": "demo:main"},
        data={"scripts/tool": "#!python\n"},
        members=[(zip_info("demo/, odd.txt"), "x")],
    )
    root = install(wheel, store, requested=True, direct=True)
    distribution = PathDistribution(root / SITE / "demo-1.0.dist-info")
    listed = {
        str(Path(os.path.normpath(file.locate())).relative_to(root)): file
        for file in distribution.files or ()
    }
    assert listed.keys() == files_below(root).keys()
    for name, file in listed.items():
        if not name.endswith("/RECORD"):
            assert file.hash is not None
            assert f"{file.hash.mode}={file.hash.value},{file.size}" == row_of(
                (root / name).read_bytes()
            )
    assert distribution.read_text("INSTALLER") == "coffee_boat\n"


def test_requested_and_direct_url_only_where_they_belong(
    make_wheel: MakeWheel, store: Store
) -> None:
    wheel = make_wheel(
        dist_info={
            "REQUESTED": "",
            "direct_url.json": "{}",
            "INSTALLER": "evil",
            "RECORD.jws": "stale",
        }
    )
    own = f"{SITE}demo-1.0.dist-info"
    plain = install(wheel, store) / own
    assert {path.name for path in plain.iterdir()} == {"METADATA", "WHEEL", "RECORD", "INSTALLER"}
    asked = install(wheel, store, requested=True, direct=True) / own
    assert {path.name for path in asked.iterdir()} == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "INSTALLER",
        "REQUESTED",
        "direct_url.json",
    }
    assert json.loads((asked / "direct_url.json").read_text()) == {
        "url": f"https://index/{wheel.name}",
        "archive_info": {},
    }


@pytest.mark.parametrize(
    ("pin", "expected"),
    [
        (Pin("a", "1", url="https://index/a.whl"), None),
        (
            Pin("a", "1", direct=True, url="https://u:secret@h/a.whl?sig=secret", sha256="12"),
            {"url": "https://h/a.whl", "archive_info": {"hashes": {"sha256": "12"}}},
        ),
        (
            Pin("a", "1", direct=True, kind="directory", url="file:///home/someone/a", sha256="12"),
            {"url": "file:///a", "dir_info": {}},
        ),
        (
            Pin(
                "a",
                "1",
                direct=True,
                kind="vcs",
                url="git+https://token@h/o/a.git@main",
                commit="c0ffee",
                subdirectory="sub",
            ),
            {
                "url": "https://h/o/a.git",
                "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
                "subdirectory": "sub",
            },
        ),
    ],
)
def test_direct_url_has_neither_secrets_nor_local_paths(pin: Pin, expected: object) -> None:
    assert direct_url(pin) == expected


class NoSeek(io.RawIOBase):
    """A pipe: zipfile then writes data descriptors behind the bodies."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self._file.write(data)  # type: ignore[arg-type]


def rewritten(wheel: Path, folder: Path, *, zip64: bool = False, pipe: bool = False) -> Path:
    folder.mkdir()
    with zipfile.ZipFile(wheel) as source:
        members = [(copy(info), source.read(info)) for info in source.infolist()]
    with (
        (folder / wheel.name).open("wb") as out,
        zipfile.ZipFile(NoSeek(out) if pipe else out, "w") as archive,
    ):
        for info, content in members:
            with archive.open(info, "w", force_zip64=zip64) as member:
                member.write(content)
    return folder / wheel.name


LONG = "demo/" + "/".join(["d" * 60] * 5) + "/" + "n" * 120 + "é.py"


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2]
)
@pytest.mark.parametrize(
    "how", [{}, {"zip64": True}, {"pipe": True}, {"zip64": True, "pipe": True}], ids=str
)
def test_all_kinds_of_members_in_all_readers(
    make_wheel: MakeWheel, store: Store, tmp_path: Path, compression: int, how: dict[str, bool]
) -> None:
    contents: dict[str, str | bytes] = {
        LONG: "x = 1\n" * 2000,
        "demo/empty.py": b"",
        "demo/random.bin": Random(0).randbytes(9000),
        "demo/zeros.bin": bytes(300_000),
        "demo/ü.txt": "ü",
    }
    made = make_wheel(
        files=contents,
        compression=compression,
        executable=["demo/random.bin"],
        members=[(zip_info("demo/link", link=True), "random.bin")],
    )
    wheel = rewritten(made, tmp_path / "again", **how)
    chunk = wheel_chunk(wheel, pin_of(wheel), TARGET, store)
    root = unpack_chunk(chunk, store)
    for name, content in contents.items():
        assert (root / SITE / name).read_bytes() == (
            content.encode() if isinstance(content, str) else content
        )
    assert os.readlink(root / SITE / "demo/link") == "random.bin"
    assert os.access(root / SITE / "demo/random.bin", os.X_OK)

    for reader in ("tar", "tarfile"):
        (tmp_path / reader).mkdir()
    subprocess.run(
        f'gzip -dc "{chunk_path(store, chunk)}" | tar -C "{tmp_path}/tar" -xf -',
        shell=True,
        check=True,
    )
    with tarfile.open(chunk_path(store, chunk)) as tar:
        tar.extractall(
            tmp_path / "tarfile", **({"filter": "tar"} if hasattr(tarfile, "tar_filter") else {})
        )
    assert files_below(root) == files_below(tmp_path / "tar") == files_below(tmp_path / "tarfile")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_duplicates_the_last_wins(make_wheel: MakeWheel, store: Store) -> None:
    wheel = make_wheel(
        files={"demo/a.py": "first"},
        members=[(zip_info("demo/a.py"), "second")],
        data={"purelib/demo/b.py": "data"},
    )
    root = install(wheel, store)
    assert (root / SITE / "demo/a.py").read_text() == "second"
    both = make_wheel(files={"demo/b.py": "root"}, data={"purelib/demo/b.py": "data"})
    assert (install(both, store) / SITE / "demo/b.py").read_text() == "data"


def test_bytecode_stays_behind_unless_it_is_all_there_is(
    make_wheel: MakeWheel, store: Store
) -> None:
    wheel = make_wheel(
        files={
            "demo/__init__.py": "",
            "demo/__init__.pyc": b"x",
            "demo/__pycache__/a.pyc": b"x",
            "demo/closed.pyc": b"x",
        }
    )
    assert {path.name for path in (install(wheel, store) / SITE / "demo").rglob("*")} == {
        "__init__.py",
        "closed.pyc",
    }


SCRIPT = '''#!python -E
# -*- coding: utf-8 -*-
"""The docstring."""
from __future__ import annotations
import sys, demo
print(__doc__, sys.argv[1:], demo.__version__)
'''


def test_scripts_run_wherever_the_environment_lies(
    make_wheel: MakeWheel, store: Store, tmp_path: Path
) -> None:
    main = (
        "import sys\n__version__ = '1.0'\nclass cli:\n    def main(): print('hi', sys.argv[1:]);"
        " return 3\n"
    )
    wheel = make_wheel(
        files={"demo/__init__.py": main},
        console_scripts={"demo-hi": "demo:cli.main [extra]"},
        data={"scripts/demo-script": SCRIPT, "scripts/demo.sh": "#!/bin/sh\necho plain\n"},
    )
    moved = tmp_path / "a folder with 'quotes' and $HOME"
    shutil.copytree(install(wheel, store), moved, symlinks=True)
    (moved / "bin" / f"python{MINOR}").symlink_to(sys.executable)
    (tmp_path / "link").symlink_to(moved)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "hi").symlink_to(moved / "bin" / "demo-hi")

    def run(*argv: object, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(moved / SITE), **more}
        return subprocess.run(
            [str(word) for word in argv],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    for script in (moved / "bin/demo-hi", "link/bin/demo-hi", "elsewhere/hi"):
        ran = run(script, "a b", "*")
        assert (ran.returncode, ran.stdout, ran.stderr) == (3, "hi ['a b', '*']\n", "")
    assert run("demo-hi", PATH=f"{moved}/bin:/usr/bin:/bin").returncode == 3
    assert run(moved / "bin/demo-script", "x").stdout == "The docstring. ['x'] 1.0\n"
    assert run(moved / "bin/demo.sh").stdout == "plain\n"

    (moved / "bin" / f"python{MINOR}").unlink()
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / f"python{MINOR}").symlink_to(sys.executable)
    assert run(moved / "bin/demo-hi", PATH=f"{tmp_path}/node:/usr/bin:/bin").returncode == 3


def local_header_renamed(wheel: Path) -> None:
    data = bytearray(wheel.read_bytes())
    at = data.find(b"demo/__init__.py")
    data[at : at + 4] = b"evil"
    wheel.write_bytes(data)


def body_changed(wheel: Path) -> None:
    data = bytearray(wheel.read_bytes())
    at = data.find(b"demo/__init__.py") + len("demo/__init__.py")
    data[at + 3] ^= 0x10
    wheel.write_bytes(data)


def flag_set(wheel: Path) -> None:
    data = bytearray(wheel.read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    wheel.write_bytes(data)


def trailing_bytes(wheel: Path) -> None:
    """Grow the last body by four bytes, in the central directory, the local header and the file."""
    with zipfile.ZipFile(wheel) as archive:
        infos = archive.infolist()
        contents = {info.filename: archive.read(info) for info in infos}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zip_info(name), content)
        last = archive.infolist()[-1]
        archive.fp.write(b"evil")  # type: ignore[union-attr]
        archive.start_dir += 4
        last.compress_size += 4


def cut_short(wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("more", "spoil", "words"),
    [
        ({"members": [(zip_info("../evil.py"), "x")]}, None, "../evil.py"),
        ({"members": [(zip_info("demo/../../evil.py"), "x")]}, None, "evil.py"),
        ({"members": [(zip_info("/evil.py"), "x")]}, None, "/evil.py"),
        ({"members": [(zip_info("demo\\evil.py"), "x")]}, None, "evil.py"),
        ({"data": {"data/../../evil": "x"}}, None, "evil"),
        ({"data": {"scripts/../../evil": "x"}}, None, "evil"),
        ({"data": {"nonsense/evil": "x"}}, None, "scheme"),
        ({"data": {"data/boat.json": "{}"}}, None, "boat.json"),
        ({"data": {f"data/bin/python{MINOR}": "x"}}, None, "interpreter"),
        (
            {"members": [(zip_info("demo/evil", link=True), "../../../../../etc/passwd")]},
            None,
            "/etc/passwd",
        ),
        ({"members": [(zip_info("demo/evil", link=True), "/etc/passwd")]}, None, "/etc/passwd"),
        (
            {"members": [(zip_info("demo/evil", link=True), "."), (zip_info("demo/evil/x"), "x")]},
            None,
            "demo/evil",
        ),
        ({"console_scripts": {"../evil": "demo:main"}}, None, "../evil"),
        ({"console_scripts": {f"python{MINOR}": "demo:main"}}, None, "python"),
        ({"console_scripts": {"evil": "no colon"}}, None, "entry"),
        ({"record": {"demo/__init__.py": row_of("something else")}}, None, "RECORD"),
        ({"record": {"demo/__init__.py": "md5=abc,1"}}, None, "md5"),
        ({"record": {"demo/__init__.py": ","}}, None, "no hash"),
        ({"record": {"demo/__init__.py": None}}, None, "not in RECORD"),
        ({"record": {"demo/__init__.py": "sha256=x,many"}}, None, "size"),
        ({"dist_info": {"WHEEL": "Wheel-Version: 2.0\n"}}, None, "Wheel-Version"),
        (
            {"dist_info": {"METADATA": "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"}},
            None,
            "other",
        ),
        (
            {"dist_info": {"METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: 2.0\n"}},
            None,
            "2.0",
        ),
        ({"files": {"other-1.0.dist-info/METADATA": ""}}, None, "dist-info"),
        ({}, local_header_renamed, "local header"),
        ({}, body_changed, "demo/__init__.py"),
        ({}, flag_set, "encrypted"),
        (
            {"dist_info": {"zzz": "z"}, "members": [(zip_info("demo/last.py"), "x" * 9000)]},
            trailing_bytes,
            "follow",
        ),
        ({}, cut_short, "zip"),
        ({"compression": zipfile.ZIP_LZMA}, None, "method 14"),
    ],
)
def test_wheels_that_are_refused(
    make_wheel: MakeWheel,
    store: Store,
    more: dict[str, object],
    spoil: Callable[[Path], None] | None,
    words: str,
) -> None:
    wheel = make_wheel(**more)  # type: ignore[arg-type]
    if spoil is not None:
        spoil(wheel)
    with pytest.raises(BuildError) as caught:
        wheel_chunk(wheel, pin_of(wheel), TARGET, store)
    assert words in caught.value.cause
    assert caught.value.value == wheel.name
    assert caught.value.cure
    assert not (store.root / "chunks").exists()


def test_three_violations_are_named_and_the_others_counted(
    make_wheel: MakeWheel, store: Store
) -> None:
    names = [f"demo/{letter}.py" for letter in "abcde"]
    wheel = make_wheel(files=dict.fromkeys(names, "x"), record=dict.fromkeys(names, None))
    with pytest.raises(BuildError) as caught:
        wheel_chunk(wheel, pin_of(wheel), TARGET, store)
    assert (
        caught.value.cause
        == "demo/a.py: it is not in RECORD; demo/b.py: it is not in RECORD; demo/c.py: it is not in"
        " RECORD; + 2 others"
    )


@pytest.mark.parametrize(
    ("wheel", "pin"),
    [
        ("demo-1.0-py3-none-any.whl", Pin("other", "1.0")),
        ("demo-1.0-py3-none-any.whl", Pin("demo", "1.1")),
        ("demo-1.0-py3-none-win_amd64.whl", Pin("demo", "1.0")),
        ("demo-1.0-py3-none-macosx_11_0_arm64.whl", Pin("demo", "1.0")),
        ("demo-1.0-py3-none-musllinux_1_2_x86_64.whl", Pin("demo", "1.0")),
        ("demo-1.0-py3-none-manylinux_2_34_x86_64.whl", Pin("demo", "1.0")),
        ("demo-1.0-py3-none-manylinux_2_17_aarch64.whl", Pin("demo", "1.0")),
        ("demo-1.0-cp27-cp27mu-manylinux1_x86_64.whl", Pin("demo", "1.0")),
        ("demo.whl", Pin("demo", "1.0")),
    ],
)
def test_wheels_that_are_not_for_these_executors(store: Store, wheel: str, pin: Pin) -> None:
    with pytest.raises(BuildError) as caught:
        wheel_chunk(Path(wheel), pin, TARGET, store)
    assert caught.value.value == wheel


def test_spelling_of_name_and_version_does_not_matter(make_wheel: MakeWheel, store: Store) -> None:
    wheel = make_wheel("Demo.Pkg", "1.0.0", files={"x.py": ""})
    assert wheel_chunk(wheel, Pin("demo-pkg", "1.0"), TARGET, store).files == 5


def a_binary() -> bytes:
    """A small extension module of this interpreter."""
    for name in ("_ctypes", "_bz2", "_lzma", "_json"):
        spec = importlib.util.find_spec(name)
        if (
            spec is not None
            and spec.origin
            and spec.origin.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))
        ):
            return Path(spec.origin).read_bytes()
    pytest.skip("this interpreter has no extension module of its own")


def foreign(binary: bytes) -> bytes:
    """The same for a SPARC."""
    return binary[:18] + b"\x02\x00" + binary[20:]


@pytest.mark.skipif(
    sys.platform != "linux"
    or sysconfig.get_config_var("HOST_GNU_TYPE") not in ("x86_64-pc-linux-gnu", "x86_64-linux-gnu"),
    reason="reads ELF files of x86_64",
)
def test_the_glibc_floor(make_wheel: MakeWheel, store: Store) -> None:
    binary = a_binary()
    files: dict[str, str | bytes] = {"demo/x.so": binary, "demo/other_machine.so": foreign(binary)}

    def floor(tag: str, contents: dict[str, str | bytes]) -> tuple[int, int]:
        wheel = make_wheel(files=contents, tag=tag)
        return wheel_chunk(wheel, pin_of(wheel), TARGET, store).floor

    assert floor("py3-none-any", {"demo.py": ""}) == (0, 0)
    assert floor(f"{CPYTHON}-{CPYTHON}-manylinux_2_17_x86_64.manylinux2014_x86_64", files) == (
        2,
        17,
    )
    assert floor("py3-none-manylinux_2_24_x86_64.manylinux_2_28_x86_64", {"demo.py": "1"}) == (
        2,
        24,
    )
    assert (2, 2) <= floor("py3-none-any", files) <= (2, 99)
    assert floor("py3-none-any", files) == floor("py3-none-linux_x86_64", {"demo/x.so": binary})
    with pytest.raises(BuildError, match="breaks the rules") as caught:
        floor("py3-none-any", {"demo/sparc.so": foreign(binary)})
    assert "demo/sparc.so" in caught.value.cause


def test_many_wheels_come_in_the_order_of_the_lock(make_wheel: MakeWheel, store: Store) -> None:
    wheels = {
        name: make_wheel(name, files={f"{name}.py": "x" * size})
        for name, size in (("aa", 10), ("bb", 90_000), ("cc", 500))
    }
    lock = Lock(
        TARGET,
        tuple(
            pin_of(wheel, sha256="0" * 60 + name, kind="wheel") for name, wheel in wheels.items()
        ),
    )
    assert recall_wheel(lock.pins[0], TARGET, store) is None
    chunks = wheel_chunks(wheels, lock, store)
    assert [chunk.label for chunk in chunks] == ["aa 1.0", "bb 1.0", "cc 1.0"]
    assert wheel_chunks(wheels, lock, store) == chunks
    assert recall_wheel(lock.pins[1], TARGET, store) == chunks[1]
    assert recall_wheel(replace(lock.pins[1], requested=True), TARGET, store) is None


def test_a_wheel_that_went_away(tmp_path: Path, store: Store) -> None:
    gone = tmp_path / "demo-1.0-py3-none-any.whl"
    with pytest.raises(BuildError, match="not there"):
        wheel_chunks({"demo": gone}, Lock(TARGET, (pin_of(gone),)), store)


def test_one_bad_wheel_of_many_is_named(make_wheel: MakeWheel, store: Store) -> None:
    wheels = {"aa": make_wheel("aa"), "bb": make_wheel("bb", record={"bb/__init__.py": None})}
    with pytest.raises(BuildError, match=r"bb-1\.0"):
        wheel_chunks(wheels, Lock(TARGET, tuple(pin_of(wheel) for wheel in wheels.values())), store)


def test_the_first_failure_keeps_the_others_from_being_made(
    make_wheel: MakeWheel, store: Store
) -> None:
    wheels = {f"good{number}": make_wheel(f"good{number}") for number in range(60)}
    wheels["bad"] = make_wheel(
        "bad", files={"bad.py": Random(0).randbytes(9000)}, record={"bad.py": None}
    )  # the largest is the first
    lock = Lock(TARGET, tuple(pin_of(wheel) for wheel in wheels.values()))
    with pytest.raises(BuildError, match=r"bad-1\.0"):
        wheel_chunks(wheels, lock, store)
    assert len(list(store.path("chunks", "").glob("*.gz"))) < 60
    assert not list(store.path("tmp", "").iterdir())


PACKING = (  # a shell starts what it puts into the background with SIGINT ignored
    "import pickle, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " from coffee_boat.pip.chunks import wheel_chunks;"
    " wheel_chunks(*pickle.load(sys.stdin.buffer))"
)


def interrupted(wheels: dict[str, Path], lock: Lock, root: Path) -> bool:
    """Pack wheels in a process of its own and press Ctrl-C while the first chunk is written; False
    if all was ready before.
    """
    shutil.rmtree(root, ignore_errors=True)
    with subprocess.Popen(
        [sys.executable, "-c", PACKING], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as packing:
        assert packing.stdin is not None
        assert packing.stderr is not None
        packing.stdin.write(pickle.dumps((wheels, lock, Store(root))))
        packing.stdin.close()
        while packing.poll() is None and not list(root.glob("tmp/*/entry")):
            time.sleep(0.001)
        packing.send_signal(signal.SIGINT)
        said = packing.stderr.read()
    assert packing.returncode in {0, -signal.SIGINT}, said
    return packing.returncode != 0


def test_ctrl_c_leaves_the_store_whole(make_wheel: MakeWheel, tmp_path: Path, store: Store) -> None:
    noise = {name: Random(name).randbytes(6_000_000) for name in ("aa", "bb", "cc", "dd")}
    wheels = {name: make_wheel(name, files={f"{name}.txt": text}) for name, text in noise.items()}
    lock = Lock(TARGET, tuple(pin_of(wheel) for wheel in wheels.values()))

    assert any(interrupted(wheels, lock, store.root) for _ in range(10)), (
        "it was always ready before the signal came"
    )
    assert not list(store.path("tmp", "").iterdir())
    again, elsewhere = wheel_chunks(wheels, lock, store), Store(tmp_path / "elsewhere")
    assert again == wheel_chunks(wheels, lock, elsewhere)
    assert [chunk_path(store, chunk).read_bytes() for chunk in again] == [
        chunk_path(elsewhere, chunk).read_bytes() for chunk in again
    ]


def test_a_record_of_other_hashes_is_held_to_it(make_wheel: MakeWheel, store: Store) -> None:
    text = b"x = 1\n"
    digest = urlsafe_b64encode(hashlib.sha512(text).digest()).rstrip(b"=").decode()
    good = make_wheel(
        "good", files={"good.py": text.decode()}, record={"good.py": f"sha512={digest},{len(text)}"}
    )
    assert wheel_chunk(good, pin_of(good), TARGET, store).files
    bad = make_wheel(
        "bad", files={"bad.py": "x = 2\n"}, record={"bad.py": f"sha512={digest},{len(text)}"}
    )
    with pytest.raises(BuildError, match=r"bad\.py: its content is not what RECORD says"):
        wheel_chunk(bad, pin_of(bad), TARGET, store)
