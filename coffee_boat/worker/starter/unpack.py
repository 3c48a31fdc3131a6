"""The cargo -> a folder, with a process a core."""

from __future__ import annotations

import json
import os
import struct
from typing import Any, NamedTuple

from . import entries
from .index import Index

_MOST_PROCESSES = 16
_NUMBER = struct.Struct("<I")
_MOST_PARTS = 1 << 13
"""As many numbers as a pipe takes without a reader (64 KiB; pipe(7)), with room to spare."""


class _Child(NamedTuple):
    pid: int
    answer: int
    """A descriptor: what it did, as JSON."""


def unpack(cargo: str, index: Index, root: str) -> None:
    """Write the environment below a folder that nobody else can write.

    Raises:
        OSError: it cannot be written there, or the cargo not be read.
        ValueError: the cargo is not what was sent.
    """
    with open(cargo, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size != index.size or len(index.parts) > _MOST_PARTS:
            raise ValueError(f"{cargo} has {size} bytes, {index.size} were sent")
        children = _started(stream.fileno(), index, root)
    answers = [_answer(child) for child in children]
    for answer in answers:
        _raise(answer)
    links = [link for answer in answers for link in answer["links"]]
    _link_all(root, sorted(links))
    files = sum(answer["files"] for answer in answers) + len(links)
    if files != index.files:
        raise ValueError(f"{cargo} has {files} files in it, {index.files} were sent")


def processes() -> int:
    """Cores that this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(count or 1, _MOST_PROCESSES))


def _started(cargo: int, index: Index, root: str) -> list[_Child]:
    """Each takes the largest part that is left, again and again."""
    numbers = sorted(range(len(index.parts)), key=lambda one: -index.parts[one].length)
    reading, writing = os.pipe()
    children: list[_Child] = []
    try:
        for number in numbers:
            os.write(writing, _NUMBER.pack(number))
        os.close(writing)
        writing = -1
        count = min(processes(), len(numbers))
        children.extend(_child(cargo, index, root, reading) for _ in range(count))
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    return children


def _child(cargo: int, index: Index, root: str, numbers: int) -> _Child:
    parent = os.getpid()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Child(pid, reading)
    code = 1
    try:
        os.close(reading)
        os.umask(0o022)
        answer = _work(cargo, index, root, numbers, parent)
        with os.fdopen(writing, "w") as out:
            json.dump(answer, out)
        code = 0
    finally:
        os._exit(code)


def _work(cargo: int, index: Index, root: str, numbers: int, parent: int) -> dict[str, Any]:
    files, links = 0, []
    try:
        while (number := os.read(numbers, _NUMBER.size)) and os.getppid() == parent:
            part = index.parts[_NUMBER.unpack(number)[0]]
            done = entries.write(cargo, part, os.fsencode(root), index.unpacked)
            files += done.files
            links += [(os.fsdecode(name), os.fsdecode(to)) for name, to in done.links]
    except OSError as error:
        return {"error": error.strerror or str(error), "number": error.errno or 0}
    except ValueError as error:
        return {"error": str(error), "number": 0}
    return {"files": files, "links": links}


def _answer(child: _Child) -> dict[str, Any]:
    with os.fdopen(child.answer) as stream:
        text = stream.read()
    status = os.waitpid(child.pid, 0)[1]
    try:
        answer: dict[str, Any] = json.loads(text)
    except ValueError:
        return {"error": f"a process that unpacked ended with {status}", "number": 0}
    return answer


def _raise(answer: dict[str, Any]) -> None:
    if "error" not in answer:
        return
    if answer["number"]:
        raise OSError(answer["number"], answer["error"])
    raise ValueError(answer["error"])


def _link_all(root: str, links: list[list[str]]) -> None:
    """All files are there; a link that is made is in nobody's way, since none lies below another.

    Raises:
        ValueError: a link is below another one, or in the place of a file.
    """
    names = {name for name, _ in links}
    for name, target in links:
        folders = name.split("/")[:-1]
        if any("/".join(folders[:end]) in names for end in range(1, len(folders) + 1)):
            raise ValueError(f"{name!r} lies behind a link")
        os.makedirs(os.path.join(root, *folders), exist_ok=True)
        try:
            os.symlink(target, os.path.join(root, name))
        except FileExistsError as error:
            raise ValueError(f"{name!r} is in the cargo twice") from error
