"""Spark's classes as a file for the driver's JVM: when it is used, and for which Java and Spark.

What a real JVM does with it: integration/test_launch.py.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from coffee_boat._support.run import leave
from coffee_boat._support.store import Store
from coffee_boat.spark import class_data
from coffee_boat.spark.class_data import ClassData

pytestmark = pytest.mark.once


@pytest.fixture
def spark_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Spark with two jars and a Java 17 by JAVA_HOME."""
    for name in (*class_data._VARIABLES, "SPARK_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    own = tmp_path / "jdk" / "lib" / "server" / "classes.jsa"
    own.parent.mkdir(parents=True)
    own.touch()
    (tmp_path / "jdk" / "release").write_text('IMPLEMENTOR="x"\nJAVA_VERSION="17.0.15"\n')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    home = tmp_path / "spark"
    (home / "jars").mkdir(parents=True)
    for name in ("a.jar", "b.jar"):
        (home / "jars" / name).write_bytes(b"jar")
    return home


def found(home: Path, conf: Mapping[str, str] | None = None) -> ClassData | None:
    return class_data.of(Store(home.parent / "store"), str(home), None, conf or {})


def known(home: Path) -> ClassData:
    classes = found(home)
    assert classes is not None
    return classes


def made(home: Path, *files: str) -> ClassData:
    """As the process that makes it leaves it."""
    classes = known(home)
    with classes.store.publish("trees", classes.name) as folder:
        folder.mkdir()
        for name in files:
            (folder / name).touch()
    return classes


def test_the_jvm_is_told_of_the_file_once_it_is_there(spark_home: Path) -> None:
    assert class_data.variables(known(spark_home)) == {}
    classes = made(spark_home, "spark.jsa")
    folder = classes.store.path("trees", classes.name)
    told = class_data.variables(classes)["SPARK_SUBMIT_OPTS"]
    assert told == (
        f"-XX:SharedArchiveFile={folder}/spark.jsa -Xshare:auto -Xlog:cds=off -Xlog:cds+dynamic=off"
    )
    assert classes.store.in_use(next(classes.store.entries())), "prune leaves it to its user"


def test_what_a_java_without_classes_of_its_own_needs_comes_first(spark_home: Path) -> None:
    (spark_home.parent / "jdk" / "lib" / "server" / "classes.jsa").unlink()
    classes = made(spark_home, "spark.jsa")
    assert classes.options() == "", "what it is on top of is not there any more"
    with classes.store.publish("trees", classes.base) as folder:
        folder.mkdir()
        (folder / "base.jsa").touch()
    base, folder = (classes.store.path("trees", name) for name in (classes.base, classes.name))
    assert f"={base}/base.jsa:{folder}/spark.jsa " in classes.options()


def test_the_users_own_options_come_later_and_so_win(
    spark_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-Dmine=1")
    told = class_data.variables(made(spark_home, "spark.jsa"))
    assert told["SPARK_SUBMIT_OPTS"].endswith(" -Dmine=1")


@pytest.mark.parametrize(
    "said",
    [
        "-XX:SharedArchiveFile=/mine.jsa",
        "-Xshare:off",
        "-XX:+AutoCreateSharedArchive",
        "-XX:ArchiveClassesAtExit=/mine.jsa",
        "-XX:DumpLoadedClassList=/mine",
        "-XX:AOTCache=/mine.aot",
    ],
)
@pytest.mark.parametrize("where", [*class_data._VARIABLES, *class_data._SETTINGS])
def test_who_shares_classes_already_is_left_alone(
    spark_home: Path, monkeypatch: pytest.MonkeyPatch, where: str, said: str
) -> None:
    conf = {where: f"-Da=b {said}"} if where.startswith("spark.") else {}
    if not conf:
        monkeypatch.setenv(where, f"-Da=b {said}")
    assert found(spark_home, conf) is None


def test_another_java_and_other_jars_have_another_file(spark_home: Path) -> None:
    names = {known(spark_home).name}
    jar = spark_home / "jars" / "a.jar"
    os.utime(jar, ns=(0, 1))
    names.add(known(spark_home).name)
    jar.write_bytes(b"another")
    os.utime(jar, ns=(0, 1))
    names.add(known(spark_home).name)
    (spark_home / "jars" / "c.jar").touch()
    names.add(known(spark_home).name)
    (spark_home.parent / "jdk" / "release").write_text('JAVA_VERSION="21.0.8"\n')
    names.add(known(spark_home).name)
    assert len(names) == 5
    assert known(spark_home).name in names


@pytest.mark.parametrize("release", ['JAVA_VERSION="11.0.2"\n', 'JAVA_VERSION="1.8.0_442"\n', ""])
def test_an_older_java_has_none(spark_home: Path, release: str) -> None:
    (spark_home.parent / "jdk" / "release").write_text(release)
    assert found(spark_home) is None


def test_a_java_that_does_not_say_what_it_is_has_none(spark_home: Path) -> None:
    (spark_home.parent / "jdk" / "release").unlink()
    assert found(spark_home) is None


def test_a_settings_folder_with_files_is_more_than_the_jvm_takes(spark_home: Path) -> None:
    (spark_home / "conf").mkdir()
    assert found(spark_home) is not None
    (spark_home / "conf" / "spark-defaults.conf").touch()
    assert found(spark_home) is None


def test_a_store_whose_path_cannot_be_an_option_is_passed_over(spark_home: Path) -> None:
    for name in ("with blank", "with:colon", 'with"quote'):
        store = Store(spark_home.parent / name)
        assert class_data.of(store, str(spark_home), None, {}) is None


def test_what_cannot_be_made_is_not_tried_again(spark_home: Path) -> None:
    missing = class_data.later(known(spark_home))
    assert missing is not None
    atexit.unregister(missing.begin)
    classes = made(spark_home)
    assert classes.options() == ""
    assert class_data.later(classes) is None
    classes = made(spark_home, "spark.jsa")
    assert class_data.later(classes) is None


def test_what_makes_it_is_given_nothing_of_the_users(
    spark_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    program = tmp_path / "python"
    program.write_text(
        f"#!/bin/sh\nenv > {told}.part\necho $* >> {told}.part\nmv {told}.part {told}\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--conf spark.x=hunter2 pyspark-shell")
    later = class_data.later(known(spark_home))
    assert later is not None
    later.begin()
    later.begin()
    end = time.monotonic() + 10
    while not told.exists() and time.monotonic() < end:
        time.sleep(0.01)
    text = told.read_text()
    assert "hunter2" not in text
    assert f"JAVA_HOME={spark_home.parent}/jdk\n" in text
    assert f"SPARK_HOME={spark_home}\n" in text
    assert known(spark_home).name in text


def test_a_program_that_is_left_is_not_waited_for(tmp_path: Path) -> None:
    go, told = tmp_path / "go", tmp_path / "told"
    waits = '(until [ -e "$0" ]; do sleep 0.02; done; env > "$1.part"; mv "$1.part" "$1") &'
    leave(["/bin/sh", "-c", waits, str(go), str(told)], env={"ONLY": "this", "PATH": os.defpath})
    assert not told.exists()
    go.touch()
    end = time.monotonic() + 10
    while not told.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert "ONLY=this" in told.read_text()
    assert "HOME=" not in told.read_text()


def test_a_program_that_is_not_there_cannot_be_left(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        leave([str(tmp_path / "none")], env={})


PYSPARK = '''
import os
import re


class SparkSession:
    """Writes what a JVM writes at its end."""

    class builder:
        @staticmethod
        def master(_):
            return Named()


class Named:
    def __init__(self):
        self.told = os.environ.get("SPARK_SUBMIT_OPTS")

    def __getattr__(self, _):
        return self

    def __call__(self, *_, **__):
        return self

    def wait(self):
        assert os.path.exists(re.search("SharedArchiveFile=([^ ]+)", self.told)[1])
        open(re.search("AtExit=([^ ]+)", self.told)[1], "w").close()
'''
SUBMIT = """#!/bin/sh
case "$SPARK_SUBMIT_OPTS" in *trees/classes-*base.jsa:*spark.jsa*) ;; *) exit 1 ;; esac
log=${SPARK_SUBMIT_OPTS##*file=}
echo "[1s] org.apache.spark.deploy.SparkSubmit source: shared objects file (%s)" > "$log"
"""
NOISY = "echo '[0.1s][warning][logging] No tag set matches'\n"
JAVA = """#!/bin/sh
for word do
    case "$word" in *SharedArchiveFile=*) : > "${word#*=}" ;; esac
done
"""


@pytest.mark.parametrize(
    ("mapped", "said", "files"),
    [("top", "", ["spark.jsa"]), ("", "", []), ("top", NOISY, [])],
    ids=["mapped", "not mapped", "with words"],
)
def test_it_is_written_whole_or_nobody_tries_again(
    spark_home: Path, monkeypatch: pytest.MonkeyPatch, mapped: str, said: str, files: list[str]
) -> None:
    """With a stand-in of Spark; an empty folder says that this Java maps none of it."""
    modules = spark_home.parent / "modules"
    (modules / "pyspark" / "sql").mkdir(parents=True)
    (modules / "pyspark" / "__init__.py").touch()
    (modules / "pyspark" / "sql" / "__init__.py").write_text(PYSPARK)
    (modules / "pyspark" / "sql" / "functions.py").write_text(
        "from pyspark.sql import Named\n\nudf = lambda *_: Named()\n"
    )
    (spark_home / "bin").mkdir()
    (spark_home.parent / "jdk" / "bin" / "java").write_text(JAVA)
    (spark_home.parent / "jdk" / "lib" / "server" / "classes.jsa").unlink()
    submit = spark_home / "bin" / "spark-submit"
    submit.write_text(SUBMIT.replace("%s", mapped) + said)
    submit.chmod(0o755)
    monkeypatch.syspath_prepend(str(modules))
    classes = known(spark_home)
    for _ in range(3):
        classes.make()
    end = time.monotonic() + 60
    while not classes.is_known and time.monotonic() < end:
        time.sleep(0.02)
    folder = classes.store.path("trees", classes.name)
    assert sorted(path.name for path in folder.iterdir()) == files
    assert bool(classes.options()) is bool(files)
    while (unfinished := list((classes.store.root / "tmp").iterdir())) and time.monotonic() < end:
        time.sleep(0.02)
    assert unfinished == []
