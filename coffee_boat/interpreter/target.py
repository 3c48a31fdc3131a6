"""What the executors are: platform words -> Target -> markers and wheel tags.

Sources: PEP 425 (tags), PEP 600 (manylinux_x_y), PEP 508 (markers).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from coffee_boat._support import host
from coffee_boat._support.host import Host
from coffee_boat.errors import SettingsError
from coffee_boat.model import NodeFacts, Target

if TYPE_CHECKING:
    from packaging.tags import Tag

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
"""Minor of the first glibc that manylinux speaks of; 17 for all later architectures."""
_USUAL_GLIBC = 28
"""Minor of the oldest glibc that is common on nodes (RHEL 8), where a cluster tells none."""
_ARCHITECTURES = (
    "x86_64",
    "aarch64",
    "i686",
    "armv7l",
    "ppc64le",
    "s390x",
    "riscv64",
    "loongarch64",
)
_CURE = (
    'say what the executors are, as in platform="manylinux_2_28_x86_64" (`ldd --version` on a node'
    " shows its glibc, `uname -m` its architecture)"
)


def target_for(
    version: str, architecture: str, *, platform: str | None, here: Host | None = None
) -> Target:
    """The target that executors with this interpreter and platform are.

    Args:
        version: full version of the interpreter, as "3.11.7".
        architecture: of the interpreter, as platform.machine() says it; used where `platform` does
            not name one.
        platform: in pip's words: "manylinux_2_28_x86_64", "manylinux2014_aarch64", "linux_x86_64";
            None for the driver's own C library.
        here: the driver's machine; by default this one.

    Raises:
        SettingsError: it is not a version, not a platform, or not one with glibc.
    """
    if not re.fullmatch(r"3\.\d+\.\d+((a|b|rc)\d+)?\+?", version):
        raise SettingsError(
            "settings.python-version-incomplete",
            "not the full version of a Python 3",
            value=repr(version),
            cure='give all three numbers, as in "3.11.7"',
        )
    here = here or Host.here()
    if platform is None:
        return Target(version, _known(architecture), _own_glibc(here))
    return Target(version, *_parse(platform.strip().lower(), here))


def of_nodes(nodes: Iterable[NodeFacts], here: Host) -> str | None:
    """What `platform` would say of a cluster's nodes: of their machine, and the oldest glibc among
    them. Of two machines it is the driver's, if that is one of them, else the more frequent one.

    None if nothing is known, or no more than that they are the driver's machine.
    """
    found = [node for node in nodes if node.architecture]
    counted = Counter(host.architecture(node.architecture) for node in found)
    if not counted:
        return None
    machine = here.machine if here.machine in counted else counted.most_common(1)[0][0]
    fitting = [node for node in found if host.architecture(node.architecture) == machine]
    oldest = min((node.glibc for node in fitting if node.glibc), default=None)
    if oldest is None:
        return None if here.runs(machine) else f"manylinux_2_{_USUAL_GLIBC}_{machine}"
    return f"manylinux_2_{oldest[1]}_{machine}"


def minor_of(version: str) -> str:
    """ "3.11" of "3.11.7"."""
    return ".".join(version.split(".")[:2])


def environment(target: Target) -> dict[str, str]:
    """The marker environment (PEP 508) of the executors.

    Kernel release and version are not known: empty.
    """
    return {
        "implementation_name": "cpython",
        "implementation_version": target.python,
        "os_name": "posix",
        "platform_machine": target.architecture,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": target.python,
        "python_version": target.minor,
        "sys_platform": "linux",
    }


@cache
def tags(target: Target) -> tuple[Tag, ...]:
    """The wheel tags that fit the target, best first. Never musllinux: executors run glibc."""
    from packaging.tags import compatible_tags, cpython_tags

    version = (3, int(target.minor.split(".")[1]))
    interpreter = f"cp3{version[1]}"
    names = _platforms(target)
    # the abi is named, since packaging would take it from the driver's own build
    return (
        *cpython_tags(version, abis=[interpreter], platforms=names),
        *compatible_tags(version, interpreter, names),
    )


def _platforms(target: Target) -> list[str]:
    names = []
    for minor in range(target.glibc[1], _OLDEST_GLIBC.get(target.architecture, 17) - 1, -1):
        names.append(f"manylinux_2_{minor}_{target.architecture}")
        if minor in _LEGACY:
            names.append(f"{_LEGACY[minor]}_{target.architecture}")
    return [*names, f"linux_{target.architecture}"]


def _parse(platform: str, here: Host) -> tuple[str, tuple[int, int]]:
    """Architecture and glibc of a platform's name."""
    if platform.startswith(("macosx", "win", "musllinux")):
        raise SettingsError(
            "settings.platform-not-supported",
            "executors of this platform are not supported",
            value=platform,
            cause="Spark executors run on Linux with glibc",
            cure=_CURE,
        )
    if found := re.fullmatch(r"manylinux_2_(\d{1,3})_(\w+)", platform):
        return _checked(platform, found[2], int(found[1]))
    if found := re.fullmatch(r"(manylinux(?:1|2010|2014))_(\w+)", platform):
        return _checked(
            platform, found[2], next(minor for minor, name in _LEGACY.items() if name == found[1])
        )
    if found := re.fullmatch(r"linux_(\w+)", platform):
        return _plain_linux(_known(found[1]), here)
    raise SettingsError(
        "settings.not-a-platform",
        "not a platform",
        value=repr(platform),
        cause="the words are pip's: manylinux_2_28_x86_64, manylinux2014_aarch64, linux_x86_64",
        cure=_CURE,
    )


def _checked(platform: str, architecture: str, minor: int) -> tuple[str, tuple[int, int]]:
    known = _known(architecture)
    oldest = _OLDEST_GLIBC.get(known, 17)
    if minor < oldest:
        raise SettingsError(
            "settings.glibc-too-old",
            "no wheel is made for a glibc this old",
            value=platform,
            cause=f"manylinux for {known} starts at 2.{oldest}",
            cure=_CURE,
        )
    return known, (2, minor)


def _plain_linux(architecture: str, here: Host) -> tuple[str, tuple[int, int]]:
    """linux_x86_64 says nothing of glibc: the driver's own for its own architecture, else the
    oldest that is common.
    """
    own = here.glibc if architecture == here.machine else None
    return architecture, own or (2, 17)


def _known(architecture: str) -> str:
    name = host.architecture(architecture)
    if name not in _ARCHITECTURES:
        raise SettingsError(
            "settings.not-an-architecture",
            "not an architecture that wheels are made for",
            value=repr(architecture),
            cause=f"known are {', '.join(_ARCHITECTURES)}",
            cure=_CURE,
        )
    return name


def _own_glibc(here: Host) -> tuple[int, int]:
    if here.glibc is None:
        raise SettingsError(
            "settings.platform-unknown",
            "the driver's machine does not tell what the executors are",
            cause="it is not Linux with glibc (macOS, Windows, Alpine), Spark's executors are",
            cure=_CURE,
        )
    return here.glibc
