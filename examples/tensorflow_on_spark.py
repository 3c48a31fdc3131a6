"""TensorFlowOnSpark: each executor is a node of one TensorFlow cluster, and is fed by Spark.

python examples/tensorflow_on_spark.py [MASTER [NODES]]
"""

import json
import sys
import tempfile
from pathlib import Path

from coffee_boat import Captain

MASTER = sys.argv[1] if len(sys.argv) > 1 else "local-cluster[2,1,1024]"
NODES = int(sys.argv[2]) if len(sys.argv) > 2 else 2  # as many as executors, of one core each

captain = Captain()
captain.add_pip_packages("tensorflow-cpu", "tensorflowonspark", "numpy")
spark = captain.launch_ship(master=MASTER, conf={"spark.python.worker.reuse": "true"}).start()

from tensorflowonspark import TFCluster  # noqa: E402


def train(args, context):
    """Runs in each node: it learns a line from what Spark feeds, and writes what it found."""
    import keras
    import numpy as np
    from tensorflowonspark import TFNode

    line = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    line.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    feed = TFNode.DataFeed(context.mgr, train_mode=True)
    rows = 0
    while not feed.should_stop():
        batch = np.array(feed.next_batch(32), dtype="float32")
        if len(batch):
            rows += len(batch)
            line.train_on_batch(batch[:, :1], batch[:, 1:])
    weight, offset = (float(value.ravel()[0]) for value in line.get_weights())
    Path(args["folder"], f"{context.executor_id}.json").write_text(
        json.dumps({"rows": rows, "weight": weight, "offset": offset, "python": sys.executable})
    )


numbers = spark.sparkContext.parallelize(
    [(i % 9 / 9, i % 9 / 9 * 2 + 1) for i in range(4000)], NODES
)
with tempfile.TemporaryDirectory() as folder:
    cluster = TFCluster.run(
        *(spark.sparkContext, train, {"folder": folder}),
        num_executors=NODES,
        num_ps=0,
        input_mode=TFCluster.InputMode.SPARK,
        master_node="chief",
    )
    cluster.train(numbers, num_epochs=1)
    cluster.shutdown(grace_secs=5)
    found = [json.loads(file.read_text()) for file in sorted(Path(folder).iterdir())]
print("RESULT", json.dumps(found), flush=True)
spark.stop()
