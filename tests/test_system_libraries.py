"""Libraries that packages take from their nodes: foreseen when an archive is made, and explained
when a node lacks one."""

from __future__ import annotations

import io
import platform
import resource
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import hostile
import pytest
from test_installed import TARGET, a_binary, pin_of

from coffee_boat._support.host import architecture
from coffee_boat._support.store import Store
from coffee_boat.archive import elf, system
from coffee_boat.archive.needed import needed
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.interpreter import libraries
from coffee_boat.model import Chunk
from coffee_boat.pip.chunks import wheel_chunk
from coffee_boat.session.own import explain

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="reads ELF files")


def binary(folder: Path, *names: str) -> bytes:
    """One that needs these libraries, too."""
    copy = folder / "copy.so"
    copy.write_bytes(a_binary())
    added = [word for name in names for word in ("--add-needed", name)]
    subprocess.run([libraries.patchelf_tool(), *added, str(copy)], check=True)
    return copy.read_bytes()


def chunk(folder: Path, store: Store, name: str, files: dict[str, bytes]) -> Chunk:
    wheel = hostile.wheel(folder, name, files=files)
    return wheel_chunk(wheel, pin_of(wheel), replace(TARGET, architecture=architecture()), store)


def test_what_a_binary_needs_is_what_pyelftools_reads(tmp_path: Path) -> None:
    data = binary(tmp_path, "libGL.so.1", "libgomp.so.1")
    assert needed(io.BytesIO(data)) == elf.parse(data, "copy").needed
    assert {"libGL.so.1", "libgomp.so.1"} < set(needed(io.BytesIO(data)))
    for end in (0, 4, 63, 64, 200, len(data) // 2):
        assert needed(io.BytesIO(data[:end])) in ((), needed(io.BytesIO(data)))


def test_a_large_binary_that_has_no_room_to_be_looked_at_is_packed(tmp_path: Path) -> None:
    data = a_binary() + bytes(65 << 20)
    squeezed = zlib.compressobj(1, zlib.DEFLATED, -15)
    raw = squeezed.compress(data) + squeezed.flush()
    writer = ChunkWriter(io.BytesIO())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        writer.deflated("x.so", raw, crc=zlib.crc32(data), size=len(data))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert writer.unpacked == len(data)


def test_what_neither_the_archive_nor_every_node_has_is_foreseen(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    data = binary(tmp_path, "libGL.so.1", "libgomp.so.1", "libodbc.so.2", "libz.so.1")
    one = chunk(tmp_path, store, "opencv_python", {"opencv_python/x.so": data})
    (found,) = system.lacking([one], elf.machine_of(data), store)
    assert found.code == "build.system-library-needed"
    assert found.value.startswith("opencv-python: ")
    assert "(for x.so)" in found.value
    for word in ("libGL.so.1", "libgomp.so.1", "libodbc.so.2"):
        assert word in found.value
    assert "libz" not in found.value
    for word in (
        "apt-get install libgl1",
        "libgomp1",
        "libodbc2",
        "add_conda_packages",
        "unixODBC",
    ):
        assert word in found.cure
    assert "opencv-python-headless" in found.cure
    more = chunk(tmp_path, store, "carrier", {"carrier.libs/libgomp.so.1": b"any"})
    (found,) = system.lacking([one, more], elf.machine_of(data), store)
    assert "libgomp" not in found.value
    assert not list(system.lacking([more], elf.machine_of(data), store))
    assert not list(system.lacking([one], "riscv64", store))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "/x/cv2/__init__.py\nImportError: libGL.so.1: cannot open shared object file: No such",
            ("libgl1", "mesa-libGL", '"libgl"', "opencv-python-headless"),
        ),
        (
            "OSError: libgomp.so.1: cannot open shared object file: No such file or directory",
            ("libgomp1", 'add_conda_packages("libgomp"'),
        ),
        (
            "ImportError: libodbc.so.2: cannot open shared object file: No such file or directory",
            ("libodbc2", "unixODBC"),
        ),
        (
            "ImportError: libcublas.so.12: cannot open shared object file: No such file",
            ('add_pip_packages("nvidia-cublas-cu12")',),
        ),
        ("ImportError: libnobody.so.7: cannot open shared object file", ("apt-file", "libnobody")),
    ],
)
def test_a_library_that_a_node_lacks_is_named_with_its_packages(
    text: str, words: tuple[str, ...]
) -> None:
    found = explain(f"(10.0.0.7 executor 3)\n{text}")
    assert found is not None
    assert found.code == "executor.system-library-missing"
    assert "10.0.0.7" in found.value
    assert not [word for word in words if word not in found.cure], found.cure
