"""A driver whose pyspark has no SparkContext: connect_only.py URL"""

import json
import sys

import pyspark
from pyspark.sql.functions import udf

from coffee_boat import Captain

captain = Captain()
captain.add_pip_packages("humanize")  # pyarrow comes by itself
captain.launch_ship(master=sys.argv[1])
spark = captain.start()


@udf("string")
def spoken(number):
    import humanize

    return humanize.intword(number)


numbers = [row[0] for row in spark.range(1_000_000, 1_000_001).select(spoken("id")).collect()]
report = captain.verify()
told = {
    "context": hasattr(pyspark, "SparkContext"),
    "py4j": "py4j" in sys.modules,
    "numbers": numbers,
    "ok": report.ok,
    "report": str(report),
    "wanted": list(captain.manifest.texts),
}
print("RESULT", json.dumps(told), flush=True)
spark.stop()
