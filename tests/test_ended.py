"""What becomes of `boat`, and of what it started, when somebody ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="needs Linux's /proc")


def below(folder: Path) -> list[str]:
    """Programs that run with a folder of ours in their environment."""
    places = Path("/proc").glob("[0-9]*")
    return [told for place in places if (told := command(place, folder))]


def command(place: Path, folder: Path) -> str:
    with suppress(OSError):  # it has ended, or is somebody else's
        if str(folder).encode() in (place / "environ").read_bytes():
            return (place / "cmdline").read_text().replace("\0", " ")
    return ""


def heard_by(number: signal.Signals) -> list[str]:
    """A program that begins another one, which hears a signal also below `nohup`."""
    code = (
        f"import os, signal, sys; signal.signal({int(number)}, signal.SIG_DFL);"
        " os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_ended_while_an_index_is_silent_leaves_no_program_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        words = ("plan", "--pip", "edtf", "--no-ship-python", "--index-url", url)
        running = subprocess.Popen(
            [*heard_by(number), sys.executable, "-m", "coffee_boat.cli", *words],
            env={**os.environ, "COFFEE_BOAT_STORE": str(tmp_path), "TMPDIR": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        asked, _ = silent.accept()
        assert len(below(tmp_path)) >= 2, "ours and uv"
        running.send_signal(number)
        said = running.communicate(timeout=60)[1]
        asked.close()
    assert running.returncode == 128 + number
    assert said.splitlines()[-1] == "interrupted"
    end = time.monotonic() + 5
    while below(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    assert below(tmp_path) == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("coffee_boat-")]
