"""What people write -> Manifest: strings, wheels, source archives, folders, requirements.txt,
pyproject.toml.

    single            one requirement: PEP 508, or a place (places: a path, a URL)
    files, lines      requirements.txt, as pip documents it
    conda             conda's MatchSpecs
    environment_yml   environment.yml
    project           pyproject.toml (PEP 621, PEP 735) and script headers (PEP 723)
    local             code of one's own: modules, packages, folders of both
    taken_back        what is asked for no longer
    environments      what is installed somewhere (distributions: pip's part of it)
    canonical         many manifests -> one; markers evaluated for the executors; contradictions
                      named
    spelling, hints   how a requirement is written, and what a person probably meant

The functions here are the door. They import the rest when called, so that `import coffee_boat` does
not load packaging.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coffee_boat.model import CondaRequirement, Function, Manifest, Requirement

if TYPE_CHECKING:
    from coffee_boat.requirements.environments import Described

__all__ = [
    "conda_packages",
    "describe",
    "for_target",
    "function",
    "merge",
    "own_code",
    "parse",
    "parse_conda",
    "pip_packages",
    "read",
    "read_constraints",
    "read_environment",
    "read_function",
    "refuse_functions_twice",
    "without",
]


def parse(text: str, *, origin: str, folder: Path | None = None) -> Requirement:
    """Read one requirement. Nothing is fetched; what it names on this machine must be there.

    Args:
        text: a PEP 508 string, the path of a wheel, of a source archive or of a folder with a
            pyproject.toml or a setup.py, a https or file URL of one, or
            git+https://...@rev#egg=name&subdirectory=x; extras and a marker may follow.
        origin: where it was asked for, for people: "add_pip_packages", "requirements.txt:3".
        folder: what relative paths are relative to; default: the working directory.

    Raises:
        RequirementError: it cannot be read, or names a file that is not there.
    """
    from coffee_boat.requirements import single

    return single.parse(text, origin=origin, folder=folder)


def read(path: str | Path, *, extras: Sequence[str] = (), groups: Sequence[str] = ()) -> Manifest:
    """Read a requirements.txt, a pyproject.toml, or a script with a PEP 723 header.

    Args:
        path: the file, or its file: URL. A name that ends with .toml is read as a pyproject.toml,
            .py as a script, all else as a requirements.txt.
        extras: [project.optional-dependencies] of a pyproject.toml to take as well.
        groups: [dependency-groups] of a pyproject.toml to take as well.

    Raises:
        RequirementError: the file, or a line of it, cannot be read. Names file and line.
    """
    from coffee_boat.requirements import doors, files, project

    path = _path(path)
    doors.refuse(
        path, own=("list", "project", "pyproject", "script"), read="a list of requirements"
    )
    if path.suffix == ".toml":
        return project.read(path, extras=extras, groups=groups)
    _refuse_choices(path, extras, groups)
    return project.read_script(path) if path.suffix == ".py" else files.read(path)


def read_constraints(path: str | Path) -> Manifest:
    """Read a file of constraints, as `pip install -c` takes it: it bounds versions and asks for
    nothing.

    Raises:
        RequirementError: the file, or a line of it, cannot be read; a constraint without a name,
            with extras or editable.
    """
    from coffee_boat.requirements import doors, files

    path = _path(path)
    doors.refuse(path, own=("list",), read="a list of constraints")
    return files.read(path, constraint=True)


def refuse_no_lock(path: Path) -> None:
    """Refuse a file that is no lock that we read, with what to do with it.

    Raises:
        RequirementError: it is of another kind.
    """
    from coffee_boat.requirements import doors

    doors.refuse(path, own=("lock", "project"), read="a lock")


def parse_conda(text: str, *, origin: str, channel: str = "") -> CondaRequirement:
    """Read one requirement in conda's words (a MatchSpec): "numpy >=2", "conda-forge::numpy=1.26".

    Nothing is fetched.

    Args:
        origin: as for `parse`.
        channel: the one that it must come from, where the text does not say so.

    Raises:
        RequirementError: it cannot be read, or rattler is not installed.
    """
    from coffee_boat.requirements import conda

    return conda.parse(text, origin=origin, channel=channel)


def pip_packages(packages: Iterable[str], *, origin: str) -> Manifest:
    """Read several requirements, each as `parse` does."""
    return Manifest(requirements=tuple(parse(package, origin=origin) for package in packages))


def own_code(places: Iterable[str | Path], *, origin: str, folder: Path | None = None) -> Manifest:
    """Code of one's own: modules, packages, folders of both, projects with a build step.

    Args:
        folder: what relative paths are relative to; default: the working directory.

    Raises:
        RequirementError: it is not there, cannot be imported, is too large, or cannot be read.
    """
    from coffee_boat.requirements import local

    return local.read(places, origin=origin, folder=folder)


def read_function(text: str) -> Function:
    """A Python function for programs of the JVM: NAME=MODULE:FUNCTION, perhaps with -> TYPE.

    Raises:
        RequirementError: it cannot be read.
    """
    from coffee_boat.requirements import functions

    return functions.parse(text)


def function(name: str, place: str | Callable[..., Any], returns: str = "") -> Function:
    """The same of its parts; `place` may be the function itself.

    Raises:
        RequirementError: it cannot be read, or cannot go to another process.
    """
    from coffee_boat.requirements import functions

    return functions.function(name, place, returns)


def refuse_functions_twice(asked: Sequence[Function]) -> None:
    """Raise if two functions have one name in SQL.

    Raises:
        RequirementError: they have.
    """
    from coffee_boat.requirements import functions

    functions.refuse_twice(asked)


def conda_packages(
    specs: Iterable[str], *, origin: str, channel: str | Sequence[str] | None = None
) -> Manifest:
    """Read several requirements in conda's words, each as `parse_conda` does.

    Args:
        channel: the one that they must come from; or several, in the order they are asked.
    """
    tie, named = (channel, [channel]) if isinstance(channel, str) else ("", list(channel or ()))
    return Manifest(
        conda=tuple(parse_conda(spec, origin=origin, channel=tie) for spec in specs),
        channels=tuple(named),
    )


def read_environment(path: str | Path, *, channels: Sequence[str] | None = None) -> Manifest:
    """Read an environment.yml of conda, its `pip:` list and all.

    Args:
        channels: in place of those that the file lists.

    Raises:
        RequirementError: the file, or a line of it, cannot be read.
    """
    from coffee_boat.requirements import doors, environment_yml

    path = _path(path)
    doors.refuse(path, own=("environment",), read="an environment file of conda")
    return environment_yml.read(path, channels=channels)


def describe(environment: str | Path | None) -> Described:
    """What an environment is made of: each package as it stands there, from where it came.

    What cannot be brought back is named in findings.

    Args:
        environment: the folder of a conda environment or of a virtual one, the name of a conda
            environment, or None for the driver's own.

    Raises:
        RequirementError: it is not there, is none, or is damaged.
    """
    from coffee_boat.requirements import environments

    return environments.describe(
        _path(environment) if isinstance(environment, Path) else environment
    )


def merge(manifests: Iterable[Manifest]) -> Manifest:
    """The union, in canonical order, whatever order they come in.

    What is asked for twice in the same words stands once.

    Raises:
        RequirementError: two requirements that hold on every platform contradict each other, or two
            manifests name different main indexes.
    """
    from coffee_boat.requirements import canonical

    return canonical.merge(manifests)


def for_target(manifest: Manifest, environment: Mapping[str, str]) -> Manifest:
    """The manifest as the executors see it: markers evaluated and gone, one requirement a name,
    sorted by name.

    A requirement that does not apply is left out, with a Finding.

    Args:
        manifest: what is wanted.
        environment: the executors' marker environment, complete, as
            packaging.markers.default_environment() would give there.

    Raises:
        RequirementError: two requirements contradict each other. Names both, and where each came
            from.
    """
    from coffee_boat.requirements import canonical

    return canonical.for_target(manifest, environment)


def _path(path: object) -> Path:
    from coffee_boat._support.files import named
    from coffee_boat.errors import RequirementError

    if not isinstance(path, (str, Path)) or not str(path).strip() or "\0" in str(path):
        raise RequirementError(
            "requirements.file-not-a-path",
            "a requirements file is named by its path",
            value=repr(path),
            cure="name one file; packages themselves go to captain.add_pip_packages(*names)",
        )
    try:
        return named(path).expanduser()
    except RuntimeError as error:
        raise RequirementError(
            "settings.home-folder-unknown",
            "a home folder is not known",
            value=str(path),
            cause=str(error),
            cure="write the whole path",
        ) from error


def _refuse_choices(path: Path, extras: Sequence[str], groups: Sequence[str]) -> None:
    from coffee_boat.errors import RequirementError

    if extras or groups:
        raise RequirementError(
            "requirements.extras-without-project",
            "extras and groups belong to a pyproject.toml",
            value=str(path),
            cure="leave extras= and groups= out, or give the pyproject.toml",
        )


def without(
    manifests: Iterable[Manifest], names: Iterable[str], *, known: Mapping[str, str] | None = None
) -> list[Manifest]:
    """The manifests without some packages, however their names are written.

    Args:
        names: of packages; of those that a place names, also the place: as it was written, as a
            path from here, or as errors show it, without its credentials.
        known: the names that builds told: url of a requirement -> normalized name.

    Raises:
        RequirementError: nobody asked for one of them.
    """
    from coffee_boat.requirements import taken_back

    return taken_back.without(manifests, names, known or {})
