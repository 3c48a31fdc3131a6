"""Metadata of what waits for an import, as a folder on sys.path.

importlib.metadata asks the finders of sys.meta_path. pkg_resources, which older libraries use, asks
none: it reads the entries of sys.path, once, when it is imported.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from coffee_boat._support.digest import digest_of
from coffee_boat._support.store import Store
from coffee_boat.errors import StoreError

_LAYOUT = 1


def folder(wheels: Mapping[Path, Iterable[str]], store: Store) -> tuple[str, ...]:
    """A folder in the store with the .dist-info of some wheels and nothing else; none where there
    are no wheels, or one is gone, or where the store cannot be written and has no such folder yet.

    Args:
        wheels: their files -> the modules at the top, which the metadata need not name.

    Raises:
        StoreError: the disk is full.
    """
    if not wheels:
        return ()
    try:
        name = f"metadata-{digest_of([_LAYOUT, *sorted(map(_identity, wheels))])}"
        while not store.keep("trees", name):
            with store.publish("trees", name) as scratch:
                scratch.mkdir()
                for wheel, modules in wheels.items():
                    _take_out(wheel, modules, scratch)
    except FileNotFoundError:  # a wheel in the user's own folder was removed since
        return ()
    except StoreError as error:
        if error.code != "store.unwritable":
            raise
        return ()
    return (str(store.path("trees", name)),)


def _identity(wheel: Path) -> list[str | int]:
    """A wheel that lies in a folder of the user's may be built again."""
    found = wheel.stat()
    return [str(wheel), found.st_size, found.st_mtime_ns]


def _take_out(wheel: Path, modules: Iterable[str], to: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [
            name for name in archive.namelist() if name.partition("/")[0].endswith(".dist-info")
        ]
        archive.extractall(to, names)
    for info in {name.partition("/")[0] for name in names}:
        tops = to / info / "top_level.txt"
        if not tops.exists():  # else they are looked up in RECORD, whose files are not here
            tops.write_text("".join(f"{module}\n" for module in sorted(modules)), "utf-8")
