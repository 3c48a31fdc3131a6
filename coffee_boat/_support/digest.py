"""Digests and copies of files and of project folders.

What a tree's digest covers is what its copy holds: what a build leaves behind in a folder
(egg-info, bytecode, build/) changes neither.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coffee_boat._support import home, limits
from coffee_boat._support.words import human_size
from coffee_boat.errors import BoatError, RequirementError, StoreError

if TYPE_CHECKING:
    from coffee_boat._support.store import Store


_BLOCK = 1 << 20
_SHOWN = 3
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


_MADE_UP = tuple(map(Path, ("/proc", "/sys", "/dev")))
"""What the kernel makes up: reading it may wait for ever, or have effects."""
_IN_MEMORY = Path("/dev/shm")  # noqa: S108  (compared only)


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file's bytes.

    Raises:
        OSError: it cannot be read, is no regular file, or grows while it is read.
    """
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def copy_file(path: Path, copy: Path) -> str:
    """Copy a file, and give the sha256 (hex) of what was copied: the file itself may be another one
    by the time that it is read again.

    Raises:
        OSError: as `file_digest`; or the copy cannot be written.
    """
    digest = hashlib.sha256()
    with copy.open("xb") as out:
        for block in _blocks(path):
            digest.update(block)
            out.write(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with open(path, "rb", opener=_without_waiting) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        left = status.st_size  # 0 for what the kernel makes up, such as /proc/kmsg
        while left > 0 and (block := stream.read(_BLOCK)):
            yield block
            left -= len(block)
    if left < 0:
        raise OSError(errno.EBUSY, "it grows while it is read", str(path))


def _without_waiting(path: str, flags: int) -> int:
    """A named pipe would wait for who writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


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


def content_digest(path: Path, store: Store) -> str:
    """sha256 (hex) of a file's content, wherever it lies; remembered as `contents_digest` does.

    Raises:
        OSError: it cannot be read.
    """
    state = file_state(path)
    known: str | None = store.recall("content", state)
    if known is None:
        known = file_digest(path)
        with suppress(StoreError):
            store.remember("content", state, known)
    return known


def contents_digest(paths: Iterable[Path], store: Store | None) -> str:
    """sha256 (hex) over the names and contents of files; one that cannot be read counts as empty.

    Remembered as long as no file's state changes, by the store and by this process, which may use
    several stores: a size and a date alone can be given back to a file that was changed, and builds
    that are reproducible give all versions the same date.
    """
    states = [file_state(path) for path in paths]
    known: str | None = store.recall("contents", states) if store is not None else None
    if known is not None:
        return known
    digest = _digest_in_state(tuple(map(tuple, states)))
    if store is not None:
        with suppress(StoreError):
            store.remember("contents", states, digest)
    return digest


@functools.lru_cache(maxsize=32)
def _digest_in_state(states: tuple[tuple[object, ...], ...]) -> str:
    digest = hashlib.sha256()
    for path, *_ in states:
        digest.update(f"{path}\0{_content(Path(str(path)))}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _content(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:
        return ""


def tree_digest(folder: Path, error: type[BoatError] = RequirementError) -> str:
    """sha256 (hex) over names, run bits and content of a project folder, in a fixed order.

    Args:
        error: what to raise.

    Raises:
        BoatError: of that kind: it is no project folder, is too large, or cannot be read.
    """
    digest = hashlib.sha256()
    with _told_of(folder, error):
        for path in _bounded_tree(folder, error):
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name}\0{_nature(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def check_tree(folder: Path, error: type[BoatError] = RequirementError) -> None:
    """Refuse what is no project folder, or too large; nothing of it is read.

    Raises:
        BoatError: as `tree_digest`.
    """
    with _told_of(folder, error):
        _bounded_tree(folder, error)


def copy_tree(folder: Path, copy: Path, error: type[BoatError] = RequirementError) -> None:
    """Copy a project folder, with fixed modes.

    Its .git is referred to, not copied: versions may be read from tags.

    Raises:
        BoatError: as `tree_digest`; or the copy cannot be written.
    """
    with _told_of(folder, error):
        _copy_tree(folder, copy, error)


def _copy_tree(folder: Path, copy: Path, error: type[BoatError]) -> None:
    copy.mkdir(parents=True)
    for path in _bounded_tree(folder, error):
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


def _bounded_tree(folder: Path, error: type[BoatError]) -> list[Path]:
    """Files and symbolic links of a project folder; what is no project is not walked through."""
    if fault := fault_of_folder(folder.resolve()):
        raise error(
            "requirements.not-a-project-folder",
            "a folder is not a project's",
            value=str(folder),
            cause=fault,
            cure="name the folder that the project's pyproject.toml lies in",
        )
    found: dict[Path, int] = {}
    for path in _tree(folder):
        found[path] = path.stat().st_size if path.is_file() else 0
        if len(found) > limits.TREE_FILES:
            raise _too_large(folder, found, error)
    if sum(found.values()) > limits.TREE:
        raise _too_large(folder, found, error)
    return list(found)


def _too_large(folder: Path, found: Mapping[Path, int], error: type[BoatError]) -> BoatError:
    size = human_size(sum(found.values()))
    return error(
        "requirements.project-folder-too-large",
        "a project folder is too large",
        value=f"{folder}: {len(found):,} files with {size}, of which"
        f" {largest(folder, found.items())}",
        cause=f"at most {limits.TREE_FILES:,} files with {human_size(limits.TREE)} are taken (not"
        " counting .git, build/, environments and caches)",
        cure="check that it is the right folder; keep data out of it, or build a wheel and name"
        " that",
    )


def largest(folder: Path, sizes: Iterable[tuple[Path, int]]) -> str:
    """For people: the entries of a folder that have most of its bytes; of a folder that has nearly
    all, what is in it.
    """
    files = {
        (path.relative_to(folder) if path != folder else Path(path.name)): n for path, n in sizes
    }
    inside, most = Path(), 0.9 * sum(files.values())
    while True:
        entries: Counter[Path] = Counter()
        for path, size in files.items():
            if path != inside and path.is_relative_to(inside):
                entries[inside / path.relative_to(inside).parts[0]] += size
        shown = entries.most_common(_SHOWN)
        if not shown or shown[0][1] < most or shown[0][0] in files:
            return ", ".join(f"{path} {human_size(size)}" for path, size in shown)
        inside = shown[0][0]


def fault_of_folder(real: Path) -> str:
    """Why this cannot be a project's folder, or one of code; empty if it can."""
    user = home.folder(os.environ)
    if real == Path(real.anchor):
        return "it is the root of this machine's files"
    if user is not None and real == user.resolve():
        return "it is the home folder itself"
    made_up = next((place for place in _MADE_UP if real.is_relative_to(place)), None)
    if made_up is not None and not real.is_relative_to(_IN_MEMORY):
        return f"it lies in {made_up}, where there are no files"
    return ""


@contextmanager
def _told_of(folder: Path, error: type[BoatError]) -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise error(
            "requirements.project-folder-deep",
            "a project folder has more levels than are read",
            value=str(folder),
            cause="folders lie within each other hundreds of times",
            cure="check that it is the right folder; take these out of it",
        ) from None
    except (OSError, shutil.Error, RuntimeError, UnicodeDecodeError) as failure:
        # RuntimeError: a link that leads to itself, before Python 3.13
        raise error(
            "requirements.project-folder-unreadable",
            "a project folder cannot be read",
            value=str(folder),
            cause=str(failure),
            cure="make all of its files readable, or move what is not part of it elsewhere",
        ) from failure


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
        place = limits.read_text(original, limits.CONFIGURATION).removeprefix("gitdir:").strip()
        copy.write_text(f"gitdir: {(original.parent / place).absolute()}\n", "utf-8")


def digest_of(value: Any) -> str:
    """sha256 (hex) of a JSON value, the same on every machine."""
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    ).hexdigest()
