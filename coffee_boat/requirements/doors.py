"""Which door a file goes to: what a person has in hand, and where it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from coffee_boat._support.files import exists, is_dir, is_file, is_remote
from coffee_boat.errors import RequirementError

_HEAD = 1 << 16
"""Characters of a file that are looked at."""
_POETRY = "poetry export -f requirements.txt -o requirements.txt (with poetry-plugin-export)"


@dataclass(frozen=True)
class Kind:
    """What a file is."""

    what: str
    door: str
    """What to call with it; of what cannot be read, what to do before. `{path}` is its path."""
    name: str


_REQUIREMENTS = "captain.add_requirements({path!r})"
_LOCK = "captain.add_lock({path!r})"
_THEN = "then captain.add_requirements('requirements.txt')"
_KINDS = (
    (
        r"uv\.lock",
        Kind(
            "the lock of uv",
            "uv export --format pylock.toml -o pylock.toml, then captain.add_lock('pylock.toml')",
            "uv",
        ),
    ),
    (r"poetry\.lock", Kind("the lock of poetry", f"{_POETRY}, {_THEN}", "foreign")),
    (
        r"pdm\.lock",
        Kind("the lock of pdm", f"pdm export -o requirements.txt, {_THEN}", "foreign"),
    ),
    (
        r"Pipfile(\.lock)?",
        Kind("a file of pipenv", f"pipenv requirements > requirements.txt, {_THEN}", "foreign"),
    ),
    (
        r"pixi\.toml",
        Kind("the project of pixi", "pixi lock, then captain.add_lock('pixi.lock')", "foreign"),
    ),
    (
        r"setup\.(cfg|py)",
        Kind("a part of a project", "captain.add_pip_packages({folder!r})", "foreign"),
    ),
    (r"pylock(\.[^.]+)?\.toml", Kind("a pylock.toml (PEP 751)", _LOCK, "lock")),
    (r"pixi\.lock", Kind("the lock of pixi", _LOCK, "lock")),
    (r"(.*[.-])?conda-lock\.ya?ml", Kind("the lock of conda-lock", _LOCK, "lock")),
    (
        r".+\.ya?ml",
        Kind("an environment file of conda", "captain.add_environment({path!r})", "environment"),
    ),
    (r"pyproject\.toml", Kind("a project file", _REQUIREMENTS, "pyproject")),
    (r".+\.toml", Kind("a project file", _REQUIREMENTS, "project")),
    (r".+\.(txt|in)", Kind("a list of requirements", _REQUIREMENTS, "list")),
    (r".+\.py", Kind("a script", _REQUIREMENTS, "script")),
)
"""What its name looks like -> what it is; the first that fits."""
_INSIDE = (
    (r"^@EXPLICIT[ \t]*$", Kind("an @EXPLICIT list of conda", _LOCK, "lock")),
    (
        r"\A(?:(?:#.*|---)?\n)*version:(?=[\s\S]*^(?:environments|metadata):)(?=[\s\S]*^packages?:)",
        Kind("a lock with conda packages", _LOCK, "lock"),
    ),
)


def kind_of(path: Path) -> Kind | None:
    """What a file is, by its content where that says it, else by its name; None if neither does."""
    text = _head(path)
    for pattern, kind in _INSIDE:
        if re.search(pattern, text, re.MULTILINE):
            return kind
    return next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, path.name)), None)


def to(path: Path) -> str:
    """What to do with a file, or with the folder of an environment; empty if nobody knows."""
    if is_dir(path):
        is_environment = exists(path / "conda-meta") or exists(path / "pyvenv.cfg")
        return f"Captain.from_environment({str(path)!r})" if is_environment else ""
    kind = kind_of(path)
    return "" if kind is None else kind.door.format(path=str(path), folder=str(path.parent))


def refuse(path: Path, *, own: tuple[str, ...], read: str) -> None:
    """Refuse a file that goes to another door.

    Args:
        own: names of the kinds that this door reads; of an unknown kind it says itself what is
            wrong.
        read: what it reads, for people.

    Raises:
        RequirementError: it is of another kind, or named by a URL.
    """
    if is_remote(path):
        raise RequirementError(
            "requirements.address-as-file",
            "a file of this machine is read here, and this is a URL",
            value=re.sub(r"^(\w[\w+.-]*):/(?!/)", r"\1://", str(path)),
            cause="files that are fetched can change between plan and launch",
            cure="download it, and name the file",
        )
    kind = kind_of(path)
    if kind is not None and kind.name not in own:
        raise RequirementError(
            "requirements.other-kind-of-file",
            f"{read} is read here, and this is another file",
            value=str(path),
            cause=f"it is {kind.what}",
            cure=to(path),
        )


def _head(path: Path) -> str:
    if not is_file(path):
        return ""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            return stream.read(_HEAD)
    except OSError:  # whoever reads it says so
        return ""
