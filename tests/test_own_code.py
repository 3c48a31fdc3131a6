"""A person's own code, through the Captain's door: what travels, what stays, what is refused."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MakeWheel
from small_packages import project

from coffee_boat import BoatError, Captain, LockError, RequirementError
from coffee_boat._support import limits
from coffee_boat.conda import lockfile
from coffee_boat.model import Lock, Manifest
from coffee_boat.pip import own_code, pylock

pytestmark = pytest.mark.usefixtures("pyspark_is_packed")


@pytest.fixture
def captain(tmp_path: Path) -> Iterator[Captain]:
    with Captain(ship_python=False, offline=True, store=tmp_path / "store") as captain:
        yield captain


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a notebook, which is the working directory."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write_at(folder: Path, name: str, text: str = "") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def sent(place: Path) -> list[str]:
    return [file.name for file in own_code.read(place).files]


def in_site_packages(archive: Path) -> set[str]:
    with tarfile.open(archive) as entries:
        names = [entry.name for entry in entries if entry.isfile()]
    return {name.partition("site-packages/")[2] for name in names if "site-packages/" in name}


# what travels


def test_a_package_travels_whole_and_what_is_not_code_of_it_stays(home: Path) -> None:
    for name in (
        *("src/mypkg/__init__.py", "src/mypkg/data/words.csv", "src/mypkg/deep/part.py"),
        *("src/mypkg/__pycache__/x.cpython-311.pyc", "src/mypkg/.env", "src/mypkg/old.pyc"),
        *("src/mypkg/.ipynb_checkpoints/part.py", "src/mypkg/venv/pyvenv.cfg", "src/other.py"),
    ):
        write_at(home, name)
    kept = ["mypkg/__init__.py", "mypkg/data/words.csv", "mypkg/deep/part.py"]
    assert sent(home / "src/mypkg") == kept
    assert sent(home / "src") == [*kept, "other.py"]


def test_of_a_folder_of_modules_data_stays_and_namespaces_travel(home: Path) -> None:
    for name in (
        *("helpers.py", "notes.ipynb", "huge.parquet", "my-script.py", "README.md"),
        *("data/2026.csv", "space/part.py", "space/part.csv", "pkg/__init__.py", "pkg/words.txt"),
        *(".git/hook.py", "build/lib/helpers.py", "node_modules/a.py", "env/conda-meta/x.py"),
    ):
        write_at(home, name)
    assert sent(home) == ["helpers.py", "pkg/__init__.py", "pkg/words.txt", "space/part.py"]


def test_what_gitignore_names_stays_behind_also_from_folders_above(home: Path) -> None:
    (home / ".git").mkdir()
    write_at(home, ".gitignore", "*.csv\n/src/mypkg/made/\n!keep.csv\n")
    write_at(home, "src/mypkg/sub/.gitignore", "local.py\n!again.csv\n")
    for name in (
        *("__init__.py", "words.csv", "keep.csv", "made/x.py", "sub/local.py", "sub/again.csv"),
        *("sub/local2.py", "sub/more.csv"),
    ):
        write_at(home / "src/mypkg", name)
    kept = ["__init__.py", "keep.csv", "sub/again.csv", "sub/local2.py"]
    assert sent(home / "src/mypkg") == [f"mypkg/{name}" for name in kept]


def test_a_list_above_counts_within_its_repository_only(home: Path) -> None:
    write_at(home, ".gitignore", "*.py\n")
    write_at(home, "src/mypkg/__init__.py")
    assert sent(home / "src/mypkg") == ["mypkg/__init__.py"]
    (home / ".git").mkdir()
    with pytest.raises(RequirementError) as refused:
        sent(home / "src/mypkg")
    assert refused.value.code == "requirements.no-module-in-folder"


@pytest.mark.parametrize(
    "text",
    [
        b"caf\xe9.py\nsecret.py\n",
        b"\xef\xbb\xbfsecret.py\r\ncaf\xe9.py\r\n",
        b"secret.py\nodd\x0cname\ncaf\xe9.*",
    ],
    ids=["latin-1", "byte order mark", "form feed"],
)
def test_a_list_is_read_as_git_reads_it_byte_by_byte(home: Path, text: bytes) -> None:
    for name in ("pkg/__init__.py", "pkg/secret.py", "pkg/name", "pkg/caf\udce9.py"):
        write_at(home, name)
    (home / "pkg" / ".gitignore").write_bytes(text)
    assert sent(home / "pkg") == ["pkg/__init__.py", "pkg/name"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"secret.py\n" + b"#" * 3_000_000, "it has more than"),
        (b"secret.py\n[z-a]\n", "a line of it is no pattern"),
        (b"secret.py\n!\n", "a line of it is no pattern"),
        (None, "No such file"),
    ],
    ids=["large", "range", "negation", "link"],
)
def test_a_list_that_cannot_be_read_is_refused(
    captain: Captain, home: Path, text: bytes | None, why: str
) -> None:
    write_at(home, "pkg/__init__.py")
    path = write_at(home, "pkg/secret.py").with_name(".gitignore")
    if text is None:
        path.symlink_to(home / "nowhere")
    else:
        path.write_bytes(text)
    with pytest.raises(RequirementError) as refused:
        captain.add_local("pkg")
    assert refused.value.code == "requirements.gitignore-unreadable"
    assert refused.value.value == str(path)
    assert refused.value.cause.startswith(why)
    assert captain.manifest == Manifest()


def test_a_folder_that_is_called_so_is_no_list(home: Path) -> None:
    write_at(home, "pkg/__init__.py")
    (home / "pkg" / ".gitignore").mkdir()
    assert sent(home / "pkg") == ["pkg/__init__.py"]


def test_a_name_that_is_not_utf_8_is_refused_until_it_is_ignored(
    captain: Captain, home: Path
) -> None:
    write_at(home, "p/__init__.py")
    write_at(home, "p/caf\udce9.txt")
    with pytest.raises(RequirementError) as refused:
        captain.add_local("p")
    assert refused.value.code == "requirements.own-code-name"
    assert refused.value.value == r"'p/caf\udce9.txt'"
    (home / "p" / ".gitignore").write_bytes(b"caf\xe9.txt\n")
    assert captain.add_local("p").plan().lock.has("p")


def test_what_was_named_itself_travels_whatever_gitignore_says(home: Path) -> None:
    (home / ".git").mkdir()
    write_at(home, ".gitignore", "helpers.py\n")
    assert sent(write_at(home, "helpers.py")) == ["helpers.py"]


# by content


def test_content_decides_and_times_do_not(captain: Captain, home: Path) -> None:
    file = write_at(home, "helpers.py", "x = 1\n")
    captain.add_local("helpers.py")
    first = captain.plan().lock
    os.utime(file, (1, 1))
    assert captain.plan().lock.digest == first.digest
    file.chmod(0o755)
    assert captain.plan().lock.digest != first.digest, "the run bit"
    file.chmod(0o644)
    file.write_text("x = 2\n", "utf-8")
    second = captain.plan().lock
    assert second.digest != first.digest
    (pin,) = second.pins
    assert (pin.name, pin.kind, pin.label) == ("helpers", "local", "helpers (local)")
    assert pin.version == f"0+c{pin.sha256[:12]}"


def test_it_is_a_chunk_of_its_own_that_is_used_again(
    captain: Captain, home: Path, tmp_path: Path
) -> None:
    write_at(home, "src/mypkg/__init__.py", "VERSION = 7\n")
    write_at(home, "src/mypkg/tool.sh", "#!/bin/sh\n").chmod(0o755)
    captain.add_local("src/mypkg")
    before = captain.plan()
    assert "mypkg (local)" in str(before)
    assert [item.action for item in before.items if item.label == "mypkg (local)"] == ["pack"]
    archive = captain.pack(tmp_path / "one.tar.gz")
    assert {"mypkg/__init__.py", "mypkg/tool.sh"} <= in_site_packages(tmp_path / "one.tar.gz")
    items = {item.label: item.action for item in captain.plan().items}
    assert items["mypkg (local)"] == "reuse"
    (own,) = [chunk for chunk in archive.chunks if chunk.label.startswith("mypkg ")]
    with Captain(ship_python=False, offline=True, store=tmp_path / "store") as other:
        other.add_local(home / "src" / "mypkg")
        again = other.pack(tmp_path / "two.tar.gz")
    assert own in again.chunks
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_executors_know_it_as_a_distribution(captain: Captain, home: Path, tmp_path: Path) -> None:
    write_at(home, "src/mypkg/__init__.py")
    write_at(home, "src/mypkg/run.sh").chmod(0o755)
    captain.add_local("src/mypkg").pack(tmp_path / "one.tar.gz")
    (tmp_path / "node").mkdir()
    argv = ["tar", "-xzf", str(tmp_path / "one.tar.gz"), "-C", str(tmp_path / "node")]
    subprocess.run(argv, check=True)
    (site,) = (tmp_path / "node").glob("lib/python3*/site-packages")
    assert captain.lock is not None
    (found,) = importlib.metadata.distributions(name="mypkg", path=[str(site)])
    assert found.version == captain.lock.pins[0].version
    assert {str(file) for file in found.files or ()} >= {"mypkg/__init__.py", "mypkg/run.sh"}
    assert os.access(site / "mypkg/run.sh", os.X_OK)
    assert not os.access(site / "mypkg/__init__.py", os.X_OK)


def test_a_lock_brings_it_back_as_long_as_it_is_unchanged(
    captain: Captain, home: Path, tmp_path: Path
) -> None:
    file = write_at(home, "helpers.py", "x = 1\n")
    captain.add_local("helpers.py").plan()
    lock = captain.lock
    assert isinstance(lock, Lock)
    again = pylock.read(pylock.write(lock), lock.target)
    assert again.pins == lock.pins
    (tmp_path / "pylock.toml").write_text(pylock.write(lock), "utf-8")
    file.write_text("x = 2\n", "utf-8")
    with Captain(ship_python=False, offline=True, store=tmp_path / "store") as other:
        other.add_lock(tmp_path / "pylock.toml")
        with pytest.raises(BoatError) as refused:
            other.pack(tmp_path / "two.tar.gz")
    assert refused.value.code == "build.folder-changed"


# with packages


def test_only_wheels_is_no_word_against_ones_own_code(home: Path, tmp_path: Path) -> None:
    write_at(home, "helpers.py")
    write_at(home, "requirements.txt", "--only-binary :all:\n")
    with Captain(ship_python=False, offline=True, store=tmp_path / "store") as captain:
        captain.add_requirements("requirements.txt").add_local("helpers.py")
        captain.pack(tmp_path / "one.tar.gz")


@pytest.mark.parametrize(
    ("name", "code"),
    [("alpha", "lock.own-code-named-as-package"), ("taken", "build.own-module-taken")],
)
def test_a_name_that_a_package_has_is_refused(
    make_wheel: MakeWheel, home: Path, tmp_path: Path, name: str, code: str
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel("alpha", files={"alpha.py": "", "taken/__init__.py": ""}, folder=wheels)
    write_at(home, f"{name}.py")
    with Captain(
        ship_python=False, offline=True, store=tmp_path / "store", find_links=[str(wheels)]
    ) as captain:
        captain.add_pip_packages("alpha").add_local(f"{name}.py")
        with pytest.raises(BoatError) as refused:
            captain.pack(tmp_path / "one.tar.gz")
    assert refused.value.code == code
    assert name in refused.value.value
    assert "alpha" in refused.value.value


def test_a_project_with_a_build_step_is_built(captain: Captain, home: Path, tmp_path: Path) -> None:
    project(home / "tool", "tool", "1.5")
    captain.add_local("tool").plan()
    assert captain.lock is not None
    assert [(pin.kind, pin.name) for pin in captain.lock.pins] == [("directory", "tool")]


def test_a_project_file_without_a_build_step_is_told_of(captain: Captain, home: Path) -> None:
    write_at(home, "pyproject.toml", '[project]\nname = "x"\ndependencies = ["numpy"]\n')
    write_at(home, "helpers.py")
    captain.add_local(".")
    assert [r.name for r in captain.manifest.requirements] == ["work"]
    (found,) = captain.manifest.findings
    assert found.code == "requirements.own-code-dependencies"
    assert "captain.add_requirements(" in found.cure


def test_it_is_taken_back_by_name_and_by_place(captain: Captain, home: Path) -> None:
    write_at(home, "helpers.py")
    write_at(home, "src/mypkg/__init__.py")
    captain.add_local("helpers.py", "src/mypkg")
    captain.forget("helpers", "src/mypkg")
    assert captain.manifest == Manifest()


# refusals


def test_a_folder_over_the_limit_is_refused_with_its_largest_entries(home: Path) -> None:
    write_at(home, "pkg/__init__.py")
    for name, size in (("models/a.bin", limits.TREE), ("words.bin", 30_000_000), ("x.bin", 7)):
        with (write_at(home / "pkg", name)).open("wb") as file:
            file.truncate(size)  # sparse: nothing is read of it
    with pytest.raises(RequirementError) as refused:
        own_code.read(home / "pkg")
    assert refused.value.code == "requirements.own-code-too-large"
    assert refused.value.value == (
        f"{home}/pkg: 130.0 MB, of which models 100.0 MB, words.bin 30.0 MB, x.bin 7 B"
    )
    assert ".gitignore" in refused.value.cure
    write_at(home, "pkg/.gitignore", "*.bin\n")
    assert sent(home / "pkg") == ["pkg/__init__.py"]


def test_so_is_a_project_before_anything_of_it_is_read(captain: Captain, home: Path) -> None:
    project(home / "tool", "tool", "1.5")
    write_at(home, "tool/data/words.txt")
    with (home / "tool" / "data" / "a.bin").open("wb") as file:
        file.truncate(limits.TREE)
    captain.add_pip_packages("./tool")
    with pytest.raises(RequirementError) as refused:
        captain.plan()
    assert refused.value.code == "requirements.project-folder-too-large"
    assert refused.value.value.endswith("of which data/a.bin 100.0 MB, data/words.txt 0 B")


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("gone.py", "requirements.own-code-missing"),
        ("random.py", "requirements.shadows-python"),
        ("pyspark", "requirements.shadows-python"),
        ("my-pkg", "requirements.own-code-not-importable"),
        ("notes.txt", "requirements.not-a-module"),
        ("empty", "requirements.no-module-in-folder"),
        ("links", "requirements.own-code-link"),
        ("loop", "requirements.own-code-link"),
        ("/", "requirements.not-a-code-folder"),
        ("", "requirements.own-code-not-a-path"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(
    captain: Captain, home: Path, place: str, code: str
) -> None:
    for name in ("random.py", "notes.txt", "pyspark/__init__.py", "my-pkg/__init__.py"):
        write_at(home, name)
    (home / "empty").mkdir()
    write_at(home, "links/__init__.py")
    (home / "links" / "away").symlink_to(home / "notes.txt")
    write_at(home, "loop/__init__.py")
    (home / "loop" / "again").symlink_to(home / "loop")
    with pytest.raises(RequirementError) as refused:
        captain.add_local(place)
    assert refused.value.code == code
    assert captain.manifest == Manifest()


def test_a_file_that_cannot_be_read_is_named(
    captain: Captain, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_at(home, "pkg/secret.py")
    write_at(home, "pkg/__init__.py")
    file.chmod(0)
    if os.access(file, os.R_OK):  # root may read all: a pipe cannot be read as a file
        file.unlink()
        file.symlink_to(home / "pkg" / "nowhere")
    with pytest.raises(RequirementError) as refused:
        captain.add_local("pkg")
    assert "secret.py" in refused.value.value


def test_of_a_folder_what_python_has_itself_stays_behind_and_is_told(
    captain: Captain, home: Path
) -> None:
    for name in ("helpers.py", "types.py", "email/cases.py"):
        write_at(home, name)
    captain.add_local(".")
    assert sent(home) == ["helpers.py"]
    (found,) = captain.manifest.findings
    assert found.code == "requirements.shadows-python-left-out"
    assert found.value.endswith("types.py")


def test_links_within_are_sent_as_what_they_lead_to(home: Path) -> None:
    write_at(home, "pkg/__init__.py")
    write_at(home, "pkg/real.py", "x = 1\n")
    (home / "pkg" / "alias.py").symlink_to("real.py")
    (home / "data").symlink_to("/usr")  # beside the package: data, which stays
    assert sent(home) == ["pkg/__init__.py", "pkg/alias.py", "pkg/real.py"]


# on the driver


def test_the_driver_imports_the_folder_itself(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coffee_boat._support.store import Store
    from coffee_boat.session.views import Views
    from coffee_boat.workflow import own_code as among_packages

    file = write_at(home, "src/boat_of_mine/__init__.py", "x = 1\n")
    write_at(home, "boat_beside.py")
    with Captain(ship_python=False, offline=True, store=tmp_path / "store") as captain:
        captain.add_local("src/boat_of_mine", "boat_beside.py").plan()
        lock = captain.lock
    assert lock is not None
    monkeypatch.syspath_prepend(str(home))
    views = Views(Store(tmp_path / "views"))
    assert views.show_code(among_packages.on_the_driver(lock)) == ()
    assert views.entries == (str(home / "src"),), "the other one can be imported already"
    module = importlib.import_module("boat_of_mine")
    assert module.__file__ == str(file)
    del sys.modules["boat_of_mine"]
    views.close()
    assert str(home / "src") not in sys.path
    write_at(tmp_path, "other/boat_of_mine.py")
    monkeypatch.syspath_prepend(str(tmp_path / "other"))
    (told,) = views.show_code(among_packages.on_the_driver(lock))
    assert told.code == "driver.other-module"
    views.close()


def test_a_lock_of_conda_has_no_word_for_it(captain: Captain, home: Path) -> None:
    write_at(home, "helpers.py")
    captain.add_local("helpers.py").plan()
    assert captain.lock is not None
    with pytest.raises(LockError) as refused:
        lockfile.write(captain.lock)
    assert refused.value.code == "lock.own-code-not-writable"


def test_it_goes_beside_a_lock_file_which_stays_as_it_is(
    make_wheel: MakeWheel, home: Path, tmp_path: Path
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel("alpha", folder=wheels)
    settings = {"ship_python": False, "offline": True, "store": tmp_path / "store"}
    with Captain(find_links=[str(wheels)], **settings) as first:
        lock = first.add_pip_packages("alpha").plan().lock
    (home / "pylock.toml").write_text(pylock.write(lock), "utf-8")
    file = write_at(home, "helpers.py", "x = 1\n")
    with Captain(**settings) as captain:
        captain.add_lock("pylock.toml").add_local("helpers.py")
        archive = captain.pack(tmp_path / "one.tar.gz")
        assert [chunk.label.partition(" ")[0] for chunk in archive.chunks][-2:] == [
            "alpha",
            "helpers",
        ]
        file.write_text("x = 2\n", "utf-8")
        assert captain.plan().lock.digest != archive.lock_digest
    with Captain(**settings) as other:
        other.add_local("helpers.py").add_lock("pylock.toml")
        with pytest.raises(RequirementError):
            other.add_pip_packages("beta")
