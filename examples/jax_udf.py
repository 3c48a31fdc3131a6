"""A function of jax in a pandas UDF: it is compiled once a worker, and its weights are broadcast.

python examples/jax_udf.py [MASTER]
"""

import json
import sys
from collections.abc import Iterator

from coffee_boat import Captain

captain = Captain()
captain.add_pip_packages("jax", "pandas<3", "pyarrow")
spark = captain.launch_ship(master=(sys.argv[1:] or ["local-cluster[2,1,1024]"])[0]).start()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from pyspark.sql.functions import pandas_udf  # noqa: E402

weights = spark.sparkContext.broadcast(np.array([2.0, 1.0], dtype="float32"))


@pandas_udf("float")
def predict(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
    import jax

    slope, offset = weights.value
    line = jax.jit(lambda rows: slope * rows + offset)
    for batch in batches:
        yield pd.Series(np.asarray(line(batch.to_numpy(dtype="float32"))))


answers = spark.range(4).select(predict("id")).collect()
print("RESULT", json.dumps([row[0] for row in answers]), flush=True)
spark.stop()
