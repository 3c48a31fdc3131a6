"""Systems outside of Spark on this machine: an archive for them, their processes, and the table of
what was run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from integration.venvs import OWN_CACHE

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
HOME = "/opt/boat"
"""Where the words of `boat conf --for` unpack an archive."""
TABLE = OWN_CACHE / "systems"
"""A file for each system that was run: a row of the table in docs/guides/deep-learning.md."""


@dataclass(frozen=True)
class Outside:
    """What `boat conf --for` printed, and a folder that stands for /opt/boat."""

    python: Path
    """Whose `boat` is typed."""
    store: Path
    folder: Path
    packages: tuple[str, ...]
    text: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def archive(self) -> Path:
        """The archive that it names."""
        return Path(re.findall(r"/\S+\.tar\.gz", self.text)[0])

    def line(self, begin: str, **changes: str) -> list[str]:
        """The words of the line that begins so, without its comment; some words replaced."""
        (found,) = (line for line in self.text.splitlines() if line.strip().startswith(begin))
        found = re.sub(r"\s#.*|\\$", "", found)
        for old, new in changes.items():
            assert old in found, found
            found = found.replace(old, new)
        return [word.replace(HOME, str(self.folder)) for word in shlex.split(found)]

    def boat(self, *words: str | Path, timeout: float = 600) -> str:
        """Run a command of `boat` to its end; its stdout."""
        argv = [str(self.python), "-m", "coffee_boat.cli", *map(str, words)]
        return ended(argv, self.folder.parent, self.environment, timeout)

    def unpack(self) -> None:
        """As the text says."""
        program, *words = self.line("boat unpack")
        assert program == "boat"
        self.boat(*words)

    @property
    def environment(self) -> dict[str, str]:
        """Without what is of this process's Python."""
        foreign = ("PYTHON", "VIRTUAL_ENV", "COFFEE_BOAT_", "SPARK_", "RAY_", "DASK_", "FLINK_")
        own = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        return {**own, "COFFEE_BOAT_STORE": str(self.store)}

    @contextlib.contextmanager
    def running(self, name: str, argv: list[str]) -> Iterator[Path]:
        """A process of the system, with all that it starts; its log."""
        log = self.folder.parent / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.folder.parent,
                start_new_session=True,
            )
        try:
            yield log
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):  # killed then, as all of its
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def keep_row(self, system: str) -> None:
        """Of a run that went well."""
        took = time.monotonic() - self.began
        keep_row(system, versions(self.store, *self.packages), self.archive, took)

    def run(self, *argv: str | Path, timeout: float = 300) -> str:
        """A program to its end; its stdout."""
        return ended(list(map(str, argv)), self.folder.parent, self.environment, timeout)


def outside(system: str, *packages: str, python: Path, store: Path, folder: Path) -> Outside:
    """What `boat conf --for` says of an archive with these packages, and edtf."""
    there = Outside(python, store, folder / "opt-boat", packages)
    wanted = [word for package in (*packages, "edtf") for word in ("--pip", package)]
    return replace(there, text=there.boat("conf", "--for", system, *wanted, timeout=1200))


def ended(argv: list[str], folder: Path, environment: Mapping[str, str], timeout: float) -> str:
    """A program's stdout; its failure is the test's."""
    done = subprocess.run(
        argv,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{argv}\n{done.stdout[-3000:]}{done.stderr[-6000:]}"
    return done.stdout


def result(said: str) -> Any:
    """What a program printed as `RESULT <json>`."""
    (line,) = (line for line in said.splitlines() if line.startswith("RESULT "))
    return json.loads(line.removeprefix("RESULT "))


def wait_for(log: Path, text: str, *, seconds: float = 60) -> str:
    """Wait until a log has a text; the log."""
    deadline = time.monotonic() + seconds
    while text not in (said := log.read_text(errors="replace")):
        assert time.monotonic() < deadline, f"{log.name} has no {text!r}:\n{said[-4000:]}"
        time.sleep(0.1)
    return said


def versions(store: Path, *names: str) -> str:
    """Of the wheels of some distributions, as they were fetched last."""

    def of(name: str) -> str:
        wheels = (store / "wheels").rglob(f"{name.replace('-', '_')}-*.whl")
        return max(wheels, key=lambda wheel: wheel.stat().st_mtime).name.split("-")[1]

    return ", ".join(f"{name} {of(name)}" for name in names)


def keep_row(system: str, what: str, archive: Path, seconds: float) -> None:
    """Write a row of the table, and print it."""
    TABLE.mkdir(parents=True, exist_ok=True)
    size = archive.stat().st_size / 1e6
    row = f"| {system} | {what} | {size:,.0f} MB | {seconds:.0f} |"
    (TABLE / f"{system}.md").write_text(row + "\n")
    print(row)
