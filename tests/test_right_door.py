"""Files and lines that were given to another door than theirs, or come from another system: taken
where it is plain what is meant, else the right door is named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coffee_boat import Captain, requirements
from coffee_boat._support import network
from coffee_boat.errors import BoatError, RequirementError, SettingsError

FILES = {
    "requirements.txt": "humanize\n",
    "explicit.txt": "# platform: linux-64\n@EXPLICIT\nhttps://h/c/noarch/x-1-0.conda\n",
    "conda-lock.yml": "version: 1\nmetadata:\n  platforms: [linux-64]\npackage:\n- name: x\n",
    "env.lock.yml": "# made by conda-lock\n\nversion: 1\nmetadata: {}\npackage:\n- name: x\n",
    "pixi.lock": "version: 6\nenvironments: {}\npackages: []\n",
    "pylock.toml": 'lock-version = "1.0"\ncreated-by = "x"\npackages = []\n',
    "uv.lock": "version = 1\n",
    "poetry.lock": "[[package]]\n",
    "Pipfile.lock": "{}",
    "environment.yml": "dependencies: [zlib]\n",
    "pyproject.toml": '[project]\nname = "x"\nversion = "1"\n',
}
DOORS: dict[str, Callable[[Captain, str], object]] = {
    "requirements": lambda captain, name: captain.add_requirements(name),
    "package": lambda captain, name: captain.add_pip_packages(name),
    "lock": lambda captain, name: captain.add_lock(name),
    "environment": lambda captain, name: captain.add_environment(name),
    "conda": lambda captain, name: captain.add_conda_packages(name),
    "existing": lambda _, name: Captain.from_environment(name),
}
RIGHT = {
    "requirements.txt": "add_requirements(",
    "explicit.txt": "add_lock(",
    "conda-lock.yml": "add_lock(",
    "env.lock.yml": "add_lock(",
    "pixi.lock": "add_lock(",
    "pylock.toml": "add_lock(",
    "uv.lock": "uv export --format pylock.toml",
    "poetry.lock": "poetry export",
    "Pipfile.lock": "pipenv requirements",
    "environment.yml": "add_environment(",
    "pyproject.toml": "add_requirements(",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(tmp_path / "store"))
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("door", DOORS)
def test_a_file_at_another_door_is_told_its_own(door: str, name: str) -> None:
    pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")
    own = {"requirements": "add_requirements(", "lock": "add_lock(", "environment": "add_env"}
    if RIGHT[name].startswith(own.get(door, "-")):
        return
    with pytest.raises(BoatError) as caught:
        DOORS[door](Captain(), name)
    assert RIGHT[name] in caught.value.cure


@pytest.mark.parametrize(
    "text",
    [
        "file:requirements.txt",
        "file://{}/requirements.txt",
        "file://localhost{}/requirements.txt",
    ],
)
def test_a_file_url_is_a_path(folder: Path, text: str) -> None:
    captain = Captain().add_requirements(text.format(folder))
    assert [r.name for r in captain.manifest.requirements] == ["humanize"]
    Path("all.txt").write_text(f"-r {text.format(folder)}\n")
    assert requirements.read("all.txt").requirements[0].name == "humanize"
    captain = Captain(store=f"file:{folder}/here")
    assert str(captain.add_pip_packages("humanize").manifest.requirements[0].name) == "humanize"


@pytest.mark.parametrize("url", ["s3://b/requirements.txt", "https://h/requirements.txt"])
def test_a_list_elsewhere_is_no_local_path(url: str) -> None:
    for door in ("requirements", "lock", "environment"):
        with pytest.raises(RequirementError) as caught:
            DOORS[door](Captain(), url)
        assert caught.value.code == "requirements.address-as-file"
        assert url in caught.value.value


@pytest.mark.parametrize("url", ["hdfs:///x", "hdfs:///a/x.tar.gz", "s3://b/x.tar.gz"])
def test_an_archive_is_packed_here(folder: Path, url: str) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(BoatError) as caught:
        Captain().pack(url)
    assert (caught.value.code, caught.value.value) == ("build.archive-place-elsewhere", url)
    assert "x.tar.gz" in caught.value.cure
    assert url.rpartition("/")[0] + "/" in caught.value.cure
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("setting", ["store", "find_links"])
def test_a_folder_of_this_machine_is_no_url(setting: str) -> None:
    value: object = "s3://b" if setting == "store" else ["s3://b"]
    with pytest.raises(SettingsError) as caught:
        Captain(**{setting: value})
    assert caught.value.code == "settings.folder-elsewhere"
    assert setting != "store" or "stage='s3://b'" in caught.value.cure


@pytest.mark.parametrize("named", ["bin/python", "bin", "bin/activate", ""])
def test_an_environment_may_be_named_by_what_is_in_it(folder: Path, named: str) -> None:
    packages = folder / f"v/lib/python3.{sys.version_info[1]}/site-packages"
    (packages / "humanize-4.0.dist-info").mkdir(parents=True)
    (packages / "humanize-4.0.dist-info/METADATA").write_text("Name: humanize\nVersion: 4.0\n")
    (folder / "v/pyvenv.cfg").touch()
    (folder / "v/bin").mkdir()
    (folder / "v/bin/python").symlink_to(sys.executable)
    (folder / "v/bin/activate").touch()
    for text in (f"v/{named}", str(folder / "v" / named), f"file:v/{named}"):
        (found,) = Captain.from_environment(text).manifest.requirements
        assert (found.name, found.specifier) == ("humanize", "==4.0")
    for door in ("requirements", "package"):
        with pytest.raises(BoatError, match="from_environment"):
            DOORS[door](Captain(), "./v")


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("conda-forge::gdal", 'captain.add_conda_packages("conda-forge::gdal")'),
        ("numpy=1.26=py311_0", 'captain.add_conda_packages("numpy=1.26=py311_0")'),
        ("conda install gdal", 'captain.add_conda_packages("gdal")'),
        ("numpy      1.26.4", "pip list --format=freeze"),
        ("C:\\users\\me\\x", "a path of Windows"),
        ("distro-info==1.1build1", "distro-info==1.1"),
    ],
)
def test_words_of_other_tools_are_told_where_they_go(text: str, cure: str) -> None:
    with pytest.raises(RequirementError) as caught:
        Captain().add_pip_packages(text)
    assert cure in caught.value.cure


@pytest.mark.parametrize(
    ("place", "cure"),
    [
        ("/opt/conda/conda-bld/numpy_1/work", "pip list --format=freeze"),
        ("/croot/n_1/work/dist/numpy-1.26.4-cp311-cp311-linux_x86_64.whl", '"numpy==1.26.4"'),
        ("/C:/ci/x_123/work", "pip list --format=freeze"),
        ("/home/conda/feedstock_root/build_artifacts/x_1/work", "pip list --format=freeze"),
    ],
)
def test_places_where_conda_builds_are_told(place: str, cure: str) -> None:
    Path("r.txt").write_text(f"numpy @ file://{place}\n")
    with pytest.raises(RequirementError) as caught:
        Captain().add_requirements("r.txt")
    assert "r.txt:1" in caught.value.value
    assert cure in caught.value.cure


@pytest.mark.parametrize(
    ("line", "cure"),
    [
        ("pkg-resources==0.0.0", "take the line out"),
        ("distro-info===1.1build1", "distro-info==1.1"),
        ("python-debian==0.1.43+ubuntu1.1", "python-debian==0.1.43"),
        ("pywin32==306", 'pywin32==306; sys_platform == "win32"'),
        ("pyobjc-framework-cocoa==9", 'sys_platform == "darwin"'),
        ("conda==23.1.0", "take the line out"),
    ],
)
def test_a_line_of_another_system_is_named_before_any_index_is_asked(line: str, cure: str) -> None:
    Path("r.txt").write_text(f"humanize\n{line}\n")
    captain = Captain(offline=True).add_requirements("r.txt")
    with pytest.raises(RequirementError) as caught:
        captain.plan()
    assert caught.value.code == "requirements.of-another-system"
    assert f"{line} (r.txt:2)" in caught.value.value
    assert cure in caught.value.cure


def test_what_is_marked_for_another_system_or_only_bounded_is_no_error() -> None:
    lines = 'pywin32==306; sys_platform == "win32"\n'
    Path("c.txt").write_text("pywin32==306\n")
    Path("r.txt").write_text(f"{lines}-c c.txt\n")
    assert Captain(offline=True).add_requirements("r.txt").plan().lock.pins == ()


@pytest.mark.parametrize(
    ("names", "system"), [(("vc=14.2=h21_1",), "Windows"), (("libcxx=16.0.6=h4_0",), "macOS")]
)
def test_an_export_of_conda_from_another_system_is_told(
    names: tuple[str, ...], system: str
) -> None:
    pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")
    lines = "".join(f"- {name}\n" for name in ("numpy=1.26.4=py311_0", *names))
    Path("e.yml").write_text(f"channels: [conda-forge]\ndependencies:\n{lines}")
    with pytest.raises(RequirementError) as caught:
        Captain().add_environment("e.yml")
    assert caught.value.code == "requirements.export-of-another-system"
    assert system in caught.value.cause
    for word in ("--no-builds", "--from-history", names[0].partition("=")[0]):
        assert word in caught.value.cure


@pytest.mark.parametrize("version", ["1.0+debug", "1.0+ds1", "1.0+1build2", "2.0+ubuntuish"])
def test_a_local_version_of_an_own_index_is_no_distributions(version: str) -> None:
    captain = Captain(offline=True).add_pip_packages(f"mine=={version}")
    with pytest.raises(BoatError) as caught:
        captain.plan()
    assert caught.value.code != "requirements.of-another-system"


def test_extras_behind_a_projects_file_are_told_what_takes_them(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "1"\n')
    with pytest.raises(RequirementError) as caught:
        Captain().add_requirements("pyproject.toml[all,more]")
    assert caught.value.cure.startswith("extras: captain.add_pip_packages('.[all,more]')")


@pytest.mark.parametrize(
    ("variable", "cure"),
    [
        ("UV_OFFLINE", "run once without the variable UV_OFFLINE, which is set, or put the wheels"),
        ("COFFEE_BOAT_OFFLINE", "run once without the variable COFFEE_BOAT_OFFLINE, which is set"),
        ("", "run once with offline=False, or put the wheels"),
    ],
)
def test_who_switched_the_network_off_is_told_how_to_switch_it_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, cure: str
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "uv"))
    if variable:
        monkeypatch.setenv(variable, "1")
    captain = Captain(offline=None if variable else True, ship_python=False)
    with pytest.raises(BoatError) as caught:
        captain.add_pip_packages("humanize").plan()
    assert caught.value.code == "lock.offline"
    assert cure in caught.value.cure


@pytest.mark.parametrize("word", ["0", "n", "no", "f", "False", "off", ""])
def test_a_variable_that_says_no_switched_nothing_off(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.delenv("UV_OFFLINE", raising=False)
    monkeypatch.setenv("COFFEE_BOAT_OFFLINE", word)
    assert network.again() == "run once with offline=False"
