"""An archive outside of Spark: unpacked by hand, a program in it, and what is typed elsewhere. A
real interpreter in it: integration/test_cli.py.
"""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import with_chunks_of
from small_packages import wheel

from coffee_boat._support import host
from coffee_boat._support.store import Store
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.chunks import make
from coffee_boat.archive.destination import Destination
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.cli.main import boat
from coffee_boat.interpreter import programs
from coffee_boat.model import Lock, Target

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
HERE = host.architecture()
PYTHON = f'#!/bin/sh\nexec {sys.executable} "$@"\n'


def run(*words: str) -> Result:
    return CliRunner().invoke(boat, list(words), prog_name="boat")


def packed(folder: Path, *, machine: str = HERE, floor: int = 17, has_python: bool = True) -> str:
    """An archive with a program that stands for its interpreter."""
    target, store = Target(f"{MINOR}.1", architecture=machine), Store(folder / "store")
    files = {**programs.programs(MINOR), f"bin/python{MINOR}": PYTHON, "lib/x.txt": "x\n"}

    def fill(writer: ChunkWriter) -> tuple[int, int]:
        for name, text in files.items():
            writer.file(name, text.encode(), executable=text.startswith("#!"))
        writer.link("bin/python", f"python{MINOR}")
        return (2, floor)

    chunk = make(store, ["outside", files, floor], "python", fill)
    to = Destination.of(folder / f"{machine}{floor}{has_python}.tar.gz", overwrite=True)
    made = assemble(
        [chunk], target=target, lock=Lock(target), has_python=has_python, inputs={}, store=store,
        to=to,
    )  # fmt: skip
    return made.path


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(tmp_path / "own"))


def test_an_archive_is_unpacked_ready_to_run(tmp_path: Path) -> None:
    folder = tmp_path / "there" / "boat"
    done = run("unpack", packed(tmp_path), str(folder))
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"{folder}/bin/python{MINOR}\n"
    said = subprocess.run(
        [folder / "bin" / "python", "-c", "print(6 * 7)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "42\n"
    assert [path.name for path in folder.parent.iterdir()] == ["boat"]


def test_what_lies_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "boat").mkdir()
    assert run("unpack", packed(tmp_path), str(tmp_path / "boat")).exit_code == 0
    (tmp_path / "boat" / "lib" / "x.txt").write_text("mine")
    done = run("unpack", packed(tmp_path), str(tmp_path / "boat"))
    assert done.exit_code == 3
    assert "the folder to unpack into is not empty" in done.stderr
    assert (tmp_path / "boat" / "lib" / "x.txt").read_text() == "mine"


def test_an_empty_folder_that_is_there_is_filled_and_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "boat").symlink_to("disk")
    done = run("unpack", packed(tmp_path), str(tmp_path / "boat"))
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "boat").is_symlink()
    assert stat.S_IMODE((tmp_path / "disk").stat().st_mode) == 0o700
    assert not list((tmp_path / "disk").glob(".*"))
    assert run("exec", str(tmp_path / "boat"), "python", "-c", "").exit_code == 0


def test_a_program_that_is_none_is_told(tmp_path: Path) -> None:
    script = tmp_path / "job"
    script.write_text("print(1)\n")
    script.chmod(0o755)
    archive = packed(tmp_path)
    done = run("exec", archive, str(script))
    assert done.exit_code == 3
    assert "a program cannot be started" in done.stderr
    assert "boat exec" in done.stderr
    done = run("exec", archive, f"{script}/x")
    assert "there is no such program in the archive" in done.stderr


@pytest.mark.parametrize("damage", ["cut", "text", "gone", "tar"])
def test_what_is_no_whole_archive_is_refused_and_leaves_nothing(
    damage: str, tmp_path: Path
) -> None:
    archive = Path(packed(tmp_path))
    if damage == "cut":
        archive.write_bytes(archive.read_bytes()[:-400])
    elif damage == "text":
        archive.write_text("no archive\n")
    elif damage == "tar":
        (tmp_path / "x").write_text("x")
        shutil.make_archive(str(archive).removesuffix(".tar.gz"), "gztar", tmp_path, "x")
    else:
        archive.unlink()
    for words in (["unpack", str(archive), str(tmp_path / "boat")], ["exec", str(archive), "sh"]):
        done = run(*words)
        assert done.exit_code == 3, done.output
        assert "this is not an archive that boat pack wrote" in done.stderr
    assert not (tmp_path / "boat").exists()
    assert not list(tmp_path.glob(".boat*"))


def test_a_program_of_the_archive_runs_and_its_exit_code_is_ours(tmp_path: Path) -> None:
    archive, script = packed(tmp_path), tmp_path / "job.py"
    script.write_text("import os, sys; open('said', 'w').write(os.environ['PATH']); sys.exit(7)\n")
    command = [sys.executable, "-m", "coffee_boat.cli", "exec", archive, "--", "python", "job.py"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 7
    first = (tmp_path / "said").read_text().split(os.pathsep)[0]
    assert first.startswith(str(tmp_path / "own" / "trees" / "packed-"))
    done = run("unpack", archive, str(tmp_path / "boat"))
    done = run("exec", str(tmp_path / "boat"), "python", "-c", "import sys; sys.exit(5)")
    assert done.exit_code == 5
    done = run("exec", archive, "--", "no-such-program")
    assert done.exit_code == 3
    assert "there is no such program in the archive: no-such-program" in done.stderr


def test_a_copy_of_an_archive_is_not_unpacked_once_more(tmp_path: Path) -> None:
    archive, folder = packed(tmp_path), tmp_path / "elsewhere"
    folder.mkdir()
    copy = shutil.copy(archive, folder / "another-name.tar.gz")
    for each in (archive, str(copy)):
        assert run("exec", each, "python", "-c", "").exit_code == 0
    assert len(list((tmp_path / "own" / "trees").glob("packed-*"))) == 1
    with open(copy, "r+b") as stream:  # of the same size, in its place
        stream.truncate(os.path.getsize(copy) - 1)
        stream.seek(0, os.SEEK_END)
        stream.write(b"x")
    assert run("exec", str(copy), "python", "-c", "").exit_code == 3


def test_what_cannot_run_here_is_told(tmp_path: Path) -> None:
    for archive, why in (
        (packed(tmp_path, machine="s390x"), "it is for s390x, and this machine is"),
        (packed(tmp_path, floor=99), "it needs glibc 2.99"),
        (packed(tmp_path, has_python=False), "it has no interpreter"),
    ):
        done = run("exec", archive, "python")
        assert done.exit_code == 3
        assert why in done.stderr
    done = run("unpack", packed(tmp_path, floor=99), str(tmp_path / "boat"))
    assert done.exit_code == 0
    assert "it needs glibc 2.99" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "dash"])
def test_a_shell_is_activated_and_left_again(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    run("unpack", packed(tmp_path), str(tmp_path / "a boat"))
    (tmp_path / "other" / "a boat" / "bin").mkdir(parents=True)
    script = 'echo "$PATH"; . "a boat/bin/activate"; command -v python; deactivate; echo "$PATH"'
    done = subprocess.run(
        [program, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "CDPATH": f"{tmp_path}/other"},  # where `cd` goes first
        capture_output=True,
        text=True,
        check=False,
    )
    if shell == "dash":
        assert 'PATH="DIR/bin:$PATH"' in done.stderr
        return
    before, python, after = done.stdout.splitlines()
    assert (before, done.stderr) == (after, "")
    assert python == f"{tmp_path}/a boat/bin/python"


@pytest.mark.parametrize("system", ["flink", "beam", "ray", "dask"])
def test_what_is_typed_elsewhere_names_the_archive(
    system: str, pyspark_packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = with_chunks_of(pyspark_packed, tmp_path / 'it\'s "my" $own')
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(own))
    wheel(tmp_path / "wheels", "app", "1.0")
    done = run(
        *("conf", "--for", system, "--pip", "app", "--no-ship-python"),
        *("--offline", "--find-links", str(tmp_path / "wheels")),
    )
    assert done.exit_code == 0, done.stderr
    (archive,) = (own / "archives").glob("*/*.tar.gz")
    assert f"bin/python{MINOR}" in done.stdout
    assert "boat pack -o" in done.stdout or "boat pack --no-pyspark -o" in done.stdout
    lines = [line for line in done.stdout.splitlines() if "archives/" in line]
    for line in lines:
        if line.startswith(("env.", "YarnCluster")):
            (call,) = (node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call))
            literal = call.args[0] if call.args else call.keywords[0].value
            assert ast.literal_eval(literal) == str(archive)
        else:
            assert str(archive) in [
                word.removesuffix("#boat") for word in shlex.split(line.rstrip("\\"))
            ]
    assert len(lines) == (2 if system in ("flink", "dask") else 1)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--function", "f=m:g"], "--function"),
        (["--driver", "jvm"], "--driver"),
        (["--format", "json"], "--format"),
        (["--master", "yarn", "-c", "a=b", "--preload", "m"], "--master, --conf, --preload"),
    ],
)
def test_where_no_spark_runs_what_is_said_of_spark_is_refused(words: list[str], named: str) -> None:
    done = run("conf", "--for", "flink", "--offline", *words)
    assert done.exit_code == 2
    assert f"no Spark runs with --for flink: leave out {named}\n" in done.stderr


def test_an_archive_without_pyspark_says_who_would_need_it(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "app", "1.0", ["py4j"])
    wheel(tmp_path / "wheels", "lib", "1.0")
    done = run(
        *("pack", "--no-pyspark", "--pip", "app", "--pip", "lib", "--no-ship-python"),
        *("--offline", "--find-links", str(tmp_path / "wheels")),
        *("-o", str(tmp_path / "b.tar.gz"), "--json"),
    )
    assert done.exit_code == 0, done.stderr
    assert "pyspark" not in [label.split()[0] for label in labels_of(done.stdout)]
    assert "packages need pyspark or py4j, which were left out: app" in done.stderr
    assert "leave out --no-pyspark" in done.stderr or "boat pack -o" in done.stderr
    assert f"boat unpack {tmp_path}/b.tar.gz DIR" in done.stderr


def labels_of(text: str) -> list[str]:
    import json

    return [chunk["label"] for chunk in json.loads(text)["chunks"]]
