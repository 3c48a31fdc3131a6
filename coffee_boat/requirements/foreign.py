"""Lines that `pip freeze` and `conda env export` wrote on another system, and that no executor can
have: packages of Windows, of macOS, of Debian's and of conda's own tools, and versions that a
distribution made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.version import InvalidVersion, Version

from coffee_boat.errors import RequirementError
from coffee_boat.model import Requirement

_SHOWN = 5
_WINDOWS = "pypiwin32 pywin32 pywinpty tensorflow-intel windows-curses"
_MACOS = "tensorflow-macos tensorflow-metal"
_DEBIAN = """
    apturl cloud-init command-not-found cupshelpers language-selector pkg-resources python-apt
    screen-resolution-extra ubuntu-advantage-tools ubuntu-drivers-common ubuntu-pro-client ufw
    unattended-upgrades usb-creator xkit
"""
_CONDA = """
    anaconda-navigator conda conda-build conda-libmamba-solver conda-repo-cli libmambapy menuinst
    navigator-updater
"""
_MADE_BY_SYSTEM = re.compile(
    r"^[^+]*\d(?:build|ubuntu|deb)\d|\+(?:ubuntu|deb|dfsg)[\d.]*$", re.IGNORECASE
)
"""Not any local version that begins so: an index of a company may have 1.0+debug or 1.0+ds1."""
_PLAIN = re.compile(r"(?P<version>\d+(?:\.\d+)*)")

_CONDA_WINDOWS = {
    "icc_rt",
    "pywin32",
    "pywinpty",
    "ucrt",
    "vc",
    "vc14_runtime",
    "vcomp14",
    "vs2013_runtime",
    "vs2015_runtime",
    "win_inet_pton",
    "wincertstore",
    "winpty",
}
_CONDA_MACOS = {"libcxx", "ld64", "cctools", "pyobjc-core", "tapi"}
_OF_WINDOWS = re.compile(r"(?:m2w64|msys2|vs20\d\d)[-_].+")
_OF_MACOS = re.compile(r".+_osx-(?:64|arm64)|pyobjc-framework-.+")


def refuse(requirements: Iterable[Requirement]) -> None:
    """Refuse requirements that hold for the executors and that no index has for them.

    Args:
        requirements: of which the markers apply, without constraints.

    Raises:
        RequirementError: there is one; it names the lines, why, and what to do.
    """
    found = [(one, *said) for one in requirements if (said := _reason(one)) is not None]
    if not found:
        return
    shown = [f"{one.text} ({one.origin})" for one, *_ in found[:_SHOWN]]
    others = [f"{len(found) - _SHOWN} others"] * (len(found) > _SHOWN)
    raise RequirementError(
        "requirements.of-another-system",
        "requirements are of another system, and no executor can have them",
        value=", ".join([*shown, *others]),
        cause="; ".join(dict.fromkeys(cause for _, cause, _ in found[:_SHOWN])),
        cure="; ".join(dict.fromkeys(cure for *_, cure in found[:_SHOWN])),
    )


def _reason(one: Requirement) -> tuple[str, str] | None:
    """Why no executor can have it, and what to do; None if one may."""
    if one.url:
        return None
    out = f"take the line out: {one.name}"
    known = (
        (one.name in _WINDOWS.split(), "Windows alone has them", _marked(one, "win32")),
        (
            one.name in _MACOS.split() or one.name.split("-")[0] == "pyobjc",
            "macOS alone has them",
            _marked(one, "darwin"),
        ),
        (
            one.name in _DEBIAN.split(),
            "they are parts of Debian or Ubuntu, and on no index; pip freeze lists them there",
            out,
        ),
        (
            one.name in _CONDA.split(),
            "they are conda's own tools, and PyPI has none of them",
            out,
        ),
        (
            _is_of_system(one.specifier),
            "a Linux distribution gave them that version, and no index has it",
            without(one.name, one.specifier.lstrip("=")),
        ),
    )
    return next(((cause, cure) for found, cause, cure in known if found), None)


def _is_of_system(specifier: str) -> bool:
    version = specifier.lstrip("=")
    odd = specifier.startswith("===") and not _is(version)
    return specifier.startswith("==") and (odd or _MADE_BY_SYSTEM.search(version) is not None)


def without(name: str, version: str) -> str:
    """What to do with a version that a distribution made."""
    plain = _PLAIN.match(version)
    return f"take the line out: {name}" + (
        f"; or write {name}=={plain['version']}" if plain is not None else ""
    )


def conda_systems(names: Iterable[str]) -> tuple[str, list[str]]:
    """The system that conda packages are of, and which they are; none for those that Linux has."""
    listed = list(names)
    windows = [name for name in listed if name in _CONDA_WINDOWS or _OF_WINDOWS.fullmatch(name)]
    if windows:
        return "Windows", windows
    macos = [name for name in listed if name in _CONDA_MACOS or _OF_MACOS.fullmatch(name)]
    return ("macOS", macos) if macos else ("", [])


def _marked(one: Requirement, platform: str) -> str:
    return f'take the line out, or write: {one.text}; sys_platform == "{platform}"'


def _is(version: str) -> bool:
    try:
        Version(version)
    except InvalidVersion:
        return False
    return True
