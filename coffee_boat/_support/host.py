"""What the driver's own machine is, in the words that wheels use."""

from __future__ import annotations

import os
import platform

_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}
_ALSO = {"x86_64": "i686", "aarch64": "armv7l"}
"""The 32 bits of the same machine, which its kernel runs too."""


def architecture(machine: str | None = None) -> str:
    """`machine`, by default this one, as Linux wheels call it: "x86_64", "aarch64"."""
    name = (machine or platform.machine()).lower()
    return _ALIASES.get(name, name)


def runs(machine: str) -> bool:
    """True if this machine runs programs for Linux with glibc on that one by itself.

    Args:
        machine: as platform.machine() says it on Linux.
    """
    return glibc() is not None and machine in (architecture(), _ALSO.get(architecture()))


def glibc() -> tuple[int, int] | None:
    """The C library this process runs on; None if it is not glibc (musl, macOS, Windows)."""
    if platform.system() != "Linux":
        return None
    try:
        said = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):  # musl knows no such name
        return None
    library, _, version = said.partition(" ")
    numbers = version.split(".")
    return (int(numbers[0]), int(numbers[1])) if library == "glibc" and len(numbers) >= 2 else None
