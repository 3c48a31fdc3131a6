"""A request -> its lock -> its archive, as one value: a lock and an archive that do not belong
together cannot be written down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from coffee_boat._support.progress import Say
from coffee_boat.archive.destination import Destination
from coffee_boat.archive.unpack import unpack
from coffee_boat.errors import FORGET, LockError
from coffee_boat.model import Archive, Lock, Target
from coffee_boat.settings import AUTO
from coffee_boat.workflow import own_code, room
from coffee_boat.workflow.prefetch import Ahead
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.tools import Tools


@dataclass(frozen=True)
class Resolved:
    """What was chosen for a request."""

    request: Request
    lock: Lock

    def serves(self, request: Request) -> bool:
        """True if it was made of these packages."""
        return self.request.same_packages(request)


@dataclass(frozen=True)
class Built(Resolved):
    """What was built of a request: the base, with the interpreter inside."""

    archive: Archive

    def unpacked(self, tools: Tools) -> Path:
        """The environment on this machine."""
        return unpack(self.archive, tools.store)


def resolve(tools: Tools, request: Request, say: Say, ahead: Ahead | None = None) -> Lock:
    """What is chosen; of a lock file, what it says.

    Raises:
        RequirementError, LockError: the requirements contradict each other, or cannot be resolved.
    """
    if request.lock_file is not None:
        return own_code.with_code(
            request.lock_file.lock, own_code.apart(request.manifest)[1], again=True
        )
    return tools.pipeline.lock(request.manifest, say, ahead)


def build(
    tools: Tools,
    request: Request,
    say: Say,
    *,
    lock: Lock | None = None,
    to: Destination | None = None,
) -> Built:
    """The base of all that is asked for; what is odd about it is shown.

    Args:
        lock: what was chosen already.
        to: where the archive is written instead of the store.

    Raises:
        RequirementError, LockError, BuildError: it cannot be made.
        StoreError: the store's disk has no room for it.
    """
    if lock is None and request.lock_file is not None:
        lock = resolve(tools, request, say)
    with tools.pipeline.ahead(request.manifest, lock) as ahead:
        if lock is None:
            lock = forgettable(tools, request, say, ahead)
        items = tools.pipeline.items(tools.pipeline.change(lock, None))
        room.refuse_too_much(items, tools.store, archives=int(to is None))
        lock, archive = tools.pipeline.base(lock, request.manifest, say, ahead, to=to)
    tools.emit([*request.manifest.findings, *lock.findings, *archive.findings])
    return Built(request, lock, archive)


def built_of(tools: Tools, request: Request, known: Resolved | None, say: Say) -> Built:
    """The base of a request, of what was chosen or built already, if it was.

    Raises:
        RequirementError, LockError, BuildError: it cannot be made.
    """
    if isinstance(known, Built):
        return known
    return build(tools, request, say, lock=known.lock if known is not None else None)


def unedited(known: Resolved | None) -> Resolved | None:
    """What was chosen or built, for a session that begins; None if code of one's own that is in it
    was edited since.
    """
    return None if known is not None and own_code.changed(known.lock) else known


def for_nodes(tools: Tools, request: Request, known: Resolved | None) -> Resolved | None:
    """What was chosen or built; None if it is for others than the cluster has said by now that its
    nodes are, where that is asked of it.
    """
    if known is None or request.lock_file is not None or tools.settings.platform != AUTO:
        return known
    made_for = tools.pipeline.nodes(request.manifest).platform
    return known if known.lock.target.platform == made_for else None


def forgettable(tools: Tools, request: Request, say: Say, ahead: Ahead | None = None) -> Lock:
    """As `resolve`, of what the captain was asked for: it can be taken back."""
    try:
        return resolve(tools, request, say, ahead)
    except LockError as error:
        error.problem = replace(error.problem, cure=f"{error.cure}{FORGET}")
        raise


def nodes(tools: Tools, request: Request, known: Resolved | None) -> Target:
    """What the executors are, as far as it is known before anything is resolved."""
    if known is not None:
        return known.lock.target
    if request.lock_file is not None:
        return request.lock_file.lock.target
    return tools.pipeline.nodes(request.manifest)
