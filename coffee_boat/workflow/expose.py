"""The packages on the driver too: on sys.path of this process, or of another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from coffee_boat._support.progress import Say, Step
from coffee_boat.archive import modules
from coffee_boat.archive.chunks import listing
from coffee_boat.conda import chunks as conda_chunks
from coffee_boat.model import Chunk, Finding, Lock
from coffee_boat.session import driver, only_there
from coffee_boat.workflow import own_code
from coffee_boat.workflow.built import Built
from coffee_boat.workflow.tools import Tools


def expose(tools: Tools, lock: Lock, chunks: Sequence[Chunk], say: Say) -> None:
    """Make what the driver lacks importable here, after the driver's own packages; what was left
    out is shown.

    Raises:
        StoreError: the store cannot be written.
    """
    told: tuple[Finding, ...] = ()
    if tools.settings.install_local:
        if chunks:
            say(Step("making the packages importable here"))
            lacking = driver.lacking(lock)
            own = tools.pipeline.for_the_driver(chunks, lacking, say)
            rest = replace(lacking, pins=tuple(pin for pin in lacking.pins if pin.name not in own))
            told = tools.views.board(lock, {**tools.pipeline.trees(chunks, rest), **own})
        tools.emit([*told, *tools.views.show_code(own_code.on_the_driver(lock))])
    tools.views.hints.add(dict(_hints(tools, lock, chunks, told)))


def _hints(
    tools: Tools, lock: Lock, chunks: Sequence[Chunk], told: Sequence[Finding]
) -> Iterator[tuple[str, str]]:
    """Of modules that executors have and the driver has not: what an import of one says here."""
    packed = {chunk.label: chunk for chunk in chunks}
    here = driver.installed().keys() if packed else set[str]()
    absent = {pin.label: pin.label for pin in lock.pins if pin.name not in here}
    absent |= {
        conda_chunks.label(pin): pin.label for pin in lock.conda if not driver.brings(pin) <= here
    }
    for label, said in absent.items():
        names = listing(packed[label], tools.store) if label in packed else ()
        text = only_there.text(said, told, install_local=tools.settings.install_local)
        for module in modules.tops(names, lock.target):
            if not module.startswith("_"):
                yield module, text


def folders(tools: Tools, built: Built, say: Say) -> tuple[str, ...]:
    """What a driver in a process of its own imports from, after all that this one has itself.

    Code of one's own may be importable here by the working directory, which is not on sys.path
    there.
    """
    entries = tools.views.entries
    if not entries:
        expose(tools, built.lock, built.archive.chunks, say)
        with closing(tools.views):
            entries = tools.views.entries
    code = own_code.on_the_driver(built.lock) if tools.settings.install_local else {}
    return tuple(dict.fromkeys((*entries, *map(str, code.values()))))
