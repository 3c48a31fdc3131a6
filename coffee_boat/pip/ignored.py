"""What stays behind of a folder of one's own code: what `.gitignore` names, and what no program
imports.

`.gitignore` is read with pathspec and not by git: it counts in folders that are no checkout, too,
and nothing is started for it before each cell of a notebook. A person's own lists
(core.excludesFile, .git/info/exclude) are not of the project, and are not read.
"""

from __future__ import annotations

import re
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from coffee_boat._support import limits
from coffee_boat.errors import RequirementError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_LIST = ".gitignore"
_BOM = b"\xef\xbb\xbf"
"""Of editors of Windows, which git skips."""
_BUILT = ("build", "dist", "node_modules", "site-packages")
"""Folders of what was built or installed, unless they are packages."""


class Ignored:
    """The `.gitignore` files that count in a folder: those of the repository's folders above it,
    and of the folders within it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._above = [folder for folder in _up_to_the_repository(root) if folder != root]

    def __call__(self, path: Path, *, is_folder: bool) -> bool:
        """True if git would leave it out, where the folders that it lies in are not left out."""
        within = [
            folder
            for folder in (path.parent, *path.parent.parents)
            if folder.is_relative_to(self._root)
        ]
        for folder in (*within, *self._above):  # the nearest list that says anything counts
            spec = _spec(folder)
            if spec is not None:
                name = path.relative_to(folder).as_posix() + "/" * is_folder
                said = spec.check_file(name).include
                if said is not None:
                    return bool(said)
        return False


def _up_to_the_repository(root: Path) -> list[Path]:
    """The folders from this one up to the one that has a .git, nearest first; only this one where
    there is none.
    """
    found = []
    for folder in (root, *root.parents):
        found.append(folder)
        if (folder / ".git").exists():
            return found
    return [root]


def _spec(folder: Path) -> GitIgnoreSpec | None:
    path = folder / _LIST
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        status = path.stat()
    except OSError as error:  # a link to nowhere: nobody knows what it names
        raise _unreadable(path, error.strerror or str(error)) from error
    if stat.S_ISDIR(status.st_mode):
        return None
    return _read(path, (status.st_mtime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=1000)
def _read(path: Path, _state: tuple[int, ...]) -> GitIgnoreSpec:
    """Parsed once for each state of the file: it is looked at for each file beside and below it.

    As git, bytes are compared: names of files have surrogates for what is not UTF-8, too. A list
    that cannot be read is refused: what it names may be secrets.
    """
    from pathspec import GitIgnoreSpec

    try:
        data = limits.read_bytes(path, limits.CONFIGURATION)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    text = data.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    try:  # git ends a line at \n only
        return GitIgnoreSpec.from_lines([line.removesuffix("\r") for line in text.split("\n")])
    except (ValueError, re.error) as error:
        raise _unreadable(path, f"a line of it is no pattern: {error}") from error


def _unreadable(path: Path, why: str) -> RequirementError:
    return RequirementError(
        "requirements.gitignore-unreadable",
        "a .gitignore cannot be read",
        value=str(path),
        cause=f"{why}; what it names would be sent",
        cure="mend the file, or take it away",
    )


def is_litter(path: Path, *, is_folder: bool) -> bool:
    """True for what nothing imports: hidden files and folders (.git, .venv, .env, the checkpoints
    of notebooks), bytecode, environments, what was built or installed.
    """
    name = path.name
    if name.startswith(".") or name.endswith(("~", ".pyc", ".pyo", ".egg-info", ".dist-info")):
        return True
    if not is_folder:
        return False
    return (
        name == "__pycache__"
        or (path / "pyvenv.cfg").is_file()
        or (path / "conda-meta").is_dir()
        or (name in _BUILT and not (path / "__init__.py").is_file())
    )
