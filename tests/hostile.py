"""Hostile wheels, conda packages and locks, made by code: what each new door is tried with.

    wheel = hostile.wheel(tmp_path, data={"data/lib/python311.zip": "x"})
    @pytest.mark.parametrize("case", hostile.AREAS, ids=str)
    def test_it_is_refused(case, tmp_path): ... case.make(tmp_path) ... case.words

Each list holds one kind of attack. A `Case` says what is made and what the refusal has to name, so
that a test is the door and the list, nothing else. Nothing here does harm by itself: payloads are
files that a test looks for (`Victim`)."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import record_text, row_of, zip_info

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
NODOT = MINOR.replace(".", "")
STDLIB = f"lib/python{MINOR}/"
SITE = f"{STDLIB}site-packages/"

Member = tuple[zipfile.ZipInfo, "str | bytes"]


@dataclass(frozen=True)
class Case:
    """One attack."""

    name: str
    make: Callable[[Path], Path]
    """Writes it below a folder; its file."""
    words: str = ""
    """What the refusal has to name."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Victim:
    """A file of the user that a package must not reach."""

    path: Path
    content: str = "export PATH=/usr/bin:$PATH\n"

    @classmethod
    def below(cls, folder: Path) -> Victim:
        """A `.bashrc` in a home folder of its own."""
        victim = cls(folder / "home" / ".bashrc")
        victim.path.parent.mkdir(parents=True)
        victim.path.write_text(victim.content)
        return victim

    @property
    def untouched(self) -> bool:
        return self.path.read_text() == self.content


# wheels


def wheel(
    folder: Path,
    name: str = "hostile",
    version: str = "1.0",
    *,
    files: Mapping[str, str | bytes] | None = None,
    data: Mapping[str, str | bytes] | None = None,
    members: Sequence[Member] = (),
    requires: Sequence[str] = (),
    entry_points: str = "",
    tag: str = "py3-none-any",
    compression: int = zipfile.ZIP_DEFLATED,
    record: Mapping[str, str | None] | None = None,
) -> Path:
    """A wheel that keeps every rule of its format but those that it is made to break.

    Args:
        files: path in the wheel (so in site-packages) -> content.
        data: path below NAME-VERSION.data ("data/etc/x", "scripts/x") -> content.
        members: zip members written last, as they are.
        record: member -> what RECORD says of it, instead of the truth; None leaves it out.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info/"
    contents: dict[str, str | bytes] = {
        **(files if files is not None else {f"{name}/__init__.py": ""}),
        **{f"{stem}.data/{path}": content for path, content in (data or {}).items()},
        f"{info}METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {text}\n" for text in requires)
        ),
        f"{info}WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n"
        ),
        **({f"{info}entry_points.txt": entry_points} if entry_points else {}),
    }
    written = [
        (zip_info(path, compression=compression), content) for path, content in contents.items()
    ]
    rows = {member.filename: row_of(content) for member, content in [*written, *members]}
    table = rows | {f"{info}RECORD": ","} | dict(record or {})
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in [*written, (zip_info(f"{info}RECORD"), record_text(table))]:
            archive.writestr(member, content)
        for member, content in members:
            archive.writestr(member, content)
    return path


def _wheel(name: str, words: str = "", **how: Any) -> Case:
    return Case(name, lambda folder: wheel(folder, **how), words)


# a record of conda's, brought by a wheel: it named files to be rewritten


def conda_record(path: object, **more: object) -> str:
    """A conda-meta/*.json that asks for `/usr` to be replaced in a file."""
    entry = {"_path": path, "prefix_placeholder": "/usr", "file_mode": "text", **more}
    return json.dumps({"name": "x", "version": "1", "paths_data": {"paths": [entry]}})
