"""Generations of a session: what they are composed of, and how executors compose them.

What real Spark does with them: integration/test_generations.py.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from small_packages import wheel
from test_launch import home, spark  # noqa: F401  fixtures
from test_sessions import context, new  # noqa: F401  fixtures
from test_worker import MINOR, SITE, Node

from coffee_boat import Captain, LaunchError, LockError, RequirementError
from coffee_boat._support.store import Store
from coffee_boat.archive import chunks
from coffee_boat.interpreter import generation
from coffee_boat.interpreter.generation import Composition
from coffee_boat.model import (
    Archive,
    Chunk,
    Difference,
    Generation,
    History,
    Holding,
    Lock,
    Part,
    Pin,
    Target,
)
from coffee_boat.worker import compose, finder, prefix
from coffee_boat.worker.starter import locks
from coffee_boat.worker.startup import NODE_PYTHON
from coffee_boat.workflow import composing, rechoose

PATH_MAX = 4096
"""Of Linux: longer ones can be made, and not be listed."""
LOCK = Lock(Target(f"{MINOR}.0"))


def pinned(name: str, version: str, *requires: str, requested: bool = True) -> Pin:
    file = f"{name}-{version}-py3-none-any.whl"
    return Pin(
        name,
        version,
        filename=file,
        url=f"https://x.org/{file}",
        sha256=f"{name}{version}".encode().hex().ljust(64, "0")[:64],
        requires=requires,
        requested=requested,
    )


def locked(*pins: Pin) -> Lock:
    return replace(LOCK, pins=tuple(sorted(pins, key=lambda pin: pin.name)))


# on a node


class Executor(Node):
    """A node whose base has an interpreter, and what arrived beside it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.store = Store(folder / "store")
        self.prefix.rename(self.workdir / "boat-base")
        self.prefix = self.workdir / "boat-base"
        self.site = self.prefix / SITE
        (self.prefix / "bin").mkdir(exist_ok=True)
        stub = f'#!/bin/sh\nprefix=$(dirname "$(dirname "$0")") exec {sys.executable} "$@"\n'
        (self.prefix / f"bin/python{MINOR}").write_text(stub)
        (self.prefix / f"bin/python{MINOR}").chmod(0o755)
        self.package("base", "old", "1.0", {"old.py": "v = 1", "pack/__init__.py": ""})
        self.package("base", "stays", "1.0", {"stays.py": "", "shared/here.txt": ""})

    def package(self, part: str, name: str, version: str, files: Mapping[str, str]) -> list[str]:
        """Files of one package in a part; their names, as in an archive."""
        root = self.workdir / f"boat-{part}"
        info = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        named = {**files, f"{info}/METADATA": metadata}
        for path, text in named.items():
            (root / SITE / path).parent.mkdir(parents=True, exist_ok=True)
            (root / SITE / path).write_text(text)
        (root / "boat.json").write_text("{}")
        return [f"{SITE}/{path}" for path in named]

    def arrives(self, made: Composition, *, has_python: bool = True) -> Path:
        """What is sent of a generation, unpacked; its folder."""
        archive = generation.build(made, LOCK, has_python=has_python, inputs=(), store=self.store)
        with tarfile.open(archive.path) as entries:
            more = {"filter": "fully_trusted"} if sys.version_info >= (3, 12) else {}
            entries.extractall(self.workdir / archive.name, **more)  # type: ignore[arg-type]
        return self.workdir / archive.name

    def starts(self, folder: Path, code: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Spark starts the interpreter of a generation."""
        return subprocess.run(
            [f"./{folder.name}/bin/python{MINOR}", "-I", "-S", "-c", code],
            cwd=self.workdir,
            env={"PATH": os.environ["PATH"], **env},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def executor(tmp_path: Path) -> Executor:
    return Executor(tmp_path)


def upgraded(executor: Executor) -> Composition:
    """`old` 2.0 in place of 1.0; `pack`, which was in 1.0, is gone."""
    executor.package("part-2", "old", "2.0", {"old.py": "v = 2", "new/data.txt": ""})
    gone = ["old.py", "pack/__init__.py", "old-1.0.dist-info/METADATA"]
    files = tuple(f"{SITE}/{name}" for name in gone)
    return Composition("boat-base", ("boat-part-2",), (("boat-base", files),), ("boat-part-2",))


SEEN = f"""
import os
root = os.environ["prefix"]
site = os.path.join(root, {SITE!r})
print(sorted(os.listdir(site)), open(os.path.join(site, "old.py")).read(), root)
"""


def test_an_upgrade_is_a_complete_folder_without_what_went(executor: Executor) -> None:
    cache = executor.site / "__pycache__"
    cache.mkdir()
    for module in ("old", "stays"):
        (cache / f"{module}.cpython-{MINOR.replace('.', '')}.pyc").write_bytes(b"")
    folder = executor.arrives(upgraded(executor))
    said = executor.starts(folder, SEEN)
    assert said.stderr == ""
    site = folder / "env" / SITE
    assert said.stdout.split("] ")[1] == f"v = 2 {folder}/env\n"
    assert not (site / "pack").exists(), "a folder that stays empty would be a package"
    assert not (site / "old-1.0.dist-info").exists()
    assert (site / "old-2.0.dist-info/METADATA").is_file()
    assert (site / "new/data.txt").is_file()
    assert [path.name for path in (site / "__pycache__").iterdir()] == [
        f"stays.cpython-{MINOR.replace('.', '')}.pyc"
    ], "what was compiled of a source that went has the new one's time, and may have its size"
    assert (site / "stays.py").samefile(executor.site / "stays.py")
    assert (executor.site / "old.py").read_text() == "v = 1", "the base is as it was"


def test_where_nothing_is_to_be_changed_the_base_runs_and_layers_that_came_since_are_hidden(
    executor: Executor,
) -> None:
    executor.layer("late", {"late.py": ""})
    folder = executor.arrives(Composition("boat-base", known=("boat-layer-late",)))
    code = f"""
import os, sys
print(os.environ["prefix"])
sys.path.insert(0, {str(executor.site)!r})
import coffee_boat_worker.finder as finder
finder.install()
try:
    import late
    print("late")
except ImportError:
    print("not there")
"""
    said = executor.starts(folder, code)
    assert said.stdout.split("\n")[:2] == [str(executor.prefix), "not there"], said.stderr
    executor.layer("later", {"late.py": ""})
    assert executor.starts(folder, code).stdout.split("\n")[1] == "late"


def test_what_was_added_to_a_generation_is_for_its_processes_alone(executor: Executor) -> None:
    folder = executor.arrives(Composition("boat-base", known=("boat-layer-1",)))
    digits = folder.name.rpartition("-")[2]
    executor.layer(f"2-{digits}", {"late.py": ""})
    code = f"""
import sys
sys.path.insert(0, {str(executor.site)!r})
import coffee_boat_worker.finder as finder
finder.install()
try:
    import late
    print("late")
except ImportError:
    print("not there")
"""
    assert executor.starts(folder, code).stdout == "late\n"
    other = executor.arrives(Composition("boat-base", known=()))
    assert executor.starts(other, code).stdout == "not there\n"
    words = [sys.executable, "-I", "-S", "-c", code]
    plain = {"PATH": os.environ["PATH"]}
    said = subprocess.run(
        words, cwd=executor.workdir, env=plain, capture_output=True, text=True, check=True
    )
    assert said.stdout == "not there\n", "an earlier one has other versions of what it needs"


def test_files_of_conda_packages_that_were_written_for_the_base_are_so_in_what_is_composed(
    executor: Executor, capfd: pytest.CaptureFixture[str]
) -> None:
    placeholder = "/placeholder"
    packed = f"#!{placeholder}/bin/python\n".encode()
    entry = {
        "path": "bin/tool",
        "placeholder": placeholder,
        "mode": "text",
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    record = json.dumps({"prefixed": [entry]}).encode()
    digest = hashlib.sha256(record).hexdigest()
    lists = executor.prefix / prefix.RECORDS
    lists.mkdir(parents=True)
    (lists / f"{digest}.json").write_bytes(record)
    (executor.prefix / "bin/tool").write_bytes(packed)
    (executor.prefix / "boat.json").write_text(json.dumps({"records": [digest]}))
    assert prefix.settle(str(executor.prefix)) == []
    folder = executor.arrives(upgraded(executor))
    (folder / "boat.json").write_text(json.dumps({"records": [digest]}))
    executor.starts(folder, SEEN)
    root = folder / "env"
    assert prefix.settle(str(root)) == []
    assert prefix.unsettled(str(root)) == []
    assert (root / "bin/tool").read_text() == f"#!{executor.prefix}/bin/python\n"
    assert capfd.readouterr().err == ""


def test_processes_that_start_at_once_compose_one_environment(executor: Executor) -> None:
    folder = executor.arrives(upgraded(executor))
    program = [f"./{folder.name}/bin/python{MINOR}", "-I", "-S", "-c", SEEN]
    started = [
        subprocess.Popen(program, cwd=executor.workdir, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = {one.communicate()[0] for one in started}
    assert len(said) == 1
    assert not [*folder.glob("env.*")]


def test_what_no_process_runs_from_is_removed_when_another_generation_starts(
    executor: Executor,
) -> None:
    kept, plain = executor.arrives(upgraded(executor)), executor.arrives(Composition("boat-base"))
    executor.starts(kept, "")
    waits = [str(kept / "env/bin" / f"python{MINOR}"), "-I", "-S", "-c", "input()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, env={compose.RUNS: str(kept)}) as process:
        executor.starts(plain, "")
        assert (kept / "env").is_dir()
        process.communicate(b"\n")
    executor.starts(plain, "")
    assert not (kept / "env").exists()
    assert "v = 2" in executor.starts(kept, SEEN).stdout, "it is made again"


def test_what_it_is_composed_of_in_a_folder_of_the_node_stays_while_it_runs(
    executor: Executor,
) -> None:
    """Also for a process that finds it composed."""
    folder = executor.arrives(upgraded(executor))
    there = executor.workdir.with_name("coffee_boat-node-0")
    names = ("boat-base", "boat-part-2")
    for name in names:
        (there / name).mkdir(parents=True)
        (executor.workdir / name).rename(there / name / "tree")
        (executor.workdir / name).symlink_to(there / name / "tree")

    def free(name: str) -> bool:
        with locks.Lock(str(there / f"{name}.lock")) as lock:
            return lock.hold_alone()

    program = [f"./{folder.name}/bin/python{MINOR}", "-I", "-S", "-c", "print(); input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    for _ in range(2):
        with subprocess.Popen(program, cwd=executor.workdir, **pipes) as process:  # type: ignore[call-overload]
            assert process.stdout.readline() == b"\n"
            assert not any(map(free, names))
            process.communicate(b"\n")
        assert all(map(free, names))
    shutil.rmtree(there / "boat-part-2" / "tree")
    executor.starts(folder, SEEN)
    assert not (folder / "env").exists(), "what is gone is not run from"


def test_where_links_are_refused_each_file_is_a_symbolic_link_and_the_interpreter_a_copy(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.chdir(executor.workdir)
    (executor.prefix / "lib/alias").symlink_to(f"python{MINOR}")
    folder = executor.arrives(upgraded(executor))
    root = Path(compose.compose(str(folder), compose.read(str(folder))))
    assert (root / SITE / "stays.py").readlink() == executor.site / "stays.py"
    assert (root / SITE / "old.py").read_text() == "v = 2"
    assert (root / "lib/alias").readlink() == Path(f"python{MINOR}")
    interpreter = root / f"bin/python{MINOR}"
    assert not interpreter.is_symlink()
    assert os.access(interpreter, os.X_OK)


def test_an_executor_that_cannot_compose_says_why_and_does_not_start(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = executor.arrives(upgraded(executor))
    (folder / "env").write_text("in the way")
    said = executor.starts(folder, SEEN)
    assert said.returncode == 1
    assert said.stdout == ""
    assert f"coffee_boat: {folder} cannot be composed: Not a directory" in said.stderr
    assert not (folder / "env.aside").exists()
    monkeypatch.chdir(executor.workdir)
    assert "cannot be composed: Not a directory" in compose.try_here(folder.name)
    (folder / "env").unlink()
    assert compose.try_here(folder.name) == ""
    assert compose.try_here("boat-gen-0") == f"boat-gen-0 did not arrive in {executor.workdir}"
    (executor.workdir / "boat-part-2/boat.json").unlink()
    (folder / "env/boat.json").unlink()
    assert "it is not here, or not unpacked to its end: boat-part-2" in compose.try_here(
        folder.name
    )


def test_a_folder_that_cannot_be_listed_is_not_left_out(executor: Executor) -> None:
    folder = executor.arrives(upgraded(executor))
    place = os.open(executor.site, os.O_RDONLY)
    for _ in range(PATH_MAX // 200 + 1):
        os.mkdir("x" * 200, dir_fd=place)
        place, above = os.open("x" * 200, os.O_RDONLY, dir_fd=place), place
        os.close(above)
    os.close(place)
    said = executor.starts(folder, SEEN)
    assert said.returncode == 1
    assert "cannot be composed: File name too long: " in said.stderr
    assert not (folder / "env").exists()


def test_a_starting_python_takes_the_newest_generation_that_is_there(executor: Executor) -> None:
    old = executor.arrives(Composition("boat-base"))
    newer = executor.arrives(upgraded(executor))
    start = f"import site, os; site.addsitedir({str(executor.site)!r}); print('the base goes on')"
    names = [f"./{one}/bin/python{MINOR}" for one in ("boat-gen-absent", old.name, newer.name)]

    def runs(*named: str) -> str:
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", start],
            cwd=executor.workdir,
            env={"PATH": os.environ["PATH"], "COFFEE_BOAT_BASE": ":".join(named)},
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    log = executor.workdir / "log"
    for one in (old, newer):
        (one / f"bin/python{MINOR}").write_text(f"#!/bin/sh\necho {one.name} >> {log}\n")
    assert runs(names[0]) == "the base goes on\n"
    assert runs(*names) == ""
    assert runs(names[0], names[2], names[1]) == ""
    assert log.read_text().split() == [old.name, newer.name]


def test_the_nodes_own_interpreter_finds_the_packages_of_the_generation(executor: Executor) -> None:
    folder = executor.arrives(upgraded(executor), has_python=False)
    code = "import os; print(os.environ['PYTHONPATH'])"
    said = subprocess.run(
        [f"./{folder.name}/bin/python{MINOR}", "-c", code],
        cwd=executor.workdir,
        env={
            "PATH": os.environ["PATH"],
            NODE_PYTHON: sys.executable,
            "PYTHONPATH": f"./boat-base/{SITE}:/elsewhere",
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == f"{folder}/env/{SITE}:/elsewhere\n"


def test_the_files_that_are_used_by_themselves_name_the_same_variables() -> None:
    assert finder.RUNS == compose.RUNS
    assert NODE_PYTHON == compose.NODE_PYTHON


def test_an_addition_is_seen_from_another_directory_and_by_what_a_task_starts(
    executor: Executor, tmp_path: Path
) -> None:
    executor.layer("1", {"late.py": "value = 7"})
    site = str(executor.site)
    child = f"import site; site.addsitedir({site!r}); import late; print(late.value)"
    code = (
        f"import site, os, subprocess, sys; site.addsitedir({site!r});"
        f" os.chdir({str(tmp_path)!r}); import late; print(late.value, flush=True);"
        f" subprocess.run([sys.executable, '-I', '-S', '-c', {child!r}], cwd='/')"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=executor.workdir,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout == "7\n7\n", said.stderr


def test_where_a_file_system_knows_no_locks_one_whole_environment_counts(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads stand for processes: each composes aside, under its own name."""

    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.chdir(executor.workdir)
    for number in range(300):
        (executor.site / f"more{number}.py").write_text("")
    folder = executor.arrives(upgraded(executor))
    monkeypatch.setattr("fcntl.flock", unknown)
    pids = iter(range(100, 200))
    monkeypatch.setattr(os, "getpid", lambda: next(pids))
    with ThreadPoolExecutor(4) as pool:
        said = [*pool.map(compose.try_here, [folder.name] * 4)]
    assert said == [""] * 4
    assert len([*(folder / "env" / SITE).glob("more*.py")]) == 300
    assert [path.name for path in folder.glob("env*")] == ["env"]


def test_without_the_list_of_what_is_hidden_no_layer_is_seen(
    executor: Executor, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = executor.arrives(upgraded(executor))
    (folder / "generation.json").write_text("{")
    monkeypatch.setenv(compose.RUNS, str(folder))
    assert compose.hidden() is None
    assert "cannot be read, so no package that was added is seen" in capfd.readouterr().err


def test_a_working_directory_that_is_gone_leaves_the_finder_there(executor: Executor) -> None:
    gone = executor.workdir / "gone"
    gone.mkdir()
    code = (
        f"import os, site, sys; os.rmdir({str(gone)!r}); os.environ['COFFEE_BOAT_BASE'] = './x/y';"
        f" site.addsitedir({str(executor.site)!r});"
        " print([type(one).__name__ for one in sys.meta_path][-1])"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=gone,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout == "LayerFinder\n", said.stderr


# what is composed of what


def part(folder: str, *pins: Pin, base: str = "") -> Part:
    return Part(
        folder, tuple(Holding(p.name, p.identity, (f"{p.name}-{p.version}",)) for p in pins), base
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """That knows the files of the packages below."""
    store = Store(tmp_path / "store")
    for name, files in {
        "a-1": ["a.py", "both.txt"],
        "a-2": ["a.py", "more.py"],
        "b-1": ["b.py", "both.txt"],
        "c-1": ["c.py"],
    }.items():
        store.remember("listing", name, dict.fromkeys(files, ""))
    return store


def test_a_generation_is_composed_of_what_was_sent(store: Store) -> None:
    a1, a2, b1, c1 = (pinned(*said.split()) for said in ("a 1", "a 2", "b 1", "c 1"))
    base = part("boat-1", a1, b1, base="some digest")
    parts = [base, part("boat-layer-2", c1), part("boat-part-3", a2)]
    made = composing.composition(locked(a2, b1), parts, store)
    assert made == Composition("boat-1", ("boat-part-3",), (("boat-1", ("a.py",)),))
    assert made.known == ("boat-layer-2", "boat-part-3")
    assert not made.is_base
    back = composing.composition(locked(a1, b1), parts, store)
    assert (back.is_base, back.known) == (True, made.known)
    bases = [base, part("boat-4", a1, b1, c1, base="other"), part("boat-5", a1, base="third")]
    assert composing.composition(locked(a1, b1, c1), bases, store).base == "boat-4"
    assert composing.composition(locked(a1, b1), bases, store).base == "boat-1"
    only = composing.composition(locked(c1), parts, store)
    assert only == Composition(
        "boat-1", ("boat-layer-2",), (("boat-1", ("a.py", "b.py", "both.txt")),)
    )
    with pytest.raises(LaunchError, match="a==3") as error:
        composing.composition(locked(pinned("a", "3")), parts, store)
    assert error.value.code == "session.parts-unknown"


def test_a_layer_whose_libraries_load_those_of_another_package_is_composed(store: Store) -> None:
    def layer(*needs: str) -> Archive:
        chunk = Chunk("d-1", 1, 1, 1, label="d 1")
        store.remember("listing", "d-1", {f"{SITE}/d/libd.so": ""})
        store.remember("needs", [chunks.FORMAT, "d-1"], {"x86_64": dict.fromkeys(needs, "libd.so")})
        return Archive("d" * 64, "", 1, (chunk,), LOCK.target, "", has_python=False, role="layer")

    store.remember("listing", "a-1", {f"{SITE}/a/lib/libdeep.so.1": ""})
    before = [part("boat-1", pinned("a", "1"), pinned("c", "1"), base="digest")]
    assert composing.leans(layer("libdeep.so.1", "libc.so.6"), before, store)
    assert not composing.leans(layer("libodbc.so.2", "libc.so.6", "libd.so"), before, store)


def test_a_layer_with_modules_of_a_package_that_was_sent_before_is_composed(store: Store) -> None:
    def layer(*files: str) -> Archive:
        store.remember("listing", files[0], {f"{SITE}/{file}": "" for file in files})
        chunk = Chunk(files[0], 1, 1, 1, label="d 1")
        return Archive("d" * 64, "", 1, (chunk,), LOCK.target, "", has_python=False, role="layer")

    for name, files in {"a-1": ["one/__init__.py", "some/x.py"], "c-1": ["c.py"]}.items():
        store.remember("listing", name, {f"{SITE}/{file}": "" for file in files})
    before = [part("boat-1", pinned("a", "1"), pinned("c", "1"), base="digest")]
    assert composing.extends(layer("one/two.py"), before, store)
    assert composing.extends(layer("some/__init__.py"), before, store)
    assert not composing.extends(layer("some/y.py", "other/__init__.py"), before, store)
    assert not composing.extends(layer("one.py", "c.py"), before, store)


def test_what_is_removed_takes_along_what_only_it_needed() -> None:
    app = pinned("app", "1", "lib", "tool")
    lib = pinned("lib", "1", "leaf", requested=False)
    leaf, tool = (pinned(name, "1", requested=False) for name in ("leaf", "tool"))
    other = pinned("other", "1", "tool")
    aboard = locked(app, lib, leaf, tool, other)
    left = rechoose.without(aboard, {"app"})
    assert [pin.name for pin in left.pins] == ["other", "tool"]
    with pytest.raises(LockError) as refused:
        rechoose.without(aboard, {"leaf"})
    assert refused.value.code == "lock.needed-by-others"
    assert refused.value.value == "leaf is needed by lib"
    assert "captain.remove_pip_packages('leaf', 'lib')" in refused.value.cure
    with pytest.raises(RequirementError, match="not installed") as absent:
        rechoose.without(aboard, {"sklearn"})
    assert absent.value.value == "sklearn"


def test_what_a_lock_without_wishes_has_stays_but_for_what_is_named() -> None:
    pins = [pinned(name, "1", requested=False) for name in ("a", "b", "c")]
    assert [p.name for p in rechoose.without(locked(*pins), {"b"}).pins] == ["a", "c"]


def test_a_difference_tells_versions_and_other_content() -> None:
    a1, a2, b1, c1 = (pinned(*said.split()) for said in ("a 1", "a 2", "b 1", "c 1"))
    other = replace(b1, sha256="f" * 64)
    found = Difference.between(locked(a1, b1), locked(a2, other, c1))
    assert found.summary == "+c 1, a 1 -> 2, b 1 -> 1, other content"
    assert [pin.name for pin in found.arriving] == ["c", "a", "b"]
    assert str(Difference.between(locked(a1), locked(a1))) == "no difference"
    assert "<td" in found._repr_html_()


def test_generations_are_a_table() -> None:
    a1, a2 = pinned("a", "1"), pinned("a", "2")
    when = datetime(2026, 2, 28, 23, 59, 59)
    first = Generation("./boat-1/bin/python3", locked(a1), locked(a1))
    history = History((first,)).then(
        replace(first, lock=locked(a2), why="upgrade a", when=when.timestamp())
    )
    history = history.told(2, ["1"], ["2"])
    assert [row[0] for row in history.rows] == ["1", "2 (now)"]
    assert history.rows[1][2:] == ("upgrade a", "a 1 -> 2", "1", "1 of 2")
    assert [row[1] for row in history.rows] == ["", "2026-02-28 23:59:59"]
    assert history[2].lock == locked(a2)
    assert len(history) == 2
    with pytest.raises(IndexError, match="no generation 3"):
        history[3]


# through the Captain; a stand-in of pyspark


@pytest.fixture
def sailing(
    new: Callable[..., Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
    tmp_path: Path,
) -> tuple[Captain, Any]:
    """A session with alpha 1.0 and beta 2.0; others are in the folder of wheels."""
    for name, version, requires in (
        ("alpha", "1.5", ()),
        ("alpha", "3.0", ()),
        ("epsilon", "1.0", ()),
        ("gamma", "1.0", ("alpha>=2",)),
        ("delta", "1.0", ("beta",)),
    ):
        wheel(tmp_path / "wheels", name, version, requires)
    captain = new().add_pip_packages("alpha==1.0", "beta").launch_ship()
    return captain, context("local[1]")


def names(captain: Captain) -> list[str]:
    assert captain.lock is not None
    return [f"{pin.name} {pin.version}" for pin in captain.lock.pins]


def test_a_session_is_upgraded_shrunk_and_rolled_back(sailing: tuple[Captain, Any]) -> None:
    captain, running = sailing
    captain.upgrade_pip_packages("alpha==1.5", wait=0.0)
    assert names(captain) == ["alpha 1.5", "beta 2.0"]
    sent = [uri.rpartition("#")[2] for uri in running.archives]
    assert [name.rpartition("-")[0] for name in sent] == ["boat-part", "boat-gen"]
    assert running.environment["COFFEE_BOAT_BASE"].endswith(f"{sent[1]}/bin/python{MINOR}")
    captain.add_pip_packages("epsilon", wait=0.0)
    layer = running.archives[-1].rpartition("#")[2]
    assert layer.startswith("boat-layer-")
    assert layer.endswith(sent[1].rpartition("-")[2]), "for the processes of that generation"
    captain.rollback(wait=0.0)
    captain.remove_pip_packages("beta", wait=0.0)
    captain.rollback(wait=0.0)
    assert names(captain) == ["alpha 1.5", "beta 2.0"]
    captain.rollback(1, wait=0.0)
    assert names(captain) == ["alpha 1.0", "beta 2.0"]
    assert captain.manifest.texts == ["alpha==1.0", "beta"]
    kinds = [uri.rpartition("#")[2].rpartition("-")[0] for uri in running.archives]
    assert kinds.count("boat-part") == 1, "what executors have is not sent again"
    assert [one.number for one in captain.generations] == [1, 2, 3, 4, 5, 6, 7]
    assert captain.diff(1, 2).summary == "alpha 1.0 -> 1.5"
    assert captain.diff(1).summary == ""
    with pytest.raises(LaunchError, match="no generation of that number"):
        captain.rollback(9)


def test_what_would_change_is_refused_and_can_be_allowed(sailing: tuple[Captain, Any]) -> None:
    captain, running = sailing
    with pytest.raises(RequirementError) as contradiction:
        captain.add_pip_packages("alpha==1.5")
    assert 'captain.upgrade_pip_packages("alpha==1.5")' in contradiction.value.cure
    with pytest.raises(LockError):
        captain.add_pip_packages("gamma")
    assert running.archives == []
    captain.add_pip_packages("gamma", "alpha>=2", allow_changes=True, wait=0.0)
    assert names(captain) == ["alpha 3.0", "beta 2.0", "gamma 1.0"]


def test_what_another_captain_changed_meanwhile_stays(
    sailing: tuple[Captain, Any],
    new: Callable[..., Captain],  # noqa: F811
) -> None:
    captain, running = sailing
    other = new().board(running)
    captain.upgrade_pip_packages("alpha==1.5", wait=0.0)
    live = captain._work.attached().live
    number = live.history.current.number
    other.remove_pip_packages("beta", wait=0.0)
    live.told(number, ["1"], [])  # what executors said comes after another's change
    assert [one.number for one in captain.generations] == [1, 2, 3]
    assert names(other) == ["alpha 1.5"]
    assert [pin.name for pin in live.refresh().lock.pins] == ["alpha"]
    assert captain.generations[2].confirmed == ("1",)


def test_after_a_rollback_to_what_another_captain_had_an_upgrade_may_change_the_rest(
    sailing: tuple[Captain, Any],
    new: Callable[..., Captain],  # noqa: F811
    tmp_path: Path,
) -> None:
    captain, running = sailing
    wheel(tmp_path / "wheels", "gamma", "0.5", ("alpha<2",))
    captain.upgrade_pip_packages("alpha==3.0", wait=0.0).add_pip_packages("gamma", wait=0.0)
    other = new().board(running)
    other.rollback(1, wait=0.0).rollback(3, wait=0.0)
    assert names(other) == ["alpha 3.0", "beta 2.0", "gamma 1.0"]
    other.upgrade_pip_packages("alpha==1.5", wait=0.0)
    assert names(other) == ["alpha 1.5", "beta 2.0", "gamma 0.5"]


def test_bounds_that_do_not_contradict_stay_where_changes_are_allowed(
    sailing: tuple[Captain, Any],
) -> None:
    captain, _ = sailing
    captain.add_pip_packages("alpha", "delta", allow_changes=True, wait=0.0)
    assert "alpha==1.0" in captain.manifest.texts
    assert names(captain) == ["alpha 1.0", "beta 2.0", "delta 1.0"]


def test_a_plan_shows_what_would_change_with_the_refusal(sailing: tuple[Captain, Any]) -> None:
    captain, running = sailing
    plan = captain.plan(pip=["alpha==1.5"])
    assert plan.kind == "composed"
    assert "alpha 1.0 -> 1.5: a layer and a few kB would be sent" in plan.addition
    assert plan.findings[0].code == "lock.version-would-change"
    assert "allow_changes=True" in plan.findings[0].cure
    assert running.archives == []
    assert names(captain) == ["alpha 1.0", "beta 2.0"]


def test_what_another_package_needs_stays(sailing: tuple[Captain, Any]) -> None:
    captain, _ = sailing
    captain.add_pip_packages("delta", wait=0.0)
    with pytest.raises(LockError, match="other packages need it"):
        captain.remove_pip_packages("beta")
    with pytest.raises(RequirementError, match="not installed"):
        captain.upgrade_pip_packages("omega")
    captain.remove_pip_packages("delta", wait=0.0)
    assert names(captain) == ["alpha 1.0", "beta 2.0"], "beta was asked for by itself"
    captain.add_pip_packages("delta", wait=0.0)
    assert captain.generations.current.composed, "it was hidden: to be sent again would be in vain"


def test_scripts_of_entry_points_are_found_by_themselves_and_other_programs_are_not(
    store: Store,
) -> None:
    def layer(name: str, *files: str, scripts: Sequence[str] = ()) -> Archive:
        store.remember("listing", name, dict.fromkeys([f"{SITE}/{name}.py", *files], ""))
        store.remember("scripts", [chunks.FORMAT, name], list(scripts))
        chunk = Chunk(name, 1, 1, 1, label=f"{name} 1")
        return Archive("d" * 64, "", 1, (chunk,), LOCK.target, "", has_python=False, role="layer")

    assert not composing.has_data(layer("a-1"), store)
    assert not composing.has_data(layer("b-1", "bin/b", scripts=["bin/b"]), store)
    assert composing.has_data(layer("c-1", "bin/c", "bin/c2", scripts=["bin/c"]), store)
    assert composing.has_data(layer("d-1", "bin/d"), store), "a program, or a script of a wheel"
    assert composing.has_data(layer("e-1", "bin/e", "share/e", scripts=["bin/e"]), store)
    before = [part("boat-1", pinned("b", "1"), base="digest")]
    assert composing.extends(layer("f-1", "bin/b", scripts=["bin/b"]), before, store)
    assert not composing.extends(layer("g-1", "bin/g", scripts=["bin/g"]), before, store)
