"""Runs the programs in `drivers/` as a user would: a process of their own, with nothing of Spark in
the environment.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lanes import require_java

DRIVERS = Path(__file__).with_name("drivers")
_FOREIGN = ("SPARK_", "PYSPARK_", "COFFEE_BOAT_", "PYTHON", "HADOOP_", "VIRTUAL_ENV")
"""Prefixes of variables that would change what a driver does."""
_SHELL = (
    "sc.stop(); import sys; sys.argv = {argv!r}; exec(compile(open({script!r}).read(), {script!r},"
    " 'exec'))\n"
)
"""What is typed into pyspark's shell, which starts with a context of its own."""

SHELL = """\
import sys
told = sc.parallelize(range(4), 4).map(lambda _: (sys.executable, __import__("edtf").__file__))
print("TOLD", sorted(set(told.collect())))
spark.stop()
"""
"""What is typed into the shell of `boat launch --pip edtf`."""
INTERACTIVE = {"PYSPARK_DRIVER_PYTHON_OPTS": "-i"}
"""Spark's shell is set up by PYTHONSTARTUP, which Python heeds in a terminal, or with -i."""

Way = Literal["python", "spark-submit", "pyspark"]


@dataclass(frozen=True)
class Ended:
    """How a driver program ended."""

    code: int
    stdout: str
    stderr: str
    left: frozenset[Path] = frozenset()
    """Folders of local clusters that are there since."""

    @property
    def result(self) -> Any:
        """What it printed as `RESULT <json>`."""
        lines = [
            line.partition("RESULT ")[2] for line in self.stdout.splitlines() if "RESULT {" in line
        ]
        assert len(lines) == 1, f"one RESULT line was expected:\n{self.tail}"
        return json.loads(lines[0])

    @property
    def tail(self) -> str:
        """The last lines that it said, without the JVM's stack frames."""
        return "\n".join(
            line for text in (self.stdout, self.stderr) for line in [*_without_frames(text)][-60:]
        )


@dataclass(frozen=True)
class SparkPython:
    """Runs driver programs with a store and a working directory of the tests."""

    store: Path
    folder: Path

    def __call__(self, script: str, *arguments: object, **how: Any) -> str:
        """Run a program of `drivers/`; its stdout.

        Arguments as `run`; any failure is the test's.
        """
        return self.checked(script, *arguments, **how).stdout

    def checked(self, script: str, *arguments: object, **how: Any) -> Ended:
        """The same, with all that is known of its end."""
        ended = self.run(script, *arguments, **how)
        assert ended.code == 0, f"{script} ended with {ended.code}:\n{ended.tail}"
        return ended

    def run(
        self,
        script: str,
        *arguments: object,
        python: Path | None = None,
        way: Way = "python",
        wrap: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        timeout: float = 300.0,
    ) -> Ended:
        """Run a program of `drivers/` to its end, whatever that is.

        Args:
            script: file name in `drivers/`.
            arguments: its arguments.
            python: of a virtual environment with pyspark and coffee_boat; default: this one.
            way: how a user starts it.
            wrap: a command that runs the rest as a command of its own.
            env: further variables.
            timeout: seconds; then it and all that it started is killed, and the test fails.
        """
        if way != "python":
            require_java()
        python = python or Path(sys.executable)
        argv = [str(DRIVERS / script), *map(str, arguments)]
        typed = _SHELL.format(argv=argv, script=argv[0]) if way == "pyspark" else None
        commands: dict[Way, list[str]] = {
            "python": [str(python), *argv],
            "spark-submit": [f"{python.parent}/spark-submit", *argv],
            "pyspark": [f"{python.parent}/pyspark", "--master", "local[1]"],
        }
        shell = INTERACTIVE if way == "pyspark" else {}
        before = _local_clusters(python)
        try:
            ended = _run(
                [*wrap, *commands[way]],
                cwd=self.folder,
                env={**plain_environment(python, self.store), **shell, **(env or {})},
                typed=typed,
                timeout=timeout,
            )
            return replace(ended, left=frozenset(_local_clusters(python) - before - _in_use()))
        finally:
            for folder in _local_clusters(python) - before - _in_use():
                shutil.rmtree(folder, ignore_errors=True)


def refusals(run: SparkPython, master: str, *attempts: Mapping[str, Any], **how: Any) -> list[Any]:
    """What each attempt was told, with the store of nobody else; nothing was built for any.

    Args:
        attempts: as `drivers/cluster_refused.py` takes them.
        how: as `SparkPython.run`.
    """
    own = SparkPython(store=run.folder / "store", folder=run.folder)
    words = map(json.dumps, attempts)
    told: list[Any] = own.checked("cluster_refused.py", master, *words, **how).result["attempts"]
    assert not any(each["built"] for each in told), told
    return told


def _local_clusters(python: Path) -> set[Path]:
    """What the workers of local-cluster keep in SPARK_HOME/work, an unpacked environment an
    executor, unless coffee_boat clears it.
    """
    return set(python.parent.parent.glob("lib/python*/site-packages/pyspark/work/app-*"))


def _in_use() -> set[Path]:
    """Folders in or below which a process works: an executor of somebody else's, who began while
    ours ran.
    """
    used = set[Path]()
    for process in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # ended since, or another user's
            used.update((folder := process.readlink(), *folder.parents)[:3])
    return used


def _run(
    argv: list[str], *, cwd: Path, env: dict[str, str], typed: str | None, timeout: float
) -> Ended:
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        text=True,
        errors="replace",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(typed, timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(
            process.pid, signal.SIGKILL
        )  # the session that was made for it: the driver and its JVM
        stdout, stderr = process.communicate()
        ended = Ended(-signal.SIGKILL, stdout, stderr)
        raise AssertionError(f"{argv} did not end within {timeout:.0f} s:\n{ended.tail}") from None
    return Ended(process.returncode, stdout, stderr)


def plain_environment(python: Path, store: Path) -> dict[str, str]:
    """This process's, with nothing of Spark in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    # Spark looks for python3 on PATH; the loopback address spares each JVM the search for another
    # one, and serves without a network
    return {
        **kept,
        "PATH": f"{python.parent}:{kept['PATH']}",
        "COFFEE_BOAT_STORE": str(store),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def check_shell(ended: subprocess.CompletedProcess[str], *, here: bool = False) -> None:
    """That what was typed into the shell ran in the shipped interpreter, with what was asked for.

    Args:
        here: the executor is the driver's own JVM.
    """
    told = [line for line in ended.stdout.splitlines() if "TOLD [" in line]
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert len(told) == 1, ended.stderr[-4000:]
    for executable, edtf in ast.literal_eval(told[0].partition("TOLD ")[2]):
        assert executable != sys.executable
        assert Path(edtf).is_relative_to(Path(executable).parents[1])
        assert here or "/boat-" in executable


def _without_frames(text: str) -> Sequence[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith(("at ", "... "))]
