"""A model of keras on tensorflow in a pandas UDF: it travels as its file, which each task
loads once.

    python examples/keras_udf.py [MASTER]
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from coffee_boat import Captain

captain = Captain()
captain.add_pip_packages("tensorflow-cpu", "pandas<3", "pyarrow")
spark = captain.launch_ship(master=(sys.argv[1:] or ["local-cluster[2,1,1024]"])[0]).start()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from pyspark.sql.functions import pandas_udf  # noqa: E402

line = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
line.layers[0].set_weights([np.array([[2.0]]), np.array([1.0])])
with tempfile.TemporaryDirectory() as folder:
    line.save(Path(folder) / "line.keras")
    saved = spark.sparkContext.broadcast((Path(folder) / "line.keras").read_bytes())


@pandas_udf("float")
def predict(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
    import keras

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "line.keras").write_bytes(saved.value)
        model = keras.saving.load_model(Path(folder) / "line.keras")
    for batch in batches:
        rows = batch.to_numpy(dtype="float32").reshape(-1, 1)
        yield pd.Series(model.predict(rows, verbose=0)[:, 0])


answers = spark.range(4).select(predict("id")).collect()
print("RESULT", json.dumps([row[0] for row in answers]), flush=True)
spark.stop()
