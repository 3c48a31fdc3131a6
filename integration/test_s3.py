"""A stage in an object store: a real server that speaks S3, s3fs on the driver, and Spark's own
s3a:// on executors.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from lanes import cannot_run
from small_proxy import relaying

from coffee_boat._support.store import Store
from coffee_boat.errors import ShipError
from coffee_boat.model import Archive, Target
from coffee_boat.ship import ship
from coffee_boat.ship.last_used import leftovers, prune
from integration.beds import BedCannotRun
from integration.beds import s3 as bed
from integration.beds.standalone.spark import spark_home
from integration.conftest import timed
from integration.running import SparkPython
from integration.venvs import cache_folder

BYTES = Random(0).randbytes(1 << 20) * 120
"""Large enough for an upload in parts."""
OTHER = BYTES[:-1] + bytes([BYTES[-1] ^ 1])
"""As long, and something else."""


@pytest.fixture(scope="module")
def server() -> Iterator[bed.Server]:
    state = cache_folder() / "beds" / f"test-s3-{os.getpid()}"
    try:
        with timed("s3: up"):
            running = bed.up(state, bed.Options(cache=str(cache_folder())))
    except BedCannotRun as reason:
        shutil.rmtree(state, ignore_errors=True)
        cannot_run(str(reason))
    yield running
    bed.down(state)
    shutil.rmtree(state)


@pytest.fixture
def s3(server: bed.Server, monkeypatch: pytest.MonkeyPatch) -> bed.Server:
    for name, value in server.exports.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", server.options.address)
    return server


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(BYTES)
    return Archive("ab" * 32, str(path), len(BYTES), (), Target("3.11.7"), "", has_python=True)


def put(server: bed.Server, folder: str) -> list[Path]:
    """The objects below a prefix."""
    return sorted(path for path in (server.data / bed.BUCKET / folder).rglob("*") if path.is_file())


def test_it_is_uploaded_once_and_named_as_spark_reads_it(s3: bed.Server, archive: Archive) -> None:
    stage = f"s3://{bed.BUCKET}/once"
    shipped = ship(archive, stage)
    name = f"{archive.name}-{hashlib.sha256(BYTES).hexdigest()[:12]}.tar.gz"
    assert shipped.uri == f"s3a://{bed.BUCKET}/once/{name}"
    (there,) = put(s3, "once")
    assert there.read_bytes() == BYTES
    before = there.stat()
    assert ship(archive, stage) == shipped
    assert (there.stat().st_ino, there.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_planted_archive_is_refused_and_stays(s3: bed.Server, archive: Archive) -> None:
    import s3fs

    key = f"{bed.BUCKET}/planted/{archive.name}-{hashlib.sha256(BYTES).hexdigest()[:12]}.tar.gz"
    files = s3fs.S3FileSystem(skip_instance_cache=True)
    files.pipe_file(key, OTHER)
    with pytest.raises(ShipError, match="holds something else"):
        ship(archive, f"s3://{bed.BUCKET}/planted")
    assert files.cat_file(key)[-1:] == OTHER[-1:]


@pytest.mark.parametrize(
    ("variable", "value", "stage", "what"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong-one", f"s3://{bed.BUCKET}/x", "refuses you"),
        ("AWS_REGION", "us-east-1", "s3://no-such-bucket/x", "no such bucket"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", f"s3://{bed.BUCKET}/x", "cannot be reached"),
    ],
)
def test_what_is_wrong_is_told_in_the_storages_words(
    s3: bed.Server,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    stage: str,
    what: str,
) -> None:
    ship(archive, f"s3://{bed.BUCKET}/right")  # what is right now must not be kept
    monkeypatch.setenv(variable, value)
    with pytest.raises(ShipError, match=what) as error:
        ship(archive, stage)
    assert error.value.cure
    assert s3.exports["AWS_SECRET_ACCESS_KEY"] not in str(error.value)
    assert put(s3, "x") == []


def test_an_upload_that_is_interrupted_leaves_nothing(
    s3: bed.Server, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line breaks in the middle of it, and for good: no object appears, and nothing is in the
    way of the next attempt.
    """
    with relaying(s3.port, breaks_after=len(BYTES) / 2) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL", relay.url)
        with pytest.raises(ShipError, match="cannot be"):
            ship(archive, f"s3://{bed.BUCKET}/broken")
        assert relay.broken
    assert put(s3, "broken") == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    ship(archive, f"s3://{bed.BUCKET}/broken")
    assert [path.stat().st_size for path in put(s3, "broken")] == [len(BYTES)]


def test_the_next_launch_fetches_nothing_of_what_is_known(
    s3: bed.Server, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, store = f"s3://{bed.BUCKET}/known", Store(tmp_path / "store")

    def fetched(store: Store | None) -> int:
        before = relay.back
        ship(archive, stage, store=store)
        return relay.back - before

    with relaying(s3.port) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL", relay.url)
        ship(archive, stage, store=store)
        assert fetched(store) < 1 << 16
        assert fetched(None) >= len(BYTES)


def test_an_object_that_was_replaced_since_is_found(
    s3: bed.Server, archive: Archive, tmp_path: Path
) -> None:
    import s3fs

    stage, store = f"s3://{bed.BUCKET}/replaced", Store(tmp_path / "store")
    for _ in range(2):
        shipped = ship(archive, stage, store=store)
    s3fs.S3FileSystem(skip_instance_cache=True).pipe_file(shipped.uri, OTHER)
    with pytest.raises(ShipError, match="holds something else"):
        ship(archive, stage, store=store)


def test_what_nobody_needs_can_go(s3: bed.Server, archive: Archive) -> None:
    stage = f"s3://{bed.BUCKET}/old"
    ship(archive, stage)
    assert leftovers(stage, 1) == []
    (doomed,) = leftovers(stage, 0)
    assert prune(stage, [doomed]).removed == (doomed,)
    assert put(s3, "old") == []


def test_executors_fetch_the_archive_and_the_layer_by_s3a(
    server: bed.Server, spark_python: SparkPython
) -> None:
    home = spark_home(None)
    hadoop = next(home.glob("jars/hadoop-client-api-*.jar")).stem.rpartition("-")[2]
    try:
        with timed("s3: jars of s3a://"):
            jars = ":".join(map(str, sorted(server.jars(hadoop).glob("*.jar"))))
    except BedCannotRun as reason:
        cannot_run(str(reason))
    settings = {
        "spark.driver.extraClassPath": jars,
        "spark.executor.extraClassPath": jars,
        "spark.hadoop.fs.s3a.endpoint": server.url,
        "spark.hadoop.fs.s3a.endpoint.region": server.exports["AWS_DEFAULT_REGION"],
        "spark.hadoop.fs.s3a.path.style.access": "true",
    }
    ended = spark_python.checked(
        "staged.py",
        "local-cluster[1,1,1024]",
        f"s3://{bed.BUCKET}/spark",
        *(f"{key}={value}" for key, value in settings.items()),
        env=server.exports,
        timeout=500,
    )
    told = ended.result
    names = {path.name for path in put(server, "spark")}
    assert len(names) == 2
    assert re.fullmatch(
        rf"s3a://{bed.BUCKET}/spark/(boat-[0-9a-f]{{12}})-[0-9a-f]{{12}}\.tar\.gz#\1",
        told["archives"],
    )
    assert all(archive.startswith(f"s3a://{bed.BUCKET}/spark/boat-") for archive in told["listed"])
    assert "/boat-" in told["before"]["executable"]
    assert (told["before"]["added"], "boat-layer-" in told["after"]["added"]) == ("", True)
    assert server.exports["AWS_SECRET_ACCESS_KEY"] not in ended.stdout + ended.stderr
    print(told["seconds"], told["arrival"])
