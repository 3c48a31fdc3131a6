"""A job for cluster mode: says what driver and executors run, and ends with an exit code of its
own.

cluster_job.py CODE
"""

import json
import os
import socket
import sys

from pyspark.sql import SparkSession


def where(_=None):
    import edtf
    import pyarrow

    return {
        "host": socket.gethostname(),
        "executable": sys.executable,
        "edtf": edtf.__file__,
        "pyarrow": pyarrow.__version__,
        "user": os.getuid(),
    }


spark = SparkSession.builder.getOrCreate()
sc = spark.sparkContext
told = {
    "driver": where(),
    "executors": sc.parallelize(range(2), 2).map(where).collect(),
    "queue": sc.getConf().get("spark.yarn.queue", ""),
}
print("RESULT", json.dumps(told), flush=True)
print("the last words of the driver", file=sys.stderr, flush=True)
sys.exit(int(sys.argv[1]))
