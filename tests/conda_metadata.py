"""Channels that are lists of packages only: enough for a solver, and for any platform and any
Python.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def record(
    name: str,
    version: str,
    depends: Sequence[str] = (),
    *,
    build: str = "0",
    subdir: str = "linux-64",
    **more: Any,
) -> dict[str, Any]:
    """One line of a channel's list."""
    noarch = {"noarch": "python"} if subdir == "noarch" and "noarch" not in more else {}
    return {
        "name": name,
        "version": version,
        "build": build,
        "build_number": 0,
        "depends": list(depends),
        "subdir": subdir,
        "license": "MIT",
        "size": 1000,
        "sha256": f"{abs(hash((name, version, build))):064x}"[:64],
        **noarch,
        **more,
    }


def pythons(*versions: str, subdir: str = "linux-64") -> list[dict[str, Any]]:
    return [
        record(
            "python",
            version,
            ["__glibc >=2.17"],
            build="0_cpython",
            subdir=subdir,
            license="PSF-2.0",
        )
        for version in versions
    ]


def channel(
    folder: Path, *records: Mapping[str, Any], info: Mapping[str, Any] | None = None
) -> str:
    """Write the lists; the channel's URL."""
    for subdir in {"noarch", *(one["subdir"] for one in records)}:
        listed = {
            f"{one['name']}-{one['version']}-{one['build']}.conda": one
            for one in records
            if one["subdir"] == subdir
        }
        text = json.dumps(
            {
                "info": {"subdir": subdir, **(info or {})},
                "packages": {},
                "packages.conda": listed,
                "removed": [],
                "repodata_version": 2 if info else 1,
            }
        )
        (folder / subdir).mkdir(parents=True, exist_ok=True)
        (folder / subdir / "repodata.json").write_text(text)
    return folder.as_uri()
