"""A Transformer and an Estimator in Python between stages of the JVM, in one Pipeline that is saved
and loaded again.

    python examples/ml_pipeline.py [MASTER]

What the Transformer does on executors needs a package that they do not have by themselves.
"""

import json
import sys
import tempfile

from coffee_boat import Captain

captain = Captain()
captain.add_pip_packages("unidecode", "numpy")
spark = captain.launch_ship(master=(sys.argv[1:] or ["local-cluster[2,1,1024]"])[0]).start()

from pyspark import keyword_only  # noqa: E402
from pyspark.ml import Estimator, Model, Pipeline, PipelineModel, Transformer  # noqa: E402
from pyspark.ml.feature import HashingTF, Tokenizer  # noqa: E402
from pyspark.ml.param import Param, Params, TypeConverters  # noqa: E402
from pyspark.ml.param.shared import HasInputCol, HasOutputCol  # noqa: E402
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable  # noqa: E402
from pyspark.sql import DataFrame  # noqa: E402
from pyspark.sql.functions import col, length, udf  # noqa: E402


class PlainLetters(
    Transformer, HasInputCol, HasOutputCol, DefaultParamsReadable, DefaultParamsWritable
):
    """Text without accents."""

    @keyword_only
    def __init__(self, inputCol: str | None = None, outputCol: str | None = None) -> None:  # noqa: ARG002, N803
        super().__init__()
        self._set(**self._input_kwargs)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        def plain(text: str) -> str:
            from unidecode import unidecode

            return unidecode(text)

        made = udf(plain, "string")(self.getInputCol())
        return dataset.withColumn(self.getOutputCol(), made)


class Longest(Estimator, HasInputCol, DefaultParamsReadable, DefaultParamsWritable):
    """Learns how long the longest text is."""

    @keyword_only
    def __init__(self, inputCol: str | None = None) -> None:  # noqa: ARG002, N803
        super().__init__()
        self._set(**self._input_kwargs)

    def _fit(self, dataset: DataFrame) -> "LongestModel":
        lengths = dataset.select(length(self.getInputCol()).alias("characters"))
        most = lengths.agg({"characters": "max"}).first()[0]
        return LongestModel(inputCol=self.getInputCol(), most=most)


class LongestModel(Model, HasInputCol, DefaultParamsReadable, DefaultParamsWritable):
    """Says what part of the longest text each one is."""

    most = Param(Params._dummy(), "most", "characters of the longest", TypeConverters.toInt)

    @keyword_only
    def __init__(self, inputCol: str | None = None, most: int | None = None) -> None:  # noqa: ARG002, N803
        super().__init__()
        self._set(**self._input_kwargs)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        return dataset.withColumn(
            "part", length(col(self.getInputCol())) / self.getOrDefault("most")
        )


ships = spark.createDataFrame([("Fährschiff über See",), ("naïve bateau",)], "text string")
stages = [
    PlainLetters(inputCol="text", outputCol="plain"),
    Longest(inputCol="plain"),
    Tokenizer(inputCol="plain", outputCol="words"),
    HashingTF(inputCol="words", outputCol="features", numFeatures=32),
]
fitted = Pipeline(stages=stages).fit(ships)
with tempfile.TemporaryDirectory() as folder:
    fitted.write().overwrite().save(f"file://{folder}/pipeline")
    again = PipelineModel.load(f"file://{folder}/pipeline")
    rows = again.transform(ships).select("plain", "words", "part").collect()
print(
    "RESULT", json.dumps([[row.plain, row.words, round(row.part, 2)] for row in rows]), flush=True
)
spark.stop()
