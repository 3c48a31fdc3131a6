"""Large layers, which travel as one plain file: unpacked once an executor, or once a node, by who
looks for them first; never half, never changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from test_worker import MINOR, SITE, Node

from coffee_boat._support.store import Store
from coffee_boat.archive import layer_file
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.chunks import make
from coffee_boat.archive.unpack import unpack
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.model import Archive, Lock, SparkFacts, Target
from coffee_boat.settings import Settings
from coffee_boat.worker.starter import locks
from coffee_boat.workflow import shipping
from coffee_boat.workflow.tools import Tools

UNPACKED = "coffee_boat: unpacked"
IMPORT = "import roast; print(roast.LEVEL, roast.__file__)"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture
def layer(tmp_path: Path) -> Archive:
    """A package with metadata, a file that has parts of its own, and a link."""
    return layer_of(Store(tmp_path / "driver"), "roast")


def layer_of(store: Store, name: str) -> Archive:
    def fill(writer: ChunkWriter) -> None:
        writer.file(f"{SITE}/{name}/__init__.py", b"LEVEL = 'dark'\n")
        writer.file(f"{SITE}/{name}/a.bin", b"a" * 100_000)
        writer.link(f"{SITE}/{name}/b.bin", "a.bin")
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
        writer.file(f"{SITE}/{name}-1.0.dist-info/METADATA", text)

    target = Target(f"{MINOR}.0")
    chunk = make(store, ["test", name], f"{name} 1.0", fill)
    made = assemble(
        [chunk], target=target, lock=Lock(target), has_python=False, inputs={}, store=store
    )
    return replace(made, role="layer")


def send(archive: Archive, to: Path, store: Path) -> Path:
    """As Spark's addFile brings it."""
    return Path(shutil.copy(layer_file.made(archive, Store(store)), to))


@pytest.fixture
def file(layer: Archive, node: Node, tmp_path: Path) -> Path:
    """In the executor's working directory."""
    return send(layer, node.workdir, tmp_path / "driver")


def test_it_is_imported_with_metadata_and_is_what_was_sent(
    node: Node, file: Path, layer: Archive, tmp_path: Path
) -> None:
    done = node.run(f"{IMPORT}\nimport importlib.metadata as m; print(m.version('roast'))")
    level, place, version = done.stdout.split()
    assert (level, version) == ("dark", "1.0"), done.stderr
    assert place == str(node.workdir / layer.name / SITE / "roast/__init__.py")
    assert done.stderr.count(UNPACKED) == 1
    assert "once for this executor" in done.stderr
    again = node.run(IMPORT)
    assert UNPACKED not in again.stderr
    assert again.stdout.startswith("dark")
    there = (node.workdir / layer.name).resolve()
    assert names(there) == names(unpack(layer, Store(tmp_path / "driver")))


def names(folder: Path) -> list[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return sorted(str(path) for path in found if "__pycache__" not in path.parts)


def test_a_file_that_was_damaged_in_the_store_is_made_again(
    file: Path, layer: Archive, tmp_path: Path
) -> None:
    store = Store(tmp_path / "driver")
    made = layer_file.made(layer, store)
    before = made.stat().st_ino
    assert layer_file.made(layer, store).stat().st_ino == before
    data = bytearray(made.read_bytes())
    data[-1] ^= 1
    made.chmod(0o644)
    made.write_bytes(data)
    assert layer_file.made(layer, store).read_bytes() == file.read_bytes()


def test_metadata_is_found_before_the_first_import(node: Node, file: Path) -> None:
    assert node.says("import importlib.metadata as m; print(m.version('roast'))") == "1.0"


def test_of_processes_that_look_at_once_one_unpacks(node: Node, file: Path) -> None:
    start = f"import sys, site; site.addsitedir({str(node.site)!r})\n{IMPORT}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-I", "-c", start],
            cwd=node.workdir,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = [process.communicate(timeout=60) for process in processes]
    assert all(out.startswith("dark") for out, _ in said), said
    assert sum(err.count(UNPACKED) for _, err in said) == 1


def test_threads_that_import_from_it_at_once_all_have_it(
    node: Node, file: Path, tmp_path: Path
) -> None:
    send(layer_of(Store(tmp_path / "driver"), "grind"), node.workdir, tmp_path / "driver")
    said = node.says("""
        import importlib, threading
        found = []
        def load(name):
            found.append(importlib.import_module(name).LEVEL)
        threads = [threading.Thread(target=load, args=(n,)) for n in ("roast", "grind") * 4]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(len(found), set(found))
    """)
    assert said == "8 {'dark'}"


def test_a_file_that_is_still_being_copied_does_not_count_yet(node: Node, file: Path) -> None:
    half = file.with_name("half")
    half.write_bytes(file.read_bytes()[:1000])
    rest = file.rename(file.with_name("rest"))
    half.rename(file)
    done = node.run(f"""
        import os
        try:
            import roast
        except ModuleNotFoundError as error:
            print("not yet", "unpacked" in str(error))
        os.replace({str(rest)!r}, {str(file)!r})
        {IMPORT}
    """)
    early, now = done.stdout.splitlines()
    assert early == "not yet False", done.stderr
    assert now.startswith("dark")


def test_a_file_that_stays_short_is_told(node: Node, file: Path, layer: Archive) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:-50])
    os.utime(file, (1, 1))
    done = node.run(IMPORT)
    assert f"it has {len(data) - 50} bytes, {len(data)} were sent" in done.stderr
    assert UNPACKED not in done.stderr


def test_a_link_on_its_way_is_no_layer(node: Node, file: Path, layer: Archive) -> None:
    assert node.says(IMPORT).startswith("dark")
    (node.workdir / layer.name).rename(node.workdir / f"{layer.name}.4711")
    done = node.run(f"{IMPORT}\nfrom coffee_boat_worker import facts; print(facts.layers())")
    place, names = done.stdout.splitlines()
    assert f"/{layer.name}/" in place
    assert names == repr([layer.name])


@pytest.mark.parametrize("how", ["SIG_IGN", "fork", "handler"])
def test_it_is_unpacked_whatever_the_process_does_with_signals_and_children(
    node: Node, file: Path, how: str
) -> None:
    """A fork keeps the pipe open; a handler that raises leaves no process behind."""
    done = node.run(f"""
        import os, signal, sys, time
        how, spawn, holds = {how!r}, os.posix_spawn, []
        def spawned(*words, **more):
            pid = spawn(*words, **more)
            if how == "fork":
                holds.append(os.fork())
                if not holds[0]:
                    time.sleep(60)
                    os._exit(0)
            if how == "handler":
                os.kill(pid, signal.SIGSTOP)
                signal.setitimer(signal.ITIMER_REAL, 0.1)
            return pid
        os.posix_spawn = spawned
        def stop(*_):
            raise TimeoutError
        signal.signal(signal.SIGALRM, stop)
        if how == "SIG_IGN":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        before = time.monotonic()
        try:
            import roast
        except TimeoutError:
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                print("nobody")
            sys.exit()
        print(roast.LEVEL, time.monotonic() - before < 30, flush=True)
        for pid in holds:
            os.kill(pid, signal.SIGKILL)
    """)
    expected = "nobody" if how == "handler" else "dark True"
    assert done.stdout.strip() == expected, done.stderr


def test_a_damaged_file_is_told_where_it_is_imported_and_nothing_of_it_counts(
    node: Node, file: Path, layer: Archive
) -> None:
    data = bytearray(file.read_bytes())
    data[-200] ^= 1
    file.write_bytes(data)
    done = node.run(IMPORT)
    assert done.returncode == 1
    assert re.search(rf"sent to this executor: {layer.name} cannot be unpacked: ", done.stderr)
    assert "No module named 'roast'" in done.stderr
    assert not os.path.lexists(node.workdir / layer.name)
    left = [path.name for path in (node.workdir / "boat-unpacked").iterdir()]
    assert left == [f"{layer.id[:32]}.lock"]


def test_a_disk_that_is_full_is_told_and_room_that_is_made_is_used(node: Node, file: Path) -> None:
    done = node.run(f"""
        import resource
        from coffee_boat_worker import finder
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
        try:
            import roast
        except ModuleNotFoundError as error:
            print(str(error).split("cannot be unpacked: ")[1].splitlines()[0])
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        finder._PATIENCE = 0.0
        {IMPORT}
    """)
    reason, level = done.stdout.splitlines()[:2]
    assert "File too large" in reason, done.stderr
    assert level.startswith("dark")


def test_a_process_that_is_killed_while_it_unpacks_is_told_and_its_rest_goes(
    node: Node, file: Path, layer: Archive, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    done = node.run(f"import sys; sys.executable = {str(killed)!r}\n{IMPORT}")
    assert "the process that unpacked it ended with -9" in done.stderr
    rest = node.workdir / "boat-unpacked" / f"{layer.id[:32]}.123.aside"
    (rest / "tree").mkdir(parents=True)
    assert node.says(IMPORT).startswith("dark")
    assert not rest.exists()


def test_what_only_other_generations_have_is_not_unpacked(
    node: Node, layer: Archive, tmp_path: Path
) -> None:
    send(replace(layer, after="0123456789ab"), node.workdir, tmp_path / "driver")
    part = replace(layer, role="part")
    send(part, node.workdir, tmp_path / "driver")
    done = node.run(IMPORT)
    assert "No module named 'roast'" in done.stderr
    assert UNPACKED not in done.stderr


def test_a_part_is_unpacked_by_who_composes_of_it(
    node: Node, layer: Archive, tmp_path: Path
) -> None:
    part = replace(layer, role="part")
    send(part, node.workdir, tmp_path / "driver")
    (node.workdir / "boat-gen-1").mkdir()
    place = node.says(f"""
        from coffee_boat_worker import compose
        print(compose.place_of({str(node.workdir / "boat-gen-1")!r}, {part.name!r}))
    """)
    assert (Path(place) / "boat.json").is_file()
    assert Path(place) == (node.workdir / part.name).resolve()


def test_executors_say_that_they_have_it_or_why_not(
    node: Node, file: Path, layer: Archive, tmp_path: Path
) -> None:
    script = "from coffee_boat_worker import facts; print(*facts.boats()[1:], sep='\\n')"
    assert node.says(script) == layer.name
    other = layer_of(Store(tmp_path / "driver"), "grind")
    broken = send(other, node.workdir, tmp_path / "driver")
    broken.write_bytes(broken.read_bytes()[:-100] + b"\0" * 100)
    name, failed = node.says(script).splitlines()
    assert name == layer.name
    assert failed.startswith(f"{other.name}: {other.name} cannot be unpacked: ")


@pytest.mark.parametrize(
    ("master", "stage", "size"),
    [("sc://host:15002", False, 9 << 20), ("yarn", True, 9 << 20), ("yarn", False, 7 << 20)],
)
def test_what_spark_does_not_send_from_here_and_what_is_small_stays_an_archive(
    layer: Archive, tmp_path: Path, master: str, stage: bool, size: int
) -> None:
    place = (tmp_path / "stage").as_uri() if stage else None
    tools = Tools.of(Settings(store=tmp_path / "driver", stage=place))
    facts = SparkFacts("4.1.0", master)
    shipped = shipping.ship_added(tools, replace(layer, size=size), facts)
    assert not shipped.plain
    assert shipped.uri.endswith(".tar.gz")


# in a folder of the node


@pytest.fixture
def store_of_node(node: Node, tmp_path: Path) -> Path:
    """A folder of the node that the base lies in, and the executor's link to it."""
    folder = tmp_path / f"coffee_boat-node-{os.geteuid()}"
    (folder / ("0" * 32) / "tree").mkdir(parents=True)
    (node.workdir / "boat-000000000000").symlink_to(folder / ("0" * 32) / "tree")
    return folder


def test_where_the_environment_lies_in_a_folder_of_the_node_the_layer_does_too(
    node: Node, file: Path, layer: Archive, store_of_node: Path
) -> None:
    done = node.run(IMPORT)
    assert "once for this node" in done.stderr, done.stderr
    tree = store_of_node / layer.id[:32] / "tree"
    assert (node.workdir / layer.name).resolve() == tree
    other = node.workdir.with_name("other")
    other.mkdir()
    shutil.copy(file, other)
    (other / "boat-000000000000").symlink_to(store_of_node / ("0" * 32) / "tree")
    node.workdir = other
    second = node.run(IMPORT)
    assert second.stdout.startswith("dark")
    assert UNPACKED not in second.stderr
    assert (other / layer.name).resolve() == tree


def test_nobody_removes_it_there_while_a_process_uses_it(
    node: Node, file: Path, layer: Archive, store_of_node: Path
) -> None:
    lock = str(store_of_node / f"{layer.id[:32]}.lock")
    for _ in range(2):  # who had it unpacked, and who finds it
        with using(node):
            assert not is_free(lock)
        assert is_free(lock)


def test_what_was_removed_there_is_unpacked_again(
    node: Node, file: Path, layer: Archive, store_of_node: Path
) -> None:
    assert node.says(IMPORT).startswith("dark")
    shutil.rmtree(store_of_node / layer.id[:32])
    done = node.run(IMPORT)
    assert done.stdout.startswith("dark")
    assert "once for this node" in done.stderr


def test_what_is_whole_there_is_imported_only_once_it_stays(
    node: Node, file: Path, layer: Archive, store_of_node: Path, tmp_path: Path
) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:-100] + b"\0" * 100)
    done = node.run(f"""
        import subprocess, sys
        from coffee_boat_worker import facts
        try:
            import roast
        except ModuleNotFoundError:
            print("damaged")
        with open({str(file)!r}, "wb") as out:
            out.write({data!r})
        other = "import site; site.addsitedir({str(node.site)!r}); import roast"
        subprocess.run([sys.executable, "-I", "-c", other], check=True)
        import roast
        from coffee_boat_worker.starter import locks
        with locks.Lock({str(store_of_node / layer.id[:32])!r} + ".lock") as lock:
            print(lock.hold_alone(), len(facts.boats()))
    """)
    assert done.stdout.split() == ["damaged", "False", "2"], done.stderr


def test_where_the_folder_of_the_node_cannot_be_written_the_executor_unpacks_for_itself(
    node: Node, file: Path, layer: Archive, store_of_node: Path
) -> None:
    (store_of_node / f"{layer.id[:32]}.lock").mkdir()
    done = node.run(IMPORT)
    assert done.stdout.startswith("dark")
    assert f"this executor unpacks {layer.name} for itself: " in done.stderr
    assert "boat-unpacked" in str((node.workdir / layer.name).resolve())


def is_free(path: str) -> bool:
    with locks.Lock(path) as lock:
        return lock.hold_alone()


@contextmanager
def using(node: Node) -> Iterator[None]:
    start = f"import site; site.addsitedir({str(node.site)!r})\n"
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", f"{start}{IMPORT}; input()"],
        cwd=node.workdir,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield from [None] if process.stdout.readline().startswith("dark") else []
    finally:
        process.communicate("\n", timeout=30)
