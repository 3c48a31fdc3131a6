"""One archive, one machine: refused in the plan, before anything is fetched, by each way of asking;
and by what the ELF files of each chunk say, at the last door."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hostile
import other_python
import pytest
from other_python import HERE, OTHER, PLATFORM, for_other
from test_installed import TARGET, a_binary, pin_of

from coffee_boat import Captain, model
from coffee_boat._support.store import Store
from coffee_boat.archive import chunks
from coffee_boat.archive import writer as archive_writer
from coffee_boat.errors import BuildError
from coffee_boat.model import CondaPin, Lock, Pin
from coffee_boat.pip.chunks import wheel_chunk
from coffee_boat.workflow import machines

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


def nothing_was_fetched(store: Path) -> bool:
    return not any(
        (store / kind).exists() for kind in ("wheels", "chunks", "trees", "conda", "rattler")
    )


WAYS: dict[str, Callable[[Captain, Path], object]] = {
    "plan": lambda captain, _: captain.plan(),
    "plan of more": lambda captain, _: captain.plan("numpy"),
    "pack": lambda captain, folder: captain.pack(folder / "boat.tar.gz"),
    "launch": lambda captain, _: captain.launch_ship(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("python", [sys.executable, sys.prefix])
def test_an_interpreter_for_another_machine_is_refused_before_anything_is_fetched(
    tmp_path: Path, way: str, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", (tmp_path / "asked-by-nobody").as_uri())
    with Captain(platform=PLATFORM, python=python, store=tmp_path / "store") as captain:
        captain.add_pip_packages(str(hostile.wheel(tmp_path, "demo")))
        with pytest.raises(BuildError, match="would mix two machines") as caught:
            WAYS[way](captain, tmp_path)
    said = caught.value
    assert said.value.startswith(f"platform={PLATFORM!r}, and an interpreter for {HERE}")
    for out in ("python='conda'", "ship_python=False", f"a standalone build for {OTHER}"):
        assert out in said.cure
    assert nothing_was_fetched(tmp_path / "store")


@pytest.mark.parametrize("by", ["environment", "pyproject", "lock"])
def test_it_does_not_matter_where_the_platform_was_named(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if by == "environment":
        monkeypatch.setenv("COFFEE_BOAT_PLATFORM", PLATFORM)
    else:
        Path("pyproject.toml").write_text(f'[tool.coffee_boat]\nplatform = "{PLATFORM}"\n')
    lock = tmp_path / "pylock.toml"
    lock.write_text('lock-version = "1.0"\ncreated-by = "x"\npackages = []\n')
    with Captain(python=sys.executable, store=tmp_path / "store") as captain:
        ask = (lambda: captain.add_lock(lock)) if by == "lock" else captain.plan
        with pytest.raises(BuildError, match="would mix two machines"):
            ask()


def test_the_nodes_own_interpreter_is_a_way_out(tmp_path: Path, pyspark_packed: Path) -> None:
    with Captain(platform=PLATFORM, ship_python=False, store=tmp_path / "store") as captain:
        captain.add_pip_packages(str(hostile.wheel(tmp_path, "demo")))
        assert captain.plan().lock.target.architecture == OTHER


def test_pins_that_are_for_another_machine_are_named() -> None:
    target = replace(TARGET, architecture=HERE)
    fitting = Pin("a", "1", filename=f"a-1-cp311-cp311-manylinux_2_17_{HERE}.whl")
    wrong = Pin("b", "1", url=f"https://index/b-1-py3-none-manylinux_2_28_{OTHER}.whl")
    machines.refuse_pins(Lock(target, (fitting, Pin("c", "1", filename="c-1-py3-none-any.whl"))))
    with pytest.raises(BuildError, match="would mix two machines") as caught:
        machines.refuse_pins(Lock(target, (fitting, wrong)))
    assert caught.value.value == f"b-1-py3-none-manylinux_2_28_{OTHER}.whl"
    subdir = {"x86_64": "linux-64"}.get(OTHER, f"linux-{OTHER}")
    conda = CondaPin("d", "1", "0", subdir, "forge", "https://x", "d-1-0.conda", "")
    with pytest.raises(BuildError, match=f"{subdir}/d-1-0.conda"):
        machines.refuse_pins(Lock(target, conda=(conda,)))


# the last door


@pytest.mark.skipif(platform.system() != "Linux", reason="reads ELF files")
def test_each_elf_file_of_a_wheel_is_looked_at(tmp_path: Path, store: Store) -> None:
    own, other = a_binary(), for_other(a_binary())
    target = replace(TARGET, architecture=HERE)
    nodot = MINOR.replace(".", "")

    def packed(tag: str, files: dict[str, bytes], **more: object) -> model.Chunk:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        wheel = hostile.wheel(folder, "demo", files=files, tag=tag, **more)  # type: ignore[arg-type]
        return wheel_chunk(wheel, pin_of(wheel), target, store)

    named = f"cp{nodot}-cp{nodot}-manylinux_2_17_{HERE}"
    assert packed(named, {"x.so": own}).machines[0][0] == HERE
    for tag, files in [
        (named, {"x.so": own, "y.so": other}),
        ("py3-none-any", {"x.so": own, f"y.cpython-{nodot}-{HERE}-linux-gnu.so": other}),
        ("py3-none-any", {"x.so": own, "y.abi3.so": other}),
        ("py3-none-any", {"y.so": other}),
    ]:
        with pytest.raises(BuildError, match=r"y[.]") as caught:
            packed(tag, files)
        assert HERE in caught.value.cause
    with pytest.raises(BuildError, match=f"bin/tool: it is for {OTHER}"):
        packed("py3-none-any", {"x.so": own}, data={"scripts/tool": other})

    carrier = packed("py3-none-any", {f"{HERE}.so": own, f"{OTHER}.so": other})
    [said] = chunks.findings([carrier], store)
    assert f"{OTHER}.so ({OTHER})" in said.value
    assert dict(carrier.machines).keys() == {HERE}


@pytest.mark.skipif(platform.system() != "Linux", reason="reads ELF files")
def test_at_the_last_door_every_chunk_is_held_to_the_machine(store: Store) -> None:
    def fill(writer: archive_writer.ChunkWriter) -> None:
        writer.file("bin/python", for_other(a_binary()), executable=True)

    chunk = chunks.make(store, ["x"], "python 3.11.7", fill)
    assert chunks.recall(store, ["x"]) == chunk, "also when it was made before"
    machines.refuse_foreign([chunk], replace(TARGET, architecture=OTHER))
    with pytest.raises(BuildError, match="would mix two machines") as caught:
        machines.refuse_foreign([chunk], replace(TARGET, architecture=HERE))
    assert caught.value.value == f"python 3.11.7: bin/python is for {OTHER}"
    assert json.dumps(chunk.machines)


@pytest.mark.skipif(platform.system() != "Linux", reason="reads ELF files")
def test_condas_python_for_the_other_machine_is_a_way_out(
    tmp_path: Path, pyspark_is_packed: None
) -> None:
    pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")
    import conda_channel as channels

    channel = channels.fill(tmp_path / "forge", other_python.moved(channels.small_python()))
    with Captain(platform=PLATFORM, store=tmp_path / "store") as captain:
        captain.add_conda_packages(f"python={MINOR}", channel=channel)
        archive = captain.pack(tmp_path / "boat.tar.gz")
    assert {machine for chunk in archive.chunks for machine, _ in chunk.machines} == {OTHER}
    assert archive.target.architecture == OTHER
