"""numpy, pandas and pyarrow: compiled wheels, Arrow batches between the JVM and Python, then the
Report.

science.py MASTER
"""

import json
import sys

from pyspark.sql import SparkSession

from coffee_boat import Captain

captain = Captain()
captain.add_pip_packages("numpy", "pandas", "pyarrow")
captain.launch_ship(master=sys.argv[1])
spark = SparkSession.builder.getOrCreate()

import numpy as np  # noqa: E402 - the driver has them too, from the launch on
import pandas as pd  # noqa: E402
from pyspark.sql.functions import pandas_udf  # noqa: E402


@pandas_udf("double")
def root(values: pd.Series) -> pd.Series:
    return pd.Series(np.sqrt(values.to_numpy()))


def arrow_first(_):
    import numpy
    import pyarrow

    return pyarrow.array(numpy.arange(3)).to_pylist()


total = (
    spark.range(1, 101, numPartitions=4)
    .select(root("id").alias("root"))
    .groupBy()
    .sum("root")
    .first()[0]
)
arrays = spark.sparkContext.parallelize([0], 1).map(arrow_first).collect()
report = captain.verify(modules=["numpy", "pandas", "pyarrow"])
print(report, file=sys.stderr)
print(
    "RESULT",
    json.dumps(
        {
            "total": total,
            "arrays": arrays,
            "ok": report.ok,
            "report": str(report),
            "locks": sorted({executor.lock_digest for executor in report.executors}),
            "lock": report.lock.digest,
            "foreign": [executor.foreign_files for executor in report.executors],
            "hosts": sorted(executor.host for executor in report.executors),
            "pyspark": sorted({executor.pyspark for executor in report.executors}),
        }
    ),
    flush=True,
)
spark.stop()
