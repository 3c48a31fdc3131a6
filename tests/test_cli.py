"""`boat`: what is asked for reaches the Captain, products go to stdout, talk to stderr, and exit
codes mean something.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import fsspec
import pytest
from click.testing import CliRunner, Result
from fsspec.implementations.memory import MemoryFileSystem
from small_packages import wheel

from coffee_boat._support.store import Store
from coffee_boat._support.words import human_size
from coffee_boat.cli import render, words
from coffee_boat.cli.main import boat
from coffee_boat.model import Archive, Chunk, Target
from coffee_boat.spark import defaults, gateway

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(tmp_path / "store"))


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with `app` that needs `lib`."""
    wheel(tmp_path / "wheels", "app", "1.0", ["lib"])
    wheel(tmp_path / "wheels", "lib", "2.0")
    return tmp_path / "wheels"


def run(*words: str, **kwargs: str) -> Result:
    return CliRunner().invoke(boat, list(words), prog_name="boat", **kwargs)  # type: ignore[arg-type]


def offline(wheels: Path) -> list[str]:
    return ["--offline", "--find-links", str(wheels)]


# exit codes and streams


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ('name it: python="/path/to/python3"', 'name it: --python "/path/to/python3"'),
        (
            "name a folder: Captain(store=...) or COFFEE_BOAT_STORE=/some/folder",
            "name a folder: --store ... or COFFEE_BOAT_STORE=/some/folder",
        ),
        (
            "leave out python=, or captain.pack(path) can pack any",
            "leave out --python, or boat pack -o path can pack any",
        ),
        (
            "say what executors are: platform=, python=",
            "say what executors are: --platform, --python",
        ),
        ("captain.add_pip_packages('/my/project') builds it", "--pip '/my/project' builds it"),
        ("the nodes' own Python: ship_python=False", "the nodes' own Python: --no-ship-python"),
        (
            "check the name; for a private index: index_url= or extra_index_urls=[...]",
            "check the name; for a private index: --index-url or --extra-index-url ...",
        ),
        ("remove it, or give overwrite=True", "remove it, or give --overwrite"),
        (
            'captain.add_conda_packages("numpy", channel="forge")',
            '--conda "numpy" --channel "forge"',
        ),
        ('Captain(platform="x", python="3.11")', '--platform "x" --python "3.11"'),
        (
            'ask for "python=3.11"; spark.pyspark.python=x',
            'ask for "python=3.11"; spark.pyspark.python=x',
        ),
    ],
)
def test_cures_are_in_the_words_of_a_command_line(said: str, typed: str) -> None:
    assert words.in_options(said) == typed


def test_the_cure_of_an_error_is_told_in_options(wheels: Path) -> None:
    Path("env.tar.gz").touch()
    done = run("pack", "--pip", "app", *offline(wheels), "-o", "env.tar.gz")
    assert done.exit_code == 3
    assert "--overwrite" in done.stderr
    assert "overwrite=True" not in done.stderr


def test_a_package_without_its_option_is_told_which_one() -> None:
    done = run("plan", "edtf", "six>=1")
    assert done.exit_code == 2
    assert "Packages are asked for as: --pip edtf --pip six>=1" in done.stderr
    done = run("plan", "edtf,six>=1,<2,moto[s3,ec2]")
    assert "--pip edtf --pip six>=1,<2 --pip moto[s3,ec2]" in done.stderr


def test_a_misspelt_name_is_told_with_the_nearest(wheels: Path) -> None:
    wheel(wheels, "my-library", "2.0")
    done = run("plan", "--pip", "my-libary", *offline(wheels))
    assert done.exit_code == 3
    assert "did you mean my-library?" in done.stderr
    assert "captain." not in done.stderr


def test_a_version_that_is_none_is_told_with_what_shows_those_there_are(wheels: Path) -> None:
    done = run("plan", "--pip", "lib==99", *offline(wheels))
    assert done.exit_code == 3
    assert 'leave the version out ("lib"): a plan shows the newest that fits' in done.stderr


def test_a_module_of_ones_own_is_told_how_it_is_sent() -> None:
    Path("helpers.py").touch()
    done = run("plan", "--pip", "helpers.py")
    assert done.exit_code == 3
    assert 'it is code of your own: --local "helpers.py"' in done.stderr


def test_a_package_named_as_a_file_beside_is_told_to_be_another_one(wheels: Path) -> None:
    Path("lib.py").touch()
    done = run("plan", "--pip", "lib", *offline(wheels))
    assert done.exit_code == 0
    assert "a package has the name of a file of yours: lib" in done.stdout
    assert '--local "lib.py"' in done.stdout
    quiet = run("plan", "--pip", "app", *offline(wheels))
    assert "file of yours" not in quiet.stdout


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("add", "Packages are asked for as: boat launch --pip NAME; in a notebook, %boat add NAME"),
        ("install", "Packages are asked for as: boat launch --pip NAME"),
        ("forget", "Each command is asked anew"),
        ("version", "boat --version"),
        ("veryfy", "Did you mean 'verify'?"),
    ],
)
def test_a_command_that_is_none_is_told_what_to_type(typed: str, told: str) -> None:
    done = run(typed, "edtf")
    assert done.exit_code == 2
    assert told in done.stderr


def test_a_wrong_flag_is_usage() -> None:
    done = run("plan", "--nosuch")
    assert done.exit_code == 2
    assert "No such option" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["launch", "--conf", "novalue", "x.py"],
        ["launch", "--conf", "=x", "x.py"],
        ["launch", "--deploy-mode", "both", "x.py"],
        ["conf", "--format", "xml"],
    ],
)
def test_a_wrong_value_is_usage(words: list[str]) -> None:
    assert run(*words).exit_code == 2


def test_a_failure_with_a_cure_is_3_and_is_told_on_stderr() -> None:
    done = run("plan", "--pip", "not a requirement ][")
    assert done.exit_code == 3
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_impossible_requirement_is_3(wheels: Path) -> None:
    done = run("plan", *offline(wheels), "--pip", "app==7")
    assert done.exit_code == 3
    assert "app==7" in done.stderr


def test_what_is_printed_is_literal_and_without_secrets() -> None:
    done = run("plan", "--pip", "[red]x[/red] @ https://me:hunter2@example.org/x.whl")
    assert done.exit_code == 3
    assert "[red]" in done.stderr
    assert "hunter2" not in done.output


def test_ctrl_c_is_130_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(boat.commands["check"], "callback", interrupted)
    done = run("check")
    assert (done.exit_code, done.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize(
    "command",
    [
        [],
        *([name] for name in sorted(boat.commands)),
        *(["cache", name] for name in ("list", "prune", "clear")),
    ],
    ids=" ".join,
)
def test_help_tells_every_option(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.exit_code == 0
    options = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  -")]
    assert options


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("conf", "--format"),
        ("launch", "--py-files"),
        ("lock", "--check"),
        ("pack", "--output"),
        ("plan", "--json"),
        ("verify", "--deadline"),
        ("check", "--master"),
    ],
)
def test_help_shows_a_commands_own_options_first(command: str, own: str) -> None:
    told = run(command, "--help").stdout
    assert told.index(own) < told.index("--pip ")


def test_help_tells_how_completion_is_turned_on_and_it_works() -> None:
    assert "_BOAT_COMPLETE=bash_source boat" in run("--help").stdout
    variables = {
        **os.environ,
        "_BOAT_COMPLETE": "bash_complete",
        "COMP_WORDS": "boat launch --ma",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-m", "coffee_boat.cli"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert "plain,--master" in done.stdout


def test_help_is_quick_and_loads_no_spark() -> None:
    code = (
        "import sys; from coffee_boat.cli.main import boat\ntry: boat(['--help'])\nfinally:"
        " print(*sys.modules, file=sys.stderr)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    ).stderr.split()
    assert not {"pyspark", "py4j", "rich", "requests", "uv"} & set(loaded)


# plan and lock


def test_plan_is_text_in_a_pipe_and_json_on_demand(wheels: Path) -> None:
    text, data = (
        run("plan", *offline(wheels), "--pip", "app"),
        run("plan", *offline(wheels), "--pip", "app", "--json"),
    )
    assert (text.exit_code, data.exit_code) == (0, 0)
    assert "app 1.0" in text.stdout
    plan = json.loads(data.stdout)
    assert [(pin["name"], pin["version"]) for pin in plan["lock"]["pins"]] == [
        ("app", "1.0"),
        ("lib", "2.0"),
    ]
    assert plan["size"] > 0


def test_a_finding_of_a_plan_has_its_code_in_json_alone(wheels: Path, tmp_path: Path) -> None:
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("--prefer-binary\napp\n", "utf-8")
    data = run("plan", *offline(wheels), "-r", str(wanted), "--json")
    [finding] = json.loads(data.stdout)["findings"]
    assert (finding["code"], finding["severity"]) == ("requirements.option-ignored", "note")
    text = run("plan", *offline(wheels), "-r", str(wanted))
    assert f"note: {finding['what']}" in text.stdout
    assert finding["code"] not in text.stdout


def test_what_a_script_says_of_itself_is_wanted_too(wheels: Path, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text('# /// script\n# dependencies = ["app"]\n# ///\n', "utf-8")
    plan = json.loads(run("plan", *offline(wheels), "-r", "job.py", "--json").stdout)
    assert [pin["name"] for pin in plan["lock"]["pins"]] == ["app", "lib"]


def test_a_lock_is_written_checked_and_used(wheels: Path, tmp_path: Path) -> None:
    done = run("lock", *offline(wheels), "--pip", "app")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "lib" in (tmp_path / "pylock.toml").read_text("utf-8")
    assert run("lock", *offline(wheels), "--pip", "app", "--check").exit_code == 0
    stale = run("lock", *offline(wheels), "--pip", "lib", "--check")
    assert stale.exit_code == 1
    assert "app: 1.0 in pylock.toml, absent now" in stale.stderr
    plan = json.loads(run("plan", "--lock", "pylock.toml", "--json").stdout)
    assert [pin["name"] for pin in plan["lock"]["pins"]] == ["app", "lib"]


def test_a_lock_goes_to_stdout_on_demand(wheels: Path, tmp_path: Path) -> None:
    done = run("lock", *offline(wheels), "--pip", "lib", "-o", "-")
    assert 'name = "lib"' in done.stdout
    assert not (tmp_path / "pylock.toml").exists()


def test_a_lock_that_is_not_there_cannot_be_checked(wheels: Path) -> None:
    done = run("lock", *offline(wheels), "--pip", "lib", "--check", "-o", "none.toml")
    assert done.exit_code == 3


def test_a_lock_that_cannot_be_written_leaves_nothing(wheels: Path, tmp_path: Path) -> None:
    done = run("lock", *offline(wheels), "--pip", "lib", "-o", "no/such/folder/pylock.toml")
    assert done.exit_code == 3
    assert "-o FILE" in done.stderr


# launch


def test_a_missing_script_and_an_unknown_master_are_refused_before_anything_is_built(
    tmp_path: Path,
) -> None:
    pytest.importorskip("pyspark")
    (tmp_path / "job.py").write_text("", "utf-8")
    assert run("launch", "none.py").exit_code == 3
    done = run("launch", "--master", "lokal[2]", "job.py", "--help", "--master", "x")
    assert done.exit_code == 3
    assert "lokal[2]" in done.stderr
    assert not (tmp_path / "store" / "chunks").exists()


def test_a_script_for_another_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text('# /// script\n# requires-python = ">=3.99"\n# ///\n', "utf-8")
    done = run("launch", "job.py")
    assert done.exit_code == 3
    assert ">=3.99" in done.stderr


# cache


def aged(store: Store, kind: str, name: str, days: float) -> Path:
    with store.publish(kind, name) as place:
        place.mkdir()
        (place / "file").write_bytes(b"x" * 1000)
    then = time.time() - days * 86400
    os.utime(store.path(kind, name) / "file", (then, then))
    return store.path(kind, name)


def test_prune_keeps_what_was_used_lately_and_what_is_being_made(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    old, new = aged(store, "trees", "a" * 64, 40), aged(store, "trees", f"boat-{'b' * 12}", 3)
    store.remember("lock", "key", 1)
    with store.scratch() as working:
        working.write_text("half", "utf-8")
        others = aged(store, "tmp", "tmpleftover", 40)
        left = aged(store, "tmp", "boat-leftover", 1)
        (left / "file").rename(left / "entry")  # its process was killed
        os.utime(left, (1, 1))
        done = run("cache", "prune")
        assert (done.exit_code, done.stdout) == (
            0,
            f"removed 2 entries, 2.0 kB from {store.root}\n",
        )
        assert (old.exists(), new.exists(), left.exists(), working.exists()) == (
            False,
            True,
            False,
            True,
        )
        run("cache", "prune", "--days", "1")
        assert (new.exists(), working.exists()) == (False, True)
        assert others.exists(), "of another program, where tmp/ is no folder of ours"
    assert store.recall("lock", "key") == 1


def test_prune_of_the_store_can_be_tried(tmp_path: Path) -> None:
    entry = aged(Store(tmp_path / "store"), "trees", "a" * 64, 40)
    done = run("cache", "prune", "--dry-run")
    assert (done.exit_code, entry.exists()) == (0, True)
    assert "unpacked files" in done.stdout
    assert "aaaa" not in done.stdout


@pytest.mark.usefixtures("pyspark_is_packed")
def test_what_was_packed_is_told_by_its_names_and_how_it_is_used(
    wheels: Path, tmp_path: Path
) -> None:
    done = run("pack", "--pip", "app", *offline(wheels), "--no-ship-python", "-o", "b.tar.gz")
    assert done.stdout == "b.tar.gz\n"
    size = (tmp_path / "b.tar.gz").stat().st_size
    assert f"{human_size(size)} for Python 3." in done.stderr
    assert f"--archives {tmp_path}/b.tar.gz#boat\n" in done.stderr
    assert "--conf spark.executorEnv.PYTHONPATH=./boat/lib/coffee_boat:./boat/lib/py" in done.stderr
    assert "glibc" in done.stderr
    for command in (["list"], ["prune", "--dry-run", "--days", "0"]):
        told = run("cache", *command).stdout
        assert re.search(r"app 1\.0 +chunks +\d", told)
        assert re.search(r"lib 2\.0 +chunks +\d", told)
        assert not re.search(r"[0-9a-f]{16}", told.replace(str(tmp_path), ""))


def test_the_lines_for_an_archive_with_its_interpreter() -> None:
    chunk = Chunk("a", 1, 1, 1, floor=(2, 28), label="numpy 2")
    told = render.how_to_use(
        Archive("b", "/x/b.tar.gz", 13_100_000, (chunk,), Target("3.11.7"), "d", has_python=True)
    )
    assert told.splitlines() == [
        "13.1 MB for Python 3.11; needs glibc 2.28 or newer. To use it:",
        "  --archives /x/b.tar.gz#boat",
        "  --conf spark.pyspark.python=./boat/bin/python3.11",
    ]


def test_prune_of_a_stage_asks_and_leaves_what_was_used_and_what_is_not_ours(
    tmp_path: Path,
) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    old, new, other = (
        stage / name
        for name in (
            f"boat-{'a' * 12}-{'b' * 12}.tar.gz",
            f"boat-layer-{'c' * 12}-{'d' * 12}.tar.gz",
            "letters.tar.gz",
        )
    )
    for file, days in ((old, 91), (new, 89), (other, 900)):
        file.write_bytes(b"x" * 1000)
        os.utime(file, (time.time() - days * 86400,) * 2)
    tried = run("cache", "prune", "--stage", stage.as_uri(), "--dry-run")
    assert (tried.exit_code, tried.stdout.splitlines()[0]) == (
        0,
        f"would remove 1 entry, 1.0 kB from {stage.as_uri()}",
    )
    assert (old.name in tried.stdout, new.name in tried.stdout) == (True, False)
    assert run("cache", "prune", "--stage", stage.as_uri(), input="n\n").exit_code == 1
    assert old.exists()
    done = run("cache", "prune", "--stage", stage.as_uri(), "--yes")
    assert (done.exit_code, done.stdout) == (0, f"removed 1 entry, 1.0 kB from {stage.as_uri()}\n")
    assert sorted(stage.iterdir()) == sorted([new, other])
    run("cache", "prune", "--stage", str(stage), "--older-than", "80", "--yes")
    assert list(stage.iterdir()) == [other]


class NobodyRemoves(MemoryFileSystem):  # type: ignore[misc]
    """A store whose files are somebody else's."""

    protocol = "theirs"

    def rm_file(self, path: str) -> None:
        raise PermissionError(13, "Permission denied", path)


def test_prune_of_a_stage_where_nothing_can_be_removed_fails_and_says_so() -> None:
    fsspec.register_implementation("theirs", NobodyRemoves, clobber=True)
    name = f"boat-{'a' * 12}-{'b' * 12}.tar.gz"
    fsspec.filesystem("theirs").pipe_file(f"theirs://boats/{name}", b"x")
    done = run("cache", "prune", "--stage", "theirs://boats", "--days", "0", "--yes")
    assert done.exit_code == 3
    assert f"could not be removed: {name}" in done.stderr
    assert "nothing could be removed from the stage: theirs://boats" in done.stderr


def test_a_stage_is_pruned_with_the_settings_that_it_was_filled_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    (tmp_path / "spark-defaults.conf").write_text(
        "spark.hadoop.fs.s3a.endpoint http://storage:9000\n"
    )
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    told: list[Mapping[str, str]] = []
    monkeypatch.setattr(gateway, "hadoop", lambda _, conf: told.append(conf))
    assert run("cache", "prune", "--stage", str(tmp_path), "--dry-run").exit_code == 0
    monkeypatch.setitem(sys.modules, "pyspark", None)
    assert run("cache", "prune", "--stage", str(tmp_path), "--dry-run").exit_code == 0
    assert told == [{"spark.hadoop.fs.s3a.endpoint": "http://storage:9000"}, {}]


def test_clear_asks_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    entry = aged(store, "trees", "a" * 64, 0)
    refused = run("cache", "clear", input="n\n")
    assert (refused.exit_code, entry.exists()) == (1, True)
    with store.scratch() as working, store.lock("x"):
        working.write_text("half", "utf-8")
        assert run("cache", "clear", "--yes").exit_code == 0
        assert (entry.exists(), working.exists()) == (False, True)
        assert list((store.root / "locks").iterdir())


def test_clear_of_a_folder_that_is_no_store_removes_nothing(tmp_path: Path) -> None:
    files = [
        tmp_path / name
        for name in (
            "archives/letters.tar.gz",
            "keys/ssh/id.json",
            "keys/plain",
            "tmp/notes",
            "trees/oak/leaf",
            "documents/" + "a" * 64,
        )
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine", "utf-8")
    assert run("cache", "clear", "--yes", "--store", str(tmp_path)).exit_code == 0
    assert all(file.read_text("utf-8") == "mine" for file in files)


def test_list_tells_kinds_for_people_and_entries_for_programs(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    aged(store, "trees", "a" * 64, 1)
    with store.lock("x"):
        store.remember("lock", "key", 1)
    assert [line.split()[:2] for line in run("cache", "list").stdout.splitlines()[2:4]] == [
        ["keys", "1"],
        ["trees", "1"],
    ]
    entries = json.loads(run("cache", "list", "--json").stdout)
    assert [(entry["kind"], entry["size"]) for entry in entries] == [
        ("keys/lock", 92),
        ("trees", 1000),
    ]


def test_an_empty_store_lists_as_empty_and_is_not_made(tmp_path: Path) -> None:
    done = run("cache", "list", "--store", str(tmp_path / "none"))
    assert "0 entries" in done.stdout
    assert not (tmp_path / "none").exists()


# a job with files of its own


@pytest.mark.usefixtures("pyspark_is_packed")
def test_a_module_beside_the_script_is_told_and_sent_on_demand(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    home = tmp_path / "spark"
    (home / "bin").mkdir(parents=True)
    (home / "bin/spark-submit").write_text('#!/bin/sh\ncp "$2" settings\necho "$*" >words\n')
    (home / "bin/spark-submit").chmod(0o755)
    monkeypatch.setenv("SPARK_HOME", str(home))
    (tmp_path / "helpers.py").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more/__init__.py").touch()
    (tmp_path / "job.py").write_text("import os, helpers\ndef f():\n    from more import g\n")
    words = ["launch", *offline(wheels), "--no-ship-python", "--master", "local[1]"]
    done = run(*words, "job.py")
    assert done.exit_code == 0, done.output
    assert "note: the script imports a module beside it that executors do not have" in done.stderr
    assert "boat launch --local helpers.py" in done.stderr
    assert "boat launch --local more" in done.stderr
    assert "--pip" not in done.stderr
    done = run(*words, "--local", "helpers.py", "--local", "more", "job.py")
    assert done.exit_code == 0, done.output
    assert "beside it" not in done.stderr
    (tmp_path / "more.zip").touch()
    done = run(*words, "--py-files", "helpers.py", "--py-files", "more.zip", "job.py")
    assert done.exit_code == 0, done.output
    assert "beside it" not in done.stderr
    settings = (tmp_path / "settings").read_text()
    assert "spark.submit.pyFiles" in settings
    assert "helpers.py,more.zip" in settings
    assert run(*words, "--py-files", "helper.py", "job.py").exit_code == 2
    there = "local:/opt/a.jar,hdfs:/a.jar,s3a://b/a.jar,file:more.zip"
    done = run(*words, "--jars", there, "job.py")
    assert done.exit_code == 0, done.output
    assert "local:/opt/a.jar" in (tmp_path / "settings").read_text()
    assert run(*words, "--jars", "local.jar", "job.py").exit_code == 2
    (home / "conf").mkdir()
    (home / "conf/spark-defaults.conf").write_text("spark.ui.port 4\nspark.cores.max 5\n")
    (tmp_path / "my.conf").write_text("spark.executor.memory=1g\nspark.sql.caseSensitive true\n")
    submitted = [
        *("--properties-file", "my.conf", "--executor-memory", "2g", "--num-executors", "3"),
        *("--driver-memory", "3g", "--queue", "q", "--name", "n a m e", "--class", "some.Main"),
        *("--jars", "more.zip,https://h/x.jar", "--packages", "a:b:1", "--packages", "c:d:2"),
        *("--files", "more.zip#m", "--archives", "more.zip#own", "--proxy-user", "ann"),
        *(
            "-c",
            "spark.jars=https://h/y.jar",
            "--supervise",
            "--driver-java-options",
            "-Dx=1 -Dy=2",
        ),
    ]
    done = run(*words, *submitted, "job.py", "--name", "of the job")
    assert done.exit_code == 0, done.output
    told = defaults.read(tmp_path / "settings")
    assert told["spark.executor.memory"] == "2g"
    assert told["spark.executor.instances"] == "3"
    assert told["spark.driver.memory"] == "3g"
    assert told["spark.yarn.queue"] == "q"
    assert told["spark.app.name"] == "n a m e"
    assert told["spark.jars"] == "more.zip,https://h/x.jar", "a word is over a --conf"
    assert told["spark.jars.packages"] == "a:b:1,c:d:2"
    assert told["spark.files"] == "more.zip#m"
    assert "more.zip#own" in told["spark.archives"]
    assert told["spark.driver.supervise"] == "true"
    assert told["spark.driver.extraJavaOptions"] == "-Dx=1 -Dy=2"
    assert told["spark.sql.caseSensitive"] == "true"
    assert "spark.ui.port" not in told, "a properties file is instead of spark-defaults.conf"
    passed = (tmp_path / "words").read_text()
    assert "--class some.Main --proxy-user ann job.py --name of the job" in passed
    assert run(*words, "--load-spark-defaults", *submitted, "job.py").exit_code == 0
    assert defaults.read(tmp_path / "settings")["spark.ui.port"] == "4"


def test_every_word_of_spark_submit_is_known() -> None:
    pyspark = pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    (jar,) = Path(pyspark.__file__).parent.glob("jars/spark-launcher_*.jar")
    parser = "org/apache/spark/launcher/SparkSubmitOptionParser.class"
    with zipfile.ZipFile(jar) as archive:
        words = set(re.findall(rb"--[a-z][a-z-]+", archive.read(parser)))
    ours = {word.encode() for part in boat.commands["launch"].params for word in part.opts}
    assert words - ours == {b"--help", b"--usage-error", b"--version"}
    done = run("launch", "--kill", "submission-1")
    assert (done.exit_code, "spark-submit does it alone" in done.output) == (2, True)


def test_words_of_spark_submit_are_settings_for_whoever_asks_a_spark() -> None:
    for command in ("conf", "check", "verify"):
        known = {word for part in boat.commands[command].params for word in part.opts}
        assert {"--executor-memory", "--num-executors", "--py-files", "--queue"} <= known


# check


def test_check_tries_everything_and_answers_with_its_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    done = run("check", "--pip", "]", "--json")
    assert done.exit_code == 1
    outcomes = {check["name"]: check["status"] for check in json.loads(done.stdout)["checks"]}
    assert outcomes["python"] == outcomes["resolver"] == outcomes["store"] == "ok"
    assert outcomes["spark"] == outcomes["requirements"] == "failed"
    codes = {check["name"]: check["code"] for check in json.loads(done.stdout)["checks"]}
    assert (codes["python"], codes["requirements"]) == ("", "requirements.unreadable")


def outcomes(done: Result) -> dict[str, str]:
    return {row["name"]: row["status"] for row in json.loads(done.stdout)["checks"]}


def test_check_refuses_an_interpreter_that_a_launch_would_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert outcomes(run("check", "--json"))["interpreter"] == "ok"
    monkeypatch.setenv("COFFEE_BOAT_PLATFORM", "manylinux_2_17_x86_64")
    done = run("check", "--json")
    assert (done.exit_code, outcomes(done)["interpreter"]) == (1, "failed")


def test_of_a_cluster_that_does_not_say_what_it_has_nothing_is_known() -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    with socket.create_server(("127.0.0.1", 0)) as master:  # it answers, and has no page
        where = ["--master", f"spark://127.0.0.1:{master.getsockname()[1]}"]
        done = run("check", *where, "--conf", "spark.master.ui.port=1", "--json")
    assert outcomes(done)["cluster"] == "unknown"
    [row] = [row for row in json.loads(done.stdout)["checks"] if row["name"] == "cluster"]
    assert "workers are not known" in row["value"]


NOBODY = ["--master", "spark://127.0.0.1:1"]
"""A master that nobody is."""


def test_what_is_an_error_is_no_success(wheels: Path) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    plan = run("plan", "--pip", "app", *offline(wheels), *NOBODY)
    assert (plan.exit_code, "error: " in plan.stdout) == (1, True)
    assert run("plan", "--pip", "app", *offline(wheels)).exit_code == 0
    assert run("check", *NOBODY).exit_code == 1
    launch = run("launch", *NOBODY, *offline(wheels), "job.py")
    assert (launch.exit_code, "error: " in launch.stderr) == (3, True)
    settings = run("conf", "--pip", "app", *offline(wheels), "--no-ship-python", *NOBODY)
    assert settings.exit_code == 0, "they may be for elsewhere"
    assert "warning: the cluster's master cannot be reached" in settings.stderr
    assert "error: " not in settings.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["plan"],
        ["plan", "--pip", "no-such-package"],
        ["lock", "-o", "-"],
        ["pack", "-o", "b.tar.gz", "--no-ship-python"],
        ["conf", "--no-ship-python"],
        ["check"],
        ["launch", "no-such.py"],
        ["verify", *NOBODY],
        ["cache", "list"],
        ["cache", "prune", "--dry-run"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("pyspark_is_packed")
def test_a_misspelt_variable_is_told_by_every_command(
    command: list[str], wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_PLATFROM", "manylinux_2_17_x86_64")
    settings = [] if command[0] == "cache" else offline(wheels)
    words = [*command, *settings] if command[0] != "launch" else ["launch", *settings, command[1]]
    done = run(*words)
    assert done.output.count("COFFEE_BOAT_PLATFROM") == 1
    assert "did you mean COFFEE_BOAT_PLATFORM?" in done.output


def test_check_asks_the_cluster(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    done = run("check", "--master", "local[2]", "--store", str(tmp_path), "--json")
    rows = [(row["name"], row["status"]) for row in json.loads(done.stdout)["checks"]]
    assert rows[-2:] == [("cluster", "ok"), ("node", "ok")]
    small = run(
        "check",
        "--master",
        "local[2]",
        "--conf",
        "spark.executor.memory=100m",
        "--store",
        str(tmp_path),
        "--json",
    )
    [row] = [row for row in json.loads(small.stdout)["checks"] if row["name"] == "cluster"]
    assert (small.exit_code, row["status"]) == (1, "failed")
    assert row["code"] == "launch.memory-too-small"
    assert "spark.executor.memory=512m" in row["cure"]
