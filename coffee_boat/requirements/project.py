"""pyproject.toml (PEP 621, PEP 735) and script headers (PEP 723) -> Manifest."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.dependency_groups import DependencyGroupResolver
from packaging.errors import ExceptionGroup
from packaging.utils import canonicalize_name

from coffee_boat.errors import RequirementError
from coffee_boat.model import Manifest, Requirement
from coffee_boat.requirements import single, spelling, uv_sources
from coffee_boat.requirements.toml import load, text_of
from coffee_boat.spark.script import header

_EXPANDED = 10_000
"""Requirements that extras and groups may become, which name each other."""
_NESTED = 50
"""Groups within groups."""


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

    @cached_property
    def extras(self) -> Mapping[str, Any]:
        """[project.optional-dependencies] by normalized names."""
        table = self.at("optional-dependencies", dict, {}, self.table)
        return {str(canonicalize_name(key)): value for key, value in table.items()}

    def at(
        self, key: str, kind: type, default: Any, within: Mapping[str, Any] | None = None
    ) -> Any:
        """The value of a key, refused if it is of another type."""
        value = (self.document if within is None else within).get(key, default)
        if not isinstance(value, kind):
            raise RequirementError(
                "requirements.project-key-invalid",
                f"{key} is not a {_WORDS[kind]}",
                value=str(self.path),
                cause=f"it is {value!r}",
                cure="see https://packaging.python.org/specifications/pyproject-toml/",
            )
        return value

    def parsed(self, texts: Sequence[object], where: str) -> list[Requirement]:
        folder = self.path.absolute().parent
        return [single.parse(text, origin=f"{self.path}: {where}", folder=folder) for text in texts]


_WORDS: Mapping[type, str] = {dict: "table", list: "list of strings", str: "string"}


def read(path: Path, *, extras: Sequence[str] = (), groups: Sequence[str] = ()) -> Manifest:
    """See `coffee_boat.requirements.read`."""
    project = _Project(path, load(path))
    _refuse_unreadable(project, groups)
    asked = [(requirement, "") for requirement in _own(project)]
    asked += [
        (requirement, str(canonicalize_name(extra)))
        for extra in _listed(extras, "extras")
        for requirement in _of_extra(project, extra)
    ]
    asked += [
        (requirement, "")
        for group in _listed(groups, "groups")
        for requirement in _of_group(project, group)
    ]
    return _manifest(project, _without_itself(project, asked), project.table)


def read_script(path: Path) -> Manifest:
    """The `# /// script` block of a script (PEP 723)."""
    document = header(text_of(path), path)
    if document is None:
        raise RequirementError(
            "requirements.script-without-header",
            "a script has no header that lists what it needs",
            value=str(path),
            cause="a block that begins with # /// script is read (PEP 723)",
            cure=f"uv add --script {path} NAME, or use a requirements.txt",
        )
    script = _Project(path, document)
    wanted = script.parsed(script.at("dependencies", list, []), "script header")
    return _manifest(script, wanted, document)


def _manifest(
    project: _Project, wanted: Iterable[Requirement], table: Mapping[str, Any]
) -> Manifest:
    """With the sources of [tool.uv], and what is said of Python.

    Args:
        table: the one that has requires-python.
    """
    uv = project.at("uv", dict, {}, project.at("tool", dict, {}))
    said = project.at("requires-python", str, "", table).strip()
    return Manifest(
        requirements=uv_sources.applied(tuple(wanted), uv, project.path),
        requires_python=((said, str(project.path)),) if said else (),
    )


def _listed(names: Sequence[str], argument: str) -> Sequence[str]:
    if isinstance(names, str):
        raise RequirementError(
            "requirements.names-not-a-list",
            f"{argument} is a list of names",
            value=repr(names),
            cure=f"{argument}=[{names!r}]",
        )
    return names


def _refuse_unreadable(project: _Project, groups: Sequence[str]) -> None:
    if "project" not in project.document and not groups:
        raise RequirementError(
            "requirements.project-table-missing",
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
            "requirements.project-dynamic",
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
    table, name = project.extras, str(canonicalize_name(extra))
    if name not in table:
        raise _unknown("extra", extra, table, project)
    return project.parsed(project.at(name, list, [], table), f"extra {name}")


def _of_group(project: _Project, group: str) -> list[Requirement]:
    table = project.at("dependency-groups", dict, {})
    if canonicalize_name(group) not in {canonicalize_name(key) for key in table}:
        raise _unknown("dependency group", group, table, project)
    _check_size(project, table, group)
    try:
        texts = [str(requirement) for requirement in DependencyGroupResolver(table).resolve(group)]
    except ExceptionGroup as error:
        causes = "; ".join(str(cause).partition("\n")[0] for cause in error.exceptions)
        raise RequirementError(
            "requirements.group-unreadable",
            "a dependency group cannot be read",
            value=f"{group} ({project.path})",
            cause=causes,
            cure="mend [dependency-groups] (PEP 735)",
        ) from error
    return project.parsed(texts, f"group {group}")


def _check_size(project: _Project, table: Mapping[str, object], group: str) -> None:
    """Refuse groups that include each other so often that few lines become millions (PEP 735 writes
    an included group out each time). A circle is left to what reads them.
    """
    groups = {canonicalize_name(key): entries for key, entries in table.items()}
    sizes: dict[str, int] = {}

    def size(name: str, within: tuple[str, ...]) -> int:
        entries = groups.get(canonicalize_name(name))
        if name in within or not isinstance(entries, list):
            return 0
        if len(within) > _NESTED:
            raise _too_many(project, f"groups within groups, {_NESTED} deep", group)
        if name not in sizes:
            included = [e["include-group"] for e in entries if _includes(e)]
            below = sum(size(canonicalize_name(one), (*within, name)) for one in included)
            sizes[name] = len(entries) - len(included) + below
        if sizes[name] > _EXPANDED:
            raise _too_many(project, f"more than {_EXPANDED:,} requirements", group)
        return sizes[name]

    size(canonicalize_name(group), ())


def _includes(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("include-group"), str)


def _too_many(project: _Project, found: str, asked: str) -> RequirementError:
    return RequirementError(
        "requirements.project-too-large",
        "extras or groups of a project become more than is taken",
        value=f"{asked} ({project.path}): {found}",
        cause=f"they include each other; {_EXPANDED:,} requirements in {_NESTED} levels are taken",
        cure="let each include another once, or write the requirements into one of them",
    )


def _unknown(
    kind: str, name: str, table: Mapping[str, object], project: _Project
) -> RequirementError:
    near = difflib.get_close_matches(name, table, n=1)
    known = ", ".join(sorted(table)) or "none"
    return RequirementError(
        "requirements.no-such-extra",
        f"a project has no such {kind}",
        value=f"{name} ({project.path})",
        cause=f"it has: {known}",
        cure=f"did you mean {near[0]}?" if near else "name one of these, or leave it out",
    )


def _without_itself(
    project: _Project, asked: Sequence[tuple[Requirement, str]]
) -> Iterator[Requirement]:
    """`all = ["me[a,b]"]` means the extras a and b of the same file; the project itself is not
    asked for.

    Args:
        asked: each requirement with the extra that it is of; empty if it is of none.
    """
    waiting = [(requirement, frozenset({extra})) for requirement, extra in reversed(asked)]
    seen: set[tuple[str, str]] = set()
    taken = len(waiting)
    while waiting:
        requirement, within = waiting.pop()
        if not project.name or requirement.name != project.name:
            yield requirement
            continue
        for extra in reversed(requirement.extras):
            # what was followed under the same condition before gives nothing new
            if extra in within or (extra, requirement.marker) in seen:
                continue
            seen.add((extra, requirement.marker))
            below = _of_extra(project, extra)
            taken += len(below)
            if len(within) > _NESTED or taken > _EXPANDED + len(asked):
                found = f"more than {_EXPANDED:,} requirements, or {_NESTED} levels"
                raise _too_many(project, found, f"{project.name}[{extra}]")
            waiting += [
                (_under(requirement.marker, found), within | {extra}) for found in reversed(below)
            ]


def _under(marker: str, requirement: Requirement) -> Requirement:
    both = (
        f"({marker}) and ({requirement.marker})"
        if marker and requirement.marker
        else marker or requirement.marker
    )
    return spelling.render(replace(requirement, marker=both))
