"""What a source distribution needs while it is built, and does not say: as uv is told it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from small_packages import project, sdist, wheel

from coffee_boat import BoatError, BuildError, Captain
from coffee_boat.model import Pin
from coffee_boat.pip import build_needs

pytestmark = pytest.mark.once
NEEDS = """[tool.uv.extra-build-dependencies]
alpha = ["{}"]
"""


@pytest.fixture(params=[True, False], ids=["named", "unnamed"])
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A source distribution whose build imports `framework`, and two versions of that; one whose
    pyproject.toml says its name, and one as with a setup.py alone, which only its build names.
    """
    for name in ("XDG_CONFIG_HOME", "UV_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path / "project", "alpha", "1.0", static=request.param)
    backend = folder / "backend.py"
    made_with = 'pathlib.Path("body.txt").write_text(f"MADE_WITH = {framework.VERSION!r}\\n")\n'
    text = backend.read_text()
    backend.write_text(
        f"import framework, pathlib\n{text}".replace(
            "def build_wheel", f"{made_with}def build_wheel"
        )
    )
    sdist(tmp_path / "links", folder, "alpha", "1.0")
    for version in ("1.0", "2.0"):
        wheel(tmp_path / "links", "framework", version)
    return tmp_path / "links"


def made_with(links: Path, tmp_path: Path) -> str:
    captain = Captain(
        ship_python=False, offline=True, find_links=[str(links)], store=tmp_path / "store"
    ).add_pip_packages("alpha")
    captain.pack(tmp_path / "made.tar.gz", overwrite=True, pyspark=False)
    found = sorted(
        (path.stat().st_mtime_ns, path) for path in (tmp_path / "store").rglob("alpha-*.whl")
    )
    with zipfile.ZipFile(found[-1][1]) as archive:
        return archive.read("alpha.py").decode()


def test_a_build_gets_what_uvs_configuration_adds_and_is_made_anew_when_that_changes(
    links: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "pyproject.toml"
    with pytest.raises(BuildError) as refused:
        made_with(links, tmp_path)
    assert "extra-build-dependencies" in str(refused.value)
    settings.write_text(NEEDS.format("framework<2"))
    assert made_with(links, tmp_path) == "MADE_WITH = '1.0'\n"
    settings.write_text(NEEDS.format("framework>=2"))
    assert made_with(links, tmp_path) == "MADE_WITH = '2.0'\n"


@pytest.mark.parametrize("links", [False], indirect=True, ids=["unnamed"])
def test_what_only_uv_can_match_is_refused_and_not_left_open(links: Path, tmp_path: Path) -> None:
    table = '{ requirement = "framework", match-runtime = true }'
    (tmp_path / "pyproject.toml").write_text(NEEDS.replace('"{}"', table))
    with pytest.raises(BoatError, match="match-runtime"):
        made_with(links, tmp_path)


@pytest.mark.parametrize("said", ["1", "[1]", "[[]]", "[{}]", "{}"])
def test_a_table_that_is_none_ends_in_no_traceback(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(NEEDS.replace('["{}"]', said))
    build_needs.configured(Pin("alpha", "1.0"))
