"""What `exclude` leaves behind of wheels, of conda packages and in a session; and what it never
leaves behind.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import MakeWheel
from test_launch import home, spark  # noqa: F401  fixtures
from test_sessions import context  # noqa: F401  fixture

from coffee_boat import Captain, LockError, SettingsError
from coffee_boat._support.store import Store
from coffee_boat.archive import chunks
from coffee_boat.cli.main import boat
from coffee_boat.errors import Finding
from coffee_boat.model import LeftOut, Lock, Pin, Target
from coffee_boat.pip import chunks as pip_chunks
from coffee_boat.session import record
from coffee_boat.workflow import lockfile

pytestmark = pytest.mark.usefixtures("pyspark_is_packed")

FILES = {
    "demo/__init__.py": "from demo import core\n",
    "demo/core.py": "VALUE = 1\n",
    "demo/core.pyi": "VALUE: int\n",
    "demo/tests/__init__.py": "",
    "demo/tests/test_core.py": "import demo\n",
    "demo/tests/data/large.csv": "1,2\n" * 100,
    "demo/sub/test/test_it.py": "",
    "demo/sub/__init__.py": "",
    "demo/include/demo.h": "int a;\n",
    "demo/core.pxd": "cdef int a\n",
    "demo/libdemo.a": "!<arch>\n",
}
DIGEST = "bf95318d373563a650690bb8afcb788e7eed59c0cc3acf40def27a95e2f7ff57"
"""Of a lock of demo 1.0, as it was before there was `exclude`."""
SITE = Target("3.11.7").site_packages


@pytest.fixture
def wheels(make_wheel: MakeWheel, tmp_path: Path) -> Path:
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    make_wheel(
        "demo",
        files=FILES,
        data={"headers/demo.h": "int b;\n"},
        console_scripts={"demo-tool": "demo.core:main"},
        dist_info={"licenses/tests/LICENSE": "free"},
        folder=folder,
    )
    make_wheel("user", requires=["demo", "triton"], folder=folder)
    make_wheel("triton", "3.1", folder=folder)
    make_wheel("later", files={"later/__init__.py": "", "later/tests/a.py": ""}, folder=folder)
    return folder


@pytest.fixture
def new(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Captain]]:
    monkeypatch.setenv("COFFEE_BOAT_PREFLIGHT", "warn")
    made: list[Captain] = []

    def make(**more: Any) -> Captain:
        made.append(
            Captain(
                ship_python=False,
                offline=True,
                find_links=[str(wheels)],
                store=tmp_path / "store",
                **more,
            )
        )
        return made[-1]

    yield make
    for captain in made:
        captain.close()


def packed(wheel: Path, store: Store, *exclude: str) -> dict[str, bytes]:
    """What is in the chunk of a wheel: name below site-packages, or else of all -> content."""
    name, version = wheel.name.split("-")[:2]
    pin, target = Pin(name, version, filename=wheel.name), Target("3.11.7")
    chunk = pip_chunks.wheel_chunk(wheel, pin, target, store, exclude)
    found = {}
    with tarfile.open(chunks.chunk_path(store, chunk)) as entries:
        for entry in entries:
            content = entries.extractfile(entry) if entry.isfile() else None
            if content is not None:
                found[entry.name.removeprefix(SITE)] = content.read()
    return found


def gone(wheel: Path, store: Store, *exclude: str) -> set[str]:
    return packed(wheel, store).keys() - packed(wheel, store, *exclude).keys()


def codes(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {finding.code: finding.value for finding in findings}


def in_archive(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as entries:
        files = ((entry.name, entries.extractfile(entry)) for entry in entries if entry.isfile())
        return {name: content.read() for name, content in files if content is not None}


# which files


@pytest.mark.parametrize(
    ("word", "left"),
    [
        (
            "tests",
            {
                *("demo/tests/__init__.py", "demo/tests/test_core.py", "demo/tests/data/large.csv"),
                "demo/sub/test/test_it.py",
            },
        ),
        ("stubs", {"demo/core.pyi"}),
        ("headers", {"demo/include/demo.h", "demo/core.pxd", "include/python3.11/demo/demo.h"}),
        ("static-libraries", {"demo/libdemo.a"}),
        ("*.csv", {"demo/tests/data/large.csv"}),
        ("demo/sub/", {"demo/sub/test/test_it.py", "demo/sub/__init__.py"}),
        ("/demo/core.*", {"demo/core.py", "demo/core.pyi", "demo/core.pxd"}),
        ("bin/", {"bin/demo-tool"}),
        ("licenses/", set()),  # metadata stays
        ("demo", set()),  # a package, not a file of it
    ],
)
def test_what_each_word_leaves_behind(
    word: str, left: set[str], wheels: Path, store: Store
) -> None:
    assert gone(wheels / "demo-1.0-py3-none-any.whl", store, word) == left


def test_record_has_no_row_of_what_is_left_out_and_metadata_stays_whole(
    wheels: Path, store: Store
) -> None:
    wheel = wheels / "demo-1.0-py3-none-any.whl"
    found = packed(wheel, store, "tests", "headers", "static-libraries", "stubs", "**/*", "*")
    assert {name for name in found if ".dist-info/" not in name} == set()
    rows = csv.reader(io.StringIO(found["demo-1.0.dist-info/RECORD"].decode()))
    assert {row[0] for row in rows} == found.keys()
    assert "demo-1.0.dist-info/licenses/tests/LICENSE" in found
    assert {name for name in packed(wheel, store) if ".dist-info/" in name} == found.keys()


def test_a_package_that_is_called_tests_itself_stays(make_wheel: MakeWheel, store: Store) -> None:
    files = {"tests/__init__.py": "", "tests/test_a.py": "", "tests/tests/test_b.py": ""}
    wheel = make_wheel("tests-of-all", files=files)
    pin, target = Pin("tests-of-all", "1.0", filename=wheel.name), Target("3.11.7")
    chunk = pip_chunks.wheel_chunk(wheel, pin, target, store, ("tests",))
    assert chunk.left_out == ()
    assert {f"{SITE}{name}" for name in files} <= chunks.listing(chunk, store).keys()


@pytest.mark.parametrize(
    "how",
    [
        "from demo.tests import kept",
        "from demo.tests.kept import this",
        "from .tests import (\n    other,\n    kept,\n)",
        "import demo.tests.kept as it",
        "import importlib\nimportlib.import_module('demo.tests.kept')",
        "import importlib\nimportlib.import_module('.tests.kept', __package__)",
        "def later():\n    from . tests.kept import that",
    ],
)
def test_a_module_of_tests_that_the_package_imports_stays_and_what_that_imports(
    how: str, make_wheel: MakeWheel, store: Store
) -> None:
    wheel = make_wheel(
        files={
            "demo/__init__.py": how,
            "demo/tests/__init__.py": "",
            "demo/tests/kept.py": "from . import base\n",
            "demo/tests/base.py": "",
            "demo/tests/test_demo.py": "import demo\n",
        }
    )
    assert gone(wheel, store, "tests") == {"demo/tests/test_demo.py"}


def test_a_module_of_tests_that_an_entry_point_names_stays(
    make_wheel: MakeWheel, store: Store
) -> None:
    files = {"demo/__init__.py": "", "demo/tests/run.py": "", "demo/tests/test_a.py": ""}
    wheel = make_wheel(files=files, console_scripts={"demo-test": "demo.tests.run:main"})
    assert gone(wheel, store, "tests") == {"demo/tests/test_a.py"}


def test_what_another_python_reads_is_left_whole(make_wheel: MakeWheel, store: Store) -> None:
    files = {"demo/__init__.py": "import demo.tests.a\nprint 'py2'\n", "demo/tests/a.py": ""}
    assert gone(make_wheel(files=files), store, "tests") == set()


def test_a_folder_called_test_stays_unless_it_has_tests(
    make_wheel: MakeWheel, store: Store
) -> None:
    files = {
        "demo/test/__init__.py": "",  # as django.test, which is for whoever writes tests
        "demo/test/client.py": "",
        "demo/own/test/deep/test_a.py": "",
        "demo/own/test/data.txt": "",
    }
    left = gone(make_wheel(files=files), store, "tests")
    assert left == {"demo/own/test/deep/test_a.py", "demo/own/test/data.txt"}


def test_a_stub_that_modules_are_loaded_by_stays(make_wheel: MakeWheel, store: Store) -> None:
    files = {
        "demo/__init__.py": "import lazy_loader\n_, _, _ = lazy_loader.attach_stub('', '')\n",
        "demo/__init__.pyi": "from .core import a\n",
        "demo/core.py": "a = 1\n",
        "demo/core.pyi": "a: int\n",
    }
    assert gone(make_wheel(files=files), store, "stubs") == {"demo/core.pyi"}


# keys and bytes


def test_who_excludes_nothing_has_the_same_chunks_as_before(wheels: Path, store: Store) -> None:
    wheel = wheels / "demo-1.0-py3-none-any.whl"
    pin, target = Pin("demo", "1.0", filename=wheel.name, sha256="0" * 64), Target("3.11.7")
    whole = pip_chunks.wheel_chunk(wheel, pin, target, store)
    assert whole.left_out == ()
    named = pip_chunks.wheel_chunk(wheel, pin, target, store, ("triton",))
    assert named == whole, "a name decides no bytes of other packages"
    less = pip_chunks.wheel_chunk(wheel, pin, target, store, ("tests",))
    assert less.id != whole.id
    size = sum(len(text) for name, text in FILES.items() if "/test" in name)
    assert less.left_out == (LeftOut("tests", 4, size),)
    assert pip_chunks.recall_wheel(pin, target, store) == whole
    assert pip_chunks.recall_wheel(pin, target, Store(store.root), exclude=("tests",)) == less
    kept = [json.loads(path.read_text()) for path in store.path("keys", "chunk").iterdir()]
    assert sum("left_out" in str(value) for value in kept) == 1


def test_a_lock_without_exclude_has_the_digest_that_it_had() -> None:
    lock = Lock(Target("3.11.7"), (Pin("demo", "1.0"),))
    assert lock.digest == DIGEST
    assert replace(lock, exclude=("tests",)).digest != DIGEST


# whole packages, and words that found nothing


def test_a_package_that_is_needed_and_excluded_is_told_and_not_sent(
    new: Callable[..., Captain], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captain = new(exclude=["Triton", "tests"]).add_pip_packages("user")
    archive = captain.pack(tmp_path / "env.tar.gz")
    assert captain.lock is not None
    assert [pin.name for pin in captain.lock.pins] == ["demo", "user"]
    files = in_archive(tmp_path / "env.tar.gz")
    assert not [name for name in files if "triton" in name or "/tests/test_" in name]
    assert json.loads(files["boat.json"])["exclude"] == ["tests", "triton"]
    assert codes(captain.lock.findings) == {
        "lock.excluded-needed": "triton 3.1 (needed by another package)"
    }
    assert archive.findings == ()
    assert "stay behind, as exclude says" in capsys.readouterr().err
    again = new(exclude=["triton"]).add_pip_packages("triton").plan()
    assert codes(again.findings) == {"lock.excluded-needed": "triton 3.1 (asked for)"}
    assert again.left_out[0].rule == "triton"


def test_words_that_find_nothing_are_told(new: Callable[..., Captain], tmp_path: Path) -> None:
    words = ["test", "nowhere/*.bin", "stubs", "*.csv"]
    captain = new(exclude=words).add_pip_packages("later", "demo")
    archive = captain.pack(tmp_path / "env.tar.gz")
    assert captain.lock is not None
    said = codes((*captain.lock.findings, *archive.findings))
    assert said == {
        "lock.exclude-found-nothing": "test",
        "build.exclude-found-nothing": "nowhere/*.bin",
    }
    assert captain.lock.findings[0].cure == 'did you mean "tests"?'


# settings


@pytest.mark.parametrize(
    "word", ["a==1", "!demo/tests", "#/x", "Python", "", "a\nb/*", "-x"], ids=repr
)
def test_what_is_no_word_is_refused(word: str, new: Callable[..., Captain]) -> None:
    with pytest.raises(SettingsError) as caught:
        new(exclude=[word])
    assert caught.value.code in ("settings.exclude-invalid", "settings.value-invalid")


def test_it_is_said_in_all_places_of_settings(
    new: Callable[..., Captain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rules(**more: Any) -> list[str]:
        return [one.rule for one in new(**more).add_pip_packages("demo").plan().left_out]

    monkeypatch.chdir(tmp_path)
    text = '[tool.coffee_boat]\nexclude = ["stubs", "*.csv"]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    assert sorted(rules()) == ["*.csv", "stubs"]
    monkeypatch.setenv("COFFEE_BOAT_EXCLUDE", "headers, demo/sub/")
    assert sorted(rules()) == ["demo/sub/", "headers"]
    assert rules(exclude=["static-libraries"]) == ["static-libraries"]


def test_a_plan_tells_what_it_saves_before_and_after_it_was_packed(
    wheels: Path, tmp_path: Path
) -> None:
    words = [
        *("--no-ship-python", "--offline", "--find-links", str(wheels)),
        *("--store", str(tmp_path / "store"), "--pip", "demo", "--exclude", "tests"),
    ]
    size = sum(len(text) for name, text in FILES.items() if "/test" in name)

    def told() -> tuple[list[Any], str]:
        done = CliRunner().invoke(boat, ["plan", "--json", *words])
        assert done.exit_code == 0, done.output
        text = CliRunner().invoke(boat, ["plan", *words]).stdout
        return json.loads(done.stdout)["left_out"], text

    saved = [{"rule": "tests", "files": 4, "size": size}]
    before, text = told()
    assert before == saved
    assert f"exclude leaves behind tests: {size} B in 4 files" in text
    done = CliRunner().invoke(boat, ["pack", *words, "-o", str(tmp_path / "env.tar.gz")])
    assert done.exit_code == 0, done.output
    assert told()[0] == saved


# conda


def test_conda_packages_leave_the_same_behind(tmp_path: Path) -> None:
    pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")
    pytest.importorskip("conda_pack", reason="needs conda-pack: pip install coffee_boat[conda]")
    from conda_channel import MINOR, File, Package, fill, lock_of

    from coffee_boat.conda import chunks as conda_chunks
    from coffee_boat.conda.install import Source

    site = f"lib/python{MINOR}/site-packages/"
    names = ["demo/__init__.py", "demo/tests/test_a.py", "demo/a.pyi", "demo-1.0.dist-info/RECORD"]
    rows = [*names, "demo/tests/__pycache__/test_a.pyc", "../../../bin/demo-tool"]
    files = {f"{site}{name}": File(b"") for name in names}
    files[f"{site}{names[-1]}"] = File("".join(f"{row},,\n" for row in rows).encode())
    files |= {"bin/demo-tool": File(b"x"), "include/demo.h": File(b"12"), "lib/a.a": File(b"123")}
    files |= {"share/doc/demo.txt": File(b"1234")}
    channel = fill(tmp_path / "own", Package("demo", "1.0", "0", noarch="generic", files=files))
    whole = lock_of([channel], "demo")
    store = Store(tmp_path / "store")

    def made(*exclude: str) -> tuple[set[str], str, dict[str, tuple[int | None, int | None]]]:
        lock = replace(whole, exclude=exclude)
        (chunk,) = conda_chunks.conda_chunks(lock, store, source=Source(), say=lambda _: None)
        assert conda_chunks.recall_package(whole.conda[0], whole.target, store, exclude) == chunk
        with tarfile.open(chunks.chunk_path(store, chunk)) as entries:
            record = entries.extractfile(f"{site}{names[-1]}")
            assert record is not None
            left = {one.rule: (one.files, one.size) for one in chunk.left_out}
            return set(chunks.listing(chunk, store)), record.read().decode(), left

    everything, record, left = made()
    assert (record, left) == ("".join(f"{row},,\n" for row in rows), {})
    some, record, left = made("headers", "share/doc/", "static-libraries", "stubs", "tests")
    prefixed = {f"{site}{name}" for name in names[1:3]}
    out = {*prefixed, "include/demo.h", "lib/a.a", "share/doc/demo.txt"}
    assert {name for name in everything - some if "lib/coffee_boat/" not in name} == out
    stay = ["demo/__init__.py", "demo-1.0.dist-info/RECORD", "../../../bin/demo-tool"]
    assert record == "".join(f"{row},,\n" for row in stay)
    assert left == {
        "headers": (1, 2),
        "share/doc/": (1, 4),
        "static-libraries": (1, 3),
        "stubs": (1, 0),
        "tests": (1, 0),
    }


# lock files and sessions


def test_a_lock_file_says_it_and_who_takes_it_leaves_the_same_out(
    new: Callable[..., Captain], tmp_path: Path
) -> None:
    captain = new(exclude=["tests", "*.csv"]).add_pip_packages("demo")
    captain.plan()
    assert captain.lock is not None
    text = lockfile.text_of(captain.lock)
    file = tmp_path / "pylock.toml"
    file.write_text(text)
    other = new(exclude=["stubs"]).add_lock(file)
    other.pack(tmp_path / "env.tar.gz")
    assert other.lock is not None
    assert other.lock.exclude == ("*.csv", "stubs", "tests")
    assert not [
        name
        for name in in_archive(tmp_path / "env.tar.gz")
        if "demo/tests/" in name or ".pyi" in name
    ]
    same = ["lock", "--check", "-o", str(file), "--pip", "demo", "--no-ship-python", "--offline"]
    same += ["--find-links", str(tmp_path / "wheelhouse"), "--store", str(tmp_path / "store")]
    said = CliRunner().invoke(boat, [*same, "--exclude", "*.csv", "--exclude", "tests"])
    assert said.exit_code == 0, said.output
    assert CliRunner().invoke(boat, same).exit_code == 1
    file.write_text(text.replace('"*.csv"', '"!a/b"'))
    with pytest.raises(LockError) as caught:
        new().add_lock(file)
    assert caught.value.code == "lock.exclude-invalid"


def test_what_is_added_to_a_session_leaves_the_same_out(
    new: Callable[..., Captain],
    context: Callable[[str], Any],  # noqa: F811
    tmp_path: Path,
) -> None:
    captain = new(exclude=["tests", "triton"]).add_pip_packages("demo").launch_ship()
    running = context("local[1]")
    captain.add_pip_packages("later", "user", wait=0.0)
    assert captain.lock is not None
    assert captain.lock.exclude == ("tests", "triton")
    assert [pin.name for pin in captain.lock.pins] == ["demo", "later", "user"]
    layer = in_archive(Path(running.archives[-1].partition("#")[0].removeprefix("file://")))
    assert not [name for name in layer if "/tests/" in name or "triton" in name]
    assert any(name.endswith("later/__init__.py") for name in layer)
    assert json.loads(layer["boat.json"])["exclude"] == ["tests", "triton"]
    kept = record.recall(
        Store(tmp_path / "store"), "app-1", {record.LOCK: captain.generations[1].lock.digest}
    )
    assert kept is not None
    assert kept.current.lock.exclude == ("tests", "triton")
