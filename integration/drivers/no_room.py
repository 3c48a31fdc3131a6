"""A session whose executors have no room for the environment: what is told, and how many tasks they
took.

    no_room.py MASTER
"""

import contextlib
import io
import json
import sys
import threading
import time

from pyspark import SparkContext

from coffee_boat import Captain

captain = Captain()
captain.add_pip_packages("pyarrow")
captain.launch_ship()
sc = SparkContext(master=sys.argv[1])


def job():
    with contextlib.suppress(Exception):  # it is stopped before it ends
        sc.parallelize(range(2), 2).count()


said, end = io.StringIO(), time.monotonic() + 90
with contextlib.redirect_stderr(said):
    threading.Thread(target=job, daemon=True).start()
    while "cannot unpack" not in said.getvalue() and time.monotonic() < end:
        time.sleep(0.2)
    time.sleep(10)  # it is tried again meanwhile
    tracker = sc.statusTracker()
    stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    taken = sum(one.numActiveTasks + one.numCompletedTasks + one.numFailedTasks for one in stages)
    sc.stop()
told = [line for line in said.getvalue().splitlines() if line.startswith("coffee_boat: error")]
print("RESULT", json.dumps({"told": told, "stages": len(stages), "taken": taken}))
