"""Paths that lead to no project, no file, or to more than a file: each is refused at once."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path

import pytest
from hostile_locks import DIGEST, WHEEL, pylock
from small_packages import project

from coffee_boat import Captain
from coffee_boat._support import limits, parse
from coffee_boat._support.digest import file_digest, tree_digest
from coffee_boat.archive import members
from coffee_boat.errors import BoatError, BuildError, LockError, RequirementError

END = b"PK\x05\x06" + bytes(18)
MANY = ".".join(["1"] * 150)


@pytest.fixture
def captain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Captain:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Captain(store=str(tmp_path / "store"), offline=True)


@pytest.mark.parametrize("place", ["/", "/proc/self/root", "/proc", "/sys/kernel", "/dev", "home"])
def test_a_lock_names_no_folder_of_the_machine(captain: Captain, place: str) -> None:
    if place.startswith("/") and not Path(place).is_dir():
        pytest.skip(f"needs {place}, which a root without all mounts lacks")
    Path("pylock.toml").write_text(pylock(f'[packages.directory]\npath = "{place}"\n'))
    with pytest.raises(LockError, match="a folder is not a project's"):
        captain.add_lock("pylock.toml")


def test_a_folder_of_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path / "alpha", "alpha", "1.0")
    (folder / "data").write_bytes(b"")
    os.truncate(folder / "data", limits.TREE + 1)
    with pytest.raises(RequirementError, match="a project folder is too large"):
        tree_digest(folder)


def test_a_folder_with_a_link_to_a_device_has_a_digest(tmp_path: Path) -> None:
    folder = project(tmp_path / "alpha", "alpha", "1.0")
    (folder / "link").symlink_to("/proc/kmsg")
    (folder / "null").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    assert len(tree_digest(folder)) == 64


def test_a_pipe_has_no_digest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="regular"):
        file_digest(tmp_path / "pipe")


@pytest.mark.parametrize("place", ["/proc/kmsg", "/proc/version"])
def test_a_lock_names_no_device(captain: Captain, place: str) -> None:
    Path("pylock.toml").write_text(
        pylock(
            f'[[packages.wheels]]\nname = "{WHEEL}"\npath = "{place}"\nsize = 22\n'
            f'hashes = {{ sha256 = "{DIGEST}" }}\n'
        )
    )
    with pytest.raises(BuildError, match="does not match the lock"):
        captain.add_lock("pylock.toml").pack("env.tar.gz")


@pytest.mark.parametrize("path", ["\0", "~nobody-here/x", "x" * 5000, "pipe"])
def test_what_is_no_path_of_a_lock_is_told(captain: Captain, path: str) -> None:
    os.mkfifo("pipe")
    with pytest.raises(LockError, match="the lock file cannot be read"):
        captain.add_lock(path)


@pytest.mark.parametrize("path", ["\0", "\0.tar.gz", "x" * 5000 + ".tar.gz", "y" * 5000 + "/a.tgz"])
def test_what_is_no_path_of_an_archive_is_told(captain: Captain, path: str) -> None:
    with pytest.raises(BuildError):
        captain.pack(path)


@pytest.mark.parametrize("path", ["\0", "x" * 5000, "./" + "x" * 5000, "~nobody-here/x"])
def test_what_is_no_path_of_an_environment_is_told(captain: Captain, path: str) -> None:
    with pytest.raises(RequirementError):
        Captain.from_environment(path)


@pytest.mark.parametrize("path", ["./" + "x" * 5000, "./" + "x" * 5000 + ".whl", "./a\0b"])
def test_what_is_no_path_of_a_package_is_told(captain: Captain, path: str) -> None:
    with pytest.raises(BoatError):
        captain.add_pip_packages(path)


def test_a_zip_without_members_has_no_issue() -> None:
    for data in (END, END[:-2] + b"\x16\x00" + END):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert list(members.issues(archive, len(data))) == []


def test_a_marker_that_nothing_can_evaluate_is_told(captain: Captain) -> None:
    more = "marker = \"extra == 'x' and 'a' in extras\"\n"
    wheel = f'[[packages.wheels]]\nname = "{WHEEL}"\nurl = "https://x.org/{WHEEL}"\n'
    wheel += f'hashes = {{ sha256 = "{DIGEST}" }}\n'
    Path("pylock.toml").write_text(pylock(wheel, more=more))
    with pytest.raises(LockError, match="marker"):
        captain.add_lock("pylock.toml")


def test_many_lines_of_options_are_refused_soon(captain: Captain) -> None:
    Path("requirements.txt").write_text("-f ${HOME}\n" * 300_000)
    began = time.process_time()
    with pytest.raises(RequirementError, match="lines of options"):
        captain.add_requirements("requirements.txt")
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "text",
    [
        f'version = "{MANY}"',
        f"a = ['x', '{MANY}']",
        f'a = """\n{MANY}"""',
        f"a = 1 # {MANY}",
        f'a = """x{MANY}"""',
    ],
)
def test_a_value_of_many_dots_is_no_key(text: str) -> None:
    assert parse.toml(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{MANY} = 1",
        ".".join(['"a"'] * 150) + " = 1",
        f'a = ["""\n""", {{{MANY} = 1}}, ""]',
        f"a = '#'\n{MANY} = 1",
        f"[{MANY}]",
        f'a = ["""b"""", {{{MANY} = 1}}, ""]',
        '"a\u2028".' * 150 + "a = 1",
    ],
)
def test_a_key_of_many_parts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="100 parts"):
        parse.toml(text)
