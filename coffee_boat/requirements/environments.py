"""What is installed somewhere -> Manifest: a conda environment, a virtual environment, or the
driver's own.

An environment is described by what it was made of, never copied: what was changed by hand in it
would travel unseen. So each package is asked for again as it stands there, from where it came, and
what that cannot bring back is named with its owner: folders that were installed, packages from
nowhere, files that are not what their package says.

    conda-meta/*.json   of conda's packages: version, build, URL, and a sha256 of each file (conda,
                        mamba and rattler write it)
    *.dist-info         of pip's: version, direct_url.json (PEP 610), and a sha256 of each file in
                        RECORD
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from coffee_boat._support import home as _support_home
from coffee_boat._support import parse, quoting
from coffee_boat._support.digest import file_digest
from coffee_boat._support.files import exists, is_dir, is_file
from coffee_boat.conda import channels as conda_channels
from coffee_boat.errors import RequirementError
from coffee_boat.model import Manifest
from coffee_boat.requirements import conda, doors
from coffee_boat.requirements.distributions import Found, read_distributions


@dataclass(frozen=True)
class Described:
    """What an environment is made of."""

    manifest: Manifest
    python: str | None = None
    """Its interpreter, where it is not conda's own."""


def describe(
    environment: str | Path | None, *, environ: Mapping[str, str] | None = None
) -> Described:
    """See `coffee_boat.requirements.describe`."""
    found = Found(_located(environment, os.environ if environ is None else environ))
    places = _places(found.prefix, own=environment is None)
    metas = _condas_records(places, found)
    if metas:
        _read_conda(metas, found)
    if not metas and not places:
        raise RequirementError(
            "requirements.not-an-environment",
            "not an environment of Python",
            value=str(found.prefix),
            cause="there is no lib/python3.*/site-packages and no conda-meta in it",
            cure="name its folder",
        )
    read_distributions(places, found)
    python = None if metas else str(_interpreter(found.prefix)) if environment is not None else None
    manifest = Manifest(
        requirements=tuple(found.pip),
        conda=tuple(found.conda),
        channels=tuple(dict.fromkeys(found.channels)),
        findings=tuple(found.findings),
    )
    return Described(manifest, python)


# where


def _located(environment: str | Path | None, environ: Mapping[str, str]) -> Path:
    if environment is None:
        return Path(sys.prefix)
    path = _prefix_of(_support_home.expanded(environment))
    if os.sep in str(environment) or is_dir(path):
        if not is_dir(path):
            raise RequirementError(
                "requirements.environment-missing",
                "an environment is not there",
                value=str(path),
                cause=f"looked for {path.absolute()}",
                cure=doors.to(path) or "check the path",
            )
        return path.absolute()
    named = [
        place
        for folder in _folders(environ)
        if (place := folder / str(environment)) and is_dir(place / "conda-meta")
    ]
    named += [
        place
        for place in _registered(environ)
        if place.name == str(environment) and is_dir(place / "conda-meta")
    ]
    if not named:
        looked = ", ".join(map(str, _folders(environ))) or "nowhere: no conda is known here"
        raise RequirementError(
            "requirements.no-such-environment",
            "no conda environment has this name",
            value=str(environment),
            cause=f"looked in {looked}",
            cure=(doors.to(path) if is_file(path) else "")
            or "name its folder: `conda env list` shows it",
        )
    return named[0]


def _prefix_of(path: Path) -> Path:
    """The folder of an environment that is named by its interpreter, its `activate`, or its folder
    of programs. Links are not followed: a virtual environment's interpreter lies elsewhere.
    """
    place = path.absolute()
    if is_file(place) and place.parent.name == "bin":
        return place.parent.parent
    has_python = place.name == "bin" and exists(place / "python")
    return place.parent if has_python else path


def _folders(environ: Mapping[str, str]) -> list[Path]:
    """Where environments lie by their names (conda's envs_dirs)."""
    home = _support_home.folder(environ)
    said = [
        entry
        for name in ("CONDA_ENVS_DIRS", "CONDA_ENVS_PATH")
        for entry in environ.get(name, "").split(os.pathsep)
        if entry
    ]
    root = (
        environ.get("CONDA_ROOT")
        or environ.get("MAMBA_ROOT_PREFIX")
        or (str(Path(environ["CONDA_EXE"]).parent.parent) if environ.get("CONDA_EXE") else "")
    )
    found = (
        [_support_home.expanded(entry) for entry in said]
        + ([Path(root, "envs")] if root else [])
        + ([home / ".conda/envs"] if home else [])
    )
    return list(dict.fromkeys(found))


def _registered(environ: Mapping[str, str]) -> list[Path]:
    """conda's own list of every environment that it made."""
    home = _support_home.folder(environ)
    path = home / ".conda/environments.txt" if home else None
    return (
        [Path(line.strip()) for line in path.read_text("utf-8").splitlines() if line.strip()]
        if path is not None and path.is_file()
        else []
    )


def _places(prefix: Path, *, own: bool) -> list[Path]:
    """The folders with packages in them.

    Of the driver's own environment all that it imports from.
    """
    if own:
        named = [
            Path(entry)
            for entry in sys.path
            if Path(entry).name in ("site-packages", "dist-packages")
        ]
        return [place for place in dict.fromkeys(named) if place.is_dir()]
    return sorted(prefix.glob("lib/python3.*/site-packages"))


def _interpreter(prefix: Path) -> Path:
    found = next(
        (path for name in ("python", "python3") if (path := prefix / "bin" / name).exists()), None
    )
    if found is None:
        raise RequirementError(
            "requirements.environment-without-python",
            "an environment has no interpreter that runs",
            value=str(prefix / "bin/python"),
            cause="the Python that it was made from is gone",
            cure="make it anew",
        )
    return found


# conda's


def _condas_records(places: Iterable[Path], found: Found) -> list[Path]:
    """What conda wrote about its packages.

    A wheel can bring such a file, too, with a channel of its own choice: a virtual environment has
    none of conda's, and elsewhere pip's own record tells which are a wheel's."""
    here = sorted(path for path in (found.prefix / "conda-meta").glob("*.json") if path.is_file())
    if (found.prefix / "pyvenv.cfg").is_file():
        brought = here
    else:
        rows = (
            place / line.partition(",")[0].strip('"')
            for place in places
            for record in sorted(place.glob("*.dist-info/RECORD"))
            for line in record.read_text("utf-8", "replace").splitlines()
            if "conda-meta" in line and "\0" not in line
        )
        theirs = {row.resolve() for row in rows}
        brought = [path for path in here if path.resolve() in theirs]
    found.lost(
        "requirements.conda-records-from-wheel",
        "records of conda that a wheel brought are not taken",
        [path.name for path in brought],
        cause="only conda says what it installed, and from which channel",
        cure="look at the package that brought them: pip's RECORD names them",
    )
    return [path for path in here if path not in brought]


def _read_conda(metas: Iterable[Path], found: Found) -> None:
    changed: list[str] = []
    nowhere: list[str] = []
    for path in metas:
        said = _record(path)
        place = str(said.get("url", "")).rpartition("/")[0].rpartition("/")[0]
        found.owned |= {str(name) for name in said.get("files", ())}
        changed += [
            f"{said['name']}: {name}" for name in _altered(_condas_hashes(said), found.prefix)
        ]
        if not place or str(said.get("channel", "")) in ("<unknown>", "unknown"):
            nowhere.append(f"{said['name']} {said['version']}")
            continue
        channel = conda_channels.without_secrets(place)
        text = f"{said['name']} =={said['version']} {said['build']}"
        found.conda.append(conda.parse(text, origin=str(path), channel=channel))
        found.channels.append(channel)
    cause = "conda-meta says another sha256, or the file is gone"
    found.lost(
        "requirements.edited-conda-packages",
        "files of conda packages were changed by hand, and are not taken so",
        changed,
        cause=cause,
        cure="the packages are taken as their channel has them; build one of your own for a change",
    )
    found.lost(
        "requirements.conda-packages-from-nowhere",
        "conda packages from nowhere are not taken",
        nowhere,
        cause="no channel is known that they came from",
        cure="put them into a channel, and name it",
    )


def _record(path: Path) -> Mapping[str, Any]:
    """As conda writes it: what another hand wrote is not gone through."""
    said = _json(path)
    texts = ("name", "version", "build", "url", "channel")
    try:
        wrong = [name for name in texts if not isinstance(said.get(name, ""), str)]
        _ = urlsplit(str(said.get("url", ""))).port, os.fsencode("".join(map(str, said.values())))
        _ = [os.fsencode(name) for name in said.get("files", ())], list(_condas_hashes(said))
    except (TypeError, AttributeError, LookupError, ValueError) as error:
        _damaged(path, quoting.where(error))
    return said if not wrong else _damaged(path, f"{', '.join(wrong)}: not a text")


def _json(path: Path) -> Mapping[str, Any]:
    try:
        said: Mapping[str, Any] = parse.json(path.read_text("utf-8"))
        return (
            {"build": "", **said}
            if {"name", "version"} <= set(said)
            else _damaged(path, "name or version is missing")
        )
    except (OSError, ValueError) as error:
        return _damaged(path, str(error))


def _damaged(path: Path, cause: str) -> Mapping[str, Any]:
    raise RequirementError(
        "requirements.conda-record-unreadable",
        "a record of a conda environment cannot be read",
        value=str(path),
        cause=cause,
        cure="the environment is damaged: make it anew",
    )


def _condas_hashes(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and sha256 (hex) of what can be compared.

    A file that holds the prefix has a sha256 of its own for that.
    """
    for entry in said.get("paths_data", {}).get("paths", ()):
        sha256 = entry.get("sha256_in_prefix") or (
            "" if entry.get("prefix_placeholder") else entry.get("sha256")
        )
        if (
            entry.get("path_type", "hardlink") == "hardlink"
            and sha256
            and not entry["_path"].endswith(".pyc")
        ):
            yield entry["_path"], sha256


def _altered(hashes: Iterable[tuple[str, str]], folder: Path) -> list[str]:
    return [
        name
        for name, sha256 in hashes
        if not is_file(folder / name) or file_digest(folder / name) != sha256
    ]
