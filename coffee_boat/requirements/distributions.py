"""The Python distributions that are installed somewhere -> Manifest."""

from __future__ import annotations

import csv
import os
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from coffee_boat._support import parse
from coffee_boat._support.crew import Crew
from coffee_boat._support.digest import check_tree, file_digest
from coffee_boat._support.files import exists, is_file, local_path_or_none
from coffee_boat._support.futures import results
from coffee_boat.errors import RequirementError
from coffee_boat.model import CondaRequirement, Finding
from coffee_boat.model import Requirement as Wanted
from coffee_boat.requirements import single

_OURS = "coffee-boat"
_TOOLS = {"pip"}
"""Installs packages, and is not one of what was asked for."""
_READERS = 8
"""Packages that are read at once."""
_NOT_HASHED = {"pyspark", "pyspark-client", "py4j"}
"""The driver's own travel with every archive, as they are."""
_SHOWN = 3


@dataclass
class Found:
    """What was read so far."""

    prefix: Path
    conda: list[CondaRequirement] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    pip: list[Wanted] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    owned: set[str] = field(default_factory=set)
    """Paths below the prefix that conda's packages own."""

    def lost(self, code: str, what: str, names: Sequence[str], *, cause: str, cure: str) -> None:
        """Name what cannot be brought back, if there is anything."""
        if names:
            shown = ", ".join(names[:_SHOWN]) + (
                f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            )
            self.findings.append(
                Finding(code, what, value=f"{self.prefix}: {shown}", cause=cause, cure=cure)
            )


# pip's


def read_distributions(places: Sequence[Path], found: Found) -> None:
    """Add the distributions in some places to what was found."""
    here = list(distributions(path=[str(place) for place in places]))
    unreadable = [one for one in here if not _is_readable(one)]
    found.lost(
        "requirements.packages-unreadable",
        "packages whose metadata is damaged are not taken",
        sorted(folder.name for one in unreadable if (folder := _info_folder(one))),
        cause="METADATA, RECORD or another file of theirs cannot be read",
        cure="install them again, or ask for them by name: captain.add_pip_packages('name')",
    )
    everything = {
        str(canonicalize_name(one.name)): one
        for one in reversed(here)
        if one not in unreadable and one.name
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
                "requirements.own-packages-skipped",
                "what only coffee_boat needs is not taken",
                value=f"{found.prefix}: {', '.join(skipped)}",
                cause=cause,
                cure="ask for what your programs import",
                severity="note",
            )
        )
    _unowned(places, everything, found)
    looked_at = [
        one for name, one in sorted(ours.items()) if name in taken and name not in _NOT_HASHED
    ]
    with Crew(_READERS, "records") as crew:
        read = results(crew.submit(partial(_edited, one)) for one in looked_at)
    changed = [
        f"{one.name}: {path}" for one, paths in zip(looked_at, read, strict=True) for path in paths
    ]
    cure = (
        "the packages are taken as their index has them; a folder of your own for a change:"
        " captain.add_pip_packages('./changed')"
    )
    found.lost(
        "requirements.edited-packages",
        "files of packages were changed by hand, and are not taken so",
        changed,
        cause="RECORD says another sha256, or the file is gone",
        cure=cure,
    )


def _is_readable(one: Distribution) -> bool:
    """False where importlib.metadata, or we, would end in an error of a file's."""
    try:
        # asked for by [], what is missing is a warning of Python's now, and an error later
        if "Name" not in one.metadata or "Version" not in one.metadata:
            return False
        _ = one.requires, one.metadata.get_all("Provides-Extra")
        for name in ("INSTALLER", "REQUESTED", "direct_url.json"):
            one.read_text(name)
        for file in _recorded(one):
            os.fsencode(file)
    except (ValueError, TypeError, AttributeError, LookupError, OSError, RecursionError, csv.Error):
        return False
    return True


def _is_condas(one: Distribution, found: Found) -> bool:
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


def _overlaid(ours: dict[str, Distribution], found: Found) -> None:
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
        "requirements.pip-over-conda",
        "packages that pip put over conda's are not taken",
        over,
        cause="the environment holds a mixture of two versions' files; conda's version is taken",
        cure=cure,
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
        if any(_holds(wanted, extra) for extra in ["", *extras]):
            found.add(str(canonicalize_name(wanted.name)))
    return found


def _holds(wanted: Requirement, extra: str) -> bool:
    """True also of a marker that cannot be evaluated: what is needed is looked for."""
    try:
        return wanted.marker is None or wanted.marker.evaluate({"extra": extra})
    except ValueError:
        return True


def _take(name: str, one: Distribution, found: Found) -> None:
    label, said = f"{name} {one.version}", _direct_url(one)
    if said is None:
        found.lost(
            "requirements.packages-from-nowhere",
            "packages from nowhere are not taken",
            [f"{label} (its direct_url.json cannot be read)"],
            cause="the file that says where they were installed from is damaged",
            cure="ask for them by name: captain.add_pip_packages('name==version')",
        )
        return
    url = str(said.get("url", ""))
    if "dir_info" in said:
        folder = local_path_or_none(url)
        if folder is not None and said["dir_info"].get("editable"):
            _take_code(label, folder, found)
            return
        found.lost(
            "requirements.local-installs-skipped",
            "packages that were installed from a folder are not taken",
            [f"{label} ({folder or url})"],
            cause="what lies in a folder may be another thing by now",
            cure=f"captain.add_local({str(folder)!r})",
        )
        return
    if (
        _info_folder(one) is not None
        and str(_info_folder(one)).endswith(".egg-info")
        and (linked := _linked(one)) is not None
    ):
        _take_code(label, linked, found)
        return
    text = _text(name, one, said, url)
    if text is None:
        found.lost(
            "requirements.packages-from-nowhere",
            "packages from nowhere are not taken",
            [f"{label} ({url})"],
            cause="the file that they were installed from is gone",
            cure="give the wheel: captain.add_pip_packages('./wheel.whl')",
        )
        return
    found.pip.append(single.parse(text, origin=str(found.prefix)))


def _take_code(label: str, folder: Path, found: Found) -> None:
    """An editable install is its folder, as it is now: that is what the driver imports."""
    try:
        check_tree(folder)
        found.pip.append(single.parse(folder, origin=str(found.prefix)))
    except RequirementError as error:
        found.lost(
            "requirements.editable-skipped",
            "an editable install is not taken",
            [label],
            cause=f"{error.what}: {error.value}",
            cure=f"{error.cure}; then captain.add_local({str(folder)!r})",
        )
        return
    found.findings.append(
        Finding(
            "requirements.editable-taken",
            "an editable install is taken from its folder, as it is now",
            value=f"{label} ({folder})",
            severity="note",
        )
    )


def _direct_url(one: Distribution) -> Mapping[str, Any] | None:
    """Where it was installed from (PEP 610), empty for an index; None if that cannot be read."""
    try:
        said: Mapping[str, Any] = parse.json(one.read_text("direct_url.json") or "{}")
        said.get("dir_info", {}).get("editable")
        said.get("archive_info", {}).get("hashes", {}).get("sha256")
        url = str(said.get("url", ""))
        _ = urlsplit(url).port, os.fsencode(url), local_path_or_none(url)
        if "vcs_info" in said:
            _ = said["vcs_info"]["vcs"], said["vcs_info"]["commit_id"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return said


def _text(name: str, one: Distribution, said: Mapping[str, Any], url: str) -> str | None:
    """The requirement that brings it back; None if nothing does."""
    below = f"#subdirectory={said['subdirectory']}" if said.get("subdirectory") else ""
    if "vcs_info" in said:
        return f"{name} @ {said['vcs_info']['vcs']}+{url}@{said['vcs_info']['commit_id']}{below}"
    if "archive_info" in said:
        local = local_path_or_none(url)
        return f"{name} @ {url}" if local is None or exists(local) else None
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
            not is_file(path)
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


def _unowned(places: Sequence[Path], everything: Mapping[str, Distribution], found: Found) -> None:
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
        "requirements.modules-from-nowhere",
        "modules from nowhere are not taken",
        strange,
        cause="no installed package has them in its list of files",
        cure='a module or a package of yours: captain.add_local("module.py")',
    )


def _counts(path: Path) -> bool:
    if path.name.startswith(
        ("__pycache__", "_virtualenv", "__editable__", ".", "~")
    ) or path.name.endswith((".dist-info", ".egg-info", ".egg-link", ".pth", ".pyc")):
        return False
    return path.is_dir() or path.suffix in (".py", ".so")
