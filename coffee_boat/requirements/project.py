"""pyproject.toml (PEP 621, PEP 735) and script headers (PEP 723) -> Manifest."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.dependency_groups import DependencyGroupResolver
from packaging.errors import ExceptionGroup
from packaging.utils import canonicalize_name

from coffee_boat import _quoting
from coffee_boat._script import header
from coffee_boat.errors import RequirementError
from coffee_boat.model import Finding, Manifest, Requirement
from coffee_boat.requirements import hints, single

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class _Project:
    path: Path
    document: Mapping[str, Any]

    @property
    def table(self) -> Mapping[str, Any]:
        table: Mapping[str, Any] = self.at("project", dict, {})
        return table

    @property
    def name(self) -> str:
        """Normalized; empty without a [project]."""
        name = self.table.get("name")
        return str(canonicalize_name(name)) if isinstance(name, str) else ""

    def at(
        self, key: str, kind: type, default: Any, within: Mapping[str, Any] | None = None
    ) -> Any:
        """The value of a key, refused if it is of another type."""
        value = (self.document if within is None else within).get(key, default)
        if not isinstance(value, kind):
            raise RequirementError(
                f"{key} is not a {_WORDS[kind]}",
                value=str(self.path),
                cause=f"it is {value!r}",
                cure="see https://packaging.python.org/specifications/pyproject-toml/",
            )
        return value

    def parsed(self, texts: Sequence[object], where: str) -> list[Requirement]:
        folder = self.path.absolute().parent
        return [single.parse(text, origin=f"{self.path}: {where}", folder=folder) for text in texts]


_WORDS: Mapping[type, str] = {dict: "table", list: "list of strings"}


def load(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        RequirementError: it is not there, or is not TOML.
    """
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise RequirementError(
            "a project file is not TOML",
            value=str(path),
            cause=_quoting.where(error),
            cure="mend the line that the cause names",
        ) from error


def read(path: Path, *, extras: Sequence[str] = (), groups: Sequence[str] = ()) -> Manifest:
    """See `coffee_boat.requirements.read`."""
    project = _Project(path, load(path))
    _refuse_unreadable(project, groups)
    asked = [(requirement, "") for requirement in _own(project)]
    asked += [
        (requirement, extra)
        for extra in _listed(extras, "extras")
        for requirement in _of_extra(project, extra)
    ]
    asked += [
        (requirement, "")
        for group in _listed(groups, "groups")
        for requirement in _of_group(project, group)
    ]
    wanted = tuple(
        found
        for requirement, extra in asked
        for found in _without_itself(project, requirement, (str(canonicalize_name(extra)),))
    )
    return Manifest(requirements=wanted, findings=tuple(_lost_sources(project, wanted)))


def read_script(path: Path) -> Manifest:
    """The `# /// script` block of a script (PEP 723)."""
    document = header(_text(path), path)
    if document is None:
        raise RequirementError(
            "a script has no header that lists what it needs",
            value=str(path),
            cause="a block that begins with # /// script is read (PEP 723)",
            cure=f"uv add --script {path} NAME, or use a requirements.txt",
        )
    script = _Project(path, document)
    wanted = tuple(script.parsed(script.at("dependencies", list, []), "script header"))
    return Manifest(requirements=wanted, findings=tuple(_lost_sources(script, wanted)))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise RequirementError(
            "a project file is not there",
            value=str(path),
            cause=f"looked for {path.absolute()}",
            cure=hints.cure_of_missing(path),
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RequirementError(
            "a project file cannot be read",
            value=str(path),
            cause=str(error),
            cure="give a file of UTF-8 text that you may read",
        ) from error


def _listed(names: Sequence[str], argument: str) -> Sequence[str]:
    if isinstance(names, str):
        raise RequirementError(
            f"{argument} is a list of names", value=repr(names), cure=f"{argument}=[{names!r}]"
        )
    return names


def _refuse_unreadable(project: _Project, groups: Sequence[str]) -> None:
    if "project" not in project.document and not groups:
        raise RequirementError(
            "a pyproject.toml has no [project] table, so it lists no dependencies",
            value=str(project.path),
            cause="dependencies under [tool.*] are known to that tool only",
            cure=(
                f"captain.add_pip_packages({str(project.path.absolute().parent)!r}) builds the"
                " project and takes what it needs, or name groups=[...]"
            ),
        )


def _refuse_dynamic(project: _Project, key: str) -> None:
    if key in project.at("dynamic", list, [], project.table):
        raise RequirementError(
            f"the {key} of a project are dynamic",
            value=str(project.path),
            cause="only a build of the project can tell them",
            cure=(
                f"captain.add_pip_packages({str(project.path.absolute().parent)!r}) builds the"
                " project and takes what it needs"
            ),
        )


def _own(project: _Project) -> list[Requirement]:
    _refuse_dynamic(project, "dependencies")
    return project.parsed(project.at("dependencies", list, [], project.table), "dependencies")


def _of_extra(project: _Project, extra: str) -> list[Requirement]:
    _refuse_dynamic(project, "optional-dependencies")
    table = {
        str(canonicalize_name(key)): value
        for key, value in project.at("optional-dependencies", dict, {}, project.table).items()
    }
    name = str(canonicalize_name(extra))
    if name not in table:
        raise _unknown("extra", extra, table, project)
    return project.parsed(project.at(name, list, [], table), f"extra {name}")


def _of_group(project: _Project, group: str) -> list[Requirement]:
    table = project.at("dependency-groups", dict, {})
    if canonicalize_name(group) not in {canonicalize_name(key) for key in table}:
        raise _unknown("dependency group", group, table, project)
    try:
        texts = [str(requirement) for requirement in DependencyGroupResolver(table).resolve(group)]
    except ExceptionGroup as error:
        causes = "; ".join(str(cause).partition("\n")[0] for cause in error.exceptions)
        raise RequirementError(
            "a dependency group cannot be read",
            value=f"{group} ({project.path})",
            cause=causes,
            cure="mend [dependency-groups] (PEP 735)",
        ) from error
    return project.parsed(texts, f"group {group}")


def _unknown(
    kind: str, name: str, table: Mapping[str, object], project: _Project
) -> RequirementError:
    near = difflib.get_close_matches(name, table, n=1)
    known = ", ".join(sorted(table)) or "none"
    return RequirementError(
        f"a project has no such {kind}",
        value=f"{name} ({project.path})",
        cause=f"it has: {known}",
        cure=f"did you mean {near[0]}?" if near else "name one of these, or leave it out",
    )


def _without_itself(
    project: _Project, requirement: Requirement, seen: tuple[str, ...]
) -> Iterator[Requirement]:
    """`all = ["me[a,b]"]` means the extras a and b of the same file; the project itself is not
    asked for.
    """
    if not project.name or requirement.name != project.name:
        yield requirement
        return
    for extra in requirement.extras:
        if extra not in seen:
            for found in _of_extra(project, extra):
                yield from _without_itself(
                    project, _under(requirement.marker, found), (*seen, extra)
                )


def _under(marker: str, requirement: Requirement) -> Requirement:
    both = (
        f"({marker}) and ({requirement.marker})"
        if marker and requirement.marker
        else marker or requirement.marker
    )
    return single.render(replace(requirement, marker=both))


def _lost_sources(project: _Project, wanted: Sequence[Requirement]) -> Iterator[Finding]:
    uv = project.at("uv", dict, {}, project.at("tool", dict, {}))
    named = {str(canonicalize_name(name)) for name in project.at("sources", dict, {}, uv)}
    for requirement in wanted:
        if requirement.name in named and not requirement.url:
            yield Finding(
                "a source of [tool.uv.sources] is not used",
                f"{requirement.name} ({project.path})",
                "only standard tables of a project file are read; the package comes from an index",
                f'write "{requirement.name} @ <path or URL>" instead',
            )
