"""An interpreter for another machine than this one: by uv, of a folder, conda's; it is read, and
never run. The one here says of itself that it is for another machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import hostile
import other_python
import pytest
from conftest import with_chunks_of
from other_python import HERE, OTHER, PLATFORM

from coffee_boat import Captain, requirements, settings
from coffee_boat._support.host import Host
from coffee_boat._support.store import Store
from coffee_boat.archive import chunks
from coffee_boat.errors import BuildError, LockError, SettingsError
from coffee_boat.interpreter import copy
from coffee_boat.interpreter.find import find
from coffee_boat.model import Archive, Lock, Pin
from coffee_boat.session.views import Later
from coffee_boat.workflow.apply import Applied, expose_changed
from coffee_boat.workflow.built import build
from coffee_boat.workflow.expose import folders
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.stopwatch import Stopwatch
from coffee_boat.workflow.target import Executors
from coffee_boat.workflow.tools import Tools

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux", reason="reads this machine's ELF files"
)

VERSION = platform.python_version()
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds one."""
    return other_python.fill(tmp_path_factory.mktemp("other") / "python")


@pytest.fixture(scope="session")
def mirror(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return other_python.mirror(python, tmp_path_factory.mktemp("mirror"), VERSION)


@pytest.fixture
def served(mirror: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in mirror.items():
        monkeypatch.setenv(name, value)


def machines(archive: Archive) -> set[str]:
    return {machine for chunk in archive.chunks for machine, _ in chunk.machines}


@pytest.mark.parametrize("asked", [None, VERSION])
def test_a_version_is_a_standalone_build_for_the_nodes_machine(
    tmp_path: Path, served: None, pyspark_is_packed: None, asked: str | None
) -> None:
    with Captain(platform=PLATFORM, python=asked, store=tmp_path / "store") as captain:
        captain.add_pip_packages(str(hostile.wheel(tmp_path, "demo")))
        lock = captain.plan().lock
        archive = captain.pack(tmp_path / "boat.tar.gz")
    assert (lock.target.python, lock.target.architecture) == (VERSION, OTHER)
    assert archive.has_python
    assert machines(archive) == {OTHER}


@pytest.mark.parametrize("by", ["uv", "folder"])
def test_it_is_the_same_chunk_wherever_it_lies(
    tmp_path: Path, served: None, python: Path, by: str
) -> None:
    elsewhere = shutil.copytree(python, tmp_path / "elsewhere", symlinks=True)
    made = []
    for number, folder in enumerate([python, elsewhere]):
        store = Store(tmp_path / str(number))
        found = (
            find(MINOR, machine=OTHER, store=store)
            if by == "uv"
            else find(str(folder), store=store)
        )
        assert (found.version, found.architecture, found.native) == (VERSION, OTHER, False)
        made.append(copy.chunk(found, store, python=sys.executable))
    assert made[0].id == made[1].id
    names = chunks.listing(made[0], store)
    assert f"lib/python{MINOR}/__pycache__/os.cpython-{MINOR.replace('.', '')}.pyc" in names
    assert f"bin/python{MINOR}" in names


def test_the_program_of_a_folder_can_be_named_itself_and_fetches_nothing(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", (tmp_path / "asked-by-nobody").as_uri())
    found = find(str(python / f"bin/python{MINOR}"))
    assert found == find(str(python)) == find(str(python / "bin"))
    assert not found.native


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 exports no version")
def test_without_its_header_the_program_tells_its_version(tmp_path: Path, python: Path) -> None:
    bare = shutil.copytree(python, tmp_path / "bare", symlinks=True)
    shutil.rmtree(bare / "include")
    assert find(str(bare)).version == VERSION


def test_a_folder_is_for_the_machine_that_it_is_for_and_refused_where_that_is_not_the_nodes(
    tmp_path: Path, python: Path, pyspark_is_packed: None
) -> None:
    for said in (None, PLATFORM):
        with Captain(python=str(python), platform=said, store=tmp_path / "store") as captain:
            assert captain.plan().lock.target.architecture == OTHER
    with (
        Captain(
            python=str(python), platform=PLATFORM.replace(OTHER, HERE), store=tmp_path / "store"
        ) as captain,
        pytest.raises(BuildError, match="would mix two machines") as caught,
    ):
        captain.plan()
    assert f"an interpreter for {OTHER}" in caught.value.value


def test_an_older_glibc_than_it_needs_is_refused_in_the_plan(tmp_path: Path, python: Path) -> None:
    old = f"manylinux_2_17_{OTHER}"
    floor = copy.floor(find(str(python)), Store(tmp_path / "store")).glibc
    if floor <= (2, 17):
        pytest.skip("this interpreter needs no newer glibc")
    with (
        Captain(python=str(python), platform=old, store=tmp_path / "store") as captain,
        pytest.raises(BuildError, match="newer glibc"),
    ):
        captain.plan()


@pytest.mark.parametrize(
    ("gone", "what"),
    [
        (f"lib/python{MINOR}/socket.py", f"python{MINOR}/socket.py is not there"),
        (f"lib/python{MINOR}", "os.py is not there"),
        (f"lib/python{MINOR}/encodings/__init__.py", "encodings/__init__.py is not there"),
    ],
)
def test_a_folder_that_is_not_complete_is_refused(
    tmp_path: Path, python: Path, gone: str, what: str
) -> None:
    torn = shutil.copytree(python, tmp_path / "torn", symlinks=True)
    path = torn / gone
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(BuildError, match="not complete") as caught:
        find(str(torn))
    assert what in caught.value.cause
    assert 'python="/path/to/folder"' in caught.value.cure


def test_a_library_that_is_not_beside_it_is_named(tmp_path: Path, python: Path) -> None:
    libraries = list(python.glob("lib/libpython3*.so*"))
    if not libraries:
        pytest.skip("this interpreter is one file")
    torn = shutil.copytree(python, tmp_path / "torn", symlinks=True)
    for path in torn.glob("lib/libpython3*.so*"):
        path.unlink()
    found = find(str(torn))
    with pytest.raises(BuildError, match="is not beside it") as caught:
        copy.floor(found, Store(tmp_path / "store"))
    assert libraries[0].name.partition(".so")[0] in caught.value.value


def test_a_machine_that_no_archive_is_made_for_is_refused_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", (tmp_path / "asked-by-nobody").as_uri())
    with (
        Captain(platform="manylinux_2_28_s390x", store=tmp_path / "store") as captain,
        pytest.raises(BuildError, match="architecture is not supported") as caught,
    ):
        captain.plan()
    assert caught.value.value == "s390x"


def test_a_mirror_that_has_none_is_told_by_what_was_asked_for(
    tmp_path: Path, served: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "3.12" if MINOR != "3.12" else "3.13"
    with (
        Captain(platform=PLATFORM, python=other, store=tmp_path / "store") as captain,
        pytest.raises(BuildError, match="uv could not fetch one") as caught,
    ):
        captain.plan()
    assert caught.value.value == f"cpython-{other}-linux-{OTHER}-gnu"
    assert 'python="conda"' in caught.value.cure


# built on other systems


def packed_on(here: Host, nodes: str, folder: Path, wheel: Path) -> bytes:
    """The archive for nodes, as if this machine were another one."""
    chosen, _ = settings.load({"platform": nodes, "store": str(folder / "store")})
    tools = Tools.of(chosen, here=here)
    request = Request((requirements.pip_packages([str(wheel)], origin="test"),))
    made = build(tools, request, lambda _: None)
    assert made.archive.has_python
    assert machines(made.archive) == {OTHER}
    return Path(made.archive.path).read_bytes()


def test_the_archive_is_the_same_byte_for_byte_whatever_system_it_is_built_on(
    tmp_path: Path, served: None, pyspark_packed: Path
) -> None:
    hosts = [
        Host.here(),
        Host("Darwin", OTHER),
        Host("Windows", HERE),
    ]
    wheel = hostile.wheel(tmp_path, "demo")
    made = []
    for host in hosts:
        folder = tmp_path / host.system
        with_chunks_of(pyspark_packed, folder / "store")
        made.append(packed_on(host, PLATFORM, folder, wheel))
    assert made[0] == made[1] == made[2]


def test_a_driver_that_is_no_linux_reads_what_would_run_here_and_knows_no_nodes_by_itself(
    tmp_path: Path, python: Path
) -> None:
    mac = Host("Darwin", OTHER)
    chosen, _ = settings.load({"platform": PLATFORM, "python": str(python)})
    assert not Executors(chosen, Store(tmp_path), here=mac).interpreter.native
    with pytest.raises(SettingsError, match="does not tell what the executors are") as caught:
        Executors(settings.Settings(ship_python=False), Store(tmp_path), here=mac).target  # noqa: B018
    assert "manylinux_2_28_x86_64" in caught.value.cure


_WITHOUT_LINUX = """
import sys

ABSENT = {"fcntl", "grp", "pwd", "resource", "termios"}
for name in ABSENT:
    sys.modules[name] = None  # an import of it fails, as on Windows
import os

for name in ("geteuid", "killpg", "O_NONBLOCK"):
    delattr(os, name)

from coffee_boat.cli.main import boat

boat(sys.argv[1:], prog_name="boat", standalone_mode=False)
"""


def test_nothing_of_linux_is_imported_to_pack_for_it(
    tmp_path: Path, mirror: dict[str, str], pyspark_packed: Path
) -> None:
    with_chunks_of(pyspark_packed, tmp_path / "store")
    wheel = hostile.wheel(tmp_path, "demo")
    archive = tmp_path / "boat.tar.gz"
    arguments = ["pack", "-o", str(archive), "--platform", PLATFORM, "--pip", str(wheel)]
    ran = subprocess.run(
        [sys.executable, "-c", _WITHOUT_LINUX, *arguments, "--store", str(tmp_path / "store")],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **mirror},
    )
    assert ran.returncode == 0, ran.stderr
    with tarfile.open(archive) as packed:
        assert packed.getmember(f"bin/python{MINOR}").mode == 0o755
        assert packed.getmember("bin/python3").linkname == f"python{MINOR}"


# conda's


def test_condas_python_alone_is_a_word(
    tmp_path: Path, conda_channel: str, pyspark_is_packed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDA_CHANNELS", conda_channel)
    with Captain(python="conda", store=tmp_path / "store") as captain:
        captain.add_pip_packages(str(hostile.wheel(tmp_path, "demo")))
        lock = captain.plan().lock
        assert {"python"} <= {pin.name for pin in lock.conda}
        assert [pin.name for pin in lock.pins] == ["demo"]
        lock_file = tmp_path / "pylock.toml"
        lock_file.write_text('lock-version = "1.0"\ncreated-by = "x"\npackages = []\n')
    with (
        Captain(python="conda", store=tmp_path / "store") as captain,
        pytest.raises(LockError, match="conda's python is asked for"),
    ):
        captain.add_lock(lock_file)


# the driver's half


@pytest.mark.parametrize("named_by", ["settings", "a file"])
def test_the_driver_has_for_itself_what_the_nodes_have_for_their_machine(
    tmp_path: Path, pyspark_is_packed: None, capsys: pytest.CaptureFixture[str], named_by: str
) -> None:
    wheels = tmp_path / "wheels"
    nodot = f"cp{MINOR.replace('.', '')}"
    for name, machines_of in {"reach-both": (HERE, OTHER), "reach-there": (OTHER,)}.items():
        for machine in machines_of:
            text = f"MACHINE = {machine!r}\n"
            hostile.wheel(
                wheels,
                name,
                files={f"{name.replace('-', '_')}.py": text},
                tag=f"{nodot}-{nodot}-manylinux_2_17_{machine}",
            )
    hostile.wheel(wheels, "reach-pure", requires=["reach-both"], files={"reach_pure.py": ""})
    environ = {"COFFEE_BOAT_NO_INDEX": "1"}
    places = {"find_links": [str(wheels)]} if named_by == "settings" else {}
    said = {"platform": PLATFORM, "ship_python": False, **places}
    chosen, _ = settings.load({**said, "store": str(tmp_path / "store")}, environ=environ)
    tools = Tools.of(chosen)
    if named_by == "settings":
        asked = requirements.pip_packages(["reach-pure", "reach-there"], origin="test")
    else:
        file = tmp_path / "requirements.txt"
        file.write_text(f"--find-links {wheels}\nreach-pure\nreach-there\n")
        asked = requirements.read(file)
    made = build(tools, Request((asked,)), lambda _: None)

    waits = Later(hostile.wheel(tmp_path, "reach-waits"), frozenset({"reach_waits"}), Path)
    tools.views.board(
        Lock(made.lock.target, (Pin("reach-waits", "1.0"),)), {}, {"reach-waits": waits}
    )
    here = folders(tools, made.lock, made.archive.chunks, lambda _: None)
    assert tools.views.later == {"reach-waits"}, "a running session of this process keeps its own"
    found = {path.name: path.read_text() for entry in here for path in Path(entry).glob("*.py")}
    assert found == {"reach_both.py": f"MACHINE = {HERE!r}\n", "reach_pure.py": ""}
    told = capsys.readouterr().err
    assert "a package is on the executors only: reach-there 1.0" in told
    assert "pip install reach-there==1.0 for the driver" in told
    assert "reach-both" not in told

    unpacked = tools.store.root / "trees"
    both = next(chunk.id for chunk in made.archive.chunks if chunk.label == "reach-both 1.0")
    had = replace(made.lock, pins=(*made.lock.pins, Pin("reach-gone", "1.0")))
    applied = Applied(tools.pipeline.change(made.lock, had), None, Stopwatch(), 0)
    expose_changed(tools, applied, asked)
    seen = {path.name for entry in tools.views.entries for path in Path(entry).glob("*.py")}
    assert seen == {"reach_both.py", "reach_pure.py"}
    assert tools.views.later == set()
    assert both not in {path.name for path in unpacked.iterdir()}, "the driver has another one"
    listed = {entry.name for entry in tools.store.entries() if entry.kind == "trees"}
    assert listed == {path.name for path in unpacked.iterdir()}, "prune sees each"
    tools.views.close()
