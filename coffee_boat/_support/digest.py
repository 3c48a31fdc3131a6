"""Digests and copies of files and of project folders.

What a tree's digest covers is what its copy holds: what a build leaves behind in a folder
(egg-info, bytecode, build/) changes neither.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coffee_boat.errors import StoreError

if TYPE_CHECKING:
    from coffee_boat._support.store import Store


_BLOCK = 1 << 20
_SKIPPED = {
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    ".eggs",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
}


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def file_state(path: Path) -> list[object]:
    """What changes whenever a file does: size and time of change, and what no writer can choose,
    the inode and the time of its last change of any kind. Zeros where there is none.
    """
    try:
        status = path.stat()
    except OSError:
        return [str(path), 0, 0, 0, 0]
    stamps = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return [str(path), status.st_size, *stamps]


def contents_digest(paths: Iterable[Path], store: Store | None) -> str:
    """sha256 (hex) over the names and contents of files; one that cannot be read counts as empty.

    Remembered as long as no file's state changes: a size and a date alone can be given back to a
    file that was changed, and builds that are reproducible give all versions the same date.
    """
    files = list(paths)
    states = [file_state(path) for path in files]
    known: str | None = store.recall("contents", states) if store is not None else None
    if known is not None:
        return known
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path}\0{_content(path)}\n".encode("utf-8", "surrogateescape"))
    if store is not None:
        with suppress(StoreError):
            store.remember("contents", states, digest.hexdigest())
    return digest.hexdigest()


def _content(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:
        return ""


def tree_digest(folder: Path) -> str:
    """sha256 (hex) over names, run bits and content of a project folder, in a fixed order."""
    digest = hashlib.sha256()
    for path in _tree(folder):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{_nature(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def copy_tree(folder: Path, copy: Path) -> None:
    """Copy a project folder, with fixed modes.

    Its .git is referred to, not copied: versions may be read from tags.
    """
    copy.mkdir(parents=True)
    for path in _tree(folder):
        placed = copy / path.relative_to(folder)
        placed.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():  # what a link leads to, too: it may lie outside
            shutil.copyfile(path, placed)
            placed.chmod(0o755 if _runs(path) else 0o644)
        else:
            placed.symlink_to(path.resolve())
    _refer_to_git(folder / ".git", copy / ".git")


def _nature(path: Path) -> str:
    if path.is_file():
        return f"{'run' if _runs(path) else 'file'} {file_digest(path)}"
    return f"link {path.resolve()}"


def _runs(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o111)


def _tree(folder: Path, *, top: bool = True) -> Iterator[Path]:
    """Files and symbolic links, sorted by name within each folder."""
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if not _is_litter(path, top=top):
                yield from _tree(path, top=False)
        elif entry.name != ".git" and (entry.is_symlink() or entry.is_file()):
            yield path


def _is_litter(path: Path, *, top: bool) -> bool:
    if path.name in _SKIPPED or path.name.endswith(".egg-info") or (path / "pyvenv.cfg").is_file():
        return True
    return top and path.name in ("build", "dist") and not (path / "__init__.py").exists()


def _refer_to_git(original: Path, copy: Path) -> None:
    if original.is_dir():
        copy.write_text(f"gitdir: {original.absolute()}\n", "utf-8")
    elif original.is_file():
        place = original.read_text("utf-8").removeprefix("gitdir:").strip()
        copy.write_text(f"gitdir: {(original.parent / place).absolute()}\n", "utf-8")


def digest_of(value: Any) -> str:
    """sha256 (hex) of a JSON value, the same on every machine."""
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    ).hexdigest()
