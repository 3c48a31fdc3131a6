"""Runs commands as in a terminal, and draws what they print: the recording that README shows.

    python -m docs.tools.record      # start/recording.svg; needs Java, a network and a minute

Nothing is typed in by hand: the program is README's first block, and what Spark logs is left out.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import selectors
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "docs" / "start" / "recording.svg"
COMMANDS = ("boat plan --pip pyarrow --pip edtf", "python example.py")
"""The second runs the first program of README."""
COLUMNS = 100
_OURS = "coffee_boat: "
"""What lines on stderr begin with; the others are Spark's log."""
_PROGRAMS = {"boat": (sys.executable, "-m", "coffee_boat.cli"), "python": (sys.executable,)}


@dataclass(frozen=True)
class Shown:
    """A command, and what stood below it."""

    command: str
    text: str
    """With the terminal's colours."""


def first_program() -> str:
    """README's first block of Python."""
    text = ROOT.joinpath("README.md").read_text("utf-8")
    return text.partition("```python\n")[2].partition("```")[0]


def run(command: str, folder: Path, env: Mapping[str, str]) -> Shown:
    """A command whose stdout is a terminal.

    Raises:
        RuntimeError: it failed.
    """
    program, *words = shlex.split(command)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    log, theirs_too = os.pipe()
    process = subprocess.Popen(
        [*_PROGRAMS[program], *words],
        cwd=folder,
        env={**env, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs_too,
    )
    for end in (theirs, theirs_too):
        os.close(end)
    lines = _lines(ours, log)
    for end in (ours, log):
        os.close(end)
    if process.wait():
        raise RuntimeError(f"{command} ended with {process.returncode}: {''.join(lines)[-2000:]}")
    return Shown(command, "".join(lines))


def _lines(terminal: int, log: int) -> list[str]:
    """What came from both, in the order in which it came; of the log our own lines."""
    parts: dict[int, bytes] = {terminal: b"", log: b""}
    lines: list[str] = []
    with selectors.DefaultSelector() as waiting:
        for source in parts:
            waiting.register(source, selectors.EVENT_READ)
        while waiting.get_map():
            for key, _ in waiting.select():
                read = _read(key.fd)
                if not read:
                    waiting.unregister(key.fd)
                    read = b"\n" if parts[key.fd] else b""
                *whole, parts[key.fd] = (parts[key.fd] + read).split(b"\n")
                told = (f"{line.decode().rstrip()}\n" for line in whole)
                lines += [line for line in told if key.fd == terminal or line.startswith(_OURS)]
    return lines


def _read(source: int) -> bytes:
    try:
        return os.read(source, 65536)
    except OSError:  # a terminal whose other end was closed
        return b""


def drawn(shown: Sequence[Shown]) -> str:
    """An SVG that loads nothing, of the same bytes for the same text."""
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        highlight=False,
        legacy_windows=False,
    )
    for each in shown:
        console.print(Text.assemble(("$ ", "green"), (each.command, "bold")))
        console.print(Text.from_ansi(each.text.rstrip()))
        console.print()
    return console.export_svg(
        title="coffee_boat",
        code_format=re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.S),
        unique_id="boat",
    )


def main() -> int:
    """Run the commands with an empty store, and write the recording."""
    with tempfile.TemporaryDirectory(prefix="coffee_boat-recording-") as name:
        folder = Path(name)
        folder.joinpath("example.py").write_text(first_program(), "utf-8")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
        env = {
            **kept,
            "COFFEE_BOAT_STORE": str(folder / "store"),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        shown = [run(command, folder, env) for command in COMMANDS]
    RECORDING.write_text(drawn(shown), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
