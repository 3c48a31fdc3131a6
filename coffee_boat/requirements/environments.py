"""What is installed somewhere -> Manifest: a conda environment, a virtual environment, or the
driver's own.

An environment is described by what it was made of, never copied: what was changed by hand in it
would travel unseen. So each package is asked for again as it stands there, from where it came, and
what that cannot bring back is named with its owner: editables, folders that were installed,
packages from nowhere, files that are not what their package says.

    conda-meta/*.json   of conda's packages: version, build, URL, and a sha256 of each file (conda,
                        mamba and rattler write it)
    *.dist-info         of pip's: version, direct_url.json (PEP 610), and a sha256 of each file in
                        RECORD
"""

from __future__ import annotations

import csv
import json
import os
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from coffee_boat import _conda, _home
from coffee_boat._digest import file_digest
from coffee_boat._files import local_path_or_none
from coffee_boat.errors import RequirementError
from coffee_boat.model import CondaRequirement, Finding, Manifest
from coffee_boat.model import Requirement as Wanted
from coffee_boat.requirements import conda, single

_OURS = "coffee-boat"
_TOOLS = {"pip"}
"""Installs packages, and is not one of what was asked for."""
_NOT_HASHED = {"pyspark", "pyspark-client", "py4j"}
"""The driver's own travel with every archive, as they are."""
_SHOWN = 3


@dataclass(frozen=True)
class Described:
    """What an environment is made of."""

    manifest: Manifest
    python: str | None = None
    """Its interpreter, where it is not conda's own."""


@dataclass
class _Found:
    """What was read so far."""

    prefix: Path
    conda: list[CondaRequirement] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    pip: list[Wanted] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    owned: set[str] = field(default_factory=set)
    """Paths below the prefix that conda's packages own."""

    def lost(self, what: str, names: Sequence[str], cause: str, cure: str) -> None:
        """Name what cannot be brought back, if there is anything."""
        if names:
            shown = ", ".join(names[:_SHOWN]) + (
                f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            )
            self.findings.append(Finding(what, f"{self.prefix}: {shown}", cause, cure))


def describe(
    environment: str | Path | None, *, environ: Mapping[str, str] | None = None
) -> Described:
    """See `coffee_boat.requirements.describe`."""
    found = _Found(_located(environment, os.environ if environ is None else environ))
    places = _places(found.prefix, own=environment is None)
    metas = _condas_records(places, found)
    if metas:
        _read_conda(metas, found)
    if not metas and not places:
        raise RequirementError(
            "not an environment of Python",
            value=str(found.prefix),
            cause="there is no lib/python3.*/site-packages and no conda-meta in it",
            cure="name its folder",
        )
    _read_distributions(places, found)
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
    path = Path(environment).expanduser()
    if os.sep in str(environment) or path.is_dir():
        if not path.is_dir():
            raise RequirementError(
                "an environment is not there",
                value=str(path),
                cause=f"looked for {path.absolute()}",
                cure="check the path",
            )
        return path.absolute()
    named = [
        place
        for folder in _folders(environ)
        if (place := folder / str(environment)) and (place / "conda-meta").is_dir()
    ]
    named += [
        place
        for place in _registered(environ)
        if place.name == str(environment) and (place / "conda-meta").is_dir()
    ]
    if not named:
        looked = ", ".join(map(str, _folders(environ))) or "nowhere: no conda is known here"
        raise RequirementError(
            "no conda environment has this name",
            value=str(environment),
            cause=f"looked in {looked}",
            cure="name its folder: `conda env list` shows it",
        )
    return named[0]


def _folders(environ: Mapping[str, str]) -> list[Path]:
    """Where environments lie by their names (conda's envs_dirs)."""
    home = _home.folder(environ)
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
        [Path(entry).expanduser() for entry in said]
        + ([Path(root, "envs")] if root else [])
        + ([home / ".conda/envs"] if home else [])
    )
    return list(dict.fromkeys(found))


def _registered(environ: Mapping[str, str]) -> list[Path]:
    """conda's own list of every environment that it made."""
    home = _home.folder(environ)
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
            "an environment has no interpreter that runs",
            value=str(prefix / "bin/python"),
            cause="the Python that it was made from is gone",
            cure="make it anew",
        )
    return found


# conda's


def _condas_records(places: Iterable[Path], found: _Found) -> list[Path]:
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
            if "conda-meta" in line
        )
        theirs = {row.resolve() for row in rows}
        brought = [path for path in here if path.resolve() in theirs]
    found.lost(
        "records of conda that a wheel brought are not taken",
        [path.name for path in brought],
        "only conda says what it installed, and from which channel",
        "look at the package that brought them: pip's RECORD names them",
    )
    return [path for path in here if path not in brought]


def _read_conda(metas: Iterable[Path], found: _Found) -> None:
    changed: list[str] = []
    nowhere: list[str] = []
    for path in metas:
        said = _json(path)
        place = str(said.get("url", "")).rpartition("/")[0].rpartition("/")[0]
        found.owned |= {str(name) for name in said.get("files", ())}
        changed += [
            f"{said['name']}: {name}" for name in _altered(_condas_hashes(said), found.prefix)
        ]
        if not place or str(said.get("channel", "")) in ("<unknown>", "unknown"):
            nowhere.append(f"{said['name']} {said['version']}")
            continue
        channel = _conda.without_secrets(place)
        text = f"{said['name']} =={said['version']} {said['build']}"
        found.conda.append(conda.parse(text, origin=str(path), channel=channel))
        found.channels.append(channel)
    cause = "conda-meta says another sha256, or the file is gone"
    found.lost(
        "files of conda packages were changed by hand, and are not taken so",
        changed,
        cause,
        "the packages are taken as their channel has them; build one of your own for a change",
    )
    found.lost(
        "conda packages from nowhere are not taken",
        nowhere,
        "no channel is known that they came from",
        "put them into a channel, and name it",
    )


def _json(path: Path) -> Mapping[str, Any]:
    try:
        said: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        return (
            {"build": "", **said}
            if {"name", "version"} <= set(said)
            else _damaged(path, "name or version is missing")
        )
    except (OSError, ValueError) as error:
        return _damaged(path, str(error))


def _damaged(path: Path, cause: str) -> Mapping[str, Any]:
    raise RequirementError(
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
        if not (folder / name).is_file() or file_digest(folder / name) != sha256
    ]


# pip's


def _read_distributions(places: Sequence[Path], found: _Found) -> None:
    everything = {
        str(canonicalize_name(one.name)): one
        for one in reversed(list(distributions(path=[str(place) for place in places])))
        if one.name
    }
    by_conda = {name for name, one in everything.items() if _is_condas(one, found)}
    ours = {name: one for name, one in everything.items() if name not in by_conda}
    taken = _without_us(everything)
    _overlaid(ours, found)
    for name, one in sorted(ours.items()):
        if name in taken and name not in _TOOLS:
            _take(name, one, found)
    skipped = sorted(name for name in ours if name not in taken)
    if skipped:
        cause = "nothing else in the environment needs them"
        found.findings.append(
            Finding(
                "what only coffee_boat needs is not taken",
                f"{found.prefix}: {', '.join(skipped)}",
                cause,
                "ask for what your programs import",
                severity="note",
            )
        )
    _unowned(places, everything, found)
    looked_at = [
        one for name, one in sorted(ours.items()) if name in taken and name not in _NOT_HASHED
    ]
    with ThreadPoolExecutor() as pool:
        changed = [
            f"{one.name}: {path}"
            for one, paths in zip(looked_at, pool.map(_edited, looked_at), strict=True)
            for path in paths
        ]
    cure = (
        "the packages are taken as their index has them; a folder of your own for a change:"
        " captain.add_pip_packages('./changed')"
    )
    found.lost(
        "files of packages were changed by hand, and are not taken so",
        changed,
        "RECORD says another sha256, or the file is gone",
        cure,
    )


def _is_condas(one: Distribution, found: _Found) -> bool:
    folder = _info_folder(one)
    if folder is None or not folder.is_relative_to(found.prefix):
        return False
    return any(
        f"{folder.relative_to(found.prefix)}/{name}" in found.owned
        for name in ("METADATA", "PKG-INFO")
    )


def _info_folder(one: Distribution) -> Path | None:
    """Where its metadata lies."""
    place = getattr(one, "_path", None)
    return Path(str(place)) if place is not None else None


def _overlaid(ours: dict[str, Distribution], found: _Found) -> None:
    """What pip put over a conda package: it is conda's that is taken, and its files are named as
    changed.
    """
    names = {wanted.name for wanted in found.conda}
    over = sorted(name for name in ours if name in names)
    for name in over:
        del ours[name]
    cure = (
        f'ask conda for that version: captain.add_conda_packages("{over[0]}=...")' if over else ""
    )
    found.lost(
        "packages that pip put over conda's are not taken",
        over,
        "the environment holds a mixture of two versions' files; conda's version is taken",
        cure,
    )


def _without_us(everything: Mapping[str, Distribution]) -> set[str]:
    """All but coffee_boat and what it alone needs.

    What somebody asked for by name, or nothing needs, stands for itself.
    """
    if _OURS not in everything:
        return set(everything)
    needs = {name: _needs(one, with_extras=name == _OURS) for name, one in everything.items()}
    needed = {other for name, others in needs.items() for other in others}
    roots = [
        name
        for name, one in everything.items()
        if name != _OURS and (name not in needed or _was_asked_for(one))
    ]
    reached: set[str] = set()
    while roots:
        name = roots.pop()
        if name in everything and name not in reached:
            reached.add(name)
            roots += needs[name]
    return reached - {_OURS}


def _was_asked_for(one: Distribution) -> bool:
    """As far as pip says it (PEP 376); uv says it of everything."""
    return (
        one.read_text("REQUESTED") is not None
        and (one.read_text("INSTALLER") or "").strip() == "pip"
    )


def _needs(one: Distribution, *, with_extras: bool) -> set[str]:
    extras = (one.metadata.get_all("Provides-Extra") or []) if with_extras else []
    found = set()
    for text in one.requires or ():
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue  # what it needs under a name that cannot be read is not known to anybody
        if wanted.marker is None or any(
            wanted.marker.evaluate({"extra": extra}) for extra in ["", *extras]
        ):
            found.add(str(canonicalize_name(wanted.name)))
    return found


def _take(name: str, one: Distribution, found: _Found) -> None:
    said = json.loads(one.read_text("direct_url.json") or "{}")
    url = str(said.get("url", ""))
    label = f"{name} {one.version}"
    if "dir_info" in said:
        folder = local_path_or_none(url)
        kind = (
            "editable installs"
            if said["dir_info"].get("editable")
            else "packages that were installed from a folder"
        )
        found.lost(
            f"{kind} are not taken",
            [f"{label} ({folder or url})"],
            "what lies in a folder may be another thing by now",
            f"captain.add_pip_packages({str(folder)!r})",
        )
        return
    if (
        _info_folder(one) is not None
        and str(_info_folder(one)).endswith(".egg-info")
        and _linked(one)
    ):
        found.lost(
            "editable installs are not taken",
            [label],
            "what lies in a folder may be another thing by now",
            f"captain.add_pip_packages({str(_linked(one))!r})",
        )
        return
    text = _text(name, one, said, url)
    if text is None:
        found.lost(
            "packages from nowhere are not taken",
            [f"{label} ({url})"],
            "the file that they were installed from is gone",
            "give the wheel: captain.add_pip_packages('./wheel.whl')",
        )
        return
    found.pip.append(single.parse(text, origin=str(found.prefix)))


def _text(name: str, one: Distribution, said: Mapping[str, Any], url: str) -> str | None:
    """The requirement that brings it back; None if nothing does."""
    below = f"#subdirectory={said['subdirectory']}" if said.get("subdirectory") else ""
    if "vcs_info" in said:
        return f"{name} @ {said['vcs_info']['vcs']}+{url}@{said['vcs_info']['commit_id']}{below}"
    if "archive_info" in said:
        local = local_path_or_none(url)
        return f"{name} @ {url}" if local is None or local.exists() else None
    return f"{name}=={one.version}"


def _linked(one: Distribution) -> Path | None:
    """The folder that a development install of old (`setup.py develop`) lies in: its egg-info is
    there, and not in site-packages.
    """
    folder = _info_folder(one)
    return (
        folder.parent
        if folder is not None and folder.parent.name not in ("site-packages", "dist-packages")
        else None
    )


def _edited(one: Distribution) -> list[str]:
    """Files that are not what RECORD says."""
    wrong = []
    for name, said in _recorded(one).items():
        method, _, digest = said.partition("=")
        if method != "sha256" or name.endswith(".pyc"):
            continue
        path = Path(str(one.locate_file(name)))
        if (
            not path.is_file()
            or urlsafe_b64encode(bytes.fromhex(file_digest(path))).rstrip(b"=").decode() != digest
        ):
            wrong.append(name)
    return wrong


def _recorded(one: Distribution) -> dict[str, str]:
    """What a distribution's RECORD lists, there or not, with its hash ("sha256=..."); without a
    RECORD, what is there.

    From Python 3.12 on, `Distribution.files` leaves out what is gone.
    """
    record = one.read_text("RECORD")
    if record is None:
        return {str(file): "" for file in one.files or ()}
    rows = csv.reader(record.splitlines())
    return {row[0]: row[1] if len(row) > 1 else "" for row in rows if row and row[0]}


def _unowned(places: Sequence[Path], everything: Mapping[str, Distribution], found: _Found) -> None:
    """Modules that no package owns."""

    def tops(place: Path) -> Iterator[Path]:
        return (path for path in place.iterdir() if _counts(path))

    owned = {
        str(one.locate_file(name)) for one in everything.values() for name in _recorded(one)
    } | {str(found.prefix / name) for name in found.owned}
    folders = {str(parent) for path in owned for parent in Path(os.path.normpath(path)).parents} | {
        os.path.normpath(path) for path in owned
    }
    strange = sorted(
        path.name for place in places for path in tops(place) if str(path) not in folders
    )
    found.lost(
        "modules from nowhere are not taken",
        strange,
        "no installed package has them in its list of files",
        "sc.addPyFile for a module of yours; make a package of what is more",
    )


def _counts(path: Path) -> bool:
    if path.name.startswith(
        ("__pycache__", "_virtualenv", "__editable__", ".", "~")
    ) or path.name.endswith((".dist-info", ".egg-info", ".egg-link", ".pth", ".pyc")):
        return False
    return path.is_dir() or path.suffix in (".py", ".so")
