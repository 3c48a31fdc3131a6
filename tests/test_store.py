"""The store, where the machine does not play along: no home, a disk that is read only, files that
something else damaged.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from coffee_boat._support import temporary
from coffee_boat._support.store import Store
from coffee_boat.errors import StoreError

DEEP = b"[" * 100_000


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's arbitrary user: no HOME, and no line in the password database."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for name in ("HOME", "XDG_CACHE_HOME", "COFFEE_BOAT_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


@pytest.mark.skipif(
    not Path("/sys/kernel").is_dir(),
    reason="needs a file system in which nobody, root included, can make a folder",
)
def test_a_root_below_a_folder_that_cannot_be_made_is_a_store_error() -> None:
    store = Store("/sys/coffee_boat_test/cache/store")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        store.remember("kind", "key", 1)
    assert caught.value.value == str(store.root)
    with pytest.raises(StoreError, match="cannot be written"), store.lock("name"):
        pass


def test_a_failure_elsewhere_is_not_the_stores(store: Store) -> None:
    with pytest.raises(NotADirectoryError), store.publish("trees", "a" * 64):
        (Path(__file__) / "below").mkdir()


@pytest.mark.usefixtures("homeless")
def test_without_a_home_the_store_has_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match="home") as caught:
        Store()
    assert "COFFEE_BOAT_STORE=" in caught.value.cure
    with pytest.raises(StoreError, match="home") as caught:
        Store("~/store")
    assert caught.value.value == "~/store"
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(tmp_path))
    assert Store().root == tmp_path


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff\xfe\x00", b"[]", b"{}", b'{"sha256": "a", "value": "1"}', DEEP, None],
    ids=["empty", "cut", "not_text", "a_list", "a_table", "another", "deep", "a_folder"],
)
def test_a_value_that_cannot_be_read_counts_as_none_and_is_made_again(
    store: Store, damage: bytes | None
) -> None:
    store.remember("kind", "key", "value")
    path = (
        store.root / "keys/kind" / f"{hashlib.sha256(json.dumps('key').encode()).hexdigest()}.json"
    )
    path.unlink()
    if damage is None:
        path.mkdir()
    else:
        path.write_bytes(damage)
    assert store.recall("kind", "key") is None
    if damage is not None:
        store.remember("kind", "key", "value")
        assert store.recall("kind", "key") == "value"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_value_that_may_not_be_read_counts_as_none(store: Store) -> None:
    store.remember("kind", "key", "value")
    for path in (store.root / "keys/kind").iterdir():
        path.chmod(0)
    assert store.recall("kind", "key") is None


@pytest.mark.parametrize(
    ("number", "cause"),
    [(errno.ENOSPC, "its disk is full"), (errno.ENOENT, os.strerror(errno.ENOENT))],
)
def test_a_full_tmpdir_is_not_called_a_full_store(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, cause: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(StoreError) as caught, store.scratch(), temporary.file():
        pass
    assert (caught.value.code, caught.value.cause) == ("store.temporary-unwritable", cause)
    assert "TMPDIR" in caught.value.cure
