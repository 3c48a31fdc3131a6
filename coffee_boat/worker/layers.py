"""Layers that were sent as one plain file, which Spark does not unpack.

`boat-layer-....layer` is a line of JSON (starter/index.py) and the archive behind it. The first
process of an executor that looks for it has it unpacked, with a process a core, and links to it
under the name that the folder of an archive has: `boat-layer-...`. Where the environment lies in a
folder of the node (docs/concepts/node-store.md), the layer does, too. Else it lies in the
executor's working directory.

A process of its own unpacks (`main`): the one that looks may have threads, and handlers of signals.

Standard library only. Nothing is imported here that an import could fail for: the finder calls this
in the middle of one.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .starter.index import Index

SUFFIX = ".layer"
SENTINEL = "boat.json"
_OWN = "boat-unpacked"
"""As in starter/start.py: a folder in the working directory."""
_NODES = "coffee_boat-node-"
"""How folders of a node are called (starter/places.py)."""
_LONGEST = 64 << 20
"""Bytes of the line of JSON."""
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
    if _is_whole(place) and _holds(place):
        return True
    if not os.path.isfile(place + SUFFIX):
        return False
    reason = _unpacked_apart(place)
    if _is_whole(place) and _holds(place):
        return True
    if reason:
        raise ValueError(f"{os.path.basename(place)} cannot be unpacked: {reason}")
    return False  # it is still on its way


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
    if told is None:
        return
    around, name = os.path.split(place)
    if node := _folder_of_node(around):
        try:
            start.link(kept.environment(node, told, file), place)
            return
        except (places.UnusableError, kept.ChangedError, OSError) as error:
            kept.say(f"this executor unpacks {name} for itself: {error}")
    own = os.path.join(around, _OWN)
    os.makedirs(own, 0o700, exist_ok=True)
    alone = told._replace(most=0)  # what else lies there is this executor's, and stays
    try:
        made = kept.environment(own, alone, file, whose="once for this executor")
    except places.UnusableError:  # no locks, or too little room: that is told then
        made = kept.own(own, alone, file)
    start.link(made, place)


def _read(file: str) -> Index | None:
    """What the file says of itself, as it lies in the file; None where not all of it is here.

    Spark copies a file under its last name: who looks meanwhile sees a part of it.
    """
    from .starter import index

    with open(file, "rb") as stream:
        line = stream.readline(_LONGEST)
        size = os.fstat(stream.fileno()).st_size
    if not line.endswith(b"\n"):
        return None
    told = index.parsed(line.decode(), file)
    if size < len(line) + told.size:
        return None
    parts = [part._replace(offset=len(line) + part.offset) for part in told.parts]
    return told._replace(size=len(line) + told.size, parts=parts)


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


def _holds(place: str) -> bool:
    """False for a layer in a folder of the node that was just removed there; others stay as long as
    this process, and what it becomes or forks, run.
    """
    tree = os.path.realpath(place)
    if not os.path.islink(place) or not _node(tree):
        return True
    from .starter import locks, places

    try:
        with locks.Lock(os.path.dirname(tree) + ".lock") as lock:
            if lock.share() and _is_whole(tree):
                lock.keep()
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
    said = b""
    try:
        while block := os.read(reading, 1 << 16):
            said += block
    finally:
        os.close(reading)
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:  # somebody else waits for all that this process starts
        return said.decode(errors="replace")
    killed = f"the process that unpacked it ended with {code}" if code else ""
    return said.decode(errors="replace") or killed
