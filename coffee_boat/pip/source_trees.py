"""A source, copied or unpacked for its build, and what its build made."""

from __future__ import annotations

import sys
from pathlib import Path

from coffee_boat._support import host
from coffee_boat._support.digest import copy_tree, tree_digest
from coffee_boat._support.files import local_path
from coffee_boat.errors import BuildError
from coffee_boat.model import Pin, Target, grammar


def folder_inside(pin: Pin, project: Path) -> Path:
    """The folder of a project that is built; a link in a repository may lead out of it."""
    found = (project / pin.subdirectory).resolve()
    if grammar.folder_fault(pin.subdirectory) or not found.is_relative_to(project.resolve()):
        raise BuildError(
            "build.subdirectory-leads-out",
            "a subdirectory leads out of its project",
            value=f"{pin.name}: {grammar.shown(pin.subdirectory)}",
            cause="it is absolute, has .. in it, or is a link to somewhere else",
            cure="name the folder in the project that has its pyproject.toml",
        )
    return found


def copied(pin: Pin, folder: Path) -> Path:
    """A copy of a folder or a commit, to be built in."""
    place = local_path(pin.url)
    if not place.is_dir():
        raise BuildError(
            "build.locked-folder-missing",
            "a folder of the lock is not there any more",
            value=str(place),
            cause="it was moved or deleted since it was locked",
            cure="put it back, or ask for it where it is now",
        )
    copy = folder / "project" / place.name
    copy_tree(place, copy, BuildError)
    # the copy is what is built, so it is the copy that is compared
    if tree_digest(copy, BuildError) != pin.sha256:
        raise BuildError(
            "build.folder-changed",
            "a folder was changed since it was locked",
            value=str(place),
            cause="its files were edited in the meantime",
            cure="make the lock again: call plan() or launch_ship() once more",
        )
    return copy


def named_as(pin: Pin, wheel: Path) -> Path:
    """Refuse a wheel of another name or version than the pin's."""
    from packaging.utils import parse_wheel_filename

    name = parse_wheel_filename(wheel.name)[0]
    if name != pin.name:
        raise BuildError(
            "build.other-wheel-built",
            "a source became a wheel of another name",
            value=f"{pin.name} ({pin.url}) gave {wheel.name}",
            cause="the requirement names another project",
            cure=f"ask for it as {name} @ ...",
        )
    return wheel


def refuse_foreign(pin: Pin, filename: str, target: Target) -> None:
    """Refuse a wheel that was compiled for another platform than the target."""
    from packaging.utils import parse_wheel_filename

    if all(tag.platform == "any" for tag in parse_wheel_filename(filename)[3]):
        return
    glibc = ".".join(map(str, host.glibc() or ())) or "none"
    here = f"{host.architecture()}, glibc {glibc} ({sys.platform})"
    foreign = host.architecture() != target.architecture
    if foreign or (host.glibc() or (99, 0)) > target.glibc:
        raise BuildError(
            "build.must-be-compiled",
            f"{pin.name} {pin.version} must be compiled, and would not run on the executors",
            value=f"{filename}, built on {here}; the executors are {target.platform}",
            cause=(
                "no wheel fits them, so it was built here; what is compiled here needs the"
                " architecture and at least the glibc of this machine"
            ),
            cure=(
                f"ask for a version that has wheels for {target.platform}, give a wheel built"
                " there (find_links=), or say the executors' true platform="
            ),
        )


def failed(pin: Pin, why: str) -> BuildError:
    """The error for a build that failed."""
    return BuildError(
        "build.wheel-build-failed",
        f"no wheel could be built of {pin.name} {pin.version}".rstrip(),
        value=f"{pin.url}: {why}",
        cause=(
            "a compiler, a header or a build requirement is missing here, or it does not support"
            " this Python"
        ),
        cure="ask for a version that has wheels, or install what the text above misses",
    )
