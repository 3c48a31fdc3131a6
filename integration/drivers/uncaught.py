"""A script that ends with its first failure, at once: an interpreter that is not there.

uncaught.py [stop]      with `stop` it stops its context on the way out
"""

import sys

from pyspark import SparkContext

from coffee_boat import Captain

captain = Captain(ship_python=False)
captain.launch_ship()
sc = SparkContext(master="local[1]")
sc.pythonExec = "/there/is/no/python"
try:
    sc.parallelize([0], 1).map(lambda number: number + 1).collect()
finally:
    if sys.argv[1:] == ["stop"]:
        sc.stop()
