"""A driver whose pyspark has no SparkContext: connect_only.py URL"""

import json
import sys

import pyspark
from pyspark.sql.functions import udf

from coffee_boat import Captain

captain = Captain()
captain.add_pip_packages("humanize")  # pyarrow comes by itself


def million(number):
    import humanize

    return humanize.intword(number)


class Words:
    def eval(self, text: str):
        yield from ((word, len(word)) for word in text.split())


captain.add_function("million", million, returns="string")
captain.launch_ship(master=sys.argv[1])
spark = captain.start()


@udf("string")
def spoken(number):
    import humanize

    return humanize.intword(number)


numbers = [row[0] for row in spark.range(1_000_000, 1_000_001).select(spoken("id")).collect()]
captain.add_function("words", Words, returns="word string, length int")
by_name = [
    [list(row) for row in spark.sql(query).collect()]
    for query in ("SELECT million(1000000)", "SELECT * FROM words('a bcd')")
]
report = captain.verify()
told = {
    "context": hasattr(pyspark, "SparkContext"),
    "py4j": "py4j" in sys.modules,
    "numbers": numbers,
    "by name": by_name,
    "ok": report.ok,
    "report": str(report),
    "wanted": list(captain.manifest.texts),
}
print("RESULT", json.dumps(told), flush=True)
spark.stop()
