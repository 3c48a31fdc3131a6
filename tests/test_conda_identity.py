"""A conda package is the bytes that its sha256 names, whatever else is called so."""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")
pytest.importorskip("conda_pack", reason="needs conda-pack: pip install coffee_boat[conda]")

from conda_channel import NATIVE, File, Package, fill, lock_of, python_abi, small_python

from coffee_boat import Captain
from coffee_boat._support.digest import file_digest
from coffee_boat._support.progress import Step
from coffee_boat._support.store import Store
from coffee_boat.archive.chunks import chunk_path
from coffee_boat.conda import chunks, client, records
from coffee_boat.conda.install import Source
from coffee_boat.errors import BuildError, LockError
from coffee_boat.model import CondaPin, Lock

pytestmark = pytest.mark.once

GOOD, EVIL = b"content: GOOD", b"content: EVIL"


def channel(
    folder: Path, content: bytes, *, without: Sequence[str] = (), python: bool = False
) -> str:
    """One with a `tool 8.0` of that content, whose hashes it lists or not."""
    pythons = [small_python(), python_abi()] if python else []
    url = fill(folder, tool(content), *pythons)
    listing = folder / "noarch/repodata.json"
    said = json.loads(listing.read_text())
    for key in without:
        said["packages.conda"]["tool-8.0-0.conda"].pop(key)
    listing.write_text(json.dumps(said))
    return url


def tool(content: bytes) -> Package:
    return Package("tool", "8.0", noarch="generic", files={"share/m": File(content)})


def contents(lock: Lock, store: Store) -> bytes:
    """The bytes of the only package's chunk."""
    (chunk,) = chunks.conda_chunks(lock, store, source=Source(), say=lambda _: None)
    return zlib.decompress(chunk_path(store, chunk).read_bytes(), wbits=31)


def tool_of(url: str, store: Store) -> bytes:
    made = contents(lock_of([url], "tool"), store)
    return next(said for said in (GOOD, EVIL) if said in made)


def plant(store: Path, content: bytes) -> None:
    """As py-rattler's own cache is once another channel's `tool` came without a sha256."""
    for folder in (store / "rattler/pkgs/tool-8.0-0", store / "conda/tool-8.0-0"):
        for name in ("info", "share"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "share/m").write_bytes(content)
        (folder / "info/paths.json").write_bytes(tool(content).paths_json)
        index = {"name": "tool", "version": "8.0", "build": "0", "build_number": 0}
        (folder / "info/index.json").write_text(json.dumps({**index, "subdir": "noarch"}))
        folder.with_name(f"{folder.name}.lock").write_bytes(b"")


@pytest.mark.parametrize("without", [("sha256",), ("sha256", "md5"), ("sha256", "md5", "size")])
def test_a_package_without_a_sha256_in_its_channel_is_refused(
    tmp_path: Path, without: tuple[str, ...]
) -> None:
    url = channel(tmp_path / "one", EVIL, without=without, python=True)
    ours = Captain(store=tmp_path / "store").add_conda_packages("python", "tool", channel=url)
    with pytest.raises(LockError) as caught:
        ours.plan()
    assert caught.value.code == "lock.conda-without-sha256"
    assert caught.value.value == f"tool 8.0 ({url})"
    assert "index it anew" in caught.value.cure


def test_what_came_without_a_sha256_replaces_no_package_of_its_name(
    tmp_path: Path, store: Store
) -> None:
    plant(store.root, EVIL)
    assert tool_of(channel(tmp_path / "victim", GOOD), store) == GOOD


def test_two_channels_have_their_own_packages_of_one_name_and_version(
    tmp_path: Path, store: Store
) -> None:
    first, second = channel(tmp_path / "first", GOOD), channel(tmp_path / "second", EVIL)
    assert [tool_of(url, store) for url in (first, second, first)] == [GOOD, EVIL, GOOD]
    files = [next((tmp_path / name).glob("noarch/tool-*")) for name in ("first", "second")]
    kept = {path.name for path in (store.root / "conda").iterdir()}
    assert kept == set(map(file_digest, files))
    assert kept == {entry.name for entry in store.entries() if entry.kind == "conda"}


def test_a_package_that_was_replaced_under_its_url_is_another_one(
    tmp_path: Path, store: Store
) -> None:
    url = channel(tmp_path / "one", GOOD)
    before = lock_of([url], "tool")
    assert tool_of(url, store) == GOOD
    for path in (tmp_path / "one/noarch").iterdir():
        path.unlink()
    channel(tmp_path / "one", EVIL)
    assert tool_of(url, store) == EVIL
    with pytest.raises(BuildError, match="not the one that was locked"):
        contents(before, Store(tmp_path / "new"))


def test_a_list_is_packed_without_a_plan_and_with_what_its_sha256_name(
    tmp_path: Path, store: Store
) -> None:
    channel(folder := tmp_path / "victim", GOOD, python=True)
    files = [*folder.glob(f"{NATIVE}/python-*"), *folder.glob("noarch/tool-*")]
    lines = [f"{path.as_uri()}#{file_digest(path)}" for path in files]
    (tmp_path / "list.txt").write_text("\n".join(["@EXPLICIT", *lines]))
    plant(store.root, EVIL)
    ours = Captain(store=store.root).add_lock(tmp_path / "list.txt")
    ours.pack(tmp_path / "boat.tar.gz")
    with tarfile.open(tmp_path / "boat.tar.gz") as tar:
        stream = tar.extractfile("share/m")
        assert stream is not None
        assert stream.read() == GOOD


def replacing(path: Path, by: Path) -> Callable[[Step], None]:
    """What is told of the progress: the file is replaced between two looks at it."""

    def say(_: Step) -> None:
        with suppress(FileNotFoundError):
            by.replace(path)

    return say


def test_a_file_that_is_changed_after_it_was_looked_at_is_not_packed(
    tmp_path: Path, store: Store
) -> None:
    lock = lock_of([channel(tmp_path / "shared", GOOD)], "tool")
    (path,) = (tmp_path / "shared/noarch").glob("tool-*")
    other = tool(EVIL).write(tmp_path / "other")

    with pytest.raises(BuildError, match="not the one that was locked"):
        chunks.conda_chunks(lock, store, source=Source(), say=replacing(path, other))
    assert not (store.root / "conda").exists()


def test_what_is_kept_is_filled_again_from_what_was_compared(tmp_path: Path, store: Store) -> None:
    """Who may write the channel's folder may not choose what takes a damaged package's place."""
    lock = lock_of([channel(tmp_path / "shared", GOOD)], "tool")
    (path,) = (tmp_path / "shared/noarch").glob("tool-*")
    contents(lock, store)
    (kept,) = (store.root / "conda").rglob("share/m")
    kept.unlink()
    for key in (store.root / "keys").rglob("*.json"):
        key.unlink()
    other = tool(EVIL).write(tmp_path / "other")
    with pytest.raises(BuildError, match="not the one that was locked"):
        chunks.conda_chunks(lock, store, source=Source(), say=replacing(path, other))


def test_a_package_that_is_called_otherwise_than_it_says_is_refused(
    tmp_path: Path, store: Store
) -> None:
    """A channel may list one file as two packages; then two have the same files."""
    lock = lock_of([channel(tmp_path / "one", GOOD)], "tool")
    copy = tmp_path / "one/noarch/other-8.0-0.conda"
    copy.write_bytes(next((tmp_path / "one/noarch").glob("tool-*")).read_bytes())
    other = replace(lock.conda[0], name="other", url=copy.as_uri(), filename=copy.name)
    both = replace(lock, conda=(other, *lock.conda))
    with pytest.raises(BuildError) as caught:
        chunks.conda_chunks(both, store, source=Source(), say=lambda _: None)
    assert caught.value.value == "other-8.0-0.conda"
    assert caught.value.cause == "'tool' is its own name, its channel calls it 'other'"


def test_a_panic_of_rattlers_is_an_error_with_its_words(tmp_path: Path, store: Store) -> None:
    (pin,) = lock_of([channel(tmp_path / "one", GOOD)], "tool").conda
    with store.scratch() as prefix:
        (prefix / "conda-meta").mkdir(parents=True)
        with pytest.raises(client.PanickedError, match="rattler gave up"):
            client.wait(lambda: linked_twice(pin, prefix, tmp_path))


async def linked_twice(pin: CondaPin, prefix: Path, tmp_path: Path) -> None:
    """One file as two packages, by rattler itself."""
    import rattler

    copy = tmp_path / "one/noarch/other-8.0-0.conda"
    copy.write_bytes(next((tmp_path / "one/noarch").glob("tool-*")).read_bytes())
    other = replace(pin, name="other", url=copy.as_uri(), filename=copy.name)
    await rattler.install(
        [records.record_of(pin), records.record_of(other)],
        target_prefix=prefix,
        cache_dir=tmp_path / "cache",
        platform=rattler.Subdir("noarch"),
        show_progress=False,
    )
