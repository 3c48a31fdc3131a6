"""Where a wheel's members go when it is installed, and which of them stay behind."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from coffee_boat.archive import excluded, members
from coffee_boat.model import LeftOut, Target

Made = tuple[bytes, bool]
"""What an installer adds: content and run bit."""
LeftBehind = tuple[frozenset[str], tuple[LeftOut, ...]]
"""As archive/excluded.py tells it."""


@dataclass(frozen=True)
class Place:
    """A wheel's member, and where it goes."""

    info: zipfile.ZipInfo
    name: str
    """In the archive."""
    script: bool = False

    @property
    def mode(self) -> int:
        """As stat has it."""
        return self.info.external_attr >> 16

    @property
    def executable(self) -> bool:
        """True if it gets the run bit."""
        return self.script or (stat.S_ISREG(self.mode) and bool(self.mode & 0o111))


def schemes(wheel: Path, target: Target) -> dict[str, str]:
    """Folder of NAME.data -> where it goes in an archive."""
    return {
        "purelib": target.site_packages,
        "platlib": target.site_packages,
        "scripts": "bin/",
        "data": "",
        "headers": f"include/python{target.minor}/{wheel.name.split('-')[0]}/",
    }


def left_behind(
    rules: Sequence[str],
    site: str,
    stream: BinaryIO,
    places: Mapping[str, Place],
    generated: Mapping[str, Made],
) -> LeftBehind:
    """What stays behind of a wheel's members and of what an installer adds.

    Args:
        rules: groups and patterns.
        stream: the wheel.
        places: by name in the archive.
    """

    def read(name: str) -> bytes:
        if name in generated:
            return generated[name][0]
        info = places[name].info
        return members.whole(info, members.raw(stream, info))

    sizes = {name: len(data) for name, (data, _) in generated.items()}
    sizes |= {name: place.info.file_size for name, place in places.items()}
    return excluded.left_out(rules, sizes, site, read)
