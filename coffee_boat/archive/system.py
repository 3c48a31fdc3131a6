"""Libraries that binaries in an archive need, and that neither it nor every node has."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator

from coffee_boat._support.store import Store
from coffee_boat.archive import chunks
from coffee_boat.model import Chunk, Finding
from coffee_boat.model.libraries import how_to_have

_EVERYWHERE = re.compile(
    r"(?:ld-linux[\w-]*|ld64|linux-vdso|libc|libm|libmvec|libdl|librt|libpthread|libutil|libresolv"
    r"|libanl|libnss_\w+|libBrokenLocale|libthread_db|libcuda|libnvidia-[\w-]+)\.so(?:\.\d+)*"
)
"""What each node with glibc has, and the user's half of a GPU driver. The rest of what a manylinux
wheel may take from its node (PEP 600: libX11, libGL, libglib-2.0...) desktops have, and slim images
do not.
"""
_CARRIED = re.compile(r"(?:libgcc_s|libstdc\+\+|libz)\.so(?:\.\d+)*")
"""What the interpreter brings for nodes that lack it, if it was copied from a machine that has it,
or is conda's.
"""
_SHOWN = 3


def lacking(
    parts: Collection[Chunk], architecture: str, store: Store, *, bare: bool = False
) -> Iterator[Finding]:
    """What packages need of the nodes' system, for each of them.

    Args:
        architecture: of the executors, as platform.machine() says it.
        bare: the interpreter may bring no library for nodes that lack it.
    """
    wanted = {one.id: _wanted(one, architecture, store, bare=bare) for one in parts}
    if not any(wanted.values()):
        return
    here = {posixpath.basename(name) for one in parts for name in chunks.listing(one, store)}
    for one in parts:
        absent = {name: file for name, file in wanted[one.id].items() if name not in here}
        if absent:
            yield _finding(one.label.partition(" ")[0], absent)


def absent(parts: Collection[Chunk], architecture: str, store: Store) -> frozenset[str]:
    """File names of the libraries that packages need and do not bring, without those that each
    node has.
    """
    wanted = {name for one in parts for name in _wanted(one, architecture, store)}
    if not wanted:
        return frozenset()
    return frozenset(
        wanted - {posixpath.basename(n) for one in parts for n in chunks.listing(one, store)}
    )


def _wanted(chunk: Chunk, architecture: str, store: Store, *, bare: bool = False) -> dict[str, str]:
    said = chunks.needs(chunk, store).get(architecture, {})
    return {
        name: file
        for name, file in said.items()
        if not _EVERYWHERE.fullmatch(name) and (bare or not _CARRIED.fullmatch(name))
    }


def _finding(distribution: str, absent: dict[str, str]) -> Finding:
    return Finding(
        "build.system-library-needed",
        "a package needs libraries of the nodes' system, which may not be there",
        value=f"{distribution}: {', '.join(sorted(absent))} (for {_files(absent.values())})",
        cause="its wheel does not carry them, and the archive has none; where a node lacks one,"
        " import ends with: cannot open shared object file",
        cure=how_to_have(sorted(absent), distribution),
    )


def _files(names: Iterable[str]) -> str:
    files = sorted({posixpath.basename(name) for name in names})
    others = f" + {len(files) - _SHOWN} others" if len(files) > _SHOWN else ""
    return ", ".join(files[:_SHOWN]) + others
