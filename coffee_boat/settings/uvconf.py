"""What uv's own configuration says about indexes: uv applies it itself, so pip's words on the same
matter must not be passed to it.

https://docs.astral.sh/uv/reference/environment/ and /uv/concepts/configuration-files/. Values are
not read here, but for UV_OFFLINE.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from coffee_boat._support import files, home, trust
from coffee_boat.errors import SettingsError

_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_BUILDS = {
    "only_binary": ("no-build", "no-build-package", "only-binary"),
    "no_binary": ("no-binary", "no-binary-package", "no-binary"),
}
"""Our key -> uv's words: the flag, the list of names, and the list in [tool.uv.pip]."""
_YES = {"1", "y", "yes", "t", "true", "on"}
_INDEX_KEYS = ("index", "index-url", "extra-index-url", "no-index")


def index_said(
    environ: Mapping[str, str], folder: Path, toml: Callable[[Path], dict[str, Any]]
) -> str:
    """Where uv is told which indexes to use; empty if nowhere."""
    return _said(environ, folder, toml, _INDEX_VARIABLES, _INDEX_KEYS)


def find_links_said(
    environ: Mapping[str, str], folder: Path, toml: Callable[[Path], dict[str, Any]]
) -> str:
    """Where uv is told which folders of wheels to use; empty if nowhere."""
    return _said(environ, folder, toml, ("UV_FIND_LINKS",), ("find-links",))


def builds_said(
    environ: Mapping[str, str], toml: Callable[[Path], dict[str, Any]]
) -> dict[str, tuple[list[str], str]]:
    """What uv is told of building by variables and by the user's and the system's files:
    `only_binary` and `no_binary` -> names as pip has them, and where that was said.

    Of both, all that is said holds, as with uv.
    """
    tables = [*_own_tables(environ, toml)]
    return _united(
        {
            key: [*_of_variables(environ, words), *_of_tables(words, tables)]
            for key, words in _BUILDS.items()
        }
    )


def projects_builds(
    environ: Mapping[str, str], folder: Path, toml: Callable[[Path], dict[str, Any]]
) -> dict[str, tuple[list[str], str]]:
    """The same, as the nearest project's files say it."""
    tables = _project_tables(environ, folder, toml)
    return _united({key: [*_of_tables(words, tables)] for key, words in _BUILDS.items()})


def _united(
    said: Mapping[str, list[tuple[list[str], str]]],
) -> dict[str, tuple[list[str], str]]:
    return {
        key: (
            list(dict.fromkeys(name for names, _ in parts for name in names)),
            ", ".join(place for _, place in parts),
        )
        for key, parts in said.items()
        if parts
    }


def _of_variables(
    environ: Mapping[str, str], words: tuple[str, ...]
) -> Iterator[tuple[list[str], str]]:
    flag, names = (f"UV_{word.upper().replace('-', '_')}" for word in words[:2])
    if environ.get(flag, "").lower() in _YES:
        yield [":all:"], flag
    if listed := environ.get(names, "").replace(",", " ").split():
        yield listed, names


def _of_tables(
    words: tuple[str, ...], tables: Iterable[tuple[Path, Mapping[str, Any]]]
) -> Iterator[tuple[list[str], str]]:
    flag, names, listed = words
    for path, table in tables:
        pip = table.get("pip", {})
        for settings, where in ((table, ""), (pip if isinstance(pip, dict) else {}, "pip.")):
            for key in dict.fromkeys((flag, names, listed)):
                value = settings.get(key)
                if value is True:
                    yield [":all:"], f"{path}: {where}{key}"
                elif isinstance(value, list) and value:
                    yield [str(name) for name in value], f"{path}: {where}{key}"


def _said(
    environ: Mapping[str, str],
    folder: Path,
    toml: Callable[[Path], dict[str, Any]],
    variables: tuple[str, ...],
    keys: tuple[str, ...],
) -> str:
    named = (name for name in variables if environ.get(name))
    tables = (
        f"{path}: {key}"
        for path, table in _tables(environ, folder, toml)
        for key in keys
        if key in table or key in table.get("pip", {})
    )
    return next(named, "") or next(tables, "")


def _tables(
    environ: Mapping[str, str], folder: Path, toml: Callable[[Path], dict[str, Any]]
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The nearest project's, the user's, the system's; one file that UV_CONFIG_FILE names stands
    for all.
    """
    yield from _project_tables(environ, folder, toml)
    yield from _own_tables(environ, toml)


def _project_tables(
    environ: Mapping[str, str], folder: Path, toml: Callable[[Path], dict[str, Any]]
) -> list[tuple[Path, Mapping[str, Any]]]:
    if environ.get("UV_NO_CONFIG") or environ.get("UV_CONFIG_FILE"):
        return []
    places = (folder, *folder.parents)
    return next(filter(None, (_of_project(place, environ, toml) for place in places)), [])


def _own_tables(
    environ: Mapping[str, str], toml: Callable[[Path], dict[str, Any]]
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if environ.get("UV_NO_CONFIG"):
        return
    if environ.get("UV_CONFIG_FILE"):
        yield from _table(Path(environ["UV_CONFIG_FILE"]), toml)
        return
    config = home.config(environ)
    if config is not None:
        yield from _table(config / "uv" / "uv.toml", toml)
    for system in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep):
        yield from _table(Path(system) / "uv" / "uv.toml", toml)
    if sys.platform != "win32":
        yield from _table(Path("/etc/uv/uv.toml"), toml)


def _of_project(
    folder: Path, environ: Mapping[str, str], toml: Callable[[Path], dict[str, Any]]
) -> list[tuple[Path, Mapping[str, Any]]]:
    own, path = list(_table(folder / "uv.toml", toml)), folder / "pyproject.toml"
    if own or not files.is_file(path):
        return own
    try:
        tool = toml(path).get("tool", {})
    except SettingsError:
        if trust.doubt(path, environ=environ) is None:
            raise
        return []  # uv passes over it, too; who put it there is told of with our own table
    return (
        [(path, tool["uv"])] if isinstance(tool, dict) and isinstance(tool.get("uv"), dict) else []
    )


def _table(
    path: Path, toml: Callable[[Path], dict[str, Any]]
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if files.is_file(path):
        yield path, toml(path)
