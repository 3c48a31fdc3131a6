"""Programs that a bed needs and that a distribution has: installed where that can be done without
asking, else named.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping

from integration.beds import BedCannotRun

_LOCKED = "Could not get lock"
"""Another bed installs something, or the machine updates itself."""
_PATIENCE = 300.0
"""Seconds for that."""


def require(programs: Mapping[str, str]) -> None:
    """Have these programs, from Debian's packages where they are missing and this is Debian and
    root.

    Args:
        programs: name -> Debian's package.

    Raises:
        BedCannotRun: with what is missing, and what to type.
    """
    missing = _missing(programs)
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(sorted(set(missing.values())))
        missing = _missing(programs)
    if missing:
        raise BedCannotRun(
            f"{', '.join(missing)} missing (Debian: apt-get install"
            f" {' '.join(sorted(set(missing.values())))})"
        )


def _missing(programs: Mapping[str, str]) -> dict[str, str]:
    return {
        program: package for program, package in programs.items() if shutil.which(program) is None
    }


def _install(packages: list[str]) -> None:
    for command in (
        ["update", "--quiet=2"],
        ["install", "--quiet=2", "--no-install-recommends", "--yes", *packages],
    ):
        done = _apt_get(command)
        end = time.monotonic() + _PATIENCE
        while _LOCKED in done.stderr and time.monotonic() < end:
            time.sleep(1)
            done = _apt_get(command)
        if done.returncode != 0:
            raise BedCannotRun(
                f"apt-get {command[0]} failed; install {' '.join(packages)}:"
                f" {done.stderr.strip()[-500:]}"
            )


def _apt_get(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", *command],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
