"""TensorFlowOnSpark: executors that are one cluster of TensorFlow. They learn a line together, each
step on the mean of all gradients, then Spark feeds them what to predict.

    python examples/tensorflow_on_spark.py [MASTER]
"""

import json
import sys

from coffee_boat import Captain

captain = Captain()
# setuptools for pkg_resources, which TensorFlowOnSpark asks for the version of TensorFlow
captain.add_pip_packages("tensorflowonspark", "tensorflow-cpu", "setuptools<81")
spark = captain.launch_ship(master=(sys.argv[1:] or ["local-cluster[2,1,1024]"])[0]).start()

from tensorflowonspark import TFCluster  # noqa: E402


def node(_, context):
    """Runs once on each executor."""
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # its peers are in TF_CONFIG
    with strategy.scope():
        slope, start = tf.Variable(0.0), tf.Variable(0.0)
    mine = 0.0 if context.job_name == "chief" else 3.0  # one point each: alone none finds the line

    def gradients():
        with tf.GradientTape() as tape:
            error = (slope * mine + start - (2 * mine + 1)) ** 2
        return tape.gradient(error, [slope, start])

    @tf.function
    def step():
        means = [
            strategy.reduce(tf.distribute.ReduceOp.MEAN, one, axis=None)
            for one in strategy.run(gradients)
        ]
        for variable, mean in zip((slope, start), means, strict=True):
            variable.assign_sub(0.1 * mean)

    for _ in range(300):
        step()
    feed = context.get_data_feed(train_mode=False)
    while not feed.should_stop():
        rows = feed.next_batch(10)
        if rows:
            feed.batch_results([float(slope * row + start) for row in rows])


cluster = TFCluster.run(
    spark.sparkContext,
    node,
    [],
    num_executors=2,
    num_ps=0,
    master_node="chief",
    input_mode=TFCluster.InputMode.SPARK,
)
rows = spark.sparkContext.parallelize([0.0, 1.0, 2.0, 3.0], 2)
answers = sorted(round(answer, 3) for answer in cluster.inference(rows).collect())
nodes = sorted(one["job_name"] for one in cluster.cluster_info)
cluster.shutdown()
print("RESULT", json.dumps({"answers": answers, "nodes": nodes}), flush=True)
spark.stop()
