"""environment.yml files of public projects: they are read, and what they need is solved against a
list of packages, or refused for a stated reason.

The lists are made up: of each name the versions that the file mentions, and some around them.
"""

from __future__ import annotations

import platform
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

from conda_metadata import channel, pythons, record

from coffee_boat import Captain, RequirementError
from coffee_boat.errors import LaunchError
from coffee_boat.model import Lock
from coffee_boat.requirements import read_environment

FILES = Path(__file__).parent / "data" / "environments"
MINOR = ".".join(platform.python_version_tuple()[:2])


@pytest.fixture(autouse=True)
def conda_forge_is_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """.condarc may say where a channel's name leads: here to a folder."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.condarc").write_text(f"channel_alias: {tmp_path.as_uri()}\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CONDARC", "CONDA_PREFIX", "CONDA_ROOT", "CONDA_EXE", "CONDA_CHANNELS"):
        monkeypatch.delenv(name, raising=False)


def fill(folder: Path, path: Path) -> str:
    """A channel with what a file needs."""
    found: dict[str, set[str]] = {}
    for wanted in read_environment(path).conda:
        mentioned = re.findall(r"\d[\w.]*", wanted.text.removeprefix(wanted.name))
        found.setdefault(wanted.name, {"0.1", "99.0"}).update(
            version.rstrip(".*")
            for text in mentioned
            for version in (text, f"{text.rstrip('.*')}.1")
        )
    found.pop("python", None)
    records = [
        record(name, version, ["python"], subdir="noarch")
        for name, versions in found.items()
        for version in versions
    ]
    return channel(folder, *pythons(f"{MINOR}.4", "3.8.18"), *records)


def chosen(lock: Lock) -> dict[str, str]:
    return {pin.name: pin.version for pin in lock.conda}


def captain(tmp_path: Path, **settings: Any) -> Captain:
    return Captain(store=tmp_path / "store", **settings)


def test_pangeo(tmp_path: Path) -> None:
    fill(tmp_path / "conda-forge", FILES / "pangeo.yml")
    lock = captain(tmp_path).add_environment(FILES / "pangeo.yml").plan().lock
    assert len(lock.conda) == 21
    assert chosen(lock)["pyarrow"].startswith("10")
    assert {"xarray_leaflet", "nb_conda_kernels"} <= set(chosen(lock))


def test_scikit_image(tmp_path: Path) -> None:
    fill(tmp_path / "conda-forge", FILES / "scikit-image.yml")
    lock = captain(tmp_path).add_environment(FILES / "scikit-image.yml").plan().lock
    assert (chosen(lock)["docstub"], chosen(lock)["spin"]) == ("0.7.0rc0", "0.13")
    assert {"cython", "pywavelets", "simpleitk"} <= set(chosen(lock)), (
        "names are conda's own, however they are written"
    )


def test_pandas_is_for_another_python(tmp_path: Path) -> None:
    fill(tmp_path / "conda-forge", FILES / "pandas.yml")
    ours = captain(tmp_path).add_environment(FILES / "pandas.yml")
    with pytest.raises(LaunchError, match="the driver's minor version") as caught:
        ours.launch_ship()
    assert "3.8" in caught.value.value
    lock = ours.plan().lock
    assert chosen(lock)["python"] == "3.8.18", "it can be packed"
    assert chosen(lock)["mypy"].startswith("0.960")
    assert chosen(lock)["aiobotocore"] == "0.1", "below 2.0.0"


def test_fastai_names_anacondas_channel(tmp_path: Path) -> None:
    path = FILES / "fastai.yml"
    with pytest.raises(RequirementError, match="terms to be accepted") as caught:
        captain(tmp_path).add_environment(path)
    assert "defaults" in caught.value.value
    assert 'add_environment(path, channels=["conda-forge"])' in caught.value.cure
    fill(tmp_path / "conda-forge", path)
    ours = captain(tmp_path).add_environment(path, channels=["conda-forge"])
    assert [r.name for r in ours.manifest.requirements] == [
        "feather-format",
        "pandas-summary",
        "torchvision",
    ]
    lock = ours.forget("feather-format", "pandas-summary", "torchvision").plan().lock
    assert {"jupyter_contrib_nbextensions", "path.py", "ipython_genutils"} <= set(chosen(lock))
    assert chosen(lock)["tornado"] == "0.1"


def test_stable_diffusion_needs_the_folder_that_it_stands_in(tmp_path: Path) -> None:
    path = shutil.copy(FILES / "stable-diffusion.yml", tmp_path / "environment.yml")
    with pytest.raises(RequirementError, match="neither a pyproject") as caught:
        read_environment(path)
    assert "pip[6]" in caught.value.value
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "latent-diffusion"\nversion = "0.0.1"\n'
    )
    made = read_environment(path)
    assert [r.name for r in made.requirements] == [
        "albumentations",
        "opencv-python",
        "test-tube",
        "flask-socketio",
        "clip",
        "latent-diffusion",
    ]
    with pytest.raises(RequirementError, match="terms to be accepted"):
        captain(tmp_path).add_environment(path)
