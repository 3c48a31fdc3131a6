"""Which wheels a target takes, and what their names promise (PEP 425, 427, 600; packaging's
code).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from coffee_boat.errors import BuildError
from coffee_boat.model import Pin, Target

_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
"""PEP 600's aliases."""
_MACHINES = ("x86_64", "i686", "aarch64", "armv7l", "ppc64le", "s390x", "riscv64", "loongarch64")
_OLDEST = {"x86_64": 5, "i686": 5}
"""glibc 2.x that the first manylinux tag of an architecture names; 17 for all others (PEP 571,
599).
"""


def check_filename(filename: str, pin: Pin, target: Target) -> None:
    """Refuse a wheel that is not the pinned one, or that the target does not take.

    Raises:
        BuildError: the name is no wheel's, is another distribution's or version's, or its tags fit
            no executor.
    """
    name, version, tags = _parsed(filename)
    if not is_version(name, str(version), pin):
        cause = f"{pin.name} {pin.version} is pinned"
        raise BuildError(
            "build.other-wheel",
            "a wheel is not the one that was chosen",
            value=filename,
            cause=cause,
            cure="lock again; if it stays so, the index serves a wrong file: tell its owner",
        )
    if tags.isdisjoint(supported_tags(target)):
        cause = f"executors are {target.platform} with Python {target.minor}"
        raise BuildError(
            "build.wheel-not-for-executors",
            "a wheel does not fit the executors",
            value=filename,
            cause=cause,
            cure="lock again for this platform, or say what executors are: platform=, python=",
        )


def is_version(name: str, version: str, pin: Pin) -> bool:
    """True if a name and a version, in any spelling, are the pin's."""
    try:
        return canonicalize_name(name) == canonicalize_name(pin.name) and Version(
            version
        ) == Version(pin.version)
    except InvalidVersion:
        return False


def machines_of(filename: str) -> frozenset[str]:
    """The machines that a wheel's name says it is for, as platform.machine() says it; none for a
    wheel that is for any, for another system, or is not named as one.
    """
    try:
        tags = _parsed(filename)[2]
    except BuildError:
        return frozenset()
    found = (
        re.fullmatch(r"(?:many)?linux\w*?_(?P<machine>[a-z]\w*)", tag.platform) for tag in tags
    )
    names = (match["machine"] for match in found if match)
    return frozenset(
        next((known for known in _MACHINES if name.endswith(known)), name) for name in names
    )


def is_same_name(name: str, other: str) -> bool:
    """True if two names, in any spelling, are one distribution's."""
    return bool(canonicalize_name(name) == canonicalize_name(other))


def promised_glibc(filename: str, architecture: str) -> tuple[int, int] | None:
    """The oldest glibc that the wheel's name promises to run on: what auditwheel checked.

    None if it has no manylinux tag.
    """
    platforms = {tag.platform for tag in _parsed(filename)[2]}
    return min(
        (version for platform in platforms for version in _glibc_of(platform, architecture)),
        default=None,
    )


@cache
def supported_tags(target: Target) -> frozenset[Tag]:
    """All tags that the target takes, a locally built `linux_x86_64` included."""
    python = tuple(map(int, target.minor.split(".")))
    platforms = [*_platforms(target), f"linux_{target.architecture}"]
    interpreter = f"cp{python[0]}{python[1]}"
    return frozenset(
        [
            *cpython_tags(python, [interpreter], platforms),
            *compatible_tags(python, interpreter, platforms),
        ]
    )


def _platforms(target: Target) -> Iterator[str]:
    major, newest = target.glibc
    for minor in range(newest, _OLDEST.get(target.architecture, 17) - 1, -1):
        yield f"manylinux_{major}_{minor}_{target.architecture}"
        if (major, minor) in _LEGACY:
            yield f"{_LEGACY[major, minor]}_{target.architecture}"


def _glibc_of(platform: str, architecture: str) -> Iterator[tuple[int, int]]:
    for version, alias in _LEGACY.items():
        if platform == f"{alias}_{architecture}":
            yield version
    match = re.fullmatch(rf"manylinux_(\d+)_(\d+)_{re.escape(architecture)}", platform)
    if match:
        yield int(match[1]), int(match[2])


def _parsed(filename: str) -> tuple[str, Version, frozenset[Tag]]:
    try:
        name, version, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        raise BuildError(
            "build.wheel-name-invalid",
            "a file is not named as a wheel",
            value=filename,
            cause=str(error),
            cure="name it name-version-python-abi-platform.whl (PEP 427)",
        ) from error
    return name, version, tags
