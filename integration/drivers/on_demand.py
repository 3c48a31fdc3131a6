"""A session whose executors fetch what they have to unpack: which of them do, what happens once it
is gone from a node, and then from the driver, too.

    on_demand.py MASTER EXECUTORS
"""

import json
import sys
import time
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark import SparkConf, SparkContext

from coffee_boat import Captain

MASTER, EXECUTORS = sys.argv[1], int(sys.argv[2])
captain = Captain(install_local=False)
captain.add_pip_packages("toolz")
captain.launch_ship()
conf = SparkConf().setAll([("spark.executor.cores", "1"), ("spark.executor.memory", "512m")])
sc = SparkContext(master=MASTER, conf=conf)


def fetched(_):
    import glob
    import os
    import socket
    import time

    import toolz

    time.sleep(0.3)
    there = len(glob.glob("boat-*.cargo"))
    return socket.gethostname(), os.getcwd(), there, os.path.realpath(toolz.__file__)


def lost(_):
    """Let this node have neither the environment nor the cargo, and Spark start Python anew; in a
    while, so that each executor can be told.
    """
    import glob
    import os
    import shutil
    import signal
    import sys
    import time

    time.sleep(0.3)
    daemon = os.getppid()
    if not os.fork():
        time.sleep(3)
        shutil.rmtree(os.path.dirname(sys.prefix), ignore_errors=True)
        for cargo in glob.glob("boat-*.cargo"):
            os.unlink(cargo)
        os.kill(daemon, signal.SIGKILL)
        os._exit(0)
    return os.getcwd()


def on_all(function, number):
    """What it gives on each executor, once there are so many."""
    deadline, seen = time.monotonic() + 60, {}
    while len(seen) < EXECUTORS and time.monotonic() < deadline:
        found = sc.parallelize(range(2 * EXECUTORS), 2 * EXECUTORS).map(function).collect()
        seen |= {number(one): one for one in found}
    return list(seen.values())


def lose():
    on_all(lost, lambda folder: folder)
    time.sleep(6)


told = {"first": on_all(fetched, lambda answer: answer[1])}
lose()
told["again"] = on_all(fetched, lambda answer: answer[1])
lose()
Path(sc.getConf().get("spark.coffee_boat.cargo")).unlink()
try:
    sc.parallelize(range(2), 2).map(fetched).collect()
except Py4JJavaError as error:
    told["error"] = str(error)
print("RESULT", json.dumps(told))
sc.stop()
