"""A stage that Spark's own Hadoop reaches, in a real JVM: here a folder of this machine behind
viewfs://. HDFS itself is in test_yarn.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any

import pytest

from coffee_boat._support.store import Store
from coffee_boat.errors import ShipError
from coffee_boat.model import Archive, Target
from coffee_boat.ship import ship
from coffee_boat.ship.last_used import leftovers, prune
from coffee_boat.spark import gateway
from coffee_boat.spark.jvm import Hadoop

STAGE = "viewfs://test/boats/team"


@pytest.fixture(scope="module")
def jvm(store: Path) -> Iterator[Any]:
    with gateway.java_vm(Store(store)) as jvm:
        yield jvm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


@pytest.fixture
def conf(folder: Path) -> dict[str, str]:
    return {"spark.hadoop.fs.viewfs.mounttable.test.link./boats": folder.as_uri()}


@pytest.fixture
def hadoop(jvm: Any, conf: dict[str, str]) -> Hadoop:
    return Hadoop(lambda: nullcontext(jvm), conf)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    path = tmp_path / "an archive.tar.gz"
    path.write_bytes(Random(0).randbytes(1 << 20))
    return Archive(
        "ab" * 32, str(path), path.stat().st_size, (), Target("3.11.7"), "", has_python=True
    )


def shown(folder: Path) -> list[Path]:
    """Without the checksums that Hadoop keeps beside files of a local disk."""
    return sorted(path for path in (folder / "team").iterdir() if path.suffix != ".crc")


def test_the_jvm_puts_the_archive_there_once_under_its_name(
    archive: Archive, hadoop: Hadoop, folder: Path
) -> None:
    shipped = ship(archive, STAGE, hadoop=hadoop)
    (there,) = shown(folder)
    assert shipped.uri == f"{STAGE}/{there.name}"
    assert there.read_bytes() == Path(archive.path).read_bytes()
    before = there.stat()
    assert ship(archive, STAGE, hadoop=hadoop).uri == shipped.uri
    assert (there.stat().st_ino, there.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_planted_archive_is_refused(archive: Archive, hadoop: Hadoop, folder: Path) -> None:
    ship(archive, STAGE, hadoop=hadoop)
    (there,) = shown(folder)
    there.write_bytes(b"X" * archive.size)
    there.with_name(f".{there.name}.crc").unlink()  # else the checksum would tell
    with pytest.raises(ShipError, match="holds something else") as error:
        ship(archive, STAGE, hadoop=hadoop)
    assert "its owner, " in error.value.cause


def test_a_stage_that_everybody_may_write_is_told(
    archive: Archive, hadoop: Hadoop, folder: Path
) -> None:
    folder.chmod(0o777)
    (finding,) = ship(archive, STAGE, hadoop=hadoop).findings
    assert (finding.what, finding.value) == ("everybody may write the stage's folder", "/boats")


def test_a_use_is_noted_and_what_nobody_uses_can_go(
    archive: Archive, hadoop: Hadoop, folder: Path
) -> None:
    ship(archive, STAGE, hadoop=hadoop)
    os.utime(shown(folder)[0], (0, 0))
    assert [each.used for each in leftovers(STAGE, 90, hadoop=hadoop)] == [0.0]
    ship(archive, STAGE, hadoop=hadoop)
    assert leftovers(STAGE, 90, hadoop=hadoop) == []
    prune(STAGE, leftovers(STAGE, 0, hadoop=hadoop), hadoop=hadoop)
    assert shown(folder) == []


def test_a_jvm_of_its_own_is_started_and_ended_and_tells_what_fails(
    archive: Archive, store: Path
) -> None:
    """As `boat conf` does, which has none."""
    with pytest.raises(ShipError) as error:
        ship(archive, "viewfs://nowhere/boats", hadoop=gateway.hadoop(Store(store), {}))
    assert "nowhere" in error.value.cause
    assert "\tat " not in error.value.cause
