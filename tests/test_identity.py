"""What decides that two files are the same, and that something need not be made anew: their
content. A checksum that can be forged, a size and a date decide nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
import zlib
from pathlib import Path
from random import Random

import pytest
from conftest import MakeWheel
from hostile_locks import forged

from coffee_boat._support.digest import contents_digest
from coffee_boat._support.store import Store
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.chunks import chunk_path, listing, make
from coffee_boat.archive.unpack import unpack
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.conda.chunks import fits_a_layer
from coffee_boat.errors import BuildError
from coffee_boat.interpreter import pyspark
from coffee_boat.model import Archive, Chunk, Lock, Pin, Target
from coffee_boat.pip.chunks import wheel_chunk

TARGET = Target(f"{sys.version_info.major}.{sys.version_info.minor}.0")


def archive_of(store: Store, *chunks: Chunk) -> Archive:
    return assemble(
        chunks, target=TARGET, lock=Lock(TARGET), has_python=False, inputs={}, store=store
    )


def chunk_of(store: Store, label: str, files: dict[str, bytes]) -> Chunk:
    def fill(writer: ChunkWriter) -> None:
        for name, content in files.items():
            writer.file(name, content)

    return make(store, [label, sorted(files)], label, fill)


@pytest.mark.parametrize("filler", [b"", b"# filler\n" * 2000], ids=["small", "deflated"])
def test_a_forged_crc_does_not_hide_a_clash(
    make_wheel: MakeWheel, store: Store, filler: bytes
) -> None:
    good = b"answer = 'good'\n" + filler + Random(0).randbytes(3000).hex().encode() * bool(filler)
    bad = forged(good, b"answer = 'evil'\n" + filler)
    assert (zlib.crc32(good), len(good)) == (zlib.crc32(bad), len(bad))
    made = []
    for name, content in (("first", good), ("second", bad)):
        wheel = make_wheel(name, "1.0", {"common/startup.py": content})
        made.append(wheel_chunk(wheel, Pin(name, "1.0", filename=wheel.name), TARGET, store))
    found = archive_of(store, *made).findings
    assert [finding.value for finding in found] == [
        f"first 1.0 and second 1.0: {TARGET.site_packages}common/startup.py"
    ]


def test_a_listing_that_was_lost_is_read_from_the_chunk(store: Store) -> None:
    first = chunk_of(store, "first 1", {"lib/a.py": b"1", "share/x": b""})
    second = chunk_of(store, "second 1", {"lib/a.py": b"2"})
    known = listing(first, store)
    shutil.rmtree(store.root / "keys" / "listing")
    assert listing(first, store) == known
    shutil.rmtree(store.root / "keys" / "listing")
    assert not fits_a_layer(first, TARGET, store)
    shutil.rmtree(store.root / "keys" / "listing")
    assert len(archive_of(store, first, second).findings) == 1


def test_what_is_in_a_chunk_that_is_gone_is_not_guessed(store: Store) -> None:
    chunk = chunk_of(store, "first 1", {"lib/a.py": b"1"})
    shutil.rmtree(store.root / "keys" / "listing")
    chunk_path(store, chunk).unlink()
    with pytest.raises(BuildError, match="gone or damaged"):
        listing(chunk, store)


def test_no_content_reads_as_another_chunks_files(store: Store) -> None:
    """A chunk's id names its files one by one: the tar of other files is not their content."""
    inner = chunk_of(store, "inner", {"a": b"x" * 512})
    outer = chunk_of(store, "outer", {"a": (b"x" * 512) + b"a" + bytes(511)})
    assert inner.id != outer.id


def test_archives_that_share_a_name_are_unpacked_apart(store: Store) -> None:
    """The name has 12 digits for people; two archives can be made that share them."""
    one = archive_of(store, chunk_of(store, "one", {"lib/a.py": b"1"}))
    other = archive_of(store, chunk_of(store, "other", {"lib/a.py": b"2"}))
    twin = Archive(**{**vars(other), "id": one.id[:12] + other.id[12:]})
    assert twin.name == one.name
    assert (unpack(one, store) / "lib/a.py").read_bytes() == b"1"
    assert (unpack(twin, store) / "lib/a.py").read_bytes() == b"2"


def test_a_date_and_a_size_that_were_given_back_hide_no_change(
    store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "module.py"
    path.write_text("A = 1")
    before, state = contents_digest([path], store), path.stat()
    assert contents_digest([path], store) == before == contents_digest([path], None)
    path.write_text("A = 2")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert contents_digest([path], store) != before


def test_an_edited_pyspark_is_packed_anew_though_size_and_date_are_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyspark", "py4j"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("A = 1\n")
        (tmp_path / name / "version.py").write_text("__version__ = '4.1.4'\n")
    for name in [name for name in sys.modules if name.split(".")[0] in ("pyspark", "py4j")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delenv("SPARK_HOME", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "pyspark" / "__init__.py"
    state, target = path.stat(), Target("3.9.0")
    first = pyspark.chunk(target, store)
    assert pyspark.recall(target, store) == first
    path.write_text("A = 2\n")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert pyspark.recall(target, store) is None
    assert pyspark.chunk(target, store).id != first.id
