"""What an environment takes on the driver's own disk, said before anything is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_locks import DIGEST, pylock
from small_packages import serving, wheel

from coffee_boat import Captain, StoreError
from coffee_boat.model import Plan

MB = 1_000_000
TOO_MUCH = {f"a{number}": 10**12 for number in range(30)}
"""A lock takes sizes below a tebibyte."""


def wheel_of(name: str, size: int) -> str:
    file = f"{name}-1.0-py3-none-any.whl"
    return (
        f'[[packages.wheels]]\nname = "{file}"\nurl = "https://x.org/{file}"\nsize = {size}\n'
        f'hashes = {{ sha256 = "{DIGEST}" }}\n'
    )


def captain_of(folder: Path, sizes: dict[str, int], needs: str = "", **settings: object) -> Captain:
    """With a lock that says how large some wheels are; the first may need another."""
    first, *others = sizes
    more = f'dependencies = [{{ name = "{needs}" }}]\n' if needs else ""
    text = pylock(wheel_of(first, sizes[first]), name=first, more=more)
    for name in others:
        text += f'[[packages]]\nname = "{name}"\nversion = "1.0"\n{wheel_of(name, sizes[name])}'
    (folder / "pylock.toml").write_text(text)
    captain = Captain(ship_python=False, store=folder / "store", **settings)  # type: ignore[arg-type]
    return captain.add_lock(folder / "pylock.toml")


def unpacking(plan: Plan) -> str:
    return next(line for line in str(plan).splitlines() if "executors unpack" in line)


def test_a_plan_tells_what_the_driver_unpacks_and_what_it_does_at_an_import(
    tmp_path: Path,
) -> None:
    plan = captain_of(tmp_path, {"alpha": 10 * MB, "beta": 100 * MB, "gamma": 90 * MB}).plan()
    line = unpacking(plan)
    assert "the driver ~30.0 MB, and ~570.0 MB more when it imports beta 1.0, gamma 1.0" in line
    assert (plan.unpacked_here, plan.unpacked_later) == (30 * MB, 570 * MB)
    assert {item.label: item.here for item in plan.items if item.here} == {
        "alpha 1.0": "now",
        "beta 1.0": "later",
        "gamma 1.0": "later",
    }


def test_what_only_the_large_needs_comes_with_it(tmp_path: Path) -> None:
    plan = captain_of(tmp_path, {"beta": 100 * MB, "alpha": 10 * MB}, needs="alpha").plan()
    assert "the driver ~330.0 MB more when it imports beta 1.0, alpha 1.0" in unpacking(plan)


def test_nothing_is_unpacked_here_where_it_is_switched_off(tmp_path: Path) -> None:
    plan = captain_of(tmp_path, {"alpha": 10 * MB}, install_local=False).plan()
    assert "driver" not in unpacking(plan)
    assert plan.unpacked_here == 0


def test_in_a_local_session_the_driver_unpacks_all(tmp_path: Path) -> None:
    plan = captain_of(tmp_path, {"alpha": 10 * MB}).plan(master="local[2]")
    assert plan.unpacked_here == plan.unpacked > 30 * MB
    assert "each executor" not in str(plan)


def test_a_disk_that_is_too_small_is_told_by_the_plan_and_refused_before_a_byte_is_fetched(
    tmp_path: Path,
) -> None:
    captain = captain_of(tmp_path, TOO_MUCH)
    (found,) = (f for f in captain.plan().findings if f.code == "store.disk-too-small")
    assert found.severity == "error"
    with pytest.raises(StoreError) as refused:
        captain.pack(tmp_path / "boat.tar.gz")
    assert refused.value.code == "store.disk-too-small"
    assert str(tmp_path / "store") in str(refused.value)
    assert "60.0 TB are needed" in str(refused.value), "the wheel, and what is packed of it"
    with pytest.raises(StoreError) as refused:
        captain.launch_ship("local-cluster[1,1,1024]")
    assert "90.0 TB are needed" in str(refused.value), "the archive, too"


@pytest.mark.once
def test_a_build_of_torch_comes_from_the_index_that_uv_is_told_for_it(tmp_path: Path) -> None:
    """A stand-in: one on each index, as PyPI's with CUDA and an index's own for processors."""
    for folder, version in (("pypi", "2.9.1"), ("cpu", "2.9.1+cpu")):
        wheel(tmp_path / folder, "torch", version)
    wheel(tmp_path / "pypi", "alpha", "1.0")
    with serving(tmp_path / "pypi") as pypi, serving(tmp_path / "cpu") as cpu:
        (tmp_path / "pyproject.toml").write_text(
            '[project]\nname = "x"\nversion = "1"\ndependencies = ["torch", "alpha"]\n'
            f'[[tool.uv.index]]\nname = "cpu"\nurl = "{cpu.url}"\nexplicit = true\n'
            '[tool.uv.sources]\ntorch = { index = "cpu" }\n'
        )
        captain = Captain(ship_python=False, store=tmp_path / "store", index_url=pypi.url)
        captain.add_requirements(tmp_path / "pyproject.toml")
        pins = {pin.name: pin.version for pin in captain.plan().lock.pins}
        assert pins == {"torch": "2.9.1+cpu", "alpha": "1.0"}
        assert not any("/alpha" in path for path in cpu.asked)
        archive = captain.pack(tmp_path / "boat.tar.gz")
    assert "torch 2.9.1+cpu" in [chunk.label for chunk in archive.chunks]
