"""Runs a command without a network but its own loopback, and with a folder that cannot be written.

unshare --net --mount --propagation private python offline.py FOLDER PROGRAM [ARGUMENT...]      # as
                                                                                                root
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

_SIOCSIFFLAGS, _UP = 0x8914, 0x1  # linux/sockios.h, linux/if.h


def command(folder: Path) -> list[str]:
    """To be put before a program."""
    return [
        "unshare",
        "--net",
        "--mount",
        "--propagation",
        "private",
        sys.executable,
        str(Path(__file__).resolve()),
        str(folder),
    ]


def main() -> None:
    """In the new namespaces: loopback up, folder read-only, then the program instead of this
    one.
    """
    folder, *program = sys.argv[1:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main()
