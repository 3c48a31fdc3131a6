"""The archive of a starter: an interpreter, and what unpacks the environment once a node and
becomes its interpreter (worker/starter).
"""

from __future__ import annotations

from coffee_boat._support.store import Store
from coffee_boat.archive import chunks, seek
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.interpreter.worker_files import starter_files
from coffee_boat.model import Archive, Lock
from coffee_boat.worker.starter import index

_STARTER = f"import {index.PACKAGE}.start; {index.PACKAGE}.start.start()\n"
"""As worker_files.STARTER."""


def build(
    archive: Archive, *, cargo: str, folder: str, store: Store, on_demand: bool = False
) -> Archive:
    """The starter for an archive whose first chunk is an interpreter.

    Args:
        cargo: the name of the file that the archive is sent as.
        folder: where nodes keep environments; empty for where they can; index.OF_APPLICATION.
        on_demand: True if executors fetch the cargo when they need it.

    Raises:
        BuildError: the archive is gone or damaged.
        StoreError: it is not there yet, and the store cannot be written.
    """
    told = seek.told(archive, store, cargo=cargo, folder=folder, on_demand=on_demand)
    site = archive.target.site_packages
    content = {
        f"{site}{index.PACKAGE}.pth": _STARTER,
        f"{site}{index.PACKAGE}/{index.NAME}": index.written(told),
        **{f"{site}{index.PACKAGE}/{name}": source for name, source in starter_files().items()},
    }

    def fill(writer: ChunkWriter) -> None:
        for name, source in content.items():
            writer.file(name, source.encode())

    own = chunks.make(store, ["starter", content], f"starter of {archive.name}", fill)
    return assemble(
        [archive.chunks[0], own],
        target=archive.target,
        lock=Lock(archive.target),
        has_python=True,
        inputs={"requirements": []},
        store=store,
    )
