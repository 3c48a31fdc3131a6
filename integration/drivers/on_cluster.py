"""What is submitted in cluster mode: tells of the driver and of executors, and ends with the code
that it is given.

on_cluster.py CODE
"""

import json
import os
import sys

import edtf
import pyarrow
from pyspark.sql import SparkSession


def use_both(_):
    import os
    import socket
    import sys
    import time

    import edtf
    import pyarrow

    time.sleep(0.5)
    return (
        socket.gethostname(),
        sys.executable,
        os.getcwd(),
        pyarrow.array([40, 2]).sum().as_py(),
        str(edtf.parse_edtf("1984-06?")),
    )


spark = SparkSession.builder.getOrCreate()
seen = set()
for _ in range(20):
    seen |= set(spark.sparkContext.parallelize(range(4), 4).map(use_both).collect())
    if len({host for host, *_ in seen}) == 2:
        break
told = {
    "executable": sys.executable,
    "folder": os.getcwd(),
    "edtf": str(edtf.parse_edtf("1984-06?")),
    "sum": pyarrow.array([40, 2]).sum().as_py(),
    "seen": sorted(seen),
}
print("RESULT", json.dumps({**told, "nousersite": os.environ.get("PYTHONNOUSERSITE")}), flush=True)
spark.stop()
if sys.argv[1] != "0":
    print("ValueError: the sea is rough", file=sys.stderr, flush=True)
sys.exit(int(sys.argv[1]))
