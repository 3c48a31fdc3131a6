"""A model of torch in a pandas UDF: its weights are broadcast, and each task makes it once.

    python examples/torch_udf.py [MASTER [BUILD]]

BUILD is that of PyTorch's index, "cpu" unless it is said: 200 MB. "pypi" is what PyPI has: with
CUDA, 3 GB.
"""

import io
import json
import sys
from collections.abc import Iterator

from coffee_boat import Captain

master = sys.argv[1] if len(sys.argv) > 1 else "local-cluster[2,1,1024]"
build = sys.argv[2] if len(sys.argv) > 2 else "cpu"
captain = Captain(torch_backend=None if build == "pypi" else build)
captain.add_pip_packages("torch", "numpy", "pandas<3", "pyarrow")
spark = captain.launch_ship(master=master).start()

import pandas as pd  # noqa: E402
import torch  # noqa: E402
from pyspark.sql.functions import pandas_udf  # noqa: E402

line = torch.nn.Linear(1, 1)
with torch.no_grad():
    line.weight.fill_(2.0)
    line.bias.fill_(1.0)
saved = io.BytesIO()
torch.save(line.state_dict(), saved)
weights = spark.sparkContext.broadcast(saved.getvalue())


@pandas_udf("float")
def predict(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
    import torch

    torch.set_num_threads(1)  # a worker has one core of Spark
    model = torch.nn.Linear(1, 1)
    model.load_state_dict(torch.load(io.BytesIO(weights.value), weights_only=True))
    model.eval()
    with torch.no_grad():
        for batch in batches:
            rows = torch.tensor(batch.to_numpy(copy=True), dtype=torch.float32).reshape(-1, 1)
            yield pd.Series(model(rows).reshape(-1).numpy())


answers = spark.range(4).select(predict("id")).collect()
print("RESULT", json.dumps([row[0] for row in answers]), flush=True)
spark.stop()
