"""The bytecode of a wheel as a chunk of its own, for those who ask for it (`bytecode = "all"`).

Not the default: compiling pandas, pyarrow and scikit-learn takes longer than all the rest of
packing and adds files to unpack, while an executor writes its own bytecode at the first import. It
pays where executors cannot write beside their packages, or where many short-lived ones start
(docs/concepts/how-it-works.md has the figures).
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from coffee_boat._support.store import Store
from coffee_boat.archive import chunks
from coffee_boat.archive import writer as archive_writer
from coffee_boat.archive.chunks import chunk_path
from coffee_boat.interpreter import bytecode
from coffee_boat.model import Chunk

_TESTS = re.compile(r"/tests?/")
"""More than half of the bytecode of scientific packages, and no executor imports it."""


def chunk(packed: Chunk, store: Store, *, python: str) -> Chunk:
    """The compiled modules of a package's chunk, but for its tests, at their places in the archive;
    made once for the same chunk and interpreter.

    Args:
        packed: in the store.
        python: an interpreter of the target's minor version.

    Raises:
        BuildError: the interpreter does not run.
        StoreError: it is not there yet, and the store cannot be written.
    """

    label = f"bytecode of {packed.label}"
    return _chunk(
        packed, store, python, label, lambda name: not _TESTS.search(name), _TESTS.pattern
    )


def library_chunk(packed: Chunk, store: Store, *, python: str, minor: str) -> Chunk:
    """The same for the standard library alone, in the chunk of an interpreter that came whole;
    without what is seldom read.

    Raises:
        BuildError, StoreError: as `chunk`.
    """
    return _chunk(
        packed,
        store,
        python,
        f"bytecode of {packed.label}, standard library",
        lambda name: _is_used(name, minor),
    )


def _is_used(name: str, minor: str) -> bool:
    library, site = f"lib/python{minor}/", f"lib/python{minor}/site-packages/"
    return name.startswith(library) and not name.startswith(site) and not bytecode.RARE.search(name)


def _chunk(
    packed: Chunk, store: Store, python: str, label: str, keep: Callable[[str], bool], *kept: str
) -> Chunk:
    """`kept`: what besides the label says what is kept."""

    def fill(writer: archive_writer.ChunkWriter) -> None:
        with store.scratch() as root:
            root.mkdir()
            for name in bytecode.compile_tree(
                python, root, _sources(chunk_path(store, packed), root, keep)
            ):
                writer.file(name, (root / name).read_bytes())

    return chunks.make(
        store,
        ["bytecode", bytecode.FORMAT, packed.id, label, bytecode.stamp(python, store), *kept],
        label,
        fill,
    )


def _sources(packed: Path, root: Path, keep: Callable[[str], bool]) -> list[str]:
    """Write the Python files of a chunk below `root`; their names.

    What makes chunks has checked the names.
    """
    names = []
    with tarfile.open(packed) as entries:
        for entry in entries:
            content = (
                entries.extractfile(entry)
                if PurePosixPath(entry.name).suffix == ".py" and keep(entry.name)
                else None
            )
            if content is not None:
                place = root / entry.name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content.read())
                names.append(entry.name)
    return names
