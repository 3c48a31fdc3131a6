"""What verify makes of the executors' answers, and what Spark's words about a Python that does not
start mean.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from coffee_boat.errors import VerifyError
from coffee_boat.model import Archive, Lock, Pin, Report, Target
from coffee_boat.session import Answers, Versions
from coffee_boat.session.own import driver_only_modules
from coffee_boat.session.verify import arrival, explain, verify
from coffee_boat.worker import facts, finder

LOCK = Lock(
    Target("3.11.7"),
    (Pin("numpy", "2.1.0", sha256="1" * 64), Pin("py4j", "0.10.9.9"), Pin("pyspark", "4.1.1")),
)


@dataclass
class CannedSession:
    """A session of executors whose answers are written down: `collect()`'s own, with what a test
    changes.
    """

    said: dict[str, dict[str, Any]]
    missed: tuple[str, ...] = ()
    at: Versions = field(default_factory=lambda: Versions("4.1.1", "4.1.1"))
    failure: VerifyError | None = None

    def versions(self) -> Versions:
        return self.at

    def executors(self) -> tuple[str, ...]:
        return (*self.said, *self.missed)

    def ask(
        self, function: Callable[..., Any], *arguments: Any, deadline: float, patient: bool = True
    ) -> Answers:
        if self.failure is not None:
            raise self.failure
        return Answers(
            {
                name: {**function(*arguments), **GOOD, **changes}
                for name, changes in self.said.items()
            },
            self.missed,
            1,
        )


GOOD = {
    "host": "node1",
    "executable": "/work/0/boat-1/bin/python3.11",
    "prefix": "/work/0/boat-1",
    "foreign_files": [],
    "lock_digest": LOCK.digest,
    "distributions": {"numpy": "2.1.0"},
    "pyspark": "4.1.1",
    "pyspark_path": "/work/0/boat-1/lib/python3.11/site-packages/pyspark",
    "absent": [],
    "shadowed": {},
    "conda": {},
    "unsettled": [],
}


def report(
    *,
    lock: Lock | None = LOCK,
    missed: tuple[str, ...] = (),
    at: Versions | None = None,
    ships_python: bool = True,
    **said: dict[str, Any],
) -> Report:
    executors = (
        {name.removeprefix("e"): changes for name, changes in said.items()}
        if said
        else {"0": {}, "1": {}}
    )
    session = CannedSession(executors, missed, at or Versions("4.1.1", "4.1.1"))
    return verify(session, lock, deadline=5, ships_python=ships_python)


def only(found: Report) -> str:
    assert len(found.findings) == 1, found
    assert found.findings[0].cure
    return str(found.findings[0])


def test_executors_that_run_what_was_shipped_are_ok() -> None:
    found = report()
    assert found.ok
    assert not found.findings
    assert [e.executor for e in found.executors] == ["0", "1"]
    assert "Report: ok, 2 of 2 executors answered" in str(found)


def test_an_executor_that_cannot_unpack_what_was_added_says_why() -> None:
    sent = Archive("ab" * 32, "/a.tar.gz", 1, (), LOCK.target, LOCK.digest, False, role="layer")
    why = f"{sent.name} cannot be unpacked: No space left on device"
    said = {"0": ["", sent.name], "1": ["", f"{sent.name}: {why}"], "2": [""]}
    having, missed, findings = arrival(Confirming(said), sent, deadline=5)
    assert having == ("0",)
    assert missed == ("1", "2")
    late, failed = findings
    assert (late.code, late.value) == ("verify.not-confirmed", "2")
    assert (failed.code, failed.value) == ("verify.layer-not-unpacked", f"executor 1: {why}")


class Confirming(CannedSession):
    """Executors that say what lies there."""

    def ask(self, *_: object, deadline: float, patient: bool = True) -> Answers:
        return Answers(self.said, (), 1)


def test_executors_are_in_the_order_of_their_numbers() -> None:
    assert [e.executor for e in report(e10={}, e9={}, e2={}).executors] == ["2", "9", "10"]


def test_one_that_was_missed_is_no_proof() -> None:
    found = report(missed=("7", "8", "9", "10"))
    assert not found.ok
    assert "7, 8, 9 + 1 others, within 5 s" in only(found)


def test_no_executor_at_all() -> None:
    session = CannedSession({})
    found = verify(session, LOCK, deadline=5)
    assert not found.ok
    assert "no executor to ask" in only(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"executable": "/usr/bin/python3.11", "prefix": "/usr", "lock_digest": ""},
        {
            "executable": "/root/.pyenv/versions/3.11.7/bin/python3.11"
        },  # a venv: its prefix is aboard, its interpreter is not
        {"executable": "/work/0/boat-10/bin/python3.11"},
    ],
)
def test_another_interpreter_is_an_error_and_not_drowned_in_what_follows_from_it(
    changes: dict[str, Any],
) -> None:
    text = only(
        report(
            e0={},
            e1={**changes, "foreign_files": ["/usr/lib/libpython3.11.so"], "distributions": {}},
        )
    )
    assert changes["executable"] in text
    assert "executor 1 (node1)" in text


def test_the_nodes_own_interpreter_is_fine_where_it_is_meant() -> None:
    own = {
        "executable": "/usr/bin/python3.11",
        "prefix": "/usr",
        "foreign_files": ["/usr/lib/libssl.so.3"],
    }
    assert report(e0=own, ships_python=False).ok


def test_the_environment_of_another_lock() -> None:
    assert f"dead instead of {LOCK.digest[:12]}" in only(report(e0={"lock_digest": "dead"}))


def test_a_distribution_that_is_missing_or_of_another_version_is_named_once_for_all_executors() -> (
    None
):
    missing = report(e0={"distributions": {}}, e1={"distributions": {}})
    assert "numpy 2.1.0 on executor 0 (node1), 1 (node1)" in only(missing)
    assert "numpy 1.26.4 instead of 2.1.0 on executor 0" in only(
        report(e0={"distributions": {"numpy": "1.26.4"}})
    )
    assert not missing.ok


def test_foreign_files_are_shown_three_at_a_time() -> None:
    text = only(report(e0={"foreign_files": [f"/usr/lib/lib{name}.so" for name in "abcde"]}))
    assert (
        "/usr/lib/liba.so, /usr/lib/libb.so, /usr/lib/libc.so + 2 others on executor 0 (node1)"
        in text
    )


def test_spark_minors_must_agree_a_vendors_suffix_and_the_patch_need_not() -> None:
    assert report(e0={"pyspark": "4.1.3"}, at=Versions("4.1.1", "4.1.2-amzn-0")).ok
    assert "pyspark 4.1.1, Spark 3.5.1" in only(report(at=Versions("4.1.1", "3.5.1")))
    text = only(
        report(e0={"pyspark": "4.0.1", "pyspark_path": "/opt/spark/python/lib/pyspark.zip/pyspark"})
    )
    assert "4.0.1 from /opt/spark/python/lib/pyspark.zip/pyspark instead of 4.1.1" in text
    assert 'pip install "pyspark==4.0.*"' in text


def test_an_executor_that_unpacked_for_itself_says_why_and_all_is_well() -> None:
    found = report(e0={}, e1={"not_shared": "/data is mounted with noexec"})
    assert found.ok
    said = only(found)
    assert "executor 1 (node1)" in said
    assert "/data is mounted with noexec" in said
    assert "COFFEE_BOAT_NODE_STORE=/some/folder" in said


@pytest.mark.parametrize(
    ("reason", "cure"),
    [
        ("/d/1 was changed, and processes run from it", "end what runs from it"),
        ("/d has 5 MiB free, 900 are needed; /tmp: No space left on device", "make room there"),
        ("/d/1.lock is held for 900 s by another process", "end the process that has the lock"),
    ],
)
def test_each_reason_to_unpack_for_itself_has_its_cure(reason: str, cure: str) -> None:
    assert cure in only(report(e0={"not_shared": reason}))


def test_imports_that_fail_are_told() -> None:
    found = verify(
        CannedSession({"0": {}}), LOCK, deadline=5, modules=("json", "no_such_module.part")
    )
    assert "no_such_module.part on executor 0 (node1): ModuleNotFoundError" in only(found)
    assert 'add_pip_packages("no_such_module")' in str(found)


def test_without_a_lock_only_spark_and_modules_are_looked_at() -> None:
    assert report(lock=None, e0={"lock_digest": "", "executable": "/usr/bin/python3"}).ok


# modules of the driver


def test_modules_beside_the_notebook_that_executors_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "boat_helpers.py").write_text("")
    (tmp_path / "boat_pkg").mkdir()
    (tmp_path / "boat_pkg/__init__.py").write_text("")
    (tmp_path / "boat_pkg/part.py").write_text("")
    for name in ("boat_helpers", "boat_pkg", "boat_pkg.part"):
        monkeypatch.setitem(sys.modules, name, __import__(name, fromlist=["x"]))
    assert (
        driver_only_modules().items()
        >= {
            "boat_helpers": tmp_path / "boat_helpers.py",
            "boat_pkg": tmp_path / "boat_pkg",
        }.items()
    )
    found = report(e0={"absent": ["boat_helpers"]}, e1={"absent": ["boat_helpers", "boat_pkg"]})
    module, package = map(str, found.findings)
    assert "executor 0 (node1), 1 (node1)" in module
    assert f'captain.add_local("{tmp_path}/boat_helpers.py")' in module
    assert f'captain.add_local("{tmp_path}/boat_pkg")' in package
    assert found.ok  # it may never be used


def test_modules_of_python_of_site_packages_and_from_elsewhere_are_not_the_drivers_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def module(name: str, file: str | None) -> tuple[str, ModuleType]:
        made = ModuleType(name)
        made.__file__ = file
        return name, made

    loaded = [
        module("mine", f"{tmp_path}/mine.py"),
        module("vendored", f"{tmp_path}/.venv/lib/python3.11/site-packages/vendored/__init__.py"),
        module("pyspark", f"{tmp_path}/pyspark/__init__.py"),
        module("mine.part", f"{tmp_path}/mine/part.py"),
        module("__main__", f"{tmp_path}/script.py"),
        module("built_in", None),
        module("json", sys.modules["json"].__file__),
    ]
    assert list(driver_only_modules(loaded)) == ["mine"]


# Spark's words

AT = "Lost task 0.3 in stage 0.0 (TID 3) (10.0.0.5 executor 1): "
CASES = [
    (
        (
            "/w/boat/bin/python3.11: error while loading shared libraries: libpython3.11.so.1.0:"
            " cannot open shared object file: No such file or directory"
        ),
        "libpython3.11.so.1.0",
        "ship",
    ),
    (
        "python3.11: /lib64/libc.so.6: version `GLIBC_2.35' not found (required by python3.11)",
        "GLIBC_2.35",
        "manylinux_2_17",
    ),
    (
        "/lib64/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by x.so)",
        "GLIBCXX_3.4.29",
        "manylinux_2_17",
    ),
    (
        (
            'java.io.IOException: Cannot run program "./boat/bin/python3": error=2, No such file or'
            " directory"
        ),
        "./boat/bin/python3 does not exist",
        "PYSPARK_PYTHON",
    ),
    (
        (
            'java.io.IOException: Cannot run program "./boat/bin/python3": Exec failed, error: 13'
            " (Permission denied) "
        ),
        "noexec",
        "spark.local.dir",
    ),
    (
        'java.io.IOException: Cannot run program "./boat/bin/python3": error=8, Exec format error',
        "other processors",
        "aarch64",
    ),
    (
        (
            "PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has different version:"
            " 3.9 than that in driver: 3.11"
        ),
        "nodes' own interpreter",
        "PYSPARK_PYTHON",
    ),
    (
        (
            "Error from python worker:\n  /usr/bin/python3: Error while finding module"
            " specification for 'pyspark.daemon' (ModuleNotFoundError: No module named 'pyspark')"
        ),
        "not the shipped",
        "PYSPARK_PYTHON",
    ),
    ("/usr/bin/python3: No module named pyspark.daemon", "not the shipped", "PYSPARK_PYTHON"),
    (
        (
            "Fatal Python error: init_fs_encoding: failed to get the Python codec of the filesystem"
            " encoding"
        ),
        "PYTHONHOME",
        "unset",
    ),
    (
        (
            "org.apache.spark.SparkException: EOFException occurred while reading the port number"
            " from pyspark.daemon's stdout and terminated with code: 1."
        ),
        "archive was cut",
        "stderr",
    ),
    (
        "gzip: stdin: unexpected end of file\ntar: Unexpected EOF in archive",
        "cut while it was sent",
        "launch_ship",
    ),
    ("java.io.IOException: No space left on device", "working directory", "free some space"),
    (
        "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)",
        "memory",
        "memoryOverhead",
    ),
    (
        "ModuleNotFoundError: No module named 'helpers'",
        "names of the modules",
        'captain.add_local("helpers.py")',
    ),
    (
        "java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.",
        "stop()",
        "start",
    ),
]


@pytest.mark.parametrize(("text", "cause", "cure"), CASES, ids=[text[-40:] for text, _, _ in CASES])
def test_sparks_words_name_node_cause_and_cure(text: str, cause: str, cure: str) -> None:
    error = explain(
        AT + text + "\n\tat"
        " org.apache.spark.api.python.PythonWorkerFactory.startDaemon(PythonWorkerFactory.scala:304)"  # noqa: E501
    )
    assert error is not None
    assert cause in error.cause
    assert cure in error.cure
    assert "on 10.0.0.5 (executor 1)" in error.value


def test_the_loaders_words_win_over_what_spark_says_of_them() -> None:
    error = explain(
        "EOFException occurred while reading the port number from pyspark.daemon's stdout and"
        " terminated with code: 127.\n"
        + CASES[0][0]
        + "\nPYTHONPATH was: /x\nNo module named pyspark"
    )
    assert error is not None
    assert "cannot open shared object file" in error.value


def test_other_words_are_not_guessed_at() -> None:
    assert explain("ValueError: invalid literal for int() with base 10: 'x'") is None


def test_a_job_that_fails_becomes_the_explanation_or_keeps_sparks_words() -> None:
    known = CannedSession(
        {}, failure=VerifyError("verify.job-failed", "a job failed", cause=AT + CASES[3][0])
    )
    with pytest.raises(VerifyError, match="interpreter is not there"):
        verify(known, LOCK)
    unknown = CannedSession(
        {}, failure=VerifyError("verify.job-failed", "a job failed", cause="words nobody knows")
    )
    with pytest.raises(VerifyError, match="words nobody knows"):
        verify(unknown, LOCK)


def test_facts_are_what_a_report_is_made_of() -> None:
    found = verify(CannedSession({"0": {"executable": facts.collect()["executable"]}}), None)
    assert found.executors[0].python == sys.version.split()[0]
    assert found.executors[0].foreign_files == ()


@pytest.mark.parametrize("folder", [False, True])
def test_a_module_beside_the_notebook_is_named_by_its_file_and_no_package_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "helpers_of_mine"
    place = place if folder else place.with_suffix(".py")
    (place / "__init__.py" if folder else place).parent.mkdir(exist_ok=True)
    (place / "__init__.py" if folder else place).write_text("")
    error = explain("ModuleNotFoundError: No module named 'helpers_of_mine'")
    assert error is not None
    assert place.name in error.cause
    assert f'captain.add_local("{place}")' in error.cure
    assert ("sc.addPyFile" in error.cure) is not folder
    assert "add_pip_packages" not in error.cure
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    error = explain("ModuleNotFoundError: No module named 'helpers_of_mine'")
    assert error is not None
    assert f"boat launch --local {place}" in error.cure
    other = explain("ModuleNotFoundError: No module named 'not_beside'")
    assert other is not None
    assert other.cure.index("add_local") < other.cure.index("add_pip_packages")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("No module named 'cv2'", "executor.module-missing", '"opencv-python-headless"'),
        ("No module named 'pkg_resources'", "executor.module-missing", '"setuptools<82"'),
        ("No module named 'google.cloud'", "executor.module-missing", "google-cloud-storage"),
        ("No module named 'google.cloud.storage'", "executor.module-missing", "cloud-storage"),
        (
            "No module named 'azure.storage.filedatalake'",
            "executor.module-missing",
            "azure-storage-file-datalake",
        ),
        (
            "cannot import name 'pubsub_v1' from 'google.cloud' (unknown location)",
            "executor.module-missing",
            '"google-cloud-pubsub"',
        ),
        ("No module named 'osgeo'", "executor.module-missing", 'add_conda_packages("gdal"'),
        ("No module named 'tkinter'", "executor.python-part-missing", "matplotlib.use"),
        ("No module named 'distutils'", "executor.python-part-missing", '"setuptools"'),
        ("No module named '_ctypes'", "executor.python-part-missing", "Captain(python="),
        ("No module named 'packaging._core'", "executor.other-version", "packaging=="),
        (
            "Can't get attribute 'Old' on <module 'packaging.version' from '/x.py'>",
            "executor.other-version",
            "packaging==",
        ),
        (
            "cannot import name 'Old' from 'packaging' (/x/__init__.py)",
            "executor.other-version",
            "packaging==",
        ),
    ],
)
def test_what_cannot_be_imported_is_cured_by_what_brings_it(
    text: str, code: str, words: str
) -> None:
    found = explain(f"ModuleNotFoundError: {text}")
    assert found is not None
    assert (found.code, words in found.cure) == (code, True), found.cure


def test_what_an_executor_knew_of_a_shared_folder_is_told() -> None:
    name = "google.cloud.bigquery_storage"
    text = finder.missing("google", name)
    found = explain(text)
    assert found is not None
    assert found.cure == 'captain.add_pip_packages("google-cloud-bigquery-storage")'
    assert "\n" not in found.value


@pytest.mark.parametrize(
    ("direct", "place"),
    [
        (
            {
                "url": "https://me:secret@git.example.com/mine.git",
                "vcs_info": {"vcs": "git", "commit_id": "a" * 40},
                "subdirectory": "python",
            },
            f"mine-of-ours @ git+https://git.example.com/mine.git@{40 * 'a'}#subdirectory=python",
        ),
        ({"url": "file:///home/me/mine", "dir_info": {"editable": True}}, "/home/me/mine"),
        ({"url": "https://example.com/m.whl", "archive_info": {}}, "https://example.com/m.whl"),
        ({"url": ["damaged"]}, "mine-of-ours"),
    ],
)
def test_what_is_here_from_elsewhere_is_named_by_its_place_and_not_by_a_strangers_name(
    direct: dict[str, object], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "mine_of_ours-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine-of-ours\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("mine_of_ours\n")
    (info / "RECORD").write_text("mine_of_ours/__init__.py,,\n")
    (info / "direct_url.json").write_text(json.dumps(direct))
    monkeypatch.syspath_prepend(tmp_path)
    texts = ["No module named 'mine_of_ours'", "No module named 'mine_of_ours.part'"]
    texts.append(finder.missing("mine_of_ours", "mine_of_ours"))
    for text in texts:
        found = explain(f"ModuleNotFoundError: {text}")
        assert found is not None
        assert place in found.cure.replace("mine_of_ours", "mine-of-ours")
        assert "secret" not in found.cure


def test_what_no_package_of_the_driver_has_is_asked_of_no_index() -> None:
    found = explain(
        "AttributeError: Can't get attribute 'f' on <module 'job_x' from '/x/job_x.py'>"
    )
    assert found is not None
    assert found.code == "executor.other-version"
    assert 'captain.add_local("job_x.py")' in found.cure
    assert "add_pip_packages" not in found.cure


def test_an_old_copy_of_a_file_of_ones_own_is_no_other_version_of_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_of_now.py").write_text("")
    found = explain("AttributeError: Can't get attribute 'f' on <module 'mine_of_now' from '/x'>")
    assert found is not None
    assert "older copy" in found.cause
    assert f'captain.add_local("{tmp_path}/mine_of_now.py")' in found.cure


def test_modules_that_come_from_elsewhere_are_an_error_whatever_their_version() -> None:
    found = report(e0={"shadowed": {"numpy": "/opt/extra/numpy", "six": "/opt/extra/six.py"}})
    assert not found.ok
    (finding,) = found.findings
    assert finding.code == "verify.module-shadowed"
    assert "numpy from /opt/extra/numpy, six from /opt/extra/six.py on executor 0" in finding.value
    assert "PYTHONPATH" in finding.cure
