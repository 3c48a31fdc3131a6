"""Layers that were sent as one plain file, which Spark does not unpack.

`boat-layer-....layer` is a line with its size, a line of JSON (starter/index.py), and the archive.
The first process of an executor that looks for it has it unpacked, with a process a core, and links
to it under the name that the folder of an archive has: `boat-layer-...`. Where the environment lies
in a folder of the node (docs/concepts/node-store.md), the layer does, too. Else it lies in the
folder of the application, or the executor's.

A process of its own unpacks (`main`): the one that looks may have threads, and handlers of signals.

Standard library only. Nothing is imported here that an import could fail for: the finder calls this
in the middle of one.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .starter.index import Index

SUFFIX = ".layer"
SENTINEL = "boat.json"
_NODES = "coffee_boat-node-"
"""How folders of a node are called (starter/places.py)."""
_SIZE = 20
"""Digits of the first line."""
_LONGEST = 64 << 20
"""Bytes of the line of JSON."""
_PATIENCE = 10.0
"""Seconds after which a file that does not become longer is taken for damaged."""
_held: set[str] = set()
"""Folders whose lock this process has: a descriptor each is enough."""
_UNPACK = (
    "import sys; sys.path.append(sys.argv[1]); from coffee_boat_worker import layers;"
    " layers.main(*sys.argv[2:])"
)


def ready(place: str) -> bool:
    """True if a layer is here, unpacked to its end: now, where it was sent as a file.

    Args:
        place: its folder; the file lies beside it.

    Raises:
        ValueError: it was sent as a file that cannot be unpacked; it says why.
    """
    if _is_whole(place) and holds(place):
        return True
    try:
        reason = _lacking(place + SUFFIX)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        reason = str(error)
    if reason is None:  # it is still on its way
        return False
    reason = reason or _unpacked_apart(place)
    if _is_whole(place) and holds(place):
        return True
    raise ValueError(f"{os.path.basename(place)} cannot be unpacked: {reason or 'it was removed'}")


def first_line(rest: int) -> bytes:
    """What a file begins with.

    Args:
        rest: bytes of all that follows.
    """
    return b"%0*d\n" % (_SIZE, _SIZE + 1 + rest)


def _lacking(file: str) -> str | None:
    """Nothing for a file that is all here, None for one that is still being copied, else what is
    wrong: Spark copies a file under its last name.
    """
    with open(file, "rb") as stream:
        line, found = stream.read(_SIZE + 1), os.fstat(stream.fileno())
    if len(line) > _SIZE and found.st_size == int(line):
        return ""
    if time.time() - found.st_mtime < _PATIENCE:
        return None
    sent = f", {int(line)} were sent" if len(line) > _SIZE else ""
    return f"it has {found.st_size} bytes{sent}"


def main(place: str) -> None:
    """Unpack a layer, in a process of its own; why it cannot be done goes to stdout."""
    try:
        _make(place)
    except Exception as error:  # noqa: BLE001  (whatever it is, the other process tells it)
        named = getattr(error, "filename", None)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        sys.stdout.write(f"{reason}{f': {named}' if named else ''}")
        sys.exit(1)


def _make(place: str) -> None:
    from .starter import kept, places, start

    file = place + SUFFIX
    told = _read(file)
    around, name = os.path.split(place)
    if node := _folder_of_node(around):
        try:
            start.link(kept.environment(node, told, file), place)
            return
        except (places.UnusableError, kept.ChangedError, OSError) as error:
            kept.say(f"this executor unpacks {name} for itself: {error}")
            start.link(kept.own(around, told, file), place)
        return
    made, reason = kept.of_application(around, told, file)
    if reason:
        kept.say(f"this executor unpacks {name} for itself: {reason}")
    start.link(made, place)


def _read(file: str) -> Index:
    """What the file says of itself, as it lies in the file."""
    from .starter import index

    with open(file, "rb") as stream:
        stream.readline(_SIZE + 1)
        line = stream.readline(_LONGEST)
    told, before = index.parsed(line.decode(), file), _SIZE + 1 + len(line)
    parts = [part._replace(offset=before + part.offset) for part in told.parts]
    return told._replace(size=before + told.size, parts=parts)


def _is_whole(place: str) -> bool:
    return os.path.isfile(os.path.join(place, SENTINEL))


def _folder_of_node(around: str) -> str:
    """The folder of the node that the environment of an executor lies in; empty if it is not in
    one.

    Args:
        around: where the executor has it.
    """
    for name in sorted(os.listdir(around)):
        link = os.path.join(around, name)
        if name.startswith("boat-") and os.path.islink(link):
            folder = _node(os.path.realpath(link))
            if folder:
                return folder
    return ""


def _node(tree: str) -> str:
    """The folder of the node that <folder>/<digits>/tree lies in; empty for any other."""
    folder = os.path.dirname(os.path.dirname(tree))
    return folder if os.path.basename(folder).startswith(_NODES) else ""


def holds(place: str) -> bool:
    """False for what lies in a folder of the node and was removed there; else it stays as long as
    this process, and what it becomes or forks, run.

    Args:
        place: a link to it. What is no such link stays by itself.
    """
    tree = os.path.realpath(place)
    if not os.path.islink(place) or not _node(tree):
        return True
    if tree in _held and _is_whole(tree):
        return True
    from .starter import locks, places

    try:
        with locks.Lock(os.path.dirname(tree) + ".lock") as lock:
            if lock.share() and _is_whole(tree):
                lock.keep()
                _held.add(tree)
                return True
    except (OSError, places.UnusableError):
        return False
    return False


def _unpacked_apart(place: str) -> str:
    """Have a process of its own unpack; why it could not.

    Not by `subprocess`, which tries to import what only Windows has.
    """
    site = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    words = [sys.executable, "-I", "-S", "-c", _UNPACK, site, place]
    reading, writing = os.pipe()
    try:
        out = [(os.POSIX_SPAWN_DUP2, writing, 1)]
        pid = os.posix_spawn(sys.executable, words, dict(os.environ), file_actions=out)
    except OSError as error:
        os.close(reading)
        return f"{sys.executable} cannot be started: {error.strerror}"
    finally:
        os.close(writing)
    try:
        code = _code(pid)
        if code is not None:  # else somebody else waits for all that this process starts
            os.set_blocking(reading, False)
        said = _all_of(reading)
    finally:
        os.close(reading)
    killed = f"the process that unpacked it ended with {code}" if code else ""
    return said or killed


def _code(pid: int) -> int | None:
    """Its exit code, once it ended; None where that is not told."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return None
    except BaseException:  # a signal's handler raised: nobody would wait for it
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        raise


def _all_of(pipe: int) -> str:
    """What stands in a pipe. Another thread's fork may have it open, too, and for long."""
    said = b""
    try:
        while block := os.read(pipe, 1 << 16):
            said += block
    except BlockingIOError:
        pass
    return said.decode(errors="replace")
