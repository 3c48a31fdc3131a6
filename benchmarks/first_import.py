"""The first import of pandas + pyarrow + scikit-learn in a fresh worker, with and without preload,
with and without shipped bytecode.

    python benchmarks/first_import.py [--cache FOLDER] [--repeat N]

Each row is a session of its own on local-cluster[1,1,1024], without worker reuse, so that each task
has a fresh worker. Workers are forked by a daemon that starts with the executor's first task; with
preload it imports the modules before, and that first job waits for it. Without shipped bytecode the
first worker of an executor compiles what it imports, and writes it beside the package if it can.
Medians over the sessions.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _common import QUIET, Workshop, arguments, median, on_each, shown, stop, table, versions

PACKAGES = ("pandas", "pyarrow", "scikit-learn")
MODULES = ("pandas", "pyarrow", "sklearn.ensemble")
MASTER = "local-cluster[1,1,1024]"
LATER = 4


def timed_import() -> float:
    """Seconds, in the worker."""
    import importlib
    import time

    started = time.perf_counter()
    for module in ("pandas", "pyarrow", "sklearn.ensemble"):
        importlib.import_module(module)
    return time.perf_counter() - started


def unpacked() -> dict[str, float]:
    """How long the executor's unpacking took: from its first file to boat.json, the last, by the
    times of their inodes.
    """
    import os
    import sys

    root = os.path.realpath(sys.prefix)
    born = [
        os.stat(os.path.join(folder, name), follow_symlinks=False).st_ctime
        for folder, _, names in os.walk(root)
        for name in names
        if not name.endswith(".pyc")
    ]
    return {"unpack": os.stat(os.path.join(root, "boat.json")).st_ctime - min(born)}


def session(store: str, preload: str) -> dict[str, Any]:
    """One session's figures."""
    from coffee_boat import Captain

    captain = Captain(store=store)
    captain.add_pip_packages(*PACKAGES)
    if preload == "yes":
        captain.preload(*MODULES)
    with tempfile.TemporaryDirectory() as folder:
        archive = captain.pack(Path(folder) / "boat.tar.gz")
    captain.launch_ship(MASTER, {**QUIET, "spark.python.worker.reuse": "false"})
    context = captain.start().sparkContext
    # the executor is up and has unpacked before the first Python job: a job of the JVM only
    context._jvm.org.apache.spark.api.java.JavaSparkContext.fromSparkContext(
        context._jsc.sc()
    ).parallelize(context._jvm.java.util.ArrayList([1])).count()
    jobs, imports = [], []
    for _ in range(1 + LATER):
        started = time.perf_counter()
        imports += on_each(context, 1, timed_import)
        jobs.append(time.perf_counter() - started)
    found = {
        **on_each(context, 1, unpacked)[0],
        "size": archive.size,
        "files": sum(chunk.files for chunk in archive.chunks),
    }
    stop(context)
    return {
        **found,
        "first import": imports[0],
        "first job": jobs[0],
        "later import": median(imports[1:]),
        "later job": median(jobs[1:]),
    }


def main() -> None:
    parser = arguments(__doc__, repeat=3)
    parser.add_argument(
        "--session",
        nargs=2,
        metavar=("STORE", "PRELOAD"),
        help="one session only; its figures as JSON",
    )
    given = parser.parse_args()
    if given.session:
        print(json.dumps(session(*given.session)))
        return
    shop, rows = Workshop(given.cache), []
    os.environ["UV_CACHE_DIR"] = str(shop.path("uv-cache"))
    for bytecode in ("base", "all"):
        for preload in ("no", "yes"):
            runs = [
                shop.child(
                    __file__,
                    "--session",
                    shop.path("store"),
                    preload,
                    COFFEE_BOAT_BYTECODE=bytecode,
                )
                for _ in range(given.repeat)
            ]
            print(
                f"  bytecode {bytecode}, preload {preload}: first import"
                f" {shown(run['first import'] for run in runs)} s",
                file=sys.stderr,
                flush=True,
            )
            figures = [
                median(run[name] for run in runs)
                for name in ("first import", "first job", "later import", "later job", "unpack")
            ]
            rows.append(
                [
                    "packages too" if bytecode == "all" else "Python, pyspark",
                    preload,
                    *figures,
                    round(runs[0]["size"] / 1e6, 1),
                    runs[0]["files"],
                ]
            )
    print(f"\n{versions('coffee_boat', 'pyspark')}")
    print(
        f"{MASTER}; {' '.join(PACKAGES)}; import {', '.join(MODULES)}; medians of {given.repeat}"
        f" sessions, later: of {LATER} workers each; seconds"
    )
    print("all chunks in the store; the executor has unpacked the archive before the first job\n")
    head = (
        "bytecode shipped of",
        "preload",
        "first import",
        "first job",
        "later import",
        "later job",
        "unpack",
        "MB",
        "files",
    )
    print(table(head, rows))
    print(
        f"\nfirst import over later, without preload: {_ratio(rows[0])} x without shipped bytecode,"
        f" {_ratio(rows[2])} x with it"
    )


def _ratio(row: list[Any]) -> str:
    return f"{row[2] / row[4]:.1f}"


if __name__ == "__main__":
    main()
