"""What uv's own configuration says about indexes: uv applies it itself, so pip's words on the same
matter must not be passed to it.

https://docs.astral.sh/uv/reference/environment/ and /uv/concepts/configuration-files/. Values are
not read here, but for UV_OFFLINE.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from coffee_boat._support import files, home

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
    environ: Mapping[str, str], folder: Path, toml: Callable[[Path], dict[str, Any]]
) -> dict[str, tuple[list[str], str]]:
    """What uv is told of building: `only_binary` and `no_binary` -> names as pip has them, and
    where that was said.

    The variables beat the files; of both, all that is said holds, as with uv.
    """
    found: dict[str, tuple[list[str], str]] = {}
    for key, words in _BUILDS.items():
        said = [*_of_variables(environ, words), *_of_files(words, environ, folder, toml)]
        if said:
            names = [name for names, _ in said for name in names]
            found[key] = list(dict.fromkeys(names)), ", ".join(place for _, place in said)
    return found


def _of_variables(
    environ: Mapping[str, str], words: tuple[str, ...]
) -> Iterator[tuple[list[str], str]]:
    flag, names = (f"UV_{word.upper().replace('-', '_')}" for word in words[:2])
    if environ.get(flag, "").lower() in _YES:
        yield [":all:"], flag
    if listed := environ.get(names, "").replace(",", " ").split():
        yield listed, names


def _of_files(
    words: tuple[str, ...],
    environ: Mapping[str, str],
    folder: Path,
    toml: Callable[[Path], dict[str, Any]],
) -> Iterator[tuple[list[str], str]]:
    flag, names, listed = words
    for path, table in _tables(environ, folder, toml):
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
    if environ.get("UV_NO_CONFIG"):
        return
    if environ.get("UV_CONFIG_FILE"):
        yield from _table(Path(environ["UV_CONFIG_FILE"]), toml)
        return
    yield from next(
        filter(None, (_of_project(place, toml) for place in (folder, *folder.parents))), []
    )
    config = home.config(environ)
    if config is not None:
        yield from _table(config / "uv" / "uv.toml", toml)
    for system in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep):
        yield from _table(Path(system) / "uv" / "uv.toml", toml)
    if sys.platform != "win32":
        yield from _table(Path("/etc/uv/uv.toml"), toml)


def _of_project(
    folder: Path, toml: Callable[[Path], dict[str, Any]]
) -> list[tuple[Path, Mapping[str, Any]]]:
    own = list(_table(folder / "uv.toml", toml))
    if own or not files.is_file(folder / "pyproject.toml"):
        return own
    tool = toml(folder / "pyproject.toml").get("tool", {})
    return (
        [(folder / "pyproject.toml", tool["uv"])]
        if isinstance(tool, dict) and isinstance(tool.get("uv"), dict)
        else []
    )


def _table(
    path: Path, toml: Callable[[Path], dict[str, Any]]
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if files.is_file(path):
        yield path, toml(path)
