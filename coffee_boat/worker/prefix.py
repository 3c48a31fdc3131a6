"""Writes the folder that an archive was unpacked into where conda packages keep their prefix: once
a node, before anything runs.

Conda packages name their own folder in some files: a placeholder, which every installer replaces
(conda-build's documentation, "Making packages relocatable"). The archive has the placeholder still.
In which files says a list of ours for each conda package, made when the package was packed; a file
is called after its sha256, and boat.json names it. Nothing that a package says of itself is read
here: neither conda-meta nor what a wheel brings. A file is rewritten only if it lies inside (by
what its name leads to), is a regular file, and is, byte for byte, the one that was packed.

Each file is written aside and renamed, so a process sees the old one or the new one, whole, and
what runs already keeps the old one. Many processes may start at once: the first to have the lock
does it. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Sequence

from .finder import SENTINEL

RECORDS = os.path.join("lib", "coffee_boat", "conda")
"""The folder of our lists; archives without conda packages have none."""
DONE = "settled"
"""In it: the folder that was written, and the files that were left as they are, each behind a NUL;
last of all.
"""
_LOCK = "lock"
_PATIENCE, _PAUSE = 60.0, 0.05
"""Seconds that a start waits for another process; and between two tries."""
_HELD = "another process holds it"
_SHEBANG = 127
"""The longest first line that every kernel reads whole (Linux before 5.1)."""
_LARGEST = 1 << 26
"""Bytes of a list that are read: far more than any package needs."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def settle(
    root: str,
    final: str = "",
    *,
    records: Sequence[str] | None = None,
    patience: float = _PATIENCE,
) -> list[str]:
    """Replace the placeholders below `root`, unless that was done.

    For other archives than conda's it costs one look.

    Args:
        root: the folder that the archive was unpacked into.
        final: the folder that it will be renamed to; by default `root` itself, links followed.
        records: sha256 (hex) of each list that counts; by default those that boat.json names.
        patience: seconds that another process may take for it; then it is done here, too.

    Returns:
        What cannot be replaced, one line each: nothing else is wrong with those files. Never fails.
    """
    folder = os.path.join(root, RECORDS)
    final = final or os.path.realpath(root)
    if not _is_own_folder(root, folder) or _done(folder) == final:
        return []
    try:
        with _Alone(os.path.join(folder, _LOCK), patience):
            return [] if _done(folder) == final else _settle(root, folder, final, records)
    except OSError as error:
        names = unsettled(root)
        if not names:
            return []
        reason = f"{root} cannot be written ({error.strerror})"
        return [f"{reason}: {_some(names)} still name another folder"]


def unsettled(root: str) -> list[str]:
    """The files below `root` whose placeholder was not replaced, for a report.

    `root` may be no conda environment.
    """
    folder = os.path.join(root, RECORDS)
    if not _is_own_folder(root, folder):
        return []
    done, left = _said(folder)
    if done == os.path.realpath(root):
        return left
    return sorted({entry[0] for entry in _listed(root, folder, None)[0]})


def replaced(data: bytes, placeholder: bytes, prefix: bytes, *, binary: bool) -> bytes:
    """The content with the prefix in place of the placeholder; of the same length if it is binary.

    Raises:
        ValueError: binary, and the prefix is longer than the placeholder.
    """
    if not binary:
        return _short_shebang(data.replace(placeholder, prefix))
    if len(prefix) > len(placeholder):
        raise ValueError(
            f"the folder's name has {len(prefix)} bytes, there is room for {len(placeholder)}"
        )

    def padded(found: re.Match[bytes]) -> bytes:
        text = found.group().replace(placeholder, prefix)
        return text + b"\0" * (len(found.group()) - len(text))

    # behind the last NUL is no string: each placeholder there would be followed to the file's end
    end = data.rfind(b"\0") + 1
    return re.sub(re.escape(placeholder) + rb"[^\0]*\0", padded, data[:end]) + data[end:]


def _settle(root: str, folder: str, final: str, records: Sequence[str] | None) -> list[str]:
    before = _done(folder)
    if before:
        cure = "unpack the archive again instead of moving the folder"
        return [f"{root} was {before} when its files were written: {cure}"]
    entries, failures = _listed(root, folder, records)
    by_path: dict[str, list[tuple[str, str, str, str]]] = {}
    for entry in entries:  # two packages may have one file: the later one's lies there
        by_path.setdefault(entry[0], []).append(entry)
    left = []
    for path in sorted(by_path):
        failure = _rewrite(root, path, by_path[path], os.fsencode(final))
        if failure:
            failures.append(failure)
            left.append(path)
    _write(os.path.join(folder, DONE), os.fsencode("\0".join([final, *left])), 0o644)
    return failures


def _rewrite(root: str, path: str, entries: list[tuple[str, str, str, str]], prefix: bytes) -> str:
    """Why it could not be done; empty if it was."""
    place = _inside(root, path)
    if not place:
        return f"{path!r} does not lie in {root}: left as it is"
    try:
        data, mode = _read(place)
    except FileNotFoundError:  # somebody removed it
        return ""
    except (OSError, ValueError) as error:
        return f"{place} is left as it is: {getattr(error, 'strerror', None) or error}"
    digest = sha256(data)
    own = next((entry for entry in entries if entry[3] == digest), None)
    if own is None:
        if any(os.fsencode(entry[1]) in data for entry in entries):
            return f"{place} is not the file that was packed: left as it is"
        return ""  # written already, or a file of another package, which names no folder
    return _replace(place, mode, (data, own), prefix)


def _replace(
    place: str, mode: int, packed: tuple[bytes, tuple[str, str, str, str]], prefix: bytes
) -> str:
    data, (_, placeholder, kind, _) = packed
    try:
        new = replaced(data, os.fsencode(placeholder), prefix, binary=kind == "binary")
    except ValueError as error:
        return f"{place} still names another folder: {error}"
    _write(place, new, mode)
    return ""


def _inside(root: str, path: str) -> str:
    """The real path of a name below `root`; empty if it leads out, by itself or by a link."""
    if not path or os.path.isabs(path) or "\0" in path or ".." in path.split("/"):
        return ""
    top = os.path.realpath(root)
    folder, name = os.path.split(os.path.join(top, path))
    real = os.path.realpath(folder)
    is_below = real == top or real.startswith(top.rstrip(os.sep) + os.sep)
    return os.path.join(real, name) if name and is_below else ""


def _read(path: str, largest: int = -1) -> tuple[bytes, int]:
    """Content and mode of a regular file; a link is not followed, a pipe not waited for.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is something else, or too large.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise ValueError("it is not a regular file")
        if 0 <= largest < state.st_size:
            raise ValueError(f"it has {state.st_size} bytes, more than {largest}")
        return stream.read(), state.st_mode & 0o7777


def _is_own_folder(root: str, folder: str) -> bool:
    """True if our lists lie there: a folder, and no link to somewhere else."""
    return os.path.isdir(folder) and os.path.realpath(folder) == os.path.join(
        os.path.realpath(root), RECORDS
    )


def _listed(
    root: str, folder: str, records: Sequence[str] | None
) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Path, placeholder, mode and sha256 of each file that has a placeholder; and which lists
    cannot be read.
    """
    found: list[tuple[str, str, str, str]] = []
    failures = []
    try:
        wanted = _named(root) if records is None else list(records)
    except (OSError, ValueError) as error:
        path = os.path.join(root, SENTINEL)
        return [], [f"{path} cannot be read, so files may name another folder: {error}"]
    for digest in wanted:
        path = os.path.join(folder, f"{digest}.json")
        try:
            found += _entries(path, digest)
        except (OSError, ValueError) as error:
            failures.append(
                f"{path} cannot be read, so the files of this package may name another folder:"
                f" {error}"
            )
    return found, failures


def _named(root: str) -> list[str]:
    """The lists that boat.json names.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    import json

    said = json.loads(_read(os.path.join(root, SENTINEL), _LARGEST)[0])
    named = said.get("records", []) if isinstance(said, dict) else None
    if not isinstance(named, list):
        raise ValueError("it is not as this program writes it")
    return [digest for digest in named if isinstance(digest, str) and _DIGEST.fullmatch(digest)]


def _entries(path: str, digest: str) -> list[tuple[str, str, str, str]]:
    """What one list says.

    Raises:
        OSError, ValueError: it cannot be read, or is not what was packed.
    """
    import json

    data = _read(path, _LARGEST)[0]
    if sha256(data) != digest:
        raise ValueError("it is not the list that was packed")
    said = json.loads(data)
    entries = said.get("prefixed") if isinstance(said, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is not as this program writes it")
    return [_entry(entry) for entry in entries]


def _entry(said: object) -> tuple[str, str, str, str]:
    words = [
        said.get(key) if isinstance(said, dict) else None
        for key in ("path", "placeholder", "mode", "sha256")
    ]
    path, placeholder, mode, sha256 = (word if isinstance(word, str) else "" for word in words)
    if not path or not placeholder or mode not in ("text", "binary") or not sha256:
        raise ValueError(f"an entry of it says {said!r:.100}")
    return path, placeholder, mode, sha256


def _write(path: str, data: bytes, mode: int) -> None:
    aside = f"{path}.{os.getpid()}.boat"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
        os.chmod(aside, mode)
        os.replace(aside, path)
    except BaseException:
        if os.path.exists(aside):
            os.unlink(aside)
        raise


def _short_shebang(data: bytes) -> bytes:
    """`#!/a/very/long/path/bin/perl -w` as `#!/usr/bin/env perl -w`, which conda does, too."""
    first, end, rest = data.partition(b"\n")
    words = first[2:].split(None, 1)
    if not data.startswith(b"#!") or len(first) <= _SHEBANG or not words:
        return data
    return b" ".join([b"#!/usr/bin/env", words[0].rpartition(b"/")[2], *words[1:]]) + end + rest


def _done(folder: str) -> str:
    return _said(folder)[0]


def _said(folder: str) -> tuple[str, list[str]]:
    """The folder that was written, empty if none was; and the files that were left as they are."""
    try:
        done, *left = os.fsdecode(_read(os.path.join(folder, DONE), _LARGEST)[0]).split("\0")
    except (OSError, ValueError):
        return "", []
    return done, left


def sha256(data: bytes) -> str:
    """Not by hashlib: it loads OpenSSL's library, which may be one of the files to be written, and
    this process would keep the old one.
    """
    from importlib import import_module

    name = "_sha2" if sys.version_info >= (3, 12) else "_sha256"
    try:
        module = import_module(name)
    except ImportError:  # another implementation of Python
        module = import_module("hashlib")
    return str(module.sha256(data).hexdigest())


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" + {len(names) - 3} others" if len(names) > 3 else "")


class _Alone:
    """A lock among the processes of a node.

    Where a file system knows none (some NFS), each writes the same, one file at a time.
    """

    def __init__(self, path: str, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if reason := self._why_not():
            sys.stderr.write(
                f"coffee_boat: {self._path} cannot be locked: {reason}; going on without it\n"
            )

    def _why_not(self) -> str:
        """Empty once it is locked.

        flock has no limit of its own, and the file system may be one that hangs.
        """
        import time

        end = time.monotonic() + self._patience
        reason = self._try()
        while reason == _HELD and time.monotonic() < end:
            time.sleep(_PAUSE)
            reason = self._try()
        return reason

    def _try(self) -> str:
        import fcntl

        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _HELD
        except OSError as error:
            return str(error.strerror)
        return ""

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
