"""Code of one's own -> Manifest: a module, a package, a folder of both, or a project with a build
step.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from coffee_boat._support.files import exists, named
from coffee_boat.errors import RequirementError
from coffee_boat.model import Finding, Manifest, Requirement
from coffee_boat.pip import own_code
from coffee_boat.requirements import hints, places, single, toml

PROJECT = "pyproject.toml"
_BUILDS = ("setup.py", "setup.cfg")


def read(written: Iterable[object], *, origin: str, folder: Path | None = None) -> Manifest:
    """See `coffee_boat.requirements.own_code`."""
    found = [_read(place, origin, folder or Path.cwd()) for place in written]
    return Manifest(
        requirements=tuple(requirement for requirement, _ in found),
        findings=tuple(finding for _, findings in found for finding in findings),
    )


def code_in(place: str, *, origin: str, folder: Path) -> Manifest | None:
    """The code of a folder that pip would not install, which has no project file; None if it is
    not one.
    """
    path = folder / place
    if not path.is_dir() or any((path / name).is_file() for name in (PROJECT, *_BUILDS)):
        return None
    try:
        return read([place], origin=origin, folder=folder)
    except RequirementError as error:
        if error.code != "requirements.no-module-in-folder":
            raise
        return None  # nor would pip install it


def is_project(folder: Path) -> bool:
    """True if a folder has a build step: its build tells what is in it."""
    if any((folder / name).is_file() for name in _BUILDS):
        return True
    return (folder / PROJECT).is_file() and "build-system" in toml.load(folder / PROJECT)


def _read(written: object, origin: str, folder: Path) -> tuple[Requirement, tuple[Finding, ...]]:
    if not isinstance(written, (str, Path)) or not str(written).strip() or "\0" in str(written):
        raise RequirementError(
            "requirements.own-code-not-a-path",
            "code of your own is named by its path",
            value=repr(written),
            cure='captain.add_local("helpers.py"), or the folder of a package: "src/mypkg"',
        )
    said = str(named(written)).strip()
    path = places.located(places.Source(place=said, origin=origin, folder=folder, written=said))
    if not exists(path):
        raise RequirementError(
            "requirements.own-code-missing",
            "code of your own is not there",
            value=said,
            cause=f"looked for {path}",
            cure=hints.cure_of_missing(path),
        )
    if path.is_dir() and is_project(path):
        return single.parse(path, origin=origin), ()
    code = own_code.read(path)
    requirement = Requirement(
        text=str(path),
        name=own_code.name_of(path),
        url=path.as_uri(),
        local=True,
        origin=origin,
    )
    return requirement, (*code.findings, *_dependencies(path))


def _dependencies(folder: Path) -> Iterable[Finding]:
    """Said of a project file without a build step: it lists what the code needs."""
    project = folder / PROJECT
    if folder.is_dir() and project.is_file():
        table = toml.load(project).get("project")
        if isinstance(table, dict) and table.get("dependencies"):
            yield Finding(
                "requirements.own-code-dependencies",
                "what a project needs is not asked for with its code",
                value=str(project),
                cause="it has no [build-system], so its files are sent as they are",
                cure=f'captain.add_requirements("{project}")',
                severity="note",
            )
