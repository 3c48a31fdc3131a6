"""A model in ONNX, by onnxruntime: loaded once in each task, then fed with its batches.

    python examples/onnx_udf.py [MASTER]

The model is made here: y = 2 a + 3 b + 1. It travels with the function, as a few hundred bytes;
a large one belongs in a file that executors can read, or in spark.files.
"""

import json
import sys
from collections.abc import Iterator

from coffee_boat import Captain

captain = Captain()
captain.add_pip_packages("onnx", "onnxruntime", "pandas<3", "pyarrow")
spark = captain.launch_ship(master=(sys.argv[1:] or ["local-cluster[2,1,1024]"])[0]).start()

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import pandas as pd  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from pyspark.sql.functions import pandas_udf  # noqa: E402


def model() -> bytes:
    weights = numpy_helper.from_array(np.array([[2.0], [3.0]], np.float32), "weights")
    bias = numpy_helper.from_array(np.array([1.0], np.float32), "bias")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weights", "bias"], ["y"])],
        "line",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [weights, bias],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made.SerializeToString()


MODEL = model()


@pandas_udf("float")
def predict(batches: Iterator[tuple[pd.Series, pd.Series]]) -> Iterator[pd.Series]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a worker has one core of Spark
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    for a, b in batches:
        rows = np.column_stack([a, b]).astype(np.float32)
        yield pd.Series(session.run(None, {"x": rows})[0][:, 0])


frame = spark.range(4).selectExpr("cast(id as float) as a", "cast(id * 10 as float) as b")
print(
    "RESULT", json.dumps([row[0] for row in frame.select(predict("a", "b")).collect()]), flush=True
)
spark.stop()
