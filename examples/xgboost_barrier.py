"""XGBoost on all executors at once: its workers talk to each other, so they start together (barrier
mode).

    python examples/xgboost_barrier.py [MASTER] [WORKERS]

xgboost-cpu is XGBoost without what only GPUs use: 5 MB in place of 400.
"""

import json
import sys

from coffee_boat import Captain

captain = Captain()
captain.add_pip_packages("xgboost-cpu", "scikit-learn", "pandas<3", "pyarrow")
spark = captain.launch_ship(master=(sys.argv[1:] or ["local-cluster[2,1,1024]"])[0]).start()

from pyspark.ml.feature import VectorAssembler  # noqa: E402
from xgboost.spark import SparkXGBRegressor  # noqa: E402

numbers = spark.range(400).selectExpr("cast(id % 20 as double) as a", "cast(id % 7 as double) as b")
rows = VectorAssembler(inputCols=["a", "b"], outputCol="features").transform(
    numbers.selectExpr("a", "b", "3 * a + b as label")
)
workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2  # no more than cores, or it waits for ever
model = SparkXGBRegressor(
    features_col="features", label_col="label", num_workers=workers, n_estimators=60
).fit(rows)
worst = model.transform(rows).selectExpr("max(abs(prediction - label))").first()[0]
print("RESULT", json.dumps({"workers": workers, "worst": worst}), flush=True)
spark.stop()
