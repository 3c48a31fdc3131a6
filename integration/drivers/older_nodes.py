"""Nodes whose glibc is older than the driver's: told, and served.

older_nodes.py MASTER PYTHON
"""

import json
import sys

from pyspark import SparkConf
from pyspark.sql import SparkSession

from coffee_boat import BoatError, Captain

master, python = sys.argv[1:]


def told(error):
    return {name: getattr(error, name) for name in ("code", "what", "value", "cause", "cure")}


def asked(**options):
    return Captain(**options).add_pip_packages("pandas", "pyarrow", "edtf")


def session():
    return SparkSession.builder.config(conf=conf).master(master).getOrCreate()


conf = SparkConf().set("spark.ui.enabled", "false").set("spark.task.maxFailures", "1")
refused = {}
try:
    asked(platform="manylinux_2_31_x86_64").launch_ship(master=master)
except BoatError as error:  # with the interpreter of this machine
    refused["named"] = told(error)

captain = asked()
captain.launch_ship()
spark = session()
try:
    captain.verify()
except BoatError as error:
    refused["own"] = told(error)
spark.stop()

captain = asked(platform="manylinux_2_31_x86_64", python=python)
captain.launch_ship()
spark = session()

import pandas as pd  # noqa: E402 - the driver has its own, from the launch on
from pyspark.sql.functions import pandas_udf  # noqa: E402


@pandas_udf("string")
def where(numbers: pd.Series) -> pd.Series:
    import platform

    import edtf

    year = edtf.parse_edtf("1984~").lower_strict().tm_year
    return numbers.map(lambda number: f"{platform.libc_ver()[1]} {year} {number}")


rows = sorted(row[0] for row in spark.range(4, numPartitions=2).select(where("id")).collect())
report = captain.verify(modules=["numpy", "pyarrow"])
print(report, file=sys.stderr)
print(
    "RESULT",
    json.dumps(
        {
            "refused": refused,
            "rows": rows,
            "ok": report.ok,
            "glibc": sorted({executor.glibc for executor in report.executors}),
        }
    ),
    flush=True,
)
spark.stop()
