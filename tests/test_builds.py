"""`only_binary` holds wherever a package's own code would run on the driver: nothing is built, no
backend is asked for a name or for what is needed, whatever the source came from.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_locks import SOURCES, pylock
from small_packages import project, sdist, sha256, wheel

from coffee_boat import Captain
from coffee_boat._support.store import Store
from coffee_boat.errors import BoatError, BuildError, LockError, RequirementError, SettingsError
from coffee_boat.model import Indexes, Lock, Pin, Target
from coffee_boat.pip.fetch import fetch
from coffee_boat.settings import load

pytestmark = pytest.mark.once

TARGET = Target(f"{sys.version_info.major}.{sys.version_info.minor}.0")
ALL = Indexes(no_index=True, only_binary=(":all:",), only_binary_said=("PIP_ONLY_BINARY",))


@pytest.fixture(autouse=True)
def _own_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("XDG_CONFIG_HOME", "UV_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "ran").exists(), "the package's own code has run"


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder whose code tells that it ran."""
    folder = project(tmp_path / "project", "alpha", "1.0", static=False)
    text = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    (folder / "backend.py").write_text(text + (folder / "backend.py").read_text())
    return folder


def captain(
    tmp_path: Path,
    *,
    only: str = ":all:",
    no_binary: str = "",
) -> Captain:
    """Settings that are no arguments stand in the project's file."""
    (tmp_path / "links").mkdir(exist_ok=True)
    lines = ["[tool.coffee_boat]", "no_index = true", 'find_links = ["links"]']
    lines += [f"only_binary = {only.split()}"] if only else []
    lines += [f"no_binary = {no_binary.split()}"] if no_binary else []
    (tmp_path / "pyproject.toml").write_text("\n".join(lines) + "\n")
    return Captain(store=str(tmp_path / "store"))


def test_the_folder_does_tell_when_it_runs(tmp_path: Path, trap: Path) -> None:
    captain(tmp_path, only="beta").add_pip_packages(f"alpha @ {trap.as_uri()}").plan()
    (tmp_path / "ran").unlink()


@pytest.mark.parametrize("kind", SOURCES)
def test_a_lock_with_a_source_is_refused(tmp_path: Path, trap: Path, kind: str) -> None:
    (tmp_path / "pylock.toml").write_text(pylock(SOURCES[kind]))
    with pytest.raises(LockError) as caught:
        captain(tmp_path).add_lock(tmp_path / "pylock.toml")
    assert caught.value.code == "lock.only-wheels-allowed"
    assert caught.value.value.startswith("alpha 1.0: a ")
    assert "only_binary = :all: (" in caught.value.cause
    assert "pyproject.toml: [tool.coffee_boat]: only_binary)" in caught.value.cause
    assert 'no_binary=["alpha"]' in caught.value.cure


@pytest.mark.parametrize("location", ["./project", "git+https://x.org/a.git#" + "0" * 40])
def test_a_source_in_a_pixi_lock_is_refused(tmp_path: Path, trap: Path, location: str) -> None:
    pytest.importorskip("rattler")
    (tmp_path / "pixi.lock").write_text(
        "version: 6\nenvironments:\n  default:\n    channels: []\n    packages:\n      linux-64:\n"
        f"      - pypi: {location}\npackages:\n- pypi: {location}\n  name: alpha\n"
        "  version: '1.0'\n"
    )
    with pytest.raises(LockError, match="only wheels are allowed"):
        captain(tmp_path).add_lock(tmp_path / "pixi.lock")


@pytest.mark.parametrize("kind", ["sdist", "directory", "vcs"])
def test_the_last_door_builds_nothing(tmp_path: Path, trap: Path, kind: str) -> None:
    made = sdist(tmp_path / "dist", trap, "alpha", "1.0")
    pins = {
        "sdist": Pin(
            "alpha", "1.0", "sdist", made.name, made.as_uri(), sha256=sha256(made), direct=True
        ),
        "directory": Pin("alpha", "1.0", "directory", url=trap.as_uri(), sha256="0" * 64),
        "vcs": Pin("alpha", "1.0", "vcs", url=f"git+{trap.as_uri()}", commit="0" * 40),
    }
    with pytest.raises(BuildError, match="only wheels are allowed") as caught:
        fetch(
            Lock(TARGET, (pins[kind],)),
            indexes=ALL,
            store=Store(tmp_path / "store"),
            python=sys.executable,
            say=print,
        )
    assert "PIP_ONLY_BINARY" in caught.value.cause


def test_what_was_built_before_is_not_taken_either(tmp_path: Path, trap: Path) -> None:
    made = sdist(tmp_path / "dist", trap, "alpha", "1.0")
    pin = Pin("alpha", "1.0", "sdist", made.name, made.as_uri(), sha256=sha256(made), direct=True)
    arguments = {"store": Store(tmp_path / "store"), "python": sys.executable, "say": print}
    lock = Lock(TARGET, (pin,))
    fetch(lock, indexes=Indexes(no_index=True), **arguments)  # type: ignore[arg-type]
    (tmp_path / "ran").unlink()
    with pytest.raises(BuildError, match="only wheels are allowed"):
        fetch(lock, indexes=ALL, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["{folder}", "alpha @ {uri}", "{sdist}", "git+{uri}", "alpha @ git+{uri}"]
)
@pytest.mark.parametrize("only", [":all:", "alpha"])
def test_no_source_is_asked_while_resolving(
    tmp_path: Path, trap: Path, text: str, only: str
) -> None:
    made = sdist(tmp_path / "dist", trap, "alpha", "1.0")
    asked = text.format(folder=trap, uri=trap.as_uri(), sdist=made)
    with pytest.raises(LockError, match="only wheels are allowed") as caught:
        captain(tmp_path, only=only).add_pip_packages(asked).plan()
    assert "add_pip_packages" in caught.value.value


def test_an_editable_of_a_requirements_file_is_not_asked(tmp_path: Path, trap: Path) -> None:
    (tmp_path / "requirements.txt").write_text("--only-binary :all:\n-e ./project\n")
    with pytest.raises(LockError, match="only wheels are allowed") as caught:
        captain(tmp_path, only="").add_requirements(tmp_path / "requirements.txt").plan()
    assert "(editable)" in caught.value.value
    assert "requirements.txt:1: --only-binary" in caught.value.cause


def test_a_source_of_another_source_is_not_asked(tmp_path: Path, trap: Path) -> None:
    """uv lets an editable source be built in spite of --only-binary."""
    app = project(tmp_path / "app", "app", "1.0", ["alpha"])
    with (app / "pyproject.toml").open("a") as file:
        file.write('\n[tool.uv.sources]\nalpha = { path = "../project", editable = true }\n')
    with pytest.raises(BoatError):
        captain(tmp_path, only="alpha").add_pip_packages(str(app)).plan()


def test_a_source_distribution_of_an_index_is_not_asked(tmp_path: Path, trap: Path) -> None:
    sdist(tmp_path / "links", trap, "alpha", "1.0")
    with pytest.raises(LockError):
        captain(tmp_path).add_pip_packages("alpha").plan()


def test_what_a_build_needs_is_not_built(tmp_path: Path, trap: Path) -> None:
    sdist(tmp_path / "links", trap, "alpha", "1.0")
    app = project(tmp_path / "app", "app", "1.0")
    text = (app / "pyproject.toml").read_text()
    (app / "pyproject.toml").write_text(text.replace("requires = []", 'requires = ["alpha"]'))
    ours = captain(tmp_path, no_binary="app")
    with pytest.raises(BuildError, match="no wheel could be built of app"):
        ours.add_pip_packages(str(app)).pack(tmp_path / "env.tar.gz")


def test_a_name_is_stronger_than_all(tmp_path: Path) -> None:
    folder = project(tmp_path / "mine", "mine", "1.0")
    wheel(tmp_path / "links", "beta", "1.0")
    ours = captain(tmp_path, no_binary="mine")
    ours.add_pip_packages(str(folder), "beta").plan()
    both = captain(tmp_path, no_binary="mine", only=":all: mine")
    with pytest.raises(LockError, match="only wheels are allowed") as caught:
        both.add_pip_packages(str(folder)).plan()
    assert "take mine out of only_binary" in caught.value.cure


@pytest.mark.parametrize(
    ("variables", "file", "place"),
    [
        ({"PIP_ONLY_BINARY": ":all:"}, "", "PIP_ONLY_BINARY"),
        ({"UV_NO_BUILD": "1"}, "", "UV_NO_BUILD"),
        ({"UV_NO_BUILD_PACKAGE": "beta alpha"}, "", "UV_NO_BUILD_PACKAGE"),
        ({}, "[tool.uv]\nno-build = true\n", "no-build"),
        ({}, '[tool.uv]\nno-build-package = ["alpha"]\n', "no-build-package"),
        ({}, '[tool.uv.pip]\nonly-binary = [":all:"]\n', "pip.only-binary"),
        ({}, '[tool.coffee_boat]\nonly_binary = ["alpha"]\n', "[tool.coffee_boat]"),
    ],
)
def test_pips_and_uvs_own_words_hold_for_a_lock(
    tmp_path: Path,
    trap: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    file: str,
    place: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COFFEE_BOAT_NO_INDEX", "1")
    (tmp_path / "pyproject.toml").write_text(file)
    (tmp_path / "pylock.toml").write_text(pylock(SOURCES["directory"]))
    with pytest.raises(LockError, match="only wheels are allowed") as caught:
        Captain(store=str(tmp_path / "store")).add_lock(tmp_path / "pylock.toml")
    assert place in caught.value.cause


def test_uvs_and_pips_promises_are_both_kept(tmp_path: Path) -> None:
    environ = {"UV_NO_BUILD_PACKAGE": "a", "PIP_ONLY_BINARY": "b", "HOME": str(tmp_path)}
    indexes = load({}, folder=tmp_path, environ=environ)[0].indexes
    assert indexes.only_binary == ("a", "b")
    assert indexes.only_binary_said == ("UV_NO_BUILD_PACKAGE, PIP_ONLY_BINARY",)


@pytest.mark.parametrize("said", ["--no-binary alpha", "--no-binary beta,alpha"])
@pytest.mark.parametrize("only", [":all:", "alpha"])
@pytest.mark.parametrize("place", ["variable", "user", "project", "pip"])
def test_a_requirements_file_does_not_allow_a_build(
    tmp_path: Path, trap: Path, monkeypatch: pytest.MonkeyPatch, said: str, only: str, place: str
) -> None:
    sdist(tmp_path / "links", trap, "alpha", "1.0")
    ours = captain(tmp_path, only=only if place == "project" else "")
    if place in ("variable", "pip"):
        name = "COFFEE_BOAT_ONLY_BINARY" if place == "variable" else "PIP_ONLY_BINARY"
        monkeypatch.setenv(name, only)
    elif place == "user":
        config = tmp_path / "XDG_CONFIG_HOME" / "coffee_boat" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(f'only_binary = ["{only}"]\n')
    ours = Captain(store=str(tmp_path / "store"))
    (tmp_path / "requirements.txt").write_text(f"{said}\nalpha\n")
    with pytest.raises(RequirementError, match="a requirements file would allow a build") as caught:
        ours.add_requirements(tmp_path / "requirements.txt").plan()
    assert "requirements.txt:1: --no-binary" in caught.value.value
    assert f"only_binary = {only} (" in caught.value.cause


def test_an_environment_files_list_does_not_allow_a_build(
    tmp_path: Path, trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdist(tmp_path / "links", trap, "alpha", "1.0")
    captain(tmp_path, only="")
    monkeypatch.setenv("COFFEE_BOAT_ONLY_BINARY", ":all:")
    (tmp_path / "environment.yml").write_text(
        "dependencies:\n  - pip:\n    - --no-binary alpha\n    - alpha\n"
    )
    with pytest.raises(RequirementError, match="would allow a build"):
        Captain(store=str(tmp_path / "store")).add_environment(tmp_path / "environment.yml").plan()


def test_a_name_that_the_setting_allows_may_stand_in_a_file_too(tmp_path: Path) -> None:
    folder = project(tmp_path / "mine", "mine", "1.0")
    ours = captain(tmp_path, no_binary="mine")
    (tmp_path / "requirements.txt").write_text(f"--no-binary mine\n{folder}\n")
    ours.add_requirements(tmp_path / "requirements.txt").plan()


def test_a_weaker_place_does_not_allow_a_build(
    tmp_path: Path, trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdist(tmp_path / "links", trap, "alpha", "1.0")
    captain(tmp_path, only="", no_binary="alpha")
    monkeypatch.setenv("COFFEE_BOAT_ONLY_BINARY", ":all:")
    settings, findings = load({})
    assert settings.indexes.no_binary == ()
    (said,) = (f for f in findings if f.code == "settings.no-binary-ignored")
    assert "alpha" in said.value
    assert "COFFEE_BOAT_ONLY_BINARY" in said.cause
    with pytest.raises(LockError):
        Captain(store=str(tmp_path / "store")).add_pip_packages("alpha").plan()


OWN = {
    "pip": ("PIP_ONLY_BINARY", ":all:"),
    "uv": ("UV_NO_BUILD", "1"),
    "uv's list": ("UV_NO_BUILD_PACKAGE", "alpha"),
    "file": ("XDG_CONFIG_HOME", "config"),
}
PROJECTS = {
    "uv and ours": '[tool.coffee_boat]\nno_binary = ["x"]\n'
    '[tool.uv]\nno-binary-package = ["alpha"]\n',
    "no_binary": '[tool.coffee_boat]\nno_binary = ["alpha"]\n',
    "only_binary": "[tool.coffee_boat]\nonly_binary = []\n",
    "both": '[tool.coffee_boat]\nonly_binary = [":all:"]\nno_binary = ["alpha"]\n',
    "uv": '[tool.uv]\nno-binary-package = ["alpha"]\n',
}


@pytest.mark.parametrize("project", PROJECTS)
@pytest.mark.parametrize("own", OWN)
def test_a_project_allows_no_build_that_its_user_forbids(
    tmp_path: Path, trap: Path, monkeypatch: pytest.MonkeyPatch, own: str, project: str
) -> None:
    sdist(tmp_path / "links", trap, "alpha", "1.0")
    (tmp_path / "pyproject.toml").write_text(PROJECTS[project])
    (tmp_path / "config/coffee_boat").mkdir(parents=True)
    name, value = OWN[own]
    if own == "file":
        text = 'only_binary = [":all:"]\n'
        (tmp_path / "config/coffee_boat/config.toml").write_text(text)
        value = str(tmp_path / "config")
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("COFFEE_BOAT_NO_INDEX", "1")
    if "uv" in project:
        with pytest.raises(SettingsError) as caught:
            load({})
        assert caught.value.code == "settings.uv-would-build"
        assert "no-binary-package" in caught.value.value
        return
    settings, findings = load({})
    assert settings.indexes.no_binary == ()
    assert {":all:", "alpha"} & set(settings.indexes.only_binary)
    ignored = [finding for finding in findings if finding.code == "settings.no-binary-ignored"]
    assert len(ignored) == (project != "only_binary")
    ours = Captain(store=str(tmp_path / "store"), find_links=[str(tmp_path / "links")])
    with pytest.raises(LockError):
        ours.add_pip_packages("alpha").plan()
    assert not (tmp_path / "ran").exists()


def test_a_project_forbids_builds_besides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captain(tmp_path, only="beta")
    monkeypatch.setenv("PIP_ONLY_BINARY", "alpha")
    assert set(load({})[0].indexes.only_binary) == {"alpha", "beta"}


def test_a_stronger_place_may_name_what_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captain(tmp_path, only=":all:")
    monkeypatch.setenv("COFFEE_BOAT_NO_BINARY", "alpha")
    assert load({})[0].indexes.no_binary == ("alpha",)
