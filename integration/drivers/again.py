"""The same requirements again: what is planned, and how long a launch takes until the first answer
of an executor.

again.py MASTER
"""

import json
import sys
import time

from pyspark import SparkContext

from coffee_boat import Captain

started = time.perf_counter()
captain = Captain()
captain.add_pip_packages("pyarrow", "edtf")
actions = sorted({item.action for item in captain.plan().items})
captain.launch_ship()
launched = time.perf_counter() - started
sc = SparkContext(master=sys.argv[1])


def names(_):
    import edtf
    import pyarrow

    return [edtf.__name__, pyarrow.__name__]


answers = sc.parallelize([0], 1).map(names).collect()
print(
    "RESULT",
    json.dumps(
        {
            "actions": actions,
            "answers": answers,
            "launched": launched,
            "answered": time.perf_counter() - started,
        }
    ),
    flush=True,
)
sc.stop()
