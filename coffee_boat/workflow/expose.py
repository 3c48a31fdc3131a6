"""The packages on the driver too: on sys.path of this process, or of another one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from coffee_boat._support.progress import Say, Step
from coffee_boat._support.words import human_size
from coffee_boat.archive import modules, unpack
from coffee_boat.archive.chunks import listing
from coffee_boat.conda import chunks as conda_chunks
from coffee_boat.model import Chunk, Finding, Lock
from coffee_boat.pip import fetch
from coffee_boat.session import driver, only_there
from coffee_boat.session.sys_path import show_code
from coffee_boat.session.views import Later
from coffee_boat.workflow import own_code, room
from coffee_boat.workflow.tools import Tools


@dataclass(frozen=True)
class Importable:
    """What the driver lacks and executors have, as this process could import it."""

    trees: Mapping[str, Path] = field(default_factory=dict)
    """Normalized name -> a folder with its site-packages."""
    later: Mapping[str, Later] = field(default_factory=dict)
    """What is large, and not unpacked yet."""


def expose(tools: Tools, lock: Lock, chunks: Sequence[Chunk], say: Say) -> None:
    """Make what the driver lacks importable here, after the driver's own packages; what was left
    out is shown.

    Raises:
        StoreError: the store cannot be written.
    """
    show(tools, lock, chunks, importable(tools, lock, chunks, say))


def importable(tools: Tools, lock: Lock, chunks: Sequence[Chunk], say: Say) -> Importable:
    """All of `expose` that can fail; nothing is importable by it.

    Raises:
        StoreError: the store cannot be written.
    """
    if not tools.settings.install_local or not chunks:
        return Importable()
    say(Step("making the packages importable here"))
    lacking = driver.lacking(lock)
    own = tools.pipeline.for_the_driver(chunks, lacking, say)
    later = dict(_later(tools, _without(lacking, own), chunks))
    now = tools.pipeline.trees(chunks, _without(lacking, {*own, *later}))
    return Importable({**now, **own}, later)


def show(tools: Tools, lock: Lock, chunks: Sequence[Chunk], what: Importable) -> None:
    """The rest of `expose`."""
    told: tuple[Finding, ...] = ()
    if tools.settings.install_local:
        told = tools.views.board(lock, what.trees, what.later) if chunks else ()
        tools.emit([*told, *tools.views.show_code(own_code.on_the_driver(lock))])
    tools.views.hints.add(dict(_hints(tools, lock, chunks, told)))


def _without(lock: Lock, names: Collection[str]) -> Lock:
    return replace(lock, pins=tuple(pin for pin in lock.pins if pin.name not in names))


def _later(tools: Tools, lacking: Lock, chunks: Sequence[Chunk]) -> Iterator[tuple[str, Later]]:
    """What is large, and what nobody but that needs: it is judged by its wheel, and unpacked when
    the driver imports it.
    """
    packed = {chunk.label: chunk for chunk in chunks}
    pins = {pin.name: pin for pin in lacking.pins if pin.label in packed}
    for name in sorted(room.deferred(lacking.pins, {one: packed[one].unpacked for one in packed})):
        pin = pins[name]
        wheel, chunk = fetch.here(pin, tools.store), packed[pin.label]
        if wheel is None:
            continue
        tools.store.keep("chunks", f"{chunk.id}.gz")
        wheel = fetch.keep(pin, tools.store) or wheel
        names = listing(chunk, tools.store)
        yield (
            name,
            Later(
                wheel,
                modules.tops(names, lacking.target),
                partial(_unpacked, tools, chunk, lacking),
                modules.importable(names, lacking.target),
            ),
        )


def _unpacked(tools: Tools, chunk: Chunk, lock: Lock) -> Path:
    with tools.work() as say:
        say(Step(f"unpacking {chunk.label}, {human_size(chunk.unpacked)}, which is imported here"))
        return unpack.unpack_chunk(chunk, tools.store) / lock.target.site_packages


def _hints(
    tools: Tools, lock: Lock, chunks: Sequence[Chunk], told: Sequence[Finding]
) -> Iterator[tuple[str, str]]:
    """Of modules that executors have and the driver has not: what an import of one says here."""
    packed = {chunk.label: chunk for chunk in chunks}
    here = driver.installed().keys() | tools.views.later if packed else set[str]()
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


def folders(tools: Tools, lock: Lock, chunks: Sequence[Chunk], say: Say) -> tuple[str, ...]:
    """What a driver in a process of its own imports from, after all that this one has itself; what
    was left out is shown. What this process imports from stays as it is.

    Code of one's own may be importable here by the working directory, which is not on sys.path
    there.

    Args:
        lock: what is installed.
        chunks: of what the driver lacks, at least.

    Raises:
        StoreError: the store cannot be written.
    """
    if not tools.settings.install_local:
        return ()
    store, some = tools.store, importable(tools, lock, chunks, say)
    wheels = {name: one.wheel for name, one in some.later.items()}
    with closing(driver.board(lock, some.trees, store, later=wheels)) as judged:
        tools.emit(judged.findings)
    trees, entries = dict(some.trees), judged.entries
    if judged.later:  # another process has no finder of ours
        trees |= {name: some.later[name].unpack() for name in judged.later}
        with closing(driver.board(lock, trees, store)) as whole:
            entries = whole.entries
    code = own_code.on_the_driver(lock)
    with closing(show_code(code)) as shown:
        tools.emit(shown.findings)
    return tuple(dict.fromkeys((*entries, *map(str, code.values()))))
