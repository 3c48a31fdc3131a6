from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from coffee_boat._support.store import Store
from coffee_boat.errors import LaunchError, ShipError
from coffee_boat.model import Archive, Target
from coffee_boat.ship import ship
from coffee_boat.ship.last_used import leftovers, prune
from coffee_boat.spark.jvm import Hadoop

BYTES = b"chunks" * 500_000  # more than one block
DIGEST = hashlib.sha256(BYTES).hexdigest()
NAME = f"boat-{'ab' * 6}-{DIGEST[:12]}.tar.gz"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    path = tmp_path / "an archive.tar.gz"
    path.write_bytes(BYTES)
    return Archive(
        id="ab" * 32,
        path=str(path),
        size=path.stat().st_size,
        chunks=(),
        target=Target("3.11.7"),
        lock_digest="0" * 64,
        has_python=True,
    )


@pytest.fixture
def memory() -> fsspec.AbstractFileSystem:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    return files


def test_without_a_stage_spark_sends_the_local_file(archive: Archive, tmp_path: Path) -> None:
    shipped = ship(archive, None)
    assert shipped.uri == (tmp_path / "an archive.tar.gz").as_uri()
    assert " " not in shipped.uri
    assert shipped.archive is archive


@pytest.mark.parametrize("stage", ["memory://boats/team", "memory://boats/team/"])
def test_a_stage_gets_the_archive_and_nothing_else(
    archive: Archive, memory: fsspec.AbstractFileSystem, stage: str
) -> None:
    shipped = ship(archive, stage)
    assert shipped.uri == f"memory://boats/team/{NAME}"
    assert memory.find("/boats") == [f"/boats/team/{NAME}"]
    assert memory.cat_file(f"/boats/team/{NAME}") == Path(archive.path).read_bytes()


def test_a_folder_that_all_nodes_mount(archive: Archive, tmp_path: Path) -> None:
    shipped = ship(archive, (tmp_path / "shared").as_uri())
    assert shipped.uri == f"{(tmp_path / 'shared').as_uri()}/{NAME}"
    assert [p.name for p in (tmp_path / "shared").iterdir()] == [NAME]
    assert (tmp_path / "shared" / NAME).read_bytes() == Path(archive.path).read_bytes()


def test_what_is_there_is_not_uploaded_again(archive: Archive, tmp_path: Path) -> None:
    stage = (tmp_path / "shared").as_uri()
    ship(archive, stage)
    before = (tmp_path / "shared" / NAME).stat()
    ship(archive, stage)
    after = (tmp_path / "shared" / NAME).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: b"X" + data[1:]], ids=["size", "digest"]
)
def test_other_bytes_under_the_name_are_refused_and_kept(
    archive: Archive, memory: fsspec.AbstractFileSystem, change: object
) -> None:
    other = change(Path(archive.path).read_bytes())  # type: ignore[operator]
    memory.pipe_file(f"/boats/{NAME}", other)
    with pytest.raises(ShipError, match="holds something else") as error:
        ship(archive, "memory://boats")
    assert f"delete memory://boats/{NAME}" in error.value.cure
    assert memory.cat_file(f"/boats/{NAME}") == other


def test_a_stage_that_cannot_be_written_leaves_nothing(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ShipError, match="cannot be read or written") as error:
        ship(archive, (tmp_path / "file").as_uri() + "/boats")
    assert "Error" in error.value.cause
    assert sorted(p.name for p in tmp_path.iterdir()) == ["an archive.tar.gz", "file"]


class FullDisk(MemoryFileSystem):  # type: ignore[misc]
    """Takes the first half of a file and says nothing."""

    protocol = "fulldisk"

    def put_file(self, lpath: str, rpath: str, **how: object) -> None:
        data = Path(lpath).read_bytes()
        self.pipe_file(rpath, data[: len(data) // 2])


def test_half_an_upload_is_refused_and_taken_away(
    archive: Archive, memory: fsspec.AbstractFileSystem
) -> None:
    fsspec.register_implementation("fulldisk", FullDisk, clobber=True)
    with pytest.raises(ShipError, match="upload is not complete"):
        ship(archive, "fulldisk://boats")
    assert memory.store == {}


def test_a_missing_driver_names_what_to_install(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ShipError, match="not installed") as error:
        ship(archive, "s3://bucket/boats")
    assert "s3fs" in error.value.cause


def test_a_stage_may_be_a_path(archive: Archive, tmp_path: Path) -> None:
    shipped = ship(archive, str(tmp_path / "shared"))
    assert shipped.uri == (tmp_path / "shared" / NAME).as_uri()
    assert (tmp_path / "shared" / NAME).read_bytes() == Path(archive.path).read_bytes()


@pytest.mark.parametrize(
    ("stage", "what"),
    [("nonsense://x/y", "cannot be used"), ("s3://key:hunter2@bucket/x", "holds credentials")],
)
def test_stages_that_cannot_be_meant(archive: Archive, stage: str, what: str) -> None:
    with pytest.raises(ShipError, match=what) as error:
        ship(archive, stage)
    assert error.value.cure
    assert "hunter2" not in str(error.value)


def test_an_archive_that_was_cleaned_away(archive: Archive) -> None:
    Path(archive.path).unlink()
    with pytest.raises(ShipError, match="not there any more"):
        ship(archive, None)


@pytest.mark.parametrize(
    ("stage", "cure"),
    [
        ("hdfs:/boats", "hdfs:///boats"),
        ("file://shared/boats", "file:///shared/boats"),
        ("s3://bucket/x?versionId=1", "leave out"),
        ("s3://bucket/my boats", "letters"),
        ("://x", "file:///shared"),
        ("s3://[x", "s3://bucket/boats"),
    ],
)
def test_a_slip_of_the_pen_is_named_with_its_cure(archive: Archive, stage: str, cure: str) -> None:
    with pytest.raises(ShipError, match="stage cannot be used") as error:
        ship(archive, stage)
    assert cure in error.value.cure


def test_a_path_with_blanks_is_one_folder_for_python_and_for_spark(
    archive: Archive, tmp_path: Path
) -> None:
    shipped = ship(archive, str(tmp_path / "our boats"))
    assert (tmp_path / "our boats" / NAME).is_file()
    assert shipped.uri == (tmp_path / "our boats" / NAME).as_uri()
    assert ship(archive, (tmp_path / "our boats").as_uri()).uri == shipped.uri


def test_other_bytes_of_the_same_packages_have_another_name(
    archive: Archive, tmp_path: Path
) -> None:
    """Another release of the compressor: nobody has to replace what others' sessions still need."""
    first = ship(archive, str(tmp_path / "stage"))
    Path(archive.path).write_bytes(BYTES + b"!")
    second = ship(archive, str(tmp_path / "stage"))
    assert first.uri != second.uri
    assert len(list((tmp_path / "stage").iterdir())) == 2


def test_hdfs_without_a_jvm_names_webhdfs(archive: Archive) -> None:
    with pytest.raises(ShipError, match="cannot be reached from here") as error:
        ship(archive, "hdfs:///boats")
    assert "webhdfs://" in error.value.cure


# what was compared already


def bytes_read(act: Callable[[], object]) -> int:
    """What this thread read meanwhile, as the kernel counts it."""
    before = _rchar()
    act()
    return _rchar() - before


def _rchar() -> int:
    return int(Path("/proc/thread-self/io").read_text().split()[1])


def reads_the_stage(archive: Archive, stage: Path, store: Store) -> bool:
    """The archive itself is read each time, for its digest."""
    return bytes_read(lambda: ship(archive, str(stage), store=store)) > 1.5 * len(BYTES)


def test_what_we_uploaded_is_not_read_by_the_next_launch(
    archive: Archive, tmp_path: Path, store: Store
) -> None:
    shipped = ship(archive, str(tmp_path / "stage"), store=store)
    assert not reads_the_stage(archive, tmp_path / "stage", store)
    assert ship(archive, str(tmp_path / "stage"), store=store) == shipped


def test_what_was_compared_once_is_not_read_again(
    archive: Archive, tmp_path: Path, store: Store
) -> None:
    ship(archive, str(tmp_path / "stage"))
    assert [reads_the_stage(archive, tmp_path / "stage", store) for _ in range(3)] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("how", ["written", "moved there"])
def test_a_file_that_was_changed_since_is_found_though_its_size_and_time_are_the_same(
    archive: Archive, tmp_path: Path, store: Store, how: str
) -> None:
    there = tmp_path / "stage" / NAME
    ship(archive, str(tmp_path / "stage"), store=store)
    before = there.stat()
    target = there if how == "written" else tmp_path / "other"
    target.write_bytes(BYTES[:-1] + b"X")
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    target.rename(there)
    with pytest.raises(ShipError, match="holds something else"):
        ship(archive, str(tmp_path / "stage"), store=store)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_others_is_read_each_time(
    archive: Archive, tmp_path: Path, store: Store
) -> None:
    ship(archive, str(tmp_path / "stage"), store=store)
    os.chown(tmp_path / "stage" / NAME, 1, 1)
    assert all(reads_the_stage(archive, tmp_path / "stage", store) for _ in range(2))


def test_what_others_may_write_is_read_each_time(
    archive: Archive, tmp_path: Path, store: Store
) -> None:
    ship(archive, str(tmp_path / "stage"), store=store)
    (tmp_path / "stage" / NAME).chmod(0o666)
    assert all(reads_the_stage(archive, tmp_path / "stage", store) for _ in range(2))


def test_a_stage_that_names_no_version_is_read_each_time(
    archive: Archive, memory: fsspec.AbstractFileSystem, store: Store
) -> None:
    ship(archive, "memory://boats", store=store)
    memory.pipe_file(f"/boats/{NAME}", BYTES[:-1] + b"X")
    with pytest.raises(ShipError, match="holds something else"):
        ship(archive, "memory://boats", store=store)


def test_a_store_that_cannot_be_written_keeps_nobody_from_shipping(
    archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = Store(tmp_path / "file" / "store")
    assert (
        ship(archive, str(tmp_path / "stage"), store=store).uri
        == ship(archive, str(tmp_path / "stage"), store=store).uri
    )


# several at the same moment


def test_of_several_uploads_at_the_same_moment_one_stays(archive: Archive, tmp_path: Path) -> None:
    """YARN refuses a file whose time changed since an application named it, so nobody's file may be
    replaced.
    """
    stage, together = tmp_path / "stage", Barrier(4)

    def launch(_: int) -> tuple[int, int]:
        together.wait()
        ship(archive, str(stage))
        found = (stage / NAME).stat()
        return found.st_ino, found.st_mtime_ns

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(launch, range(4)))) == 1
    assert [path.name for path in stage.iterdir()] == [NAME]


theirs: list[object] = []


class Faster(MemoryFileSystem):  # type: ignore[misc]
    """While something is uploaded, somebody else puts the same archive there."""

    protocol = "faster"

    def put_file(self, lpath: str, rpath: str, **how: object) -> None:
        super().put_file(lpath, rpath)
        self.pipe_file(f"faster://boats/{NAME}", Path(lpath).read_bytes())
        theirs.append(self.store[f"faster://boats/{NAME}"])


def test_what_another_uploaded_meanwhile_is_not_replaced(
    archive: Archive, memory: fsspec.AbstractFileSystem
) -> None:
    fsspec.register_implementation("faster", Faster, clobber=True)
    ship(archive, "faster://boats")
    assert memory.store == {f"faster://boats/{NAME}": theirs[-1]}


class Refusing(MemoryFileSystem):  # type: ignore[misc]
    """Says nothing of what it does not move, as fsspec's WebHDFS."""

    protocol = "refusing"

    def mv(self, path1: str, path2: str, **how: object) -> None:
        pass


def test_a_move_that_was_refused_in_silence_is_told_and_leaves_nothing(
    archive: Archive, memory: fsspec.AbstractFileSystem
) -> None:
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    with pytest.raises(ShipError, match="upload is not complete"):
        ship(archive, "refusing://boats")
    assert memory.store == {}


# who may change it


def test_a_link_is_not_an_archive(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    (tmp_path / "theirs").write_bytes(BYTES)
    (tmp_path / "stage" / NAME).symlink_to(tmp_path / "theirs")
    with pytest.raises(ShipError, match="holds something else"):
        ship(archive, str(tmp_path / "stage"))


def test_a_folder_under_the_name_is_not_an_archive(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "stage" / NAME).mkdir(parents=True)
    with pytest.raises(ShipError, match="holds something else"):
        ship(archive, str(tmp_path / "stage"))
    assert list((tmp_path / "stage" / NAME).iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "said"), [(0o777, "everybody may write"), (0o1777, ""), (0o755, "")]
)
def test_a_folder_that_everybody_may_write_is_told(
    archive: Archive, tmp_path: Path, mode: int, said: str
) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    stage.chmod(mode)
    for shipped in (ship(archive, str(stage)), ship(archive, str(stage))):
        found = [finding for finding in shipped.findings if str(stage) in finding.value]
        assert [finding.what for finding in found] == (
            [f"{said} the stage's folder"] if said else []
        )
    assert stage.stat().st_mode & 0o7777 == mode, (
        "the mode of a folder that is there is its owner's business"
    )


def test_a_folder_above_that_everybody_may_write_is_told_too(
    archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    shipped = ship(archive, str(tmp_path / "open" / "stage"))
    assert [finding.value for finding in shipped.findings] == [str(tmp_path / "open")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_same_archive_of_another_user_is_used_and_told(
    archive: Archive, tmp_path: Path
) -> None:
    stage = tmp_path / "stage"
    ship(archive, str(stage))
    os.chown(stage / NAME, 1, 1)
    shipped = ship(archive, str(stage))
    assert [finding.severity for finding in shipped.findings] == ["note"]
    assert "belongs to" in shipped.findings[0].what


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_planted_archive_names_its_owner(archive: Archive, tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / NAME).write_bytes(BYTES[:-1] + b"X")
    os.chown(stage / NAME, 1, 1)
    with pytest.raises(ShipError, match="holds something else") as error:
        ship(archive, str(stage))
    assert "its owner, " in error.value.cause
    assert (stage / NAME).read_bytes()[-1:] == b"X"


# failures


class Failing(MemoryFileSystem):  # type: ignore[misc]
    """Fails with what its test says."""

    protocol = "failing"
    error: Exception = OSError()

    def put_file(self, lpath: str, rpath: str, **how: object) -> None:
        self.pipe_file(rpath, b"half of it")
        raise self.error


class ForeignError(Exception):
    """Of a driver's own family."""


@pytest.mark.parametrize(
    ("raised", "what", "cure"),
    [
        (
            OSError(28, "No space left on device"),
            "no space",
            "boat cache prune --stage failing://boats",
        ),
        (PermissionError(13, "Permission denied"), "may not be read or written", "1777"),
        (
            RuntimeError("Cannot create file /boats/x. Name node is in safe mode."),
            "safe mode",
            "dfsadmin",
        ),
        (
            ForeignError("Unable to locate credentials: NoCredentialsError"),
            "does not know you",
            "never in the URL",
        ),
        (ConnectionRefusedError(111, "Connection refused"), "cannot be reached", "HADOOP_CONF_DIR"),
        (OSError("odd"), "cannot be read or written", "exists"),
    ],
)
def test_what_fails_is_told_in_the_storages_words_and_leaves_nothing(
    archive: Archive,
    memory: fsspec.AbstractFileSystem,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    what: str,
    cure: str,
) -> None:
    fsspec.register_implementation("failing", Failing, clobber=True)
    monkeypatch.setattr(Failing, "error", raised)
    with pytest.raises(ShipError, match=what) as error:
        ship(archive, "failing://boats")
    assert str(raised) in error.value.cause
    assert cure in error.value.cure
    assert memory.store == {}


def test_a_bug_is_not_dressed_up(
    archive: Archive, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.register_implementation("failing", Failing, clobber=True)
    monkeypatch.setattr(Failing, "error", TypeError("ours"))
    with pytest.raises(TypeError, match="ours"):
        ship(archive, "failing://boats")


# what nobody needs any more


def age(path: Path, days: float) -> None:
    os.utime(path, (time.time() - days * 86400, time.time() - days * 86400))


def test_an_archive_is_kept_as_long_as_somebody_launches_with_it(
    archive: Archive, tmp_path: Path
) -> None:
    stage = tmp_path / "stage"
    ship(archive, str(stage))
    assert leftovers(str(stage), 90) == []
    age(stage / NAME, 100)
    before = (stage / NAME).stat().st_mtime
    assert [each.name for each in leftovers(str(stage), 90)] == [NAME]
    ship(archive, str(stage))
    assert (stage / NAME).stat().st_mtime == before, (
        "YARN refuses a file whose time changed since an application named it"
    )
    assert leftovers(str(stage), 90) == []
    marks = [path for path in stage.iterdir() if path.name != NAME]
    assert [path.stat().st_size for path in marks] == [0]
    age(marks[0], 95)
    (doomed,) = leftovers(str(stage), 90)
    assert doomed.marks == (marks[0].name,)
    assert prune(str(stage), [doomed]).removed == (doomed,)
    assert list(stage.iterdir()) == []


@pytest.mark.parametrize(
    "role", [{"role": "part"}, {"role": "generation"}, {"role": "layer", "after": "0123456789ab"}]
)
def test_what_a_changed_session_was_sent_is_found_too(
    archive: Archive, tmp_path: Path, role: dict[str, Any]
) -> None:
    stage = tmp_path / "stage"
    sent = replace(archive, **role)
    ship(sent, str(stage))
    (file,) = [path for path in stage.iterdir() if path.name.startswith(sent.name)]
    age(file, 100)
    assert [each.name for each in leftovers(str(stage), 90)] == [file.name]


def test_what_is_used_between_the_question_and_the_answer_stays(
    archive: Archive, tmp_path: Path
) -> None:
    stage = tmp_path / "stage"
    ship(archive, str(stage))
    age(stage / NAME, 100)
    doomed = leftovers(str(stage), 90)
    ship(archive, str(stage))
    done = prune(str(stage), doomed)
    assert (done.removed, done.kept, done.used) == ((), (), tuple(doomed))
    assert (stage / NAME).exists()


def test_uploads_that_were_broken_off_go_after_a_day_and_other_peoples_files_never(
    archive: Archive, tmp_path: Path
) -> None:
    unfinished = f".{NAME}.{'0' * 32}"
    orphan = f".{NAME}.used-alice"
    for name in (unfinished, orphan, "report.csv", "boat.tar.gz", f"copy of {NAME}"):
        (tmp_path / name).write_text("x")
    (tmp_path / NAME.replace("ab", "cd")).mkdir()
    assert leftovers(str(tmp_path), 0) == []
    for path in tmp_path.iterdir():
        age(path, 400)
    Path(archive.path).unlink()
    assert {each.name for each in leftovers(str(tmp_path), 0)} == {unfinished, orphan}


def test_a_mark_follows_no_link(archive: Archive, tmp_path: Path) -> None:
    """Who may write the stage must not be able to make others empty files of their own."""
    stage, victim = tmp_path / "stage", tmp_path / "precious"
    ship(archive, str(stage))
    age(stage / NAME, 2)
    ship(archive, str(stage))
    (mark,) = (path for path in stage.iterdir() if path.name != NAME)
    mark.unlink()
    victim.write_text("precious")
    age(victim, 2)
    mark.symlink_to(victim)
    ship(archive, str(stage))
    assert victim.read_text() == "precious"


def test_a_stage_that_does_not_exist_has_no_leftovers(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    assert leftovers(str(tmp_path / "none"), 0) == []
    assert leftovers("memory://none", 0) == []


def test_why_no_jvm_starts_is_not_taken_for_the_stages_fault(archive: Archive) -> None:
    @contextmanager
    def jvm() -> Iterator[Any]:
        raise LaunchError(
            "launch.jvm-failed",
            "Spark's JVM cannot be started",
            value="/spark",
            cause="no Java",
            cure="JAVA_HOME",
        )
        yield

    with pytest.raises(LaunchError, match="JVM cannot be started") as caught:
        ship(archive, "hdfs:///boats", hadoop=Hadoop(jvm))
    assert caught.value.cure == "JAVA_HOME"
