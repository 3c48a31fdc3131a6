"""Two applications, one after the other, with the same requirements and a stage: what each node has
of the archive, and when it came.

cluster_staged.py MASTER STAGE
"""

import json
import sys
import time

from pyspark import SparkContext

from coffee_boat import Captain

MASTER, STAGE = sys.argv[1:]


def look(_):
    import os
    import socket
    import sys
    import time

    import edtf  # noqa: F401

    time.sleep(0.5)
    folder = os.path.realpath(sys.prefix)
    unpacked = os.stat(os.path.join(folder, "boat.json"))
    return socket.gethostname(), folder, unpacked.st_ino, unpacked.st_ctime


def staged(sc):
    """Names and times of what is in the stage, but for what tells of its use."""
    path = sc._jvm.org.apache.hadoop.fs.Path(STAGE)
    found = path.getFileSystem(sc._jsc.hadoopConfiguration()).listStatus(path)
    return {
        one.getPath().getName(): one.getModificationTime()
        for one in found
        if not one.getPath().getName().startswith(".")
    }


def application(captain):
    started = time.monotonic()
    sc = SparkContext(master=MASTER)
    up = time.monotonic()
    seen, deadline = {}, time.monotonic() + 240
    while len(seen) < 2 and time.monotonic() < deadline:
        seen |= {host: rest for host, *rest in sc.parallelize(range(4), 4).map(look).collect()}
    told = {
        "id": sc.applicationId,
        "nodes": seen,
        "stage": staged(sc),
        "archives": sc.getConf().get("spark.yarn.dist.archives"),
        "seconds": [up - started, time.monotonic() - up],
    }
    sc.stop()
    return told


captain = Captain(stage=STAGE)
captain.add_pip_packages("edtf")
captain.launch_ship()
print(
    "RESULT", json.dumps({"applications": [application(captain), application(captain)]}), flush=True
)
