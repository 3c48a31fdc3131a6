"""Fifty changes of one session, additions and then upgrades, on local-cluster[2,1,1024]: whether
the last takes longer than the second, and what is left of them.

    python benchmarks/many_changes.py [--cache FOLDER] [--repeat 50]

The packages are made here: wheels with one module of one line. The time is from the call until a
task on each executor has imported the package in its version. Also: an import that fails, in a
task, before and after the additions; Python processes of the executors and the bytes of their
folders (a file with several names once), before and after each fifty.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _common import CHECKOUT, QUIET, Workshop, arguments, median, on_each, stop, table, versions

sys.path.insert(0, str(CHECKOUT))
from integration.crowd_wheels import wheel

MASTER, EXECUTORS = "local-cluster[2,1,1024]", 2
BASE = ("crewballast==0.0",)


def write(folder: Path, count: int) -> None:
    """One package in many versions, and many packages."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count + 1):
        version = f"{number}.0"
        body = f"VERSION = {version!r}\n".encode()
        wheel(folder, "crewballast", version, {"crewballast/__init__.py": body})
        name = f"crewstone{number}"
        wheel(folder, name, "1.0", {f"{name}/__init__.py": b"VERSION = '1.0'\n"})


def imported(name: str) -> str:
    """In a task: the version of a module."""

    return str(importlib.import_module(name).VERSION)


def failing() -> float:
    """In a task: milliseconds of an import that fails, the fastest of some."""
    import time

    took = []
    for number in range(20):
        began = time.perf_counter()
        try:
            __import__(f"_nothing_is_called_so_{number}")
        except ImportError:
            took.append(1000 * (time.perf_counter() - began))
    return min(took)


def of_the_executors(context: Any) -> list[int]:
    """Pids of the executors' Pythons: those that work in a folder of this application."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if _is_python_below(process, context.applicationId)
    ]


def _is_python_below(process: Path, folder: str) -> bool:
    try:
        command = (process / "cmdline").read_bytes().partition(b"\0")[0]
        return b"python" in command and folder in str((process / "cwd").readlink())
    except OSError:  # ended since
        return False


def bytes_of(folder: Path) -> int:
    """What a folder takes, with files that have several names once."""
    seen: dict[tuple[int, int], int] = {}
    for state in _states(folder):
        seen[state.st_dev, state.st_ino] = 512 * state.st_blocks
    return sum(seen.values())


def _states(folder: Path) -> Iterator[os.stat_result]:
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield os.lstat(os.path.join(place, name))


def main() -> None:
    given = arguments(__doc__, repeat=50).parse_args()
    shop, count = Workshop(given.cache), given.repeat
    wheels = shop.path("many-wheels")
    write(wheels, count)
    import pyspark

    from coffee_boat import Captain

    captain = Captain(store=shop.path("many-store"), find_links=[str(wheels)])
    captain.add_pip_packages(*BASE)
    captain.launch_ship(MASTER, QUIET)
    context = captain.start().sparkContext
    work = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent) / "work"
    on_each(context, EXECUTORS, lambda: imported("crewballast"))

    def left() -> tuple[int, int]:
        return len(of_the_executors(context)), bytes_of(work / context.applicationId)

    def timed(act: Any, name: str, version: str) -> float:
        began = time.perf_counter()
        act()
        found = on_each(context, EXECUTORS, lambda: imported(name))
        if set(found) != {version}:
            sys.exit(f"{name} {version} was wanted, and {found} seen")
        took = time.perf_counter() - began
        print(f"{name} {version}: {took:.2f} s, load {os.getloadavg()[0]:.1f}", flush=True)
        return took

    rows, fails = [], [median(on_each(context, EXECUTORS, failing))]
    states = [left()]
    added = [
        timed(lambda n=n: captain.add_pip_packages(f"crewstone{n}"), f"crewstone{n}", "1.0")
        for n in range(1, count + 1)
    ]
    fails.append(median(on_each(context, EXECUTORS, failing)))
    states.append(left())
    changed = [
        timed(
            lambda n=n: captain.upgrade_pip_packages(f"crewballast=={n}.0"),
            "crewballast",
            f"{n}.0",
        )
        for n in range(1, count + 1)
    ]
    states.append(left())
    for what, times in (("additions", added), ("upgrades", changed)):
        rows.append([what, times[1], times[-1], f"{times[-1] / times[1]:.2f}", median(times)])
    print(f"\n{versions('coffee_boat', 'pyspark', 'uv')}; {MASTER}, load {os.getloadavg()[0]:.1f}")
    print(table((f"{count} of each", "2nd, s", "last, s", "last / 2nd", "median, s"), rows))
    print(f"\nan import that fails: {fails[0]:.2f} ms, with {count} layers {fails[1]:.2f} ms")
    for when, (processes, size) in zip(("before", "additions", "upgrades"), states, strict=True):
        print(f"{when}: {processes} Python processes, {size / 1e6:.1f} MB on the executors' disks")
    stop(context)


if __name__ == "__main__":
    main()
