"""The package's logger: what -v tells, who gets it, and that no record holds a secret."""

from __future__ import annotations

import ast
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from small_packages import wheel

from coffee_boat import Captain
from coffee_boat._support import logs
from coffee_boat._support.run import run as run_program
from coffee_boat._support.store import Store
from coffee_boat.cli.main import boat
from coffee_boat.magic import boat as notebook_boat
from coffee_boat.model import (
    Archive,
    ConfPatch,
    Generation,
    History,
    Lock,
    SparkFacts,
    Target,
)
from coffee_boat.session.classic import ClassicSession
from coffee_boat.session.live import LiveSession
from coffee_boat.spark import submission
from coffee_boat.spark.install import Spark

ROOT = Path(__file__).resolve().parent.parent
S = "hunter2-S3cr3t"
OURS = logging.getLogger("coffee_boat")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(tmp_path / "store"))


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """Words of a command that asks for `app`, which is in a folder."""
    wheel(tmp_path / "wheels", "app", "1.0")
    return ["--offline", "--find-links", str(tmp_path / "wheels"), "--pip", "app"]


@pytest.fixture
def mine() -> Iterator[io.StringIO]:
    """A handler of the user's own, on the root logger, and what it wrote."""
    written = io.StringIO()
    handler, root = logging.StreamHandler(written), logging.getLogger()
    handler.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
    root.addHandler(handler)
    level = OURS.level
    yield written
    OURS.setLevel(level)
    root.removeHandler(handler)


def run(*words: str) -> Result:
    return CliRunner().invoke(boat, list(words), prog_name="boat")


# what is told


def test_a_plan_tells_with_v_what_was_decided_and_why(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_LOCK_MAX_AGE", "100")
    told = run("-v", "plan", *asked).stderr
    assert "setting lock_max_age = 100.0, by COFFEE_BOAT_LOCK_MAX_AGE" in told
    assert "setting offline = True, by argument: offline" in told
    version = ".".join(map(str, sys.version_info[:3]))
    assert f"interpreter: Python {version} for " in told
    assert "(this process's own: nothing else is set)" in told
    assert f"executors: Python {version} on manylinux_" in told
    assert ", as this machine" in told
    assert "resolution: no earlier one in the store" in told
    assert "resolution: 1 package for Python" in told
    assert "of what is here (offline)" in told
    assert " DEBUG " not in told
    again = run("plan", "-v", *asked).stderr
    assert "resolution: reused from the store, 1 package, asked " in again


def test_vv_tells_the_details_too(asked: list[str]) -> None:
    told = run("-vv", "plan", *asked).stderr
    ran = [
        line
        for line in told.splitlines()
        if "ran (exit code 0, " in line and "uv pip compile" in line
    ]
    assert ran
    assert all(" DEBUG " in line for line in ran)
    assert "resolution: app 1.0, asked for: file:" in told
    assert run("plan", "-v", "-v", *asked).stderr.count(" DEBUG ")
    assert run("-v", "plan", "-v", *asked).stderr.count(" DEBUG ")


def test_nothing_is_told_without_v(asked: list[str]) -> None:
    done = run("plan", *asked)
    assert done.exit_code == 0
    assert not any(word in done.stderr for word in (" INFO ", " DEBUG ", "coffee_boat.", "setting"))


def test_an_archive_is_told_with_what_was_reused(
    asked: list[str], tmp_path: Path, pyspark_is_packed: None
) -> None:
    words = ["pack", "-vv", "--no-ship-python", *asked]
    first = run(*words, "-o", "a.tar.gz").stderr
    assert "1 wheel: 1 here already, 0 to fetch, 0 to build" in first
    assert "app 1.0: packed, " in first
    assert "without the interpreter: written to " in first
    assert "app 1.0: reused from the store" in run(*words, "-o", "b.tar.gz").stderr


def test_json_on_stdout_stays_json(asked: list[str]) -> None:
    done = run("plan", "-vv", "--json", *asked)
    assert json.loads(done.stdout)["kind"] == "launch"
    assert " DEBUG " in done.stderr


def commands(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from commands(command)


@pytest.mark.parametrize("group", [boat, notebook_boat], ids=["boat", "%boat"])
def test_each_command_takes_v(group: click.Group) -> None:
    for command in (group, *commands(group)):
        options = [option for one in command.params for option in one.opts]
        assert options.count("-v") == 1, command.name


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell

    from coffee_boat.magic import load

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    made = InteractiveShell()
    load(made)
    yield made
    made.history_manager.end_session()


def test_a_notebook_is_told_for_one_line(
    shell: Any, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (list(OURS.handlers), OURS.level)
    shell.run_line_magic("boat", f"-v plan {' '.join(asked[3:])}")
    assert "interpreter: Python" in capsys.readouterr().err
    with pytest.raises(Exception, match="Missing option"):
        shell.run_line_magic("boat", "pack -vv")
    assert (list(OURS.handlers), OURS.level) == before
    shell.run_line_magic("boat", "plan")
    assert " INFO " not in capsys.readouterr().err


# who gets it


def test_an_import_configures_nothing() -> None:
    script = (
        "import logging, coffee_boat, coffee_boat.captain\n"
        "ours = logging.getLogger('coffee_boat')\n"
        "print(logging.root.handlers, [type(h).__name__ for h in ours.handlers], ours.level,"
        " ours.propagate)\n"
        "ours.setLevel('DEBUG')\n"
        "coffee_boat.Captain(offline=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[] ['NullHandler'] 0 True\n"
    assert done.stderr == ""


def test_a_library_is_told_what_its_level_says(mine: io.StringIO) -> None:
    Captain(offline=True)
    assert mine.getvalue() == ""
    OURS.setLevel("INFO")
    Captain(offline=True)
    assert "INFO:coffee_boat.settings:setting offline = True, by argument: offline" in (
        mine.getvalue()
    )
    assert "DEBUG" not in mine.getvalue()


def test_handlers_of_others_are_left_alone(asked: list[str], mine: io.StringIO) -> None:
    root, theirs = logging.getLogger(), logging.getLogger("somebody")
    at_ours = logging.StreamHandler(io.StringIO())
    OURS.addHandler(at_ours)
    theirs.setLevel("ERROR")
    try:
        before = [(list(one.handlers), one.level, one.propagate) for one in (root, OURS, theirs)]
        run("-vv", "plan", *asked)
        after = [(list(one.handlers), one.level, one.propagate) for one in (root, OURS, theirs)]
    finally:
        OURS.removeHandler(at_ours)
        theirs.setLevel("NOTSET")
    assert after == before
    assert "interpreter: Python" in mine.getvalue(), "who listens gets it, too"


def test_v_makes_nobodys_logger_quieter(asked: list[str], mine: io.StringIO) -> None:
    OURS.setLevel("DEBUG")
    told = run("-v", "plan", *asked).stderr
    assert " DEBUG " not in told
    assert "DEBUG:coffee_boat._support.run:ran (" in mine.getvalue()


def test_each_of_our_loggers_hides_secrets() -> None:
    """A logger of logging's own would not: a filter sees nothing of its children's records."""
    for path in [*(ROOT / "coffee_boat").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]:
        if path.name == "logs.py":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        imported = {
            name.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for name in node.names
        }
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "logging"
        }
        assert "getLogger" not in used, f"{path}: _support/logs.logger(__name__)"
        assert "logging" not in imported or used == {"DEBUG"}, path


# secrets


@pytest.fixture
def made() -> Iterator[logging.Logger]:
    before = OURS.level
    OURS.setLevel("DEBUG")
    yield logs.logger("coffee_boat.pip.made_for_a_test")
    OURS.setLevel(before)


@pytest.mark.parametrize(
    ("message", "given"),
    [
        (f"asked https://me:{S}@host/simple", ()),
        ("asked %s", (f"https://me:{S}@host/simple",)),
        ("asked %r and %d", (f"https://host/x.whl?token={S}", 3)),
        ("asked %(url)s", ({"url": f"https://me:{S}@host/simple"},)),
        ("asked %s", ([Path("/x"), f"https://conda.host/t/{S}/channel"],)),
        (f"asked https://me:{S}@host/simple: 100%, %s", ()),
        ("two %d", (f"https://me:{S}@host/",)),
    ],
)
def test_a_record_holds_no_secret(
    mine: io.StringIO, made: logging.Logger, message: str, given: tuple[object, ...]
) -> None:
    made.debug(message, *given)
    assert "DEBUG:coffee_boat.pip.made_for_a_test:" in mine.getvalue()
    assert S not in mine.getvalue()


def test_an_exception_in_a_record_holds_no_secret(mine: io.StringIO, made: logging.Logger) -> None:
    try:
        try:
            raise ValueError(f"https://me:{S}@host/simple")
        except ValueError as error:
            raise RuntimeError(f"https://host/x.whl?token={S}") from error
    except RuntimeError:
        made.exception("failed", stack_info=True)
        made.debug("failed again", exc_info=True, extra={"url": f"https://me:{S}@host/"})
    told = mine.getvalue()
    assert told.count("RuntimeError: https://host/x.whl?token=***") == 2
    assert told.count("ValueError: https://***@host/simple") == 2
    assert S not in told


def test_what_goes_with_a_record_holds_no_secret(
    made: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """Handlers of others write what they like of it."""
    try:
        raise ValueError(f"https://me:{S}@host/simple")
    except ValueError as error:
        made.warning("failed: %s", error, exc_info=True, extra={"url": f"https://me:{S}@host/"})
    [record] = caplog.records
    assert S not in repr(vars(record))
    assert vars(record)["url"] == "https://***@host/"


def test_a_program_that_was_run_is_told_without_secrets(mine: io.StringIO) -> None:
    OURS.setLevel("DEBUG")
    url = f"https://me:{S}@host/x y?token={S}"
    done = run_program([sys.executable, "-c", "raise SystemExit(3)", url, "--password", S])
    assert done.code == 3
    assert "ran (exit code 3, " in mine.getvalue()
    assert " 'https://***@host/x y?token=***' --password ***" in mine.getvalue()
    assert S not in mine.getvalue()


def test_a_program_that_did_not_end_by_itself_is_told(mine: io.StringIO) -> None:
    OURS.setLevel("DEBUG")
    with pytest.raises(subprocess.TimeoutExpired):
        run_program(["sleep", "60"], timeout=0.05)
    assert "ran (it did not end by itself, " in mine.getvalue()
    assert ": sleep 60" in mine.getvalue()


def test_no_secret_of_a_command_is_told(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COFFEE_BOAT_PROXY", f"http://me:{S}@proxy:3128")
    done = run(
        "-vv",
        "plan",
        *asked,
        *("--index-url", f"https://me:{S}@host.example/simple"),
        *("--master", "local[2]"),
    )
    assert "setting index_url = 'https://***@host.example/simple'" in done.stderr
    assert "setting proxy = 'http://***@proxy:3128', by COFFEE_BOAT_PROXY" in done.stderr
    assert S not in done.output


# sessions and submissions

LOCK = Lock(Target("3.11.7", glibc=(2, 28)))


def test_each_change_of_a_session_is_told(store: Store, mine: io.StringIO) -> None:
    OURS.setLevel("INFO")
    context: Any = SimpleNamespace(applicationId="app-1")
    first = History((Generation("./boat-1/bin/python3.11", LOCK, LOCK),))
    live = LiveSession(ClassicSession(context), first, store)
    layer = Archive("abcd" * 16, "/a.tar.gz", 1, (), LOCK.target, "0" * 64, False)
    live.add_layer(LOCK, layer, first, f"app @ https://me:{S}@host/app.whl")
    told = mine.getvalue().splitlines()
    assert "session app-1: generation 1 (launched)" in told[0]
    assert "session app-1: generation 2: layer (app @ https://***@host/app.whl)" in told[1]


def test_what_a_submission_sets_is_told_without_secrets(mine: io.StringIO) -> None:
    OURS.setLevel("INFO")
    facts = SparkFacts("4.1.0", "spark://host:7077", conf={}, python="/usr/bin/python3")
    patch = ConfPatch(
        "./boat-1/bin/python3.11",
        {"spark.archives": "a.tar.gz#boat-1", "spark.hadoop.fs.s3a.secret.key": S},
        {"PYTHONNOUSERSITE": "1"},
    )
    submission.order(Spark("4.1.0", "/opt/spark"), facts, patch)
    told = mine.getvalue()
    assert "spark.archives=a.tar.gz#boat-1" in told
    assert "spark.executorEnv.PYTHONNOUSERSITE=1" in told
    assert "spark.hadoop.fs.s3a.secret.key=***" in told
