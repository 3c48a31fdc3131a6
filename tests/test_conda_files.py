"""Locks with conda packages in them: written and read again, pixi's own, and conda's @EXPLICIT
lists.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

import small_packages
from click.testing import CliRunner
from conda_metadata import channel, pythons, record

from coffee_boat import Captain, LockError, RequirementError, SettingsError
from coffee_boat.cli.main import boat
from coffee_boat.model import Lock
from coffee_boat.workflow import lockfile

pytestmark = pytest.mark.once

MINOR = ".".join(platform.python_version_tuple()[:2])


@pytest.fixture(autouse=True)
def nobody_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CONDARC", "CONDA_PREFIX", "CONDA_ROOT", "CONDA_EXE", "CONDA_CHANNELS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def forge(tmp_path: Path) -> str:
    return channel(
        tmp_path / "forge",
        *pythons(f"{MINOR}.4"),
        record(
            "numpy",
            "2.4.6",
            ["python", "libblas"],
            license="BSD-3-Clause",
            timestamp=1_700_000_000_000,
        ),
        record("libblas", "3.9", ["__glibc >=2.17"], md5="0" * 32),
        record("pure", "1.0", ["python"], subdir="noarch", noarch="python"),
        record("modern", "1.0", ["python", "__glibc >=2.30"]),
    )


def captain(tmp_path: Path, **settings: Any) -> Captain:
    return Captain(store=tmp_path / "store", **settings)


def locked(
    tmp_path: Path, forge: str, *specs: str, pip: tuple[str, ...] = (), **settings: Any
) -> Lock:
    ours = captain(tmp_path, **settings).add_conda_packages(*specs, channel=[forge])
    return ours.add_pip_packages(*pip).plan().lock if pip else ours.plan().lock


def write(tmp_path: Path, text: str, name: str = "pixi.lock") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


# pixi.lock


def test_a_lock_is_written_and_read_again(tmp_path: Path, forge: str) -> None:
    lock = locked(tmp_path, forge, "numpy", "pure")
    text = lockfile.text_of(lock)
    again = captain(tmp_path).add_lock(write(tmp_path, text)).lock
    assert again is not None
    assert [pin.identity for pin in again.conda] == [pin.identity for pin in lock.conda]
    assert (again.target, again.digest) == (lock.target, lock.digest)
    assert {
        pin.name: (pin.channel, pin.license, pin.noarch_python, pin.requested)
        for pin in again.conda
    } == {
        "libblas": (forge, "MIT", False, False),
        "numpy": (forge, "BSD-3-Clause", False, True),
        "pure": (forge, "MIT", True, True),
        "python": (forge, "PSF-2.0", False, False),
    }
    assert lockfile.text_of(again) == text, "the same text for the same lock"


def test_a_lock_holds_both(tmp_path: Path, forge: str) -> None:
    wheels = tmp_path / "wheels"
    small_packages.wheel(wheels, "on-top", "1.0", ["pure"])
    project = small_packages.project(tmp_path / "project", "folder", "1.0", [])
    lock = locked(
        tmp_path,
        forge,
        "pure",
        pip=("on-top", str(project)),
        find_links=[str(wheels)],
        offline=True,
    )
    again = captain(tmp_path).add_lock(write(tmp_path, lockfile.text_of(lock))).lock
    assert again is not None
    assert [pin.identity for pin in again.pins] == [pin.identity for pin in lock.pins]
    assert [(pin.kind, pin.filename, pin.direct) for pin in again.pins] == [
        (pin.kind, pin.filename, pin.direct) for pin in lock.pins
    ]
    assert again.digest == lock.digest


PIXI_6 = """version: 6
environments:
  default:
    channels:
    - url: https://user:hidden@conda.anaconda.org/conda-forge/
    indexes:
    - https://pypi.org/simple
    packages:
      linux-64:
      - conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.11.9-hb806964_0_cpython.conda
      - conda: https://conda.anaconda.org/conda-forge/noarch/six-1.16.0-pyh6c4a22f_0.tar.bz2
      - pypi: https://files.pythonhosted.org/packages/humanize-4.9.0-py3-none-any.whl
packages:
- conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.11.9-hb806964_0_cpython.conda
  sha256: 177f33a1fb8d3476b38f73c37b42f01c0b014fa0e039a701fd9f83d83aae6d40
  md5: ac68acfa8b558ed406c75e98d3428d7b
  depends:
  - libgcc-ng >=12
  constrains:
  - python_abi 3.11.* *_cp311
  license: Python-2.0
  size: 30884494
  timestamp: 1713553104915
- conda: https://conda.anaconda.org/conda-forge/noarch/six-1.16.0-pyh6c4a22f_0.tar.bz2
  sha256: a85c38227b446f42c5b90d9b642f2c0567880c15d72492d8da074a59c8f91dd6
  md5: e5f25f8dbc060e9a8d912e432202afc2
  depends:
  - python
  license: MIT
  license_family: MIT
  purls:
  - pkg:pypi/six
  size: 14259
- pypi: https://files.pythonhosted.org/packages/humanize-4.9.0-py3-none-any.whl
  name: humanize
  version: 4.9.0
  sha256: ce284a76d5b1377fd8836733b983bfb0b76f1aa1c090de2566fcf008d7f6ab16
  requires_dist:
  - freezegun ; extra == 'tests'
  requires_python: '>=3.8'
"""


def test_pixis_own_lock_is_read(tmp_path: Path) -> None:
    lock = (
        captain(tmp_path, platform="manylinux_2_28_x86_64").add_lock(write(tmp_path, PIXI_6)).lock
    )
    assert lock is not None
    assert [(pin.name, pin.version, pin.channel, pin.license) for pin in lock.conda] == [
        ("python", "3.11.9", "conda-forge", "Python-2.0"),
        ("six", "1.16.0", "conda-forge", "MIT"),
    ]
    assert lock.target.python == "3.11.9"
    assert [(pin.name, pin.sha256[:4], pin.requires) for pin in lock.pins] == [
        ("humanize", "ce28", ())
    ]
    assert "hidden" not in f"{lock!r}{lockfile.text_of(lock)}"


def test_anacondas_packages_in_a_lock_need_the_licence(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        PIXI_6.replace(
            "https://conda.anaconda.org/conda-forge/noarch",
            "https://repo.anaconda.com/pkgs/main/noarch",
        ),
    )
    with pytest.raises(RequirementError, match="terms to be accepted") as caught:
        captain(tmp_path).add_lock(path)
    assert "six 1.16.0" in caught.value.value
    assert captain(tmp_path, accept_conda_license=True).add_lock(path).lock


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            ("linux-64:\n      - conda", "osx-arm64:\n      - conda"),
            "nothing for the executors' platform",
        ),
        (("version: 6", "version: 99"), "not a lock of rattler's"),
        (
            ("  sha256: ce284a76d5b1377fd8836733b983bfb0b76f1aa1c090de2566fcf008d7f6ab16\n", ""),
            "no sha256",
        ),
        (("  - libgcc-ng >=12\n", "  - __glibc >=2.99\n"), "not made for these executors"),
        (
            (
                (
                    "      - conda:"
                    " https://conda.anaconda.org/conda-forge/linux-64/python-3.11.9-hb806964_0_cpython.conda\n"
                ),
                "",
            ),
            "hold no python",
        ),
    ],
)
def test_a_lock_that_does_not_fit_says_why(
    tmp_path: Path, change: tuple[str, str], what: str
) -> None:
    assert change[0] in PIXI_6
    with pytest.raises(LockError, match=what):
        captain(tmp_path).add_lock(write(tmp_path, PIXI_6.replace(*change)))


def test_a_lock_made_for_newer_nodes_is_refused(tmp_path: Path, forge: str) -> None:
    path = write(
        tmp_path,
        lockfile.text_of(locked(tmp_path, forge, "modern", platform="manylinux_2_34_x86_64")),
    )
    with pytest.raises(LockError, match="not made for these executors") as caught:
        captain(tmp_path, platform="manylinux_2_28_x86_64").add_lock(path)
    assert "modern 1.0 needs __glibc >=2.30" in caught.value.value


def test_the_nodes_own_interpreter_does_not_go_with_such_a_lock(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="their own interpreter"):
        captain(tmp_path, ship_python=False).add_lock(write(tmp_path, PIXI_6))


def test_a_lock_stands_alone(tmp_path: Path, forge: str) -> None:
    ours = captain(tmp_path).add_lock(write(tmp_path, PIXI_6))
    with pytest.raises(RequirementError, match="besides it"):
        ours.add_conda_packages("numpy", channel=forge)


# @EXPLICIT


def test_an_explicit_list_is_read_with_what_its_channels_say(tmp_path: Path, forge: str) -> None:
    digests = {"numpy-2.4.6-0": record("numpy", "2.4.6")["sha256"], "libblas-3.9-0": "0" * 32}
    lines = [f"{forge}/linux-64/{name}.conda#{digest}" for name, digest in digests.items()] + [
        f"{forge}/linux-64/python-{MINOR}.4-0_cpython.conda"
    ]
    lock = (
        captain(tmp_path)
        .add_lock(
            write(
                tmp_path, "\n".join(["# platform: linux-64", "@EXPLICIT", *lines, ""]), "spec.txt"
            )
        )
        .lock
    )
    assert lock is not None
    assert [(pin.name, pin.version, pin.license, pin.requested) for pin in lock.conda] == [
        ("libblas", "3.9", "MIT", False),
        ("numpy", "2.4.6", "BSD-3-Clause", True),
        ("python", f"{MINOR}.4", "PSF-2.0", False),
    ]
    assert lock.target.python == f"{MINOR}.4"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{forge}/linux-64/numpy-2.4.6-0.conda#" + "1" * 64, "another one in its channel"),
        ("{forge}/linux-64/libblas-3.9-0.conda#" + "1" * 32, "another one in its channel"),
        ("{forge}/linux-64/numpy-9.9-0.conda", "does not list"),
        ("{forge}/linux-64/numpy-2.4.6-0.conda", "hold no python"),
        ("file:///nowhere/linux-64/numpy-2.4.6-0.conda", "no such channel"),
        ("# platform: osx-arm64\n{forge}/linux-64/numpy-2.4.6-0.conda", "another platform"),
        ("not a url", "not an @EXPLICIT list"),
        ("{forge}/linux-64/numpy-2.4.6-0.conda#../../x", "cannot be taken|not an @EXPLICIT"),
        ("{forge}/linux-64/numpy-2.4.6-0.conda#" + "1" * 40, "cannot be taken|not an @EXPLICIT"),
        ("{forge}/linux-64/numpy-2.4.6-0.conda#" + "1" * 32, "another one in its channel"),
    ],
)
def test_a_list_that_cannot_be_taken_says_why(
    tmp_path: Path, forge: str, line: str, what: str
) -> None:
    with pytest.raises(LockError, match=what):
        captain(tmp_path).add_lock(
            write(tmp_path, f"@EXPLICIT\n{line.format(forge=forge)}\n", "spec.txt")
        )


def test_a_list_of_anacondas_needs_the_licence_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from small_proxy import proxying

    path = write(
        tmp_path,
        "@EXPLICIT\nhttps://repo.anaconda.com/pkgs/main/linux-64/python-3.11.9-h955ad1f_0.conda#00\n",
        "spec.txt",
    )
    with proxying() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("CONDA_REMOTE_MAX_RETRIES", "0")
        with pytest.raises(RequirementError, match="terms to be accepted"):
            captain(tmp_path).add_lock(path)
        assert proxy.asked == []
        with pytest.raises(LockError, match="cannot be reached"):
            captain(tmp_path, accept_conda_license=True).add_lock(path)
        assert set(proxy.asked) == {"repo.anaconda.com:443"}


def test_what_a_shortened_list_lacks_is_told(tmp_path: Path, forge: str) -> None:
    lines = [
        f"{forge}/linux-64/numpy-2.4.6-0.conda",
        f"{forge}/linux-64/python-{MINOR}.4-0_cpython.conda",
    ]
    lock = (
        captain(tmp_path)
        .add_lock(write(tmp_path, "\n".join(["@EXPLICIT", *lines]), "spec.txt"))
        .lock
    )
    assert lock is not None
    assert any("libblas (of numpy)" in finding.value for finding in lock.findings)


def test_what_a_list_does_not_fix_by_a_sha256_is_told(tmp_path: Path, forge: str) -> None:
    lines = [
        f"{forge}/linux-64/numpy-2.4.6-0.conda#{record('numpy', '2.4.6')['sha256']}",
        f"{forge}/linux-64/libblas-3.9-0.conda#{'0' * 32}",
        f"{forge}/linux-64/python-{MINOR}.4-0_cpython.conda",
    ]
    path = write(tmp_path, "\n".join(["@EXPLICIT", *lines]), "spec.txt")
    lock = captain(tmp_path).add_lock(path).lock
    assert lock is not None
    said = [finding for finding in lock.findings if "no sha256" in finding.what]
    assert [finding.value for finding in said] == [
        f"spec.txt: libblas-3.9-0, python-{MINOR}.4-0_cpython"
    ]
    assert "--sha256" in said[0].cure


def test_a_conda_package_of_a_lock_without_a_sha256_is_refused(tmp_path: Path) -> None:
    text = re.sub(r"  sha256: \w+\n", "", PIXI_6)
    assert text != PIXI_6
    with pytest.raises(LockError, match="has no sha256") as caught:
        captain(tmp_path).add_lock(write(tmp_path, text))
    assert "pixi.lock" in caught.value.value


# boat lock


def test_boat_lock_writes_and_checks_both(
    tmp_path: Path, forge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["lock", "--conda", "numpy", "--channel", forge, "--store", str(tmp_path / "store")]
    output = str(tmp_path / "pixi.lock")
    assert CliRunner().invoke(boat, [*words, "-o", output]).exit_code == 0
    assert CliRunner().invoke(boat, [*words, "-o", output, "--check"]).exit_code == 0
    other = CliRunner().invoke(boat, [*words, "--conda", "pure", "-o", output, "--check"])
    assert other.exit_code == 1
    assert "pure (conda): absent" in other.stderr
    (tmp_path / "here").mkdir()
    with monkeypatch.context() as there:
        there.chdir(tmp_path / "here")
        assert CliRunner().invoke(boat, words).exit_code == 0
    assert (tmp_path / "here/pixi.lock").read_text() == Path(output).read_text()
    wrong = CliRunner().invoke(boat, [*words, "-o", "pylock.toml"])
    assert wrong.exit_code == 3
    assert "-o pixi.lock" in wrong.stderr
