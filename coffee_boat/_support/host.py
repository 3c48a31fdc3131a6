"""What the driver's own machine is, in the words that wheels use."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}
_ALSO = {"x86_64": "i686", "aarch64": "armv7l"}
"""The 32 bits of the same machine, which its kernel runs too."""


@dataclass(frozen=True)
class Host:
    """The driver's own machine, as far as what is built for nodes could depend on it."""

    system: str
    """As platform.system() says it: "Linux", "Darwin", "Windows"."""
    machine: str
    """As Linux wheels call it: "x86_64", "aarch64"."""
    glibc: tuple[int, int] | None = None
    """The C library that this process runs on; None if it is not glibc."""

    @classmethod
    def here(cls) -> Host:
        """This machine."""
        return cls(platform.system(), architecture(), glibc())

    def runs(self, machine: str) -> bool:
        """True if it runs programs for Linux with glibc on that machine by itself.

        Args:
            machine: as platform.machine() says it on Linux.
        """
        return self.glibc is not None and machine in (self.machine, _ALSO.get(self.machine))


def architecture(machine: str | None = None) -> str:
    """`machine`, by default this one, as Linux wheels call it: "x86_64", "aarch64"."""
    name = (machine or platform.machine()).lower()
    return _ALIASES.get(name, name)


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
