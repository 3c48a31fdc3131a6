"""The same versions for the driver itself, where the wheels that executors get are for another
platform: only wheels, with nothing of the driver's environment changed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from coffee_boat._support import uv
from coffee_boat._support.digest import digest_of
from coffee_boat._support.logs import logger
from coffee_boat._support.progress import Say, Step
from coffee_boat._support.run import run
from coffee_boat._support.store import Store
from coffee_boat.model import Indexes, Pin
from coffee_boat.pip import uv_options

if TYPE_CHECKING:
    from packaging.tags import Tag

_log = logger(__name__)
_LAYOUT = 2
_TIMEOUT = 1800.0


def is_foreign(pin: Pin) -> bool:
    """True for a wheel of an index that is for another platform or Python than this process; one
    that was asked for by URL or path has no other place where its like could be.
    """
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    if pin.kind != "wheel" or not pin.filename or pin.direct:
        return False
    try:
        return parse_wheel_filename(pin.filename)[3].isdisjoint(_own_tags())
    except InvalidWheelFilename:
        return False


def trees(pins: Iterable[Pin], indexes: Indexes, store: Store, say: Say) -> dict[str, Path]:
    """Name -> a folder with that distribution for this process; those are left out of which there
    is no wheel in that version.

    Args:
        pins: wheels that are for another platform.
        indexes: those that the pins were chosen from: a name may be somebody else's on another.

    Raises:
        StoreError: the store cannot be written.
        SettingsError: uv would read a file that others may write.
    """
    return dict(_trees(pins, indexes, store, say))


def _trees(
    pins: Iterable[Pin], indexes: Indexes, store: Store, say: Say
) -> Iterator[tuple[str, Path]]:
    places = [*uv_options.index_urls(indexes), *indexes.find_links, indexes.no_index]
    for pin in pins:
        asked = f"{pin.name}=={pin.version}"
        key = digest_of([_LAYOUT, asked, sorted(map(str, _own_tags())), places])
        name = f"wheel-for-driver-{key}"
        while not store.keep("trees", name):
            with store.turn(f"tree {name}"), store.scratch() as folder:
                if not store.has("trees", name):
                    say(Step(f"fetching {pin.label} for the driver"))
                    if not _installed(asked, indexes, folder):
                        break
                    with store.publish("trees", name) as root:
                        folder.rename(root)
        else:
            yield pin.name, store.path("trees", name)


def _installed(asked: str, indexes: Indexes, folder: Path) -> bool:
    """False if uv finds no wheel of it."""
    try:
        ran = run(
            [
                uv.binary(),
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--link-mode=copy",
                f"--python={sys.executable}",
                f"--target={folder}",
                *(["--no-index"] if indexes.no_index else []),
                "--",
                asked,
            ],
            env={**uv_options.environment(indexes), "UV_COMPILE_BYTECODE": None},
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return False
    if ran.code:
        _log.info("no wheel of %s for the driver: %s", asked, ran.tail)
    return not ran.code


@cache
def _own_tags() -> frozenset[Tag]:
    from packaging.tags import sys_tags

    return frozenset(sys_tags())
