"""What is done to a conda environment on the node it comes to: its folder written into it,
activated, left for a newer one. In processes of their own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import Victim, conda_record
from test_worker import MINOR, Node

from coffee_boat.worker import facts, prefix

PLACEHOLDER = "/placeholder" * 20


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An unpacked environment with a text, a binary and a script that hold the placeholder."""
    root = tmp_path / "boat"
    paths = {
        "etc/conf": ("text", f"home={PLACEHOLDER}/share and {PLACEHOLDER}/lib\n".encode()),
        "lib/data.bin": (
            "binary",
            b"\x00"
            + f"{PLACEHOLDER}/a:{PLACEHOLDER}/b".encode()
            + b"\x00rest"
            + PLACEHOLDER.encode()
            + b"\x00end",
        ),
        "bin/tool": ("text", f"#!{PLACEHOLDER}/bin/perl -w\nprint 1;\n".encode()),
        "share/other.txt": ("", b"nothing of it\n"),
    }
    for name, (_, data) in paths.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "bin/tool").chmod(0o755)
    record(root, "one", {name: mode for name, (mode, _) in paths.items() if mode})
    return root


def record(root: Path, name: str, modes: dict[str, str]) -> Path:
    """A package's files with a placeholder, as conda/package.py writes it: for people and us."""
    (root / "conda-meta").mkdir(parents=True, exist_ok=True)
    (root / f"conda-meta/{name}-1.0-0.json").write_text(
        json.dumps({"name": name, "version": "1.0", "channel": "forge"})
    )
    entries = [
        {
            "path": path,
            "mode": mode,
            "placeholder": PLACEHOLDER,
            "sha256": hashlib.sha256((root / path).read_bytes()).hexdigest(),
        }
        for path, mode in modes.items()
    ]
    return listed(root, {"prefixed": entries})


def listed(root: Path, value: object) -> Path:
    """A list of ours that boat.json names."""
    data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    path = root / prefix.RECORDS / f"{digest}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    boat = root / "boat.json"
    said = json.loads(boat.read_text()) if boat.exists() else {"records": []}
    boat.write_text(json.dumps({"records": [*said["records"], digest]}))
    return path


# the folder


def test_the_folder_is_written_where_the_placeholder_was(environment: Path) -> None:
    size = (environment / "lib/data.bin").stat().st_size
    assert prefix.unsettled(str(environment)) == ["bin/tool", "etc/conf", "lib/data.bin"]
    assert prefix.settle(str(environment)) == []
    assert (
        environment / "etc/conf"
    ).read_text() == f"home={environment}/share and {environment}/lib\n"
    binary = (environment / "lib/data.bin").read_bytes()
    assert len(binary) == size
    assert binary.startswith(b"\x00" + f"{environment}/a:{environment}/b".encode() + b"\x00")
    assert binary.endswith(b"\x00end")
    assert PLACEHOLDER.encode() not in binary
    assert (environment / "bin/tool").read_text() == f"#!{environment}/bin/perl -w\nprint 1;\n"
    assert (environment / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert prefix.unsettled(str(environment)) == []
    assert not list(environment.rglob("*.boat"))


def test_it_is_written_once_and_a_folder_that_will_be_renamed_gets_its_later_name(
    environment: Path, tmp_path: Path
) -> None:
    assert prefix.settle(str(environment), final=str(tmp_path / "later")) == []
    environment.rename(tmp_path / "later")
    before = (tmp_path / "later/etc/conf").stat()
    assert prefix.settle(str(tmp_path / "later")) == []
    assert (tmp_path / "later/etc/conf").stat() == before
    assert f"home={tmp_path}/later/share" in (tmp_path / "later/etc/conf").read_text()


def test_a_folder_that_was_moved_since_is_named(environment: Path, tmp_path: Path) -> None:
    prefix.settle(str(environment))
    environment.rename(tmp_path / "moved")
    told = prefix.settle(str(tmp_path / "moved"))
    assert len(told) == 1
    assert str(environment) in told[0]
    assert "unpack the archive again" in told[0]


def test_a_folder_with_a_name_that_is_too_long_is_told_and_text_is_right_all_the_same(
    environment: Path, tmp_path: Path
) -> None:
    final = "/" + "long/" * 60
    told = prefix.settle(str(environment), final=final)
    assert len(told) == 1
    assert "lib/data.bin still names another folder" in told[0]
    assert f"home={final}/share" in (environment / "etc/conf").read_text()
    assert (environment / "bin/tool").read_text().startswith("#!/usr/bin/env perl -w\n"), (
        "kernels read a first line of 127 bytes"
    )


def test_what_was_left_as_it_is_stays_in_every_later_report(
    environment: Path, tmp_path: Path
) -> None:
    place = tmp_path / ("x" * 200) / ("y" * 200) / "boat"
    place.parent.mkdir(parents=True)
    environment.rename(place)
    assert len(prefix.settle(str(place))) == 1
    assert prefix.settle(str(place)) == [], "told once a node"
    assert prefix.unsettled(str(place)) == ["lib/data.bin"]


def test_a_folder_that_cannot_be_written_is_told_and_stays_readable(
    environment: Path, tmp_path: Path
) -> None:
    (
        environment / prefix.RECORDS / "lock"
    ).mkdir()  # as a read-only disk for whoever opens it to write
    told = prefix.settle(str(environment))
    assert len(told) == 1
    assert "cannot be written" in told[0]
    assert "bin/tool, etc/conf, lib/data.bin still name another folder" in told[0]
    assert prefix.unsettled(str(environment)) == ["bin/tool", "etc/conf", "lib/data.bin"]


def test_many_processes_that_start_at_once_see_whole_files_only(environment: Path) -> None:
    big = b"x" * 4_000_000
    (environment / "etc/big").write_bytes(f"{PLACEHOLDER}\n".encode() + big)
    record(environment, "two", {"etc/big": "text"})
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from coffee_boat.worker import prefix;"
        " print(prefix.settle(sys.argv[2]));print(open(sys.argv[2] +"
        " '/etc/big').readline().strip(), len(open(sys.argv[2] + '/etc/big').read()))"
    )
    checkout = str(Path(__file__).resolve().parent.parent)
    processes = [
        subprocess.Popen(
            [sys.executable, "-I", "-c", program, checkout, str(environment)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    said = {process.communicate(timeout=60)[0] for process in processes}
    assert said == {f"[]\n{environment} {len(big) + len(str(environment)) + 1}\n"}


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        '{"prefixed": ',
        "[1]",
        '{"prefixed": [{"placeholder": "/x"}]}',
        '{"prefixed": [{"path": 1, "placeholder": "/x", "mode": "text", "sha256": "0"}]}',
        '{"prefixed": 7}',
    ],
)
def test_a_damaged_record_is_named_and_keeps_nothing_from_the_others(
    environment: Path, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    path = listed(environment, damaged)
    (environment / "conda-meta/broken-1.0-0.json").write_text(damaged)
    assert prefix.unsettled(str(environment)) == ["bin/tool", "etc/conf", "lib/data.bin"]
    [failure] = prefix.settle(str(environment))
    assert failure.startswith(f"{path} cannot be read")
    assert PLACEHOLDER not in (environment / "etc/conf").read_text()
    monkeypatch.chdir(environment.parent)
    monkeypatch.setattr(sys, "prefix", str(environment))
    assert facts.conda_packages() == {"one": ["1.0", "forge"]}


def test_a_lock_that_nobody_gives_back_is_waited_for_no_longer_than_said(
    environment: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (environment / prefix.RECORDS / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert prefix.settle(str(environment), patience=0.2) == []
    assert PLACEHOLDER not in (environment / "etc/conf").read_text()
    assert "conda/lock cannot be locked: another process holds it" in capfd.readouterr().err


@pytest.mark.parametrize("path", ["", "absolute", "../home/.bashrc", "etc/../../home/.bashrc"])
def test_a_list_that_names_a_file_elsewhere_reaches_nothing(
    environment: Path, tmp_path: Path, path: str
) -> None:
    victim = Victim.below(tmp_path)
    digest = hashlib.sha256(victim.path.read_bytes()).hexdigest()
    named = str(victim.path) if path == "absolute" else path or "etc"
    listed(
        environment,
        {"prefixed": [{"path": named, "placeholder": "/usr", "mode": "text", "sha256": digest}]},
    )
    [failure] = prefix.settle(str(environment))
    assert "left as it is" in failure
    assert victim.untouched
    assert PLACEHOLDER not in (environment / "etc/conf").read_text()


def test_links_are_not_followed_out_and_a_pipe_is_not_waited_for(
    environment: Path, tmp_path: Path
) -> None:
    victim = Victim.below(tmp_path)
    digest = hashlib.sha256(victim.path.read_bytes()).hexdigest()
    (environment / "folder").symlink_to(victim.path.parent)
    (environment / "file").symlink_to(victim.path)
    os.mkfifo(environment / "pipe")
    names = ("folder/.bashrc", "file", "pipe")
    entry = {"placeholder": "/usr", "mode": "text", "sha256": digest}
    listed(environment, {"prefixed": [{**entry, "path": name} for name in names]})
    failures = prefix.settle(str(environment))
    assert len(failures) == 3
    assert all("left as it is" in failure for failure in failures)
    assert victim.untouched
    assert stat.S_ISFIFO((environment / "pipe").stat().st_mode)


def test_a_file_that_is_not_the_packed_one_is_left_as_it_is(environment: Path) -> None:
    text = f"of another package, and {PLACEHOLDER}/x\n"
    (environment / "etc/conf").write_text(text)
    [failure] = prefix.settle(str(environment))
    assert failure == f"{environment / 'etc/conf'} is not the file that was packed: left as it is"
    assert (environment / "etc/conf").read_text() == text


@pytest.mark.parametrize("named", [True, False])
def test_a_list_that_was_not_packed_is_not_read(
    environment: Path, tmp_path: Path, named: bool
) -> None:
    victim = Victim.below(tmp_path)
    (environment / "own").write_text("/usr\n")
    digest = hashlib.sha256(b"/usr\n").hexdigest()
    said = json.loads((environment / "boat.json").read_text())
    path = listed(
        environment,
        {"prefixed": [{"path": "own", "placeholder": "/usr", "mode": "text", "sha256": digest}]},
    )
    if named:  # by boat.json, but somebody wrote into it since
        path.write_text(path.read_text() + " ")
    else:
        (environment / "boat.json").write_text(json.dumps(said))
    failures = prefix.settle(str(environment))
    assert ["is not the list that was packed" in failure for failure in failures] == [True] * named
    assert (environment / "own").read_text() == "/usr\n"
    assert victim.untouched


def test_what_a_package_says_of_itself_is_not_read(environment: Path, tmp_path: Path) -> None:
    victim = Victim.below(tmp_path)
    (environment / "conda-meta/x.json").write_text(conda_record(str(victim.path)))
    (environment / "conda-meta/y.json").write_text(conda_record("share/other.txt"))
    (environment / "share/other.txt").write_text("/usr\n")
    assert prefix.settle(str(environment)) == []
    assert victim.untouched
    assert (environment / "share/other.txt").read_text() == "/usr\n"


def test_the_folder_of_lists_may_be_no_link(environment: Path, tmp_path: Path) -> None:
    folder = environment / prefix.RECORDS
    folder.rename(tmp_path / "lists")
    folder.symlink_to(tmp_path / "lists")
    assert prefix.settle(str(environment)) == []
    assert PLACEHOLDER in (environment / "etc/conf").read_text()


def test_other_archives_are_left_alone(tmp_path: Path) -> None:
    assert prefix.settle(str(tmp_path)) == []
    assert prefix.unsettled(str(tmp_path)) == []
    assert not list(tmp_path.iterdir())


# activation


def activated(
    root: Path, *, shell: str = "/bin/bash", seconds: int = 60, **environ: str
) -> dict[str, str]:
    program = (
        "import json, os, sys; sys.path.insert(0, sys.argv[1]); from coffee_boat.worker import"
        f" activation; activation._SHELLS, activation._SECONDS = ({shell!r},), {seconds};"
        " activation.activate(sys.argv[2]); print(json.dumps(dict(os.environ)))"
    )
    checkout = str(Path(__file__).resolve().parent.parent)
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program, checkout, str(root)],
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return {**json.loads(ran.stdout), "stderr": ran.stderr}


@pytest.fixture
def script(environment: Path) -> Callable[..., None]:
    def write(name: str, text: str) -> None:
        (environment / "etc/conda/activate.d").mkdir(parents=True, exist_ok=True)
        (environment / "etc/conda/activate.d" / name).write_text(text)

    return write


def test_scripts_and_variables_take_effect_in_condas_order(
    environment: Path, script: Callable[..., None]
) -> None:
    (environment / "etc/conda/env_vars.d").mkdir(parents=True)
    (environment / "etc/conda/env_vars.d/one.json").write_text(
        '{"OF_PACKAGE": "1", "BOTH": "package"}'
    )
    (environment / "conda-meta/state").write_text('{"env_vars": {"BOTH": "environment"}}')
    script("a.sh", 'echo noise; export FIRST="$BOTH $CONDA_PREFIX"\nunset GONE\n')
    script("b.sh", 'export SECOND="after $FIRST"\nprivate=1\n')
    script("c.fish", "set -gx FISH 1\n")
    found = activated(environment, GONE="1", KEPT="2")
    assert (found["OF_PACKAGE"], found["FIRST"], found["SECOND"]) == (
        "1",
        f"environment {environment}",
        f"after environment {environment}",
    )
    assert found["KEPT"] == "2"
    assert found["PATH"] == f"{environment}/bin:/usr/bin:/bin"
    assert not {"GONE", "FISH", "private", "COFFEE_BOAT_PYTHON", "COFFEE_BOAT_SCRIPTS"} & set(found)
    assert found["stderr"] == "noise\n"


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
@pytest.mark.parametrize("breaks", ["exit 3", "set -e\nfalse", "trap : EXIT\nset -u\nexit 3"])
def test_a_script_that_ends_the_shell_is_named_and_what_was_set_holds(
    environment: Path, script: Callable[..., None], breaks: str, shell: str
) -> None:
    script("a.sh", "export FIRST=1\n")
    script("b.sh", f"export SECOND=2\n{breaks}\n")
    script("c.sh", "export THIRD=3\n")
    found = activated(environment, shell=shell)
    assert (
        f"did not run to their end: the last that ran is {environment}/etc/conda/activate.d/b.sh; "
        in found["stderr"]
    )
    assert len(found["stderr"].splitlines()) == 1
    assert found["CONDA_PREFIX"] == str(environment)
    if not breaks.startswith("trap"):  # it took our own away
        assert (found["FIRST"], found["SECOND"], "THIRD" in found) == ("1", "2", False)


def test_a_trap_of_a_script_takes_nothing_away_from_those_after_it(
    environment: Path, script: Callable[..., None]
) -> None:
    script("a.sh", "export FIRST=1\ntrap : EXIT\n")
    script("b.sh", "export SECOND=2\nexit\n")
    found = activated(environment)
    assert (found["FIRST"], found["SECOND"]) == ("1", "2")


def test_a_script_that_hangs_is_named(environment: Path, script: Callable[..., None]) -> None:
    script("a.sh", "export FIRST=1\n")
    script("b.sh", "sleep 3\n")
    found = activated(environment, seconds=1)
    assert (
        "did not run to their end within 1 s: the last that ran is"
        f" {environment}/etc/conda/activate.d/b.sh; nothing" in found["stderr"]
    )


def test_it_is_done_once_for_a_process_and_its_children(
    environment: Path, script: Callable[..., None]
) -> None:
    script("a.sh", 'export GROWS="x$GROWS"\n')
    assert activated(environment, COFFEE_BOAT_ACTIVATED=str(environment), GROWS="x")["GROWS"] == "x"
    assert activated(environment, COFFEE_BOAT_ACTIVATED="/another/one", GROWS="")["GROWS"] == "x"


# a newer base


def test_an_interpreter_becomes_that_of_the_newer_base_with_the_same_arguments(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path)
    newer = node.workdir / "boat-2/bin"
    newer.mkdir(parents=True)
    (newer / f"python{MINOR}").write_text('#!/bin/sh\nprintf "%s|" "$@" "$COFFEE_BOAT_BASE"\n')
    (newer / f"python{MINOR}").chmod(0o755)
    start = f"import site; site.addsitedir({str(node.site)!r}); print('the old one goes on')"
    argv = [sys.executable, "-I", "-c", start, "-m", "an argument"]
    base = f"./boat-2/bin/python{MINOR}"
    for folder in (
        node.workdir,
        tmp_path,
    ):  # the second: where it lies beside the old base only, as for the driver's JVM
        if folder is tmp_path:
            (node.workdir / "boat-2").rename(tmp_path / "boat-2")
        said = subprocess.run(
            argv,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "COFFEE_BOAT_BASE": base},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert said == "|".join([*argv[1:], str(folder / "boat-2/bin" / f"python{MINOR}"), ""])
    said = subprocess.run(
        argv,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "COFFEE_BOAT_BASE": "./boat-3/bin/python3"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == "the old one goes on\n"


# what is told of it


def test_each_package_is_told_with_its_channel_those_of_layers_too(
    tmp_path: Path, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = tmp_path / "boat-layer-1"
    record(layer, "added", {})
    (layer / "boat.json").write_text("{}")
    record(tmp_path / "boat-layer-unfinished", "half", {})
    (tmp_path / "boat-layer-unfinished/boat.json").unlink()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "prefix", str(environment))
    assert facts.conda_packages() == {"one": ["1.0", "forge"], "added": ["1.0", "forge"]}


def test_what_no_shell_knows_stays(environment: Path) -> None:
    """dash passes on nothing that is no name of its own: `spark.executorEnv.a.b`, functions that
    bash exported.
    """
    (environment / "etc/conda/activate.d").mkdir(parents=True)
    (environment / "etc/conda/activate.d" / "a.sh").write_text("export SET=1\nunset GONE\n")
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from coffee_boat.worker import"
        " activation; activation._SHELLS = ('/bin/sh',);"
        " activation.activate(sys.argv[2]);print([os.environ.get(name) for name in ('SET', 'GONE',"
        " 'a.b', 'BASH_FUNC_f%%')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent.parent), str(environment)],
        env={**os.environ, "GONE": "x", "a.b": "dotted", "BASH_FUNC_f%%": "() { :; }"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == str(["1", None, "dotted", "() { :; }"])
