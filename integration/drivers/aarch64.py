"""Nodes of aarch64, by emulation: refused by nodes that are not, then launched, added to, upgraded.

aarch64.py MASTER PLATFORM PREFIX conda|standalone [CHANNEL]
"""

import json
import os
import sys

from pyspark import SparkConf
from pyspark.sql import SparkSession

from coffee_boat import Captain
from coffee_boat.errors import LaunchError

master, platform, prefix, how, *channel = sys.argv[1:]


def asked() -> Captain:
    captain = Captain(platform=platform, python="conda" if how == "conda" else None)
    if channel:
        captain.add_conda_packages("pure", channel=channel[0])
    return captain.add_pip_packages("pandas", "pyarrow")


refused = {}
try:
    asked().launch_ship(master=master)
except LaunchError as error:  # the nodes of this master are this machine
    refused = {"code": error.code, "value": error.value, "cure": error.cure}

os.environ["COFFEE_BOAT_PREFLIGHT"] = "warn"  # the kernel runs what the nodes say they do not
captain = asked()
captain.launch_ship()
conf = SparkConf().set("spark.ui.enabled", "false").set("spark.executorEnv.QEMU_LD_PREFIX", prefix)
spark = SparkSession.builder.config(conf=conf).master(master).getOrCreate()

import pandas as pd  # noqa: E402 - the driver has its own, from the launch on
from pyspark.sql.functions import pandas_udf  # noqa: E402


@pandas_udf("string")
def where(numbers: pd.Series) -> pd.Series:
    import platform

    return numbers.map(lambda number: f"{platform.machine()} {number}")


def humanized(_):
    import importlib.metadata
    import platform

    import humanize

    return platform.machine(), humanize.intword(10**6), importlib.metadata.version("humanize")


rows = [row[0] for row in spark.range(4, numPartitions=2).select(where("id")).collect()]
report = captain.verify(modules=["numpy", "pyarrow"])
numbers = spark.sparkContext.parallelize(range(2), 2).map(humanized)
captain.add_pip_packages("humanize==4.12.0", wait=60)
added = sorted(set(numbers.collect()))
captain.upgrade_pip_packages("humanize==4.13.0", wait=60)
upgraded = sorted(set(numbers.collect()))
print(report, file=sys.stderr)
print(
    "RESULT",
    json.dumps(
        {
            "refused": refused,
            "rows": rows,
            "ok": report.ok,
            "executors": len(report.executors),
            "machines": sorted({executor.architecture for executor in report.executors}),
            "foreign": [executor.foreign_files for executor in report.executors],
            "conda": sorted(pin.name for pin in captain.lock.conda),
            "added": added,
            "upgraded": upgraded,
        }
    ),
    flush=True,
)
spark.stop()
