from __future__ import annotations

import platform
from dataclasses import replace
from functools import partial

import pytest
from packaging.markers import Marker, default_environment
from packaging.tags import sys_tags

from coffee_boat._support import host
from coffee_boat._support.host import Host
from coffee_boat.errors import SettingsError
from coffee_boat.interpreter.target import environment, of_nodes, tags, target_for
from coffee_boat.model import NodeFacts, Target


@pytest.mark.parametrize(
    ("words", "architecture", "glibc"),
    [
        ("manylinux_2_28_x86_64", "x86_64", (2, 28)),
        ("manylinux2014_aarch64", "aarch64", (2, 17)),
        ("manylinux1_x86_64", "x86_64", (2, 5)),
        (" ManyLinux_2_31_AArch64 ", "aarch64", (2, 31)),
        ("manylinux_2_28_arm64", "aarch64", (2, 28)),
        ("linux_s390x", "s390x", (2, 17)),
    ],
)
def test_pips_words(words: str, architecture: str, glibc: tuple[int, int]) -> None:
    assert target_for("3.11.7", "x86_64", platform=words) == Target("3.11.7", architecture, glibc)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "linux",
        "manylinux_2_28",
        "manylinux_2_28_vax",
        "manylinux_2_4_x86_64",
        "manylinux_2_5_aarch64",
        "manylinux_3_1_x86_64",
        "x86_64",
        "any",
        "manylinux2014_x86_64; rm",
    ],
)
def test_nonsense_is_refused_with_what_to_type(words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        target_for("3.11.7", "x86_64", platform=words)
    assert "manylinux_2_28_x86_64" in caught.value.cure


@pytest.mark.parametrize("words", ["macosx_14_0_arm64", "win_amd64", "musllinux_1_2_x86_64"])
def test_other_systems_are_refused(words: str) -> None:
    with pytest.raises(SettingsError, match="not supported"):
        target_for("3.11.7", "x86_64", platform=words)


@pytest.mark.parametrize("version", ["3.11", "3", "2.7.18", "three", "3.11.7; x"])
def test_a_version_must_be_full(version: str) -> None:
    with pytest.raises(SettingsError, match="full version"):
        target_for(version, "x86_64", platform="manylinux_2_28_x86_64")


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc",
    reason="the driver's own target exists on Linux with glibc only",
)
def test_none_is_the_drivers_own() -> None:
    own = target_for(platform.python_version(), platform.machine(), platform=None)
    assert own.glibc == tuple(map(int, platform.libc_ver()[1].split(".")[:2]))
    assert set(tags(own)) == set(sys_tags())
    assert environment(own) == {
        **default_environment(),
        "platform_release": "",
        "platform_version": "",
    }


def test_what_nodes_are_is_their_machine_and_the_oldest_glibc_among_them() -> None:
    own = host.architecture()
    other = "aarch64" if own == "x86_64" else "x86_64"
    unknown, here = NodeFacts("a"), NodeFacts("b", own)
    there, old, new = (
        NodeFacts("c", other),
        NodeFacts("d", other, (2, 31)),
        NodeFacts("e", other, (2, 40)),
    )
    of_nodes_here = partial(of_nodes, here=Host.here())
    assert of_nodes_here([]) is None
    assert of_nodes_here([unknown]) is None
    assert of_nodes_here([unknown, here]) is None
    assert of_nodes_here([there]) == f"manylinux_2_28_{other}"
    assert of_nodes_here([there, old, new, unknown]) == f"manylinux_2_31_{other}"
    assert of_nodes_here([there, old, new, replace(here, glibc=(2, 17))]) == f"manylinux_2_17_{own}"


def test_markers_speak_of_the_executors() -> None:
    there = environment(Target("3.10.4", "aarch64", (2, 28)))
    assert Marker(
        "python_full_version == '3.10.4' and platform_machine == 'aarch64' and sys_platform =="
        " 'linux'"
    ).evaluate(dict(there))


def test_tags_go_from_the_newest_glibc_down_to_the_oldest_and_never_to_musl() -> None:
    found = [str(tag) for tag in tags(Target("3.11.7", "x86_64", (2, 28)))]
    first = [tag for tag in found if tag.startswith("cp311-cp311-")]
    assert first[:2] == ["cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_27_x86_64"]
    assert first[-2:] == ["cp311-cp311-manylinux1_x86_64", "cp311-cp311-linux_x86_64"]
    assert (
        first.index("cp311-cp311-manylinux2014_x86_64")
        == first.index("cp311-cp311-manylinux_2_17_x86_64") + 1
    )
    assert "cp37-abi3-manylinux2014_x86_64" in found
    assert not [tag for tag in found if "musl" in tag or "2_29" in tag or "cp312" in tag]
    assert "cp311-cp311-manylinux_2_16_aarch64" not in {
        str(tag) for tag in tags(Target("3.11.7", "aarch64", (2, 28)))
    }
