"""Dynamic allocation: packages are added to one executor, then tasks wait until there are more; all
have base and additions.

cluster_growing.py MASTER [key=value ...]
"""

import json
import sys
import time

from coffee_boat import Captain

conf = {
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.dynamicAllocation.minExecutors": "1",
    "spark.dynamicAllocation.initialExecutors": "1",
    "spark.dynamicAllocation.maxExecutors": "3",
    "spark.dynamicAllocation.schedulerBacklogTimeout": "1s",
    "spark.executor.memory": "512m",
    "spark.ui.enabled": "false",
    **dict(pair.split("=", 1) for pair in sys.argv[2:]),
}
captain = Captain()
captain.add_pip_packages("edtf")
spark = captain.launch_ship(master=sys.argv[1], conf=conf).start()
sc = spark.sparkContext


def look(_):
    import os
    import sys
    import time

    import edtf  # noqa: F401
    import humanize

    time.sleep(2)
    return os.getcwd(), (humanize.__file__, os.path.realpath(sys.prefix))


sc.parallelize([0], 1).map(lambda _: __import__("edtf").__name__).collect()
captain.add_pip_packages("humanize", wait=60.0)
first = list(captain.report.confirmed)
seen, deadline = {}, time.monotonic() + 150
while len(seen) < 2 and time.monotonic() < deadline:
    seen |= dict(sc.parallelize(range(12), 12).map(look).collect())
report = captain.verify()
told = {
    "first": first,
    "added": sorted(file for file, _ in seen.values()),
    "roots": sorted(root for _, root in seen.values()),
    "executors": [executor.executor for executor in report.executors],
    "ok": report.ok,
    "report": str(report),
}
print("RESULT", json.dumps(told), flush=True)
spark.stop()
