"""[tool.uv.sources] of a project file or of a script: where its dependencies come from.

A path, a URL and a commit become direct references (PEP 508). An index stays with the requirement,
and the resolver asks no other one for it: a public package of the same name is somebody else's.
https://docs.astral.sh/uv/concepts/projects/dependencies/#dependency-sources
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker, UndefinedComparison
from packaging.utils import canonicalize_name

from coffee_boat._support import parse
from coffee_boat._support.files import is_file
from coffee_boat.errors import RequirementError
from coffee_boat.model import Requirement
from coffee_boat.pip.uv_options import with_login
from coffee_boat.requirements import single

_CURE = "uv export --format pylock.toml -o pylock.toml, then captain.add_lock('pylock.toml')"


def applied(
    wanted: Sequence[Requirement], tables: Mapping[str, Any], path: Path
) -> tuple[Requirement, ...]:
    """Requirements with their sources.

    Args:
        tables: [tool.uv].
        path: of the file that has them.

    Raises:
        RequirementError: a source cannot be used. No other place is taken instead.
    """
    sources = tables.get("sources", {})
    if not isinstance(sources, dict):
        raise _unusable("sources", path, "it is not a table")
    known = {str(canonicalize_name(name)): source for name, source in sources.items()}
    return tuple(
        _with_source(one, known[one.name], tables, path)
        if one.name in known and not one.url
        else one
        for one in wanted
    )


def _with_source(
    wanted: Requirement, said: object, tables: Mapping[str, Any], path: Path
) -> Requirement:
    source = _chosen(wanted.name, said, path)
    if source is None:
        return wanted
    if "index" in source:
        return replace(wanted, index=_index(wanted.name, source["index"], tables, path))
    place = next((make(source, wanted, path) for key, make in _PLACES.items() if key in source), "")
    if not place:
        raise _unusable(wanted.name, path, f"it names {', '.join(map(str, source)) or 'nothing'}")
    marker = f" ; {wanted.marker}" if wanted.marker else ""
    extras = f"[{','.join(wanted.extras)}]" if wanted.extras else ""
    made = single.parse(
        f"{wanted.name}{extras} @ {place}{marker}",
        origin=wanted.origin,
        folder=path.absolute().parent,
    )
    return replace(made, editable=source.get("editable") is True)


def _chosen(name: str, said: object, path: Path) -> Mapping[str, Any] | None:
    """Of several, the first whose marker holds here: executors are Linux, as the driver is."""
    listed = said if isinstance(said, list) else [said]
    for source in listed:
        if not isinstance(source, dict) or {"extra", "group"} & source.keys():
            raise _unusable(name, path, "it is for one extra or group, or no table")
        try:
            holds = "marker" not in source or Marker(str(source["marker"])).evaluate()
        except (InvalidMarker, UndefinedComparison):
            raise _unusable(name, path, "its marker cannot be read") from None
        if holds:
            return source
    return None


def _index(name: str, index: object, tables: Mapping[str, Any], path: Path) -> str:
    listed = tables.get("index", [])
    for one in listed if isinstance(listed, list) else []:
        url = one.get("url") if isinstance(one, dict) and one.get("name") == index else None
        if isinstance(url, str) and "://" in url:
            return with_login(f"{index}={url}")
    raise _unusable(name, path, f"there is no [[tool.uv.index]] called {index!r} with a URL")


def _of_path(source: Mapping[str, Any], _: Requirement, __: Path) -> str:
    place = str(source["path"])
    return place if place.startswith(("/", ".", "~")) else f"./{place}"


def _of_url(source: Mapping[str, Any], _: Requirement, __: Path) -> str:
    return str(source["url"]) + _below(source)


def _of_git(source: Mapping[str, Any], _: Requirement, __: Path) -> str:
    revision = next((str(source[key]) for key in ("rev", "tag", "branch") if key in source), "")
    address = str(source["git"]).removeprefix("git+")
    return f"git+{address}{'@' * bool(revision)}{revision}{_below(source)}"


def _below(source: Mapping[str, Any]) -> str:
    return f"#subdirectory={source['subdirectory']}" if "subdirectory" in source else ""


def _of_workspace(_: Mapping[str, Any], wanted: Requirement, path: Path) -> str:
    """The member of that name, of the workspace that the file is in."""
    for folder in path.absolute().parents:
        members = _table(folder / "pyproject.toml", "tool", "uv", "workspace").get("members", [])
        for pattern in members if isinstance(members, list) else []:
            for place in _found(folder, str(pattern)):
                name = _table(place / "pyproject.toml", "project").get("name", "")
                if canonicalize_name(str(name)) == wanted.name:
                    return str(place)
    return ""


def _found(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except (ValueError, NotImplementedError, OSError):  # no pattern, or one from the root on
        return []


_PLACES: dict[str, Callable[[Mapping[str, Any], Requirement, Path], str]] = {
    "path": _of_path,
    "url": _of_url,
    "git": _of_git,
    "workspace": _of_workspace,
}


def _table(path: Path, *keys: str) -> Mapping[str, Any]:
    if not is_file(path):
        return {}
    try:
        found: Any = parse.toml(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    for key in keys:
        found = found.get(key, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _unusable(name: str, path: Path, cause: str) -> RequirementError:
    return RequirementError(
        "requirements.uv-source-unusable",
        "a source of [tool.uv.sources] cannot be used",
        value=f"{name} ({path})",
        cause=f"{cause}; an index may have another package of that name, so none is asked",
        cure=f"{_CURE}; or write the requirement as name @ <path or URL>",
    )
