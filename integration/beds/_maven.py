"""Maven, which fetches what is published for the JVM."""

from __future__ import annotations

import shutil
import subprocess

from integration.beds import BedCannotRun


def run(*argv: str) -> None:
    """Run it, with its settings as they are.

    Raises:
        BedCannotRun: there is none, or it failed.
    """
    if shutil.which("mvn") is None:
        raise BedCannotRun("it is fetched by Maven, and there is no mvn (apt-get install maven)")
    done = subprocess.run(
        ["mvn", "--quiet", "--batch-mode", "--no-transfer-progress", *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode != 0:
        raise BedCannotRun(f"mvn failed: {(done.stdout + done.stderr).strip()[-1500:]}")
