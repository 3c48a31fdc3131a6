"""Writes the folder that an archive was unpacked into where conda packages keep their prefix: once
a node, before anything runs.

Conda packages name their own folder in some files: a placeholder, which every installer replaces
(conda-build's documentation, "Making packages relocatable"). The archive has the placeholder still,
and conda-meta/*.json in it says in which files. Each file is written aside and renamed, so a
process sees the old one or the new one, whole, and what runs already keeps the old one. Many
processes may start at once: the first to have the lock does it. Standard library only, Python 3.9
and later."""

from __future__ import annotations

import os
import re
import sys

META = "conda-meta"
DONE = "coffee_boat.prefix"
"""In conda-meta: the folder that was written; last of all."""
_LOCK = "coffee_boat.lock"
_PATIENCE, _PAUSE = 60.0, 0.05
"""Seconds that a start waits for another process; and between two tries."""
_HELD = "another process holds it"
_SHEBANG = 127
"""The longest first line that every kernel reads whole (Linux before 5.1)."""


def settle(root: str, final: str = "", *, patience: float = _PATIENCE) -> list[str]:
    """Replace the placeholders below `root`, unless that was done.

    For other archives than conda's it costs one look.

    Args:
        root: the folder that the archive was unpacked into.
        final: the folder that it will be renamed to; by default `root` itself, links followed.
        patience: seconds that another process may take for it; then it is done here, too.

    Returns:
        What cannot be replaced, one line each: nothing else is wrong with those files. Never fails.
    """
    folder = os.path.join(root, META)
    final = final or os.path.realpath(root)
    if not os.path.isdir(folder) or _done(folder) == final:
        return []
    try:
        with _Alone(os.path.join(folder, _LOCK), patience):
            return [] if _done(folder) == final else _settle(root, folder, final)
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
    folder = os.path.join(root, META)
    if not os.path.isdir(folder) or _done(folder) == os.path.realpath(root):
        return []
    return sorted(
        path for name in _records(folder) for path, _, _ in _prefixed(os.path.join(folder, name))[0]
    )


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


def _settle(root: str, folder: str, final: str) -> list[str]:
    before = _done(folder)
    if before:
        cure = "unpack the archive again instead of moving the folder"
        return [f"{root} was {before} when its files were written: {cure}"]
    failures: list[str] = []
    for name in _records(folder):
        prefixed, failure = _prefixed(os.path.join(folder, name))
        failures.append(failure)
        failures += [
            _rewrite(
                os.path.join(root, path),
                os.fsencode(placeholder),
                os.fsencode(final),
                binary=mode == "binary",
            )
            for path, placeholder, mode in prefixed
        ]
    _write(os.path.join(folder, DONE), os.fsencode(final), 0o644)
    return [failure for failure in failures if failure]


def _rewrite(path: str, placeholder: bytes, prefix: bytes, *, binary: bool) -> str:
    """Why it could not be done; empty if it was."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        if placeholder in data:
            _write(
                path,
                replaced(data, placeholder, prefix, binary=binary),
                os.stat(path).st_mode & 0o7777,
            )
    except (
        FileNotFoundError
    ):  # somebody removed it, or another package's link to nowhere took its place
        return ""
    except ValueError as error:
        return f"{path} still names another folder: {error}"
    return ""


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


def _records(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except OSError:
        return []


def _prefixed(record: str) -> tuple[list[tuple[str, str, str]], str]:
    """Path, placeholder and mode of each file of a package that has a placeholder, as its record
    says it; and why the record cannot be read.
    """
    import json

    try:
        with open(record, encoding="utf-8") as stream:
            entries = (json.load(stream).get("paths_data") or {}).get("paths") or ()
        return [
            (entry["_path"], entry["prefix_placeholder"], entry.get("file_mode", "text"))
            for entry in entries
            if entry.get("prefix_placeholder")
        ], ""
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        return (
            [],
            (
                f"{record} cannot be read, so the files of this package may name another folder:"
                f" {type(error).__name__}: {error}"
            ),
        )


def _done(folder: str) -> str:
    try:
        with open(os.path.join(folder, DONE), "rb") as stream:
            return os.fsdecode(stream.read())
    except OSError:
        return ""


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
