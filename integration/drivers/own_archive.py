"""Without coffee_boat: an archive shipped by hand, as Spark's own documentation tells.

own_archive.py MASTER ARCHIVE
"""

import json
import os
import sys

from pyspark import SparkConf, SparkContext

master, archive = sys.argv[1:]
os.environ["PYSPARK_PYTHON"] = "./env/bin/python3"
os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
sc = SparkContext(
    conf=SparkConf()
    .setMaster(master)
    .set("spark.archives", f"{archive}#env")
    .set("spark.task.maxFailures", "1")
)


def libraries(_):
    import ctypes
    import os
    import sqlite3
    import sys

    return (
        os.path.realpath(sys.executable).startswith(os.path.realpath("env")),
        ctypes.sizeof(ctypes.c_long),
        sqlite3.sqlite_version,
    )


try:
    print(
        "RESULT",
        json.dumps({"answers": sc.parallelize([0], 1).map(libraries).collect()}),
        flush=True,
    )
finally:
    sc.stop()
