"""Arrow: a plain UDF and a pandas UDF do the same, side by side.

    python examples/arrow_udf.py [MASTER] [ROWS]

A plain UDF gets one value at a time, pickled; a pandas UDF gets columns of some thousand rows, by
Arrow, without a copy of each value. The driver needs neither pandas nor pyarrow: it has them from
the captain, too.
"""

import json
import sys
import time

from coffee_boat import Captain

MASTER = sys.argv[1] if len(sys.argv) > 1 else "local-cluster[2,1,1024]"
ROWS = int(sys.argv[2]) if len(sys.argv) > 2 else 2_000_000

captain = Captain()
captain.add_pip_packages("pandas<3", "pyarrow")
spark = captain.launch_ship(master=MASTER).start()

import pandas as pd  # noqa: E402
from pyspark.sql import functions as f  # noqa: E402


@f.udf("double", useArrow=False)
def plain(celsius):
    return celsius * 1.8 + 32


@f.pandas_udf("double")
def by_arrow(celsius: pd.Series) -> pd.Series:
    return celsius * 1.8 + 32


def timed(function):
    """The sum, and the seconds that it took; the first time starts Python, and is not counted."""
    frame = spark.range(ROWS).selectExpr("cast(id as double) as celsius")
    asked = frame.select(f.sum(function("celsius")))
    frame.limit(1).select(function("celsius")).collect()
    began = time.monotonic()
    [[value]] = asked.collect()
    return value, round(time.monotonic() - began, 2)


results = {name: timed(function) for name, function in (("plain", plain), ("arrow", by_arrow))}
print("RESULT", json.dumps(results), flush=True)
spark.stop()
