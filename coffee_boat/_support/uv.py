"""Where uv is, and the configuration that it would read."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from coffee_boat._support import home, limits, parse, trust
from coffee_boat._support.files import is_file
from coffee_boat.errors import SettingsError

_FINDING = threading.Lock()
"""uv asks sysconfig, which two threads must not ask for the first time at once: one of them sees it
half filled (CPython 3.11).
"""


def binary() -> str:
    """Path of the uv executable.

    Raises:
        SettingsError: there is none.
    """
    import uv

    try:
        with _FINDING:
            return str(uv.find_uv_bin())
    except FileNotFoundError as error:
        found = shutil.which("uv", path=trust.absolute_path(os.environ))
        if found:
            return found
        raise SettingsError(
            "settings.uv-missing",
            "the uv program is missing",
            cause=str(error),
            cure=f"{sys.executable} -m pip install --force-reinstall uv",
        ) from error


def configuration() -> tuple[Mapping[str, Any], ...]:
    """The tables of uv's configuration files that are in force in the working directory, nearest
    first.

    See https://docs.astral.sh/uv/concepts/configuration-files/. A file that cannot be read counts
    as empty: uv itself warns of it.
    """
    if os.environ.get("UV_NO_CONFIG"):
        return ()
    if named := os.environ.get("UV_CONFIG_FILE"):
        return (_table(Path(named)),)
    return tuple(
        table for table in (_project_table(), *map(_table, _machine_files(os.environ))) if table
    )


def refuse_strangers(folder: Path, environ: Mapping[str, str]) -> None:
    """Raise if uv, started in a folder, would take its configuration from a file that others may
    write: it says where packages come from, and where Python itself does.

    Raises:
        SettingsError: names the file and who may write it.
    """
    if environ.get("UV_NO_CONFIG") or environ.get("UV_CONFIG_FILE"):
        return
    project = _project_file(folder)
    _refuse_stops(folder, project, environ)
    for path in (*([project] if project else []), *_machine_files(environ)):
        doubt = trust.doubt(path, environ=environ) if is_file(path) else None
        if doubt is not None:
            raise SettingsError(
                "settings.uv-configuration-writable",
                "uv would take its settings from a file that others may write",
                value=str(path),
                cause=f"{doubt.why}; such settings are taken from your own files and root's",
                cure=(
                    "work in another folder, or export UV_NO_CONFIG=1, or UV_CONFIG_FILE=FILE to"
                    f" name one; or {doubt.cure}"
                ),
            )


def _refuse_stops(folder: Path, project: Path | None, environ: Mapping[str, str]) -> None:
    """Raise for what uv would meet before the project's file, and stop at: it waits for a named
    pipe, and reads a device, without an end.
    """
    for place in (folder, *folder.parents):
        for path in (place / "uv.toml", place / "pyproject.toml"):
            if path == project:
                return
            if fault := _fault(path):
                doubt = trust.doubt(path.parent / path.name, environ=environ)
                raise SettingsError(
                    "settings.uv-configuration-unreadable",
                    "uv would stop at a file that it looks for its settings in",
                    value=str(path),
                    cause=f"{fault}; {doubt.why}" if doubt else fault,
                    cure=(
                        "take it away; or work in another folder, or export UV_NO_CONFIG=1, or"
                        " UV_CONFIG_FILE=FILE to name one"
                    ),
                )


def _fault(path: Path) -> str:
    """Why a file that is there cannot be read; empty if it can, or if there is none."""
    if not os.path.lexists(path):
        return ""
    try:
        limits.read_bytes(path, limits.PROJECT)
    except FileNotFoundError:  # a link to nothing, which uv passes over
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _project_table() -> Mapping[str, Any]:
    path = _project_file(Path.cwd())
    if path is None:
        return {}
    return _table(path) if path.name == "uv.toml" else dict(_tool_table(path) or {})


def _project_file(folder: Path) -> Path | None:
    """The nearest uv.toml or pyproject.toml with a [tool.uv], from a folder upwards."""
    for place in (folder, *folder.parents):
        if is_file(place / "uv.toml"):
            return place / "uv.toml"
        if _tool_table(place / "pyproject.toml") is not None:
            return place / "pyproject.toml"
    return None


def _tool_table(path: Path) -> Mapping[str, Any] | None:
    tool = _table(path).get("tool")
    said = tool.get("uv") if isinstance(tool, dict) else None
    return said if isinstance(said, dict) else None


def _machine_files(environ: Mapping[str, str]) -> Iterator[Path]:
    if os.name == "nt":
        yield Path(environ.get("APPDATA", "")) / "uv" / "uv.toml"
        yield Path(environ.get("PROGRAMDATA", "")) / "uv" / "uv.toml"
        return
    config = home.config(environ)
    if config is not None:
        yield config / "uv" / "uv.toml"
    for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"):
        yield Path(folder) / "uv" / "uv.toml"
    yield Path("/etc/uv/uv.toml")


def _table(path: Path) -> Mapping[str, Any]:
    try:
        return parse.toml(limits.read_text(path, limits.PROJECT))
    except (OSError, ValueError):
        return {}
