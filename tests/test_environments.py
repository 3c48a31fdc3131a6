"""What is installed somewhere, described: a virtual environment, a conda environment, the driver's
own; and what cannot be brought back.
"""

from __future__ import annotations

import asyncio
import json
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import MakeWheel
from small_packages import project

from coffee_boat import Captain, RequirementError
from coffee_boat._support import limits
from coffee_boat.errors import LaunchError
from coffee_boat.requirements import describe

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


class Environment:
    """A virtual environment as pip leaves it behind."""

    def __init__(self, folder: Path, make_wheel: MakeWheel) -> None:
        self.folder = folder
        self.site = folder / f"lib/python{MINOR}/site-packages"
        self.site.mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "bin/python").symlink_to(sys.executable)
        (folder / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
        self._make_wheel = make_wheel

    def install(
        self,
        name: str,
        version: str = "1.0",
        *,
        requires: tuple[str, ...] = (),
        requested: bool = True,
        direct_url: object = None,
    ) -> Path:
        """The folder of its metadata."""
        wheel = self._make_wheel(name, version, requires=requires)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.site)
        info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        (info / "INSTALLER").write_text("pip\n")
        if requested:
            (info / "REQUESTED").touch()
        if direct_url is not None:
            (info / "direct_url.json").write_text(json.dumps(direct_url))
        return info


@pytest.fixture
def venv(tmp_path: Path, make_wheel: MakeWheel) -> Environment:
    return Environment(tmp_path / "venv", make_wheel)


def lost(environment: str | Path | None) -> dict[str, str]:
    return {finding.what: finding.value for finding in describe(environment).manifest.findings}


def test_a_home_that_nobody_knows_is_no_place() -> None:
    with pytest.raises(RequirementError, match="an environment is not there: ~nobody-knows/env"):
        describe("~nobody-knows/env")


# a virtual environment


@pytest.mark.parametrize("text", ["{", "[]", '{"vcs_info": {}}', '{"dir_info": 7}', "[" * 100_000])
def test_a_direct_url_that_cannot_be_read_is_named_and_hides_no_other_package(
    venv: Environment, text: str
) -> None:
    (venv.install("broken") / "direct_url.json").write_text(text)
    venv.install("whole")
    made = describe(venv.folder).manifest
    assert [r.text for r in made.requirements] == ["whole==1.0"]
    [finding] = made.findings
    assert "broken 1.0 (its direct_url.json cannot be read)" in finding.value


def test_packages_are_asked_for_as_they_stand_there(venv: Environment) -> None:
    venv.install("left-pad", "2.1")
    venv.install("numbers-plus", "0.3", requires=("left-pad",))
    made = describe(venv.folder)
    assert [r.text for r in made.manifest.requirements] == ["left-pad==2.1", "numbers-plus==0.3"]
    assert made.manifest.findings == ()
    assert made.python == str(venv.folder / "bin/python")


@pytest.mark.parametrize("of_conda", [False, True])
def test_a_record_of_conda_that_a_wheel_brought_names_no_channel(
    venv: Environment, of_conda: bool
) -> None:
    info = venv.install("left-pad", "2.1")
    record = {"name": "evil", "version": "1", "build": "0", "url": "https://evil.example/noarch/e"}
    (venv.folder / "conda-meta").mkdir()
    (venv.folder / "conda-meta/evil.json").write_text(json.dumps({**record, "channel": "evil"}))
    if of_conda:  # then only pip's RECORD tells
        (venv.folder / "pyvenv.cfg").unlink()
        with (info / "RECORD").open("a") as rows:
            rows.write("../../../conda-meta/evil.json,,\n")
    made = describe(venv.folder)
    assert made.manifest.conda == ()
    assert made.manifest.channels == ()
    assert [r.text for r in made.manifest.requirements] == ["left-pad==2.1"]
    assert "evil.json" in lost(venv.folder)["records of conda that a wheel brought are not taken"]


def test_pip_itself_is_left_out(venv: Environment) -> None:
    venv.install("pip")
    venv.install("left-pad")
    assert [r.name for r in describe(venv.folder).manifest.requirements] == ["left-pad"]


def test_what_came_from_a_place_comes_from_there_again(
    venv: Environment, tmp_path: Path, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel("by-file")
    venv.install(
        "by-git",
        direct_url={
            "url": "https://host/tool.git",
            "vcs_info": {"vcs": "git", "commit_id": "a" * 40},
            "subdirectory": "python",
        },
    )
    venv.install("by-file", direct_url={"url": wheel.as_uri(), "archive_info": {}})
    venv.install(
        "by-url", direct_url={"url": "https://host/by_url-1.0-py3-none-any.whl", "archive_info": {}}
    )
    assert {r.name: r.url for r in describe(venv.folder).manifest.requirements} == {
        "by-git": f"git+https://host/tool.git@{'a' * 40}#subdirectory=python",
        "by-file": wheel.as_uri(),
        "by-url": "https://host/by_url-1.0-py3-none-any.whl",
    }


def test_an_editable_install_is_taken_from_its_folder(venv: Environment, tmp_path: Path) -> None:
    folder = project(tmp_path / "work", "edited", "1.0")
    venv.install("edited", direct_url={"url": folder.as_uri(), "dir_info": {"editable": True}})
    found = describe(venv.folder).manifest
    assert [(r.name, r.url) for r in found.requirements] == [("edited", folder.as_uri())]
    assert [(f.code, f.severity) for f in found.findings] == [
        ("requirements.editable-taken", "note")
    ]
    with (folder / "data.bin").open("wb") as file:
        file.truncate(limits.TREE)
    found = describe(venv.folder).manifest
    assert not found.requirements
    assert [f.code for f in found.findings] == ["requirements.editable-skipped"]
    assert "data.bin 100.0 MB" in found.findings[0].cause


def test_what_cannot_be_brought_back_is_named_with_its_owner(
    venv: Environment, tmp_path: Path
) -> None:
    venv.install(
        "edited", direct_url={"url": (tmp_path / "work").as_uri(), "dir_info": {"editable": True}}
    )
    venv.install("from-folder", direct_url={"url": (tmp_path / "work").as_uri(), "dir_info": {}})
    venv.install(
        "gone",
        direct_url={"url": (tmp_path / "gone-1.0-py3-none-any.whl").as_uri(), "archive_info": {}},
    )
    venv.install("patched")
    (venv.site / "patched/__init__.py").write_text("# changed by hand\n")
    venv.install("torn")
    (venv.site / "torn/__init__.py").unlink()
    (venv.site / "loose.py").write_text("")
    (venv.site / "loose_folder").mkdir()
    said = lost(venv.folder)
    assert "edited 1.0" in said["an editable install is not taken"], "its folder is gone"
    assert (
        f"from-folder 1.0 ({tmp_path / 'work'})"
        in said["packages that were installed from a folder are not taken"]
    )
    assert "gone 1.0" in said["packages from nowhere are not taken"]
    assert said["files of packages were changed by hand, and are not taken so"].endswith(
        ": patched: patched/__init__.py, torn: torn/__init__.py"
    )
    assert said["modules from nowhere are not taken"].endswith(": loose.py, loose_folder")
    assert [r.text for r in describe(venv.folder).manifest.requirements] == [
        "patched==1.0",
        "torn==1.0",
    ]


def test_what_only_coffee_boat_needs_stays(venv: Environment) -> None:
    venv.install(
        "coffee-boat", requires=("only-ours", "shared", "wanted", 'extra-of-ours; extra == "conda"')
    )
    venv.install("only-ours", requires=("below-ours",), requested=False)
    venv.install("below-ours", requested=False)
    venv.install("shared", requested=False)
    venv.install("wanted")
    venv.install("mine", requires=("shared",))
    assert [r.name for r in describe(venv.folder).manifest.requirements] == [
        "mine",
        "shared",
        "wanted",
    ]
    assert lost(venv.folder)["what only coffee_boat needs is not taken"].endswith(
        ": below-ours, coffee-boat, only-ours"
    )


def test_a_captain_is_made_of_it(venv: Environment, tmp_path: Path, make_wheel: MakeWheel) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("left-pad", "numbers-plus"):
        venv.install(name)
        make_wheel(name, folder=wheels)
    (venv.site / "loose.py").write_text("")
    captain = Captain.from_environment(
        venv.folder, store=tmp_path / "store", find_links=[str(wheels)], offline=True
    )
    plan = captain.plan()
    assert [f"{pin.name} {pin.version}" for pin in plan.lock.pins] == [
        "left-pad 1.0",
        "numbers-plus 1.0",
    ]
    assert any("modules from nowhere" in finding.what for finding in plan.findings)


def test_the_drivers_own_is_described_without_copying_it() -> None:
    made = describe(None)
    assert made.python is None
    names = {r.name for r in made.manifest.requirements}
    assert not {"coffee-boat", "pip"} & names


@pytest.mark.parametrize(
    ("environment", "what"),
    [("./nothing", "is not there"), ("no-such-name", "no conda environment has this name")],
)
def test_what_is_no_environment_is_told(environment: str, what: str) -> None:
    with pytest.raises(RequirementError, match=what):
        describe(environment)


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match="not an environment"):
        describe(tmp_path)


def test_an_environment_whose_interpreter_is_gone_is_told(venv: Environment) -> None:
    venv.install("left-pad")
    (venv.folder / "bin/python").unlink()
    (venv.folder / "bin/python").symlink_to("/gone/python")
    with pytest.raises(RequirementError, match="no interpreter that runs"):
        describe(venv.folder)


# a conda environment


@pytest.fixture
def conda_environment(tmp_path: Path, conda_channel: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prefix that rattler installed."""
    import rattler

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (
        "CONDARC",
        "CONDA_PREFIX",
        "CONDA_ROOT",
        "CONDA_EXE",
        "CONDA_ENVS_PATH",
        "CONDA_ENVS_DIRS",
        "MAMBA_ROOT_PREFIX",
    ):
        monkeypatch.delenv(name, raising=False)
    prefix = tmp_path / "envs" / "analysis"

    async def install() -> None:
        platforms = ["linux-64" if sys.platform == "linux" else "noarch", "noarch"]
        records = await rattler.solve(
            [rattler.Channel(conda_channel)],
            ["python", "native=1", "pure=1.0"],
            gateway=rattler.Gateway(cache_dir=tmp_path / "repodata"),
            platforms=platforms,  # type: ignore[arg-type]
            virtual_packages=rattler.VirtualPackage.detect(),
        )
        config = rattler.Config.from_toml(
            "allow-hard-links = false\nallow-symbolic-links = false\n"
        )
        await rattler.install(
            records,
            target_prefix=prefix,
            cache_dir=tmp_path / "pkgs",
            show_progress=False,
            config=config,
        )

    asyncio.run(install())
    return prefix


def test_a_conda_environment_is_solved_to_itself(
    conda_environment: Path, conda_channel: str, tmp_path: Path
) -> None:
    captain = Captain.from_environment(conda_environment, store=tmp_path / "store")
    lock = captain.plan().lock
    installed = sorted(
        path.name.removesuffix(".json")
        for path in (conda_environment / "conda-meta").glob("*.json")
    )
    assert sorted(f"{pin.name}-{pin.version}-{pin.build}" for pin in lock.conda) == installed
    assert {pin.channel for pin in lock.conda} == {conda_channel}
    assert lock.pins == ()
    assert captain.manifest.findings == ()


def test_it_is_found_by_its_name(conda_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_ENVS_PATH", str(conda_environment.parent))
    assert {r.name for r in describe("analysis").manifest.conda} >= {"python", "native", "pure"}
    monkeypatch.delenv("CONDA_ENVS_PATH")
    registry = Path.home() / ".conda/environments.txt"
    registry.parent.mkdir(parents=True)
    registry.write_text(f"{conda_environment}\n")
    assert describe("analysis").manifest.conda


def test_what_pip_put_on_top_is_asked_of_pip(
    conda_environment: Path, make_wheel: MakeWheel
) -> None:
    site = conda_environment / f"lib/python{MINOR}/site-packages"
    for wheel in (make_wheel("on-top", "3.0"), make_wheel("pure", "9.0")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    made = describe(conda_environment)
    assert [r.text for r in made.manifest.requirements] == ["on-top==3.0"]
    assert lost(conda_environment)["packages that pip put over conda's are not taken"].endswith(
        ": pure"
    )


def test_condas_files_that_were_changed_are_named(conda_environment: Path) -> None:
    (conda_environment / f"lib/python{MINOR}/site-packages/pure.py").write_text("# changed\n")
    (conda_environment / "etc/native.conf").unlink()
    said = lost(conda_environment)[
        "files of conda packages were changed by hand, and are not taken so"
    ]
    assert said.endswith(
        f": native: etc/native.conf, pure: lib/python{MINOR}/site-packages/pure.py"
    )


def test_conda_packages_from_nowhere_are_named(conda_environment: Path) -> None:
    path = next((conda_environment / "conda-meta").glob("pure-*.json"))
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "url": "", "channel": "<unknown>"}))
    assert lost(conda_environment)["conda packages from nowhere are not taken"].endswith(
        ": pure 1.0"
    )
    assert "pure" not in {r.name for r in describe(conda_environment).manifest.conda}


def test_anacondas_packages_need_the_licence(conda_environment: Path, tmp_path: Path) -> None:
    path = next((conda_environment / "conda-meta").glob("pure-*.json"))
    said = json.loads(path.read_text())
    path.write_text(
        json.dumps(
            {
                **said,
                "url": "https://repo.anaconda.com/pkgs/main/noarch/pure-1.0-pyh_0.conda",
                "channel": "https://repo.anaconda.com/pkgs/main",
            }
        )
    )
    with pytest.raises(RequirementError, match="terms to be accepted"):
        Captain.from_environment(conda_environment, store=tmp_path / "store")


def test_a_damaged_record_is_named(conda_environment: Path) -> None:
    (conda_environment / "conda-meta/pure-1.0-pyh_0.json").write_text("{")
    with pytest.raises(RequirementError, match="cannot be read") as caught:
        describe(conda_environment)
    assert "pure-1.0-pyh_0.json" in caught.value.value


def test_an_environment_of_another_minor_is_not_launched(venv: Environment, tmp_path: Path) -> None:
    other = "3.12" if MINOR != "3.12" else "3.11"
    meta = tmp_path / "other/conda-meta"
    meta.mkdir(parents=True)
    (meta / "python.json").write_text(
        json.dumps(
            {
                "name": "python",
                "version": f"{other}.1",
                "build": "0_cpython",
                "url": "file:///forge/linux-64/python.conda",
                "files": [],
            }
        )
    )
    pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")
    with pytest.raises(LaunchError, match="the driver's minor version"):
        Captain.from_environment(tmp_path / "other", store=tmp_path / "store").launch_ship()
