"""The cargo -> a folder, with a process a core."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from . import entries, others
from .index import Index, Part

_MOST_PROCESSES = 16


class _Job(NamedTuple):
    cargo: int
    """A descriptor."""
    most: int
    root: str
    have: Sequence[others.Other]
    parent: int


class _Child(NamedTuple):
    pid: int
    answer: IO[str]
    """What it did, as JSON."""


def unpack(
    cargo: str,
    index: Index,
    root: str,
    *,
    count: int | None = None,
    have: Sequence[others.Other] = (),
) -> dict[str, list[str]]:
    """Write the environment below a folder that nobody else can write; gives what each part became,
    for `others.write`.

    Args:
        count: of processes; default: one a core.
        have: environments whose parts are taken.

    Raises:
        OSError: it cannot be written there, or the cargo not be read.
        ValueError: the cargo is not what was sent.
    """
    with open(cargo, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size != index.size:
            raise ValueError(f"{cargo} has {size} bytes, {index.size} were sent")
        job = _Job(stream.fileno(), index.unpacked, root, have, os.getpid())
        with _children_that_can_be_waited_for():
            answers = _answers(job, index.parts, count or processes())
    for answer in answers:
        _raise(answer)
    links = [link for answer in answers for link in answer["links"]]
    _link_all(root, sorted(links))
    parts = [part for answer in answers for part in answer["parts"]]
    files = sum(len(names) for _, names in parts)
    if files != index.files:
        raise ValueError(f"{cargo} has {files} files in it, {index.files} were sent")
    return dict(parts)


@contextlib.contextmanager
def _children_that_can_be_waited_for() -> Iterator[None]:
    """Who started this process may ignore SIGCHLD; it has that, too, and the kernel then keeps no
    exit code.
    """
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before if before is not None else signal.SIG_DFL)


def processes() -> int:
    """Cores that this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(count or 1, _MOST_PROCESSES))


def _answers(job: _Job, parts: Sequence[Part], count: int) -> list[dict[str, Any]]:
    """What each process did with its share of the parts. Where not all can be started, or waited
    for, none goes on.
    """
    by_size = sorted(parts, key=lambda part: -part.length)
    shares = filter(None, (by_size[n::count] for n in range(count)))
    children: list[_Child] = []
    try:
        children.extend(_child(job, share) for share in shares)
        texts = [child.answer.read() for child in children]
    except BaseException:
        for child in children:
            os.kill(child.pid, signal.SIGKILL)
        raise
    finally:  # of each that was started, also where a later one was not
        statuses = [_ended(child) for child in children]
    return [_answer(text, status) for text, status in zip(texts, statuses, strict=True)]


def _child(job: _Job, share: Sequence[Part]) -> _Child:
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if pid:
        os.close(writing)
        return _Child(pid, open(reading, encoding="utf-8"))
    code = 1
    try:
        os.close(reading)
        os.umask(0o022)
        answer = _work(job, share)
        with os.fdopen(writing, "w", encoding="utf-8") as out:
            json.dump(answer, out)
        code = 0
    finally:
        os._exit(code)


def _work(job: _Job, share: Sequence[Part]) -> dict[str, Any]:
    parts, links = [], []
    try:
        for part in share:
            if os.getppid() != job.parent:
                break
            done = others.taken(job.have, part, job.root) or entries.write(
                job.cargo, part, os.fsencode(job.root), job.most
            )
            new = [(os.fsdecode(name), os.fsdecode(to)) for name, to in done.links]
            names = [*map(os.fsdecode, done.files), *(name for name, _ in new)]
            parts.append((others.key(part), names))
            links += new
    except OSError as error:
        return {"error": error.strerror or str(error), "number": error.errno or 0}
    except ValueError as error:
        return {"error": str(error), "number": 0}
    return {"parts": parts, "links": links}


def _ended(child: _Child) -> int:
    child.answer.close()
    return os.waitpid(child.pid, 0)[1]


def _answer(text: str, status: int) -> dict[str, Any]:
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
