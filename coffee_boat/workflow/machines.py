"""One archive, one machine: what is refused where an interpreter or a package is for another one
than the executors are. Pure: before anything is fetched by what was asked for, and at the end by
what each chunk's ELF files say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import unquote, urlsplit

from coffee_boat.archive import elf
from coffee_boat.errors import BuildError, Problem
from coffee_boat.model import Chunk, Lock, Target
from coffee_boat.pip.tags import machines_of

_MIXED = Problem("build.two-machines", "the archive would mix two machines")
_BITS = {"x86_64": "64", "i686": "32"}
"""What conda calls a machine in its platforms' names, where that is not platform.machine()."""
_SHOWN = 3


def refuse_mixed(
    nodes: str, shipped: str, *, platform: str | None = None, python: str | None = None
) -> None:
    """Refuse an interpreter for another machine than the executors are.

    Args:
        nodes: what the executors are, as platform.machine() says it; empty if nobody said so.
        shipped: the same of the interpreter.
        platform, python: as they were asked for, for the message.

    Raises:
        BuildError: they differ.
    """
    if not nodes or elf.runs_on(shipped, nodes):
        return
    named = f"platform={platform!r}" if platform else f"executors are {nodes}"
    asked = f"python={python!r}" if python else "the driver's own Python"
    raise BuildError(
        _MIXED.code,
        _MIXED.what,
        value=f"{named}, and an interpreter for {shipped} ({asked})",
        cause="that interpreter was named, and is not for the nodes",
        cure=f"leave python= out, or name a version: that is a standalone build for {nodes}, by uv;"
        f" or name the folder of one for {nodes}; or take conda's, python='conda'; or the nodes'"
        f" own: ship_python=False; or, if the nodes are {shipped}, name such a platform or none",
    )


def refuse_pins(lock: Lock) -> None:
    """Refuse packages that say, by their names, that they are for another machine.

    Raises:
        BuildError: one does.
    """
    nodes = lock.target.architecture
    wheels = (
        (pin.filename or unquote(urlsplit(pin.url).path).rpartition("/")[2])
        for pin in lock.pins
        if pin.kind == "wheel"
    )
    wrong = [
        name
        for name in wheels
        if (named := machines_of(name)) and not any(elf.runs_on(one, nodes) for one in named)
    ]
    own = ("noarch", f"linux-{_BITS.get(nodes, nodes)}")
    wrong += [f"{pin.subdir}/{pin.filename}" for pin in lock.conda if pin.subdir not in own]
    if wrong:
        others = f" + {len(wrong) - _SHOWN} others" if len(wrong) > _SHOWN else ""
        raise BuildError(
            _MIXED.code,
            _MIXED.what,
            value=", ".join(wrong[:_SHOWN]) + others,
            cause=f"executors are {lock.target.platform}",
            cure="lock again for this platform, name what is built for it, or say what the nodes"
            " are: platform=",
        )


def refuse_foreign(chunks: Iterable[Chunk], nodes: Target) -> None:
    """Refuse chunks with ELF files for another machine: the last door, whatever was asked for.

    Raises:
        BuildError: there is one.
    """
    for chunk in chunks:
        for machine, name in chunk.machines:
            if not elf.runs_on(machine, nodes.architecture):
                raise BuildError(
                    _MIXED.code,
                    _MIXED.what,
                    value=f"{chunk.label}: {name} is for {machine}",
                    cause=f"executors are {nodes.platform}",
                    cure="name an interpreter and packages for that machine, or say what the nodes"
                    " are: platform=",
                )


def refuse_newer_glibc(floors: Iterable[tuple[str, tuple[int, int]]], nodes: Target) -> None:
    """Refuse what needs a newer glibc than executors have.

    Args:
        floors: what each part is called, and the glibc that it needs.

    Raises:
        BuildError: there is one.
    """
    label, floor = max(floors, key=lambda part: part[1], default=("", (0, 0)))
    if floor <= nodes.glibc:
        return
    dotted: Callable[[tuple[int, int]], str] = lambda version: ".".join(map(str, version))  # noqa: E731
    raise BuildError(
        "build.glibc-too-new",
        "the environment needs a newer glibc than the platform has",
        value=(f"{label} needs {dotted(floor)}, {nodes.platform} has {dotted(nodes.glibc)}"),
        cause="what was built on this machine needs this machine's glibc",
        cure=(
            f'for the interpreter: python="{nodes.minor}", which takes a standalone build that uv'
            " fetches, or ship_python=False where the nodes have their own; for a package: a wheel"
            " built for that platform"
        ),
    )
