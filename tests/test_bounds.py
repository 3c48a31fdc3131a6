"""A small input is no work without end: each door is bounded by what the input promised, and by a
limit that its message names.
"""

from __future__ import annotations

import pickle
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bombs
import pytest
from bombs import GIB, MIB, soon, within

from coffee_boat._support.store import Store
from coffee_boat.archive import elf
from coffee_boat.errors import BuildError
from coffee_boat.model import Indexes, Lock, Pin, Target
from coffee_boat.pip import metadata
from coffee_boat.pip.download import Downloads
from coffee_boat.pip.sources import Builder

OWN = Target("3.11.0", glibc=(2, 28))
MEMORY = 180
"""Megabytes: half of it is Python's own."""

# wheels


@pytest.fixture
def installed(tmp_path: Path) -> Callable[[Path], str]:
    """What comes of a wheel, in little memory."""

    def door(wheel: Path) -> str:
        assert wheel.stat().st_size < 4 * MIB
        store = str(tmp_path / "store")
        return within(
            f"import bombs; print(bombs.install({str(wheel)!r}, {store!r}))", megabytes=MEMORY
        )

    return door


def test_a_bzip2_member_is_no_larger_than_promised(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    wheel = bombs.of_zeros(tmp_path, "bomb/x.bin", 65 * MIB, zipfile.ZIP_BZIP2)
    told = installed(wheel)
    assert "it has 68,157,440 bytes in bzip2, of which 67,108,864 are read here" in told
    told = installed(bombs.patched(wheel, "bomb/x.bin", 1000))
    assert "its CRC-32 or its length is not what the zip says" in told


def test_a_small_bzip2_member_is_installed(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    wheel = bombs.of_zeros(tmp_path, "bomb/x.bin", 3 * MIB, zipfile.ZIP_BZIP2)
    assert installed(wheel).startswith("made")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_metadata_is_bounded(tmp_path: Path, installed: Callable[[Path], str], method: int) -> None:
    member = "bomb-1.0.dist-info/entry_points.txt"
    told = installed(bombs.of_zeros(tmp_path, member, 4 * MIB, method))
    assert "a wheel breaks the rules of its format" in told
    assert "compressed by method 14" in told or "may have 1,048,576 here" in told


def test_a_wheel_is_no_more_than_its_size_allows(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    wheel = bombs.wheel(tmp_path, {"bomb.py": "", "a": "", "b": ""})
    for member in ("a", "b"):
        bombs.patched(wheel, member, GIB - 1)
    told = installed(wheel)
    assert "2g in all" in told or "2048m in all" in told
    assert "may hold 1g here (1g, or 200 times its size)" in told


def test_a_large_script_is_not_taken_into_memory(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    """A program may lie among scripts; one for Python is parsed, so it is bounded."""
    member = "bomb-1.0.data/scripts/x"
    assert installed(bombs.of_zeros(tmp_path, member, MEMORY * MIB, 8)).startswith("made")
    told = installed(bombs.of_zeros(tmp_path, member, 2 * MIB, 8, head=b"#!python\n"))
    assert "a script for Python may have 1,048,576 here" in told


def test_a_large_library_is_not_taken_into_memory(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    head = bombs.elf("versions")
    told = installed(bombs.of_zeros(tmp_path, "bomb/x.so", MEMORY * MIB, 8, head=head))
    assert "its tables have more than 200,000 entries" in told


def test_what_is_not_compressed_is_in_memory_once(tmp_path: Path) -> None:
    wheel = bombs.of_zeros(tmp_path, "bomb/x.bin", 60 * MIB, zipfile.ZIP_STORED)
    store = str(tmp_path / "store")
    code = f"import bombs; print(bombs.install({str(wheel)!r}, {store!r}))"
    assert within(code, megabytes=MEMORY).startswith("made")


def test_members_do_not_lie_upon_each_other(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    assert "it lies upon the member behind it" in installed(bombs.overlapping(tmp_path))


def test_deep_names_and_deep_metadata(tmp_path: Path, installed: Callable[[Path], str]) -> None:
    told = installed(bombs.wheel(tmp_path, {"a/" * 5000 + "x": ""}))
    assert "its name leaves the wheel's root or is not a valid file name" in told
    nested = "Content-Type: message/rfc822\n\n" * 5_000
    assert "nested too deeply" in installed(bombs.wheel(tmp_path, metadata=nested))


def test_entry_points_with_a_long_line(tmp_path: Path, installed: Callable[[Path], str]) -> None:
    text = "[console_scripts]\na" + " " * 200_000 + "b\n"
    told = installed(bombs.wheel(tmp_path, entry_points=text))
    assert "line 2 has 200,002 characters; 8,192 are read here" in told


@pytest.mark.parametrize("kind", ["sections", "versions"])
def test_tables_without_an_end(kind: str) -> None:
    with soon(), pytest.raises(BuildError, match="an ELF file cannot be read"):
        elf.parse(bombs.elf(kind), "x.so")


def test_extras_that_refer_to_each_other(tmp_path: Path, store: Store) -> None:
    """`bomb[1]` needs `bomb[2]` needs ...: each is looked at once."""
    requires = "".join(
        f"Requires-Dist: bomb[x{number + 1}]; extra == 'x{number}'\n" for number in range(500)
    )
    wheel = bombs.wheel(tmp_path, metadata=requires)
    lock = Lock(OWN, (Pin("bomb", "1.0", filename=wheel.name, url=wheel.as_uri()),))
    with soon(), pytest.raises(BuildError) as caught:
        metadata.with_edges(lock, {"bomb": wheel}, {}, {"bomb": ["x0"]}, store=store)
    assert "at most 200,000 pairs of them are" in str(caught.value)
    wheel = bombs.wheel(tmp_path, metadata="".join(requires.splitlines(keepends=True)[:200]))
    done = metadata.with_edges(lock, {"bomb": wheel}, {}, {"bomb": ["x0"]}, store=store)
    assert done.pins[0].requires == ("bomb",)


# source archives


def build(path: Path, store: Store) -> None:
    indexes = Indexes()
    builder = Builder(OWN, indexes, "python", store, Downloads(indexes, ()), (), lambda _: None)
    from coffee_boat._support.digest import file_digest

    pin = Pin("bomb", "1.0", "sdist", filename=path.name, url=path.as_uri(), subdirectory="x")
    builder.wheel(replace(pin, sha256=file_digest(path)))


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_source_archive_is_no_more_than_its_size_allows(
    tmp_path: Path, store: Store, suffix: str
) -> None:
    path = bombs.tar_of_zeros(tmp_path / f"bomb-1.0.tar.{suffix}", 40 * MIB, header=True)
    with soon(), pytest.raises(BuildError, match=r"a header claims more than the [\d,]+ bytes"):
        build(path, store)


def test_a_source_archive_of_gigabytes(tmp_path: Path, store: Store) -> None:
    path = bombs.tar_of_zeros(tmp_path / "bomb-1.0.tar.gz", 0, promised=2 * GIB)
    with soon(), pytest.raises(BuildError, match="may hold 1g here"):
        build(path, store)


# servers


def fetch(url: str, path: Path, size: int | None) -> str:
    with pytest.raises(BuildError) as caught:
        Downloads(Indexes(), ()).fetch(f"{url}/x.whl?token=s3cret", path, sha256="0", size=size)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_a_server_that_goes_on_sending(tmp_path: Path) -> None:
    with bombs.server() as (url, sent):
        told = fetch(url, tmp_path / "x", 10)
    assert "the server goes on sending; the lock has 10 bytes" in told
    assert sent[0] < 32 * MIB


def test_a_server_that_says_another_size(tmp_path: Path) -> None:
    with bombs.server(headers={"Content-Length": str(GIB)}) as (url, _):
        told = fetch(url, tmp_path / "x", 10)
    assert "the server says 1,073,741,824 bytes; the lock has 10 bytes" in told


def test_a_size_that_nobody_bounds(tmp_path: Path) -> None:
    with bombs.server(headers={"Content-Length": str(99 * GIB)}) as (url, _):
        told = fetch(url, tmp_path / "x", None)
    assert "17,179,869,184 bytes are taken of what no lock bounds" in told
    assert "write its size into the lock" in told


def test_what_a_server_packs_is_not_unpacked(tmp_path: Path) -> None:
    """Nor is the body of a redirection read, or of an error."""
    headers = {"Content-Encoding": "gzip"}
    with bombs.server(headers=headers, block=bombs.gzip_stream(), most=200_000) as (url, _):
        assert "does not match the lock" in fetch(url, tmp_path / "x", 10 * MIB)
    assert (tmp_path / "x").stat().st_size < MIB


@pytest.mark.parametrize("status", [302, 404])
def test_the_body_of_a_refusal_is_not_read(tmp_path: Path, status: int) -> None:
    with bombs.server(status=status, headers={"Location": "/y"}) as (url, sent):
        told = fetch(url, tmp_path / "x", 10)
    assert "30 redirections" in told or "404" in told
    assert max(sent) < 32 * MIB


def test_a_redirection_is_followed_with_the_credentials_of_its_own_host(tmp_path: Path) -> None:
    import hashlib

    body = b"content"
    with bombs.server(block=b"", most=0, first=body, headers={"Connection": "close"}) as (there, _):
        headers = {"Location": f"{there}/y", "Connection": "close"}
        with bombs.server(status=301, headers=headers, most=0) as (here, _):
            digest = hashlib.sha256(body).hexdigest()
            Downloads(Indexes(), ()).fetch(f"{here}/x", tmp_path / "x", sha256=digest, size=7)
    assert (tmp_path / "x").read_bytes() == body


def test_answers_of_clusters_are_bounded() -> None:
    told = within(
        """
        import bombs
        from coffee_boat.clusters.yarn import daemons
        from coffee_boat.clusters.standalone import probe
        with bombs.server(most=2 << 30) as (url, sent):
            try:
                daemons.get(url)
            except daemons.NoAnswer as error:
                print(error)
            print(probe._page(url.removeprefix("http://"), "/json/"))
            print(max(sent) < 400 << 20)
        """
    )
    assert "it has more than 128m; a cluster's answer may have 128m here" in told
    assert told.strip().endswith("None\nTrue")


def test_an_answer_of_an_apiserver_is_bounded() -> None:
    told = within(
        """
        import bombs
        from coffee_boat.clusters.kubernetes import api
        from coffee_boat.model import SparkFacts
        import os
        os.environ["KUBECONFIG"] = "/nonexistent"
        with bombs.server(most=2 << 30) as (url, sent):
            facts = SparkFacts("4.0.0", f"k8s://{url}", {})
            try:
                print(api.Apiserver(facts).version())
            except api.Unreachable as error:
                print(error)
            print(max(sent) < 400 << 20)
        """
    )
    assert "128m here" in told, told
    assert "True" in told


# conda packages


def test_a_conda_package_is_no_more_than_its_size_allows(tmp_path: Path, store: Store) -> None:
    """By a lower bound than users have: a gigabyte would be written to the disk."""
    channels = pytest.importorskip("conda_channel")
    big = channels.Package("big", "1.0", files={"share/x": channels.File(bytes(40 * MIB))})
    lock = channels.lock_of([channels.fill(tmp_path / "other", big)], "big")
    assert (lock.conda[0].size or 0) < MIB
    told = within(
        f"""
        import pickle
        from pathlib import Path
        from coffee_boat._support import limits
        from coffee_boat._support.store import Store
        from coffee_boat.conda import chunks
        from coffee_boat.conda.install import Source
        lock = pickle.loads({pickle.dumps(lock)!r})
        limits.UNPACKED_FREE = 1 << 20
        try:
            chunks.conda_chunks(lock, Store(Path({str(store.root)!r})), source=Source(), say=print)
        except Exception as error:
            print(error)
        """,
        megabytes=4000,
    )
    assert "conda packages become larger than their size allows" in told


def test_a_conda_package_whose_size_nobody_tells_may_be_as_large_as_any_file(
    tmp_path: Path,
) -> None:
    channels = pytest.importorskip("conda_channel")
    small = channels.Package("small", "1.0", files={"share/x": channels.File(b"x")})
    [told] = channels.lock_of([channels.fill(tmp_path / "other", small)], "small").conda
    from coffee_boat._support import limits
    from coffee_boat.conda.install import most_fetched

    untold = replace(told, size=None)
    assert most_fetched([told]) == limits.UNPACKED_FREE
    assert most_fetched([replace(told, size=limits.UNPACKED_FREE)]) == 2 * limits.UNPACKED_FREE
    assert most_fetched([untold, untold]) == 2 * limits.DOWNLOAD


def test_what_writes_without_an_end_is_cancelled(tmp_path: Path) -> None:
    import asyncio

    from coffee_boat._support.limits import TooMuch
    from coffee_boat.conda.install import bounded

    async def write() -> None:
        with (tmp_path / "x").open("wb") as file:
            while True:
                file.write(bytes(4 * MIB))
                file.flush()
                await asyncio.sleep(0.02)

    with soon(), pytest.raises(TooMuch):
        asyncio.run(asyncio.wait_for(bounded(write(), tmp_path, 16 * MIB), 60))
    size = (tmp_path / "x").stat().st_size
    time.sleep(0.2)
    assert (tmp_path / "x").stat().st_size == size


def test_a_placeholder_many_times_in_a_binary() -> None:
    from coffee_boat.worker.prefix import replaced

    with soon():
        data = replaced(b"/old\0" + b"/old" * 100_000, b"/old", b"/new", binary=True)
    assert data == b"/new\0" + b"/old" * 100_000
