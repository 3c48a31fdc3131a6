"""spaCy: text into words, by a pipeline that each task makes once, before its batches.

    python examples/spacy_tokenize.py [MASTER]

The pipeline is spaCy's own for English, without a model that would have to be fetched. The function
has a name in SQL, too.
"""

import json
import sys
from collections.abc import Iterator

from coffee_boat import Captain

captain = Captain()
captain.add_pip_packages("spacy", "pandas<3", "pyarrow")
spark = captain.launch_ship(master=(sys.argv[1:] or ["local-cluster[2,1,1024]"])[0]).start()

import pandas as pd  # noqa: E402
from pyspark.sql.functions import pandas_udf  # noqa: E402


@pandas_udf("array<string>")
def tokenize(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
    import spacy

    english = spacy.blank("en")
    for texts in batches:
        yield pd.Series([[word.text for word in doc] for doc in english.pipe(texts)])


spark.udf.register("tokenize", tokenize)
spark.createDataFrame([("Don't sink the boat!",), ("",)], "text string").createOrReplaceTempView(
    "said"
)
rows = spark.sql("SELECT tokenize(text) FROM said").collect()
print("RESULT", json.dumps([row[0] for row in rows]), flush=True)
spark.stop()
