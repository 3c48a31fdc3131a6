"""What the benchmarks share: contestants' environments, one job that reaches each executor,
tables.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
}
"""Spark settings of every session here."""


class Workshop:
    """A cache folder with the contestants' environments; standard library only."""

    def __init__(self, cache: Path) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        os.environ.pop(
            "PYTHONDONTWRITEBYTECODE", None
        )  # children and executors would inherit it, and compile at each import
        self.cache = cache.resolve()

    def path(self, name: str) -> Path:
        return self.cache / name

    def run(self, *argv: object, **environment: str) -> str:
        """A program's stdout; its failure ends the benchmark."""
        words = [str(word) for word in argv]
        done = subprocess.run(
            words, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{shlex.join(words)[:300]}\nfailed:\n{done.stderr[-3000:]}")
        return done.stdout

    def environment(self, name: str, *packages: object) -> Path:
        """The Python of a virtual environment with some packages and the newest pip; made once."""
        home = self.path(f"venv-{name}")
        if not (home / "ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            self.run(sys.executable, "-m", "venv", home)
            self.run(
                home / "bin/python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--upgrade",
                "pip",
                *packages,
            )
            (home / "ready").touch()
        return home / "bin/python"

    def version(self, python: Path, name: str) -> str:
        code = f"import importlib.metadata as m; print(m.version({name!r}))"
        return f"{name} {self.run(python, '-c', code).strip()}"

    def child(self, script: str, *argv: object, **environment: str) -> dict[str, Any]:
        """Run a script of this folder anew, so that it starts a JVM of its own; what it tells as
        JSON in its last line.
        """
        said = self.run(sys.executable, script, *argv, **environment)
        told: dict[str, Any] = json.loads(said.splitlines()[-1])
        return told


def arguments(doc: str | None, *, repeat: int) -> argparse.ArgumentParser:
    """The options of every benchmark."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument(
        "--cache",
        type=Path,
        default=CHECKOUT / ".cache" / "benchmarks",
        help="environments and caches; kept for the next run",
    )
    parser.add_argument("--repeat", type=int, default=repeat, metavar="N")
    return parser


def stop(context: Any) -> None:
    """Stop a SparkContext, and remove what the workers of local-cluster leave in SPARK_HOME: an
    unpacked environment an executor.
    """
    import pyspark

    left = (
        Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
        / "work"
        / context.applicationId
    )
    context.stop()
    shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def meeting(parties: int) -> Iterator[Callable[[], None]]:
    """A function for tasks to call: it returns once `parties` of them have.

    With one slot an executor, each executor has one.

    Executors are processes of this machine, so a folder can be the meeting place.
    """
    folder = tempfile.mkdtemp(prefix="boat-meeting-")

    def meet() -> None:
        import os
        import time
        import uuid

        open(os.path.join(folder, uuid.uuid4().hex), "x").close()
        while len(os.listdir(folder)) < parties:
            time.sleep(0.002)

    try:
        yield meet
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def on_each(context: Any, executors: int, function: Callable[[], Any]) -> list[Any]:
    """What a function returns in one task on each executor; `executors` is how many one-core
    executors there are or will be.
    """
    with meeting(executors) as meet:

        def task(_: Iterable[int]) -> list[Any]:
            answer = function()
            meet()
            return [answer]

        return list(context.parallelize(range(executors), executors).mapPartitions(task).collect())


def versions(*names: str) -> str:
    """This process's Python, some distributions, the machine and its load."""
    found = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    java = _java_says()
    return (
        f"Python {platform.python_version()}, {found}, {java[0] if java else 'no java'};"
        f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


def _java_says() -> list[str]:
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    if java is None:
        return []
    ran = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    return ran.stderr.splitlines()


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns: the first to the left, the others to the right; floats with two digits, None as a
    blank.
    """
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    return (
        f"{value:.2f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


def median(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None


def shown(values: Iterable[float]) -> str:
    """As "1.20, 1.25", for what is printed while it runs."""
    return ", ".join(f"{value:.2f}" for value in values)
