"""The chunk that carries coffee_boat's own files: what runs at the start of every Python on an
executor.
"""

from __future__ import annotations

from importlib.resources import files

from coffee_boat._support.store import Store
from coffee_boat.archive import chunks
from coffee_boat.archive import writer as archive_writer
from coffee_boat.interpreter.programs import programs
from coffee_boat.model import START_FOLDER, Chunk, Target

IMPORT_NAME = "coffee_boat_worker"
"""Not coffee_boat: a node's or a user's own coffee_boat must not be mistaken for it."""
STARTER = f"import {IMPORT_NAME}.startup; {IMPORT_NAME}.startup.start()\n"
"""One line of a .pth: site.py runs it, and shows an error on stderr without ending the interpreter
(site.addpackage).
"""


def chunk(target: Target, store: Store, *, has_python: bool) -> Chunk:
    """The worker's files, for the target's site-packages.

    Args:
        has_python: an interpreter goes along, and so the programs that start it.

    Raises:
        StoreError: it is not in the store yet, and the store cannot be written.
    """
    content = _content(target.site_packages)
    if has_python:
        content |= programs(target.minor)

    def fill(writer: archive_writer.ChunkWriter) -> None:
        for name, text in content.items():
            writer.file(name, text.encode(), executable=text.startswith("#!"))

    return chunks.make(store, ["worker", content], "coffee_boat worker", fill)


def starter_files() -> dict[str, str]:
    """What unpacks (worker/starter), by names: starters have it by itself, and all that unpacks
    layers, too.
    """
    found = (one for one in files("coffee_boat.worker.starter").iterdir())
    sources = sorted((one for one in found if one.name.endswith(".py")), key=lambda one: one.name)
    return {source.name: source.read_text("utf-8") for source in sources}


def _content(site_packages: str) -> dict[str, str]:
    sources = sorted(
        (entry for entry in files("coffee_boat.worker").iterdir() if entry.name.endswith(".py")),
        key=lambda entry: entry.name,
    )
    texts = {source.name: source.read_text("utf-8") for source in sources}
    package = {f"{site_packages}{IMPORT_NAME}/{name}": text for name, text in texts.items()}
    package |= {
        f"{site_packages}{IMPORT_NAME}/starter/{name}": text
        for name, text in starter_files().items()
    }
    return {
        f"{START_FOLDER}sitecustomize.py": texts["sitecustomize.py"],
        f"{site_packages}coffee_boat.pth": STARTER,
        **package,
    }
