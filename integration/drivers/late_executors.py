"""Executors that dynamic allocation starts after packages were added.

late_executors.py MASTER
"""

import json
import sys
import time

MASTER = sys.argv[1]

from pyspark import SparkContext  # noqa: E402

from coffee_boat import Captain  # noqa: E402

captain = Captain()
captain.add_pip_packages("edtf")
captain.launch_ship()
sc = SparkContext(master=MASTER)


def look(_):
    import os
    import socket
    import sys
    import time

    import edtf  # noqa: F401
    import humanize

    time.sleep(2)
    return socket.gethostname(), humanize.__file__, os.path.realpath(sys.prefix)


def live():
    return sc._jsc.sc().statusStore().executorList(True).size() - 1  # the driver is one of them


sc.parallelize([0], 1).map(lambda _: __import__("edtf").__name__).collect()
before = live()
captain.add_pip_packages("humanize")
seen, end = set(), time.monotonic() + 120
while len({host for host, *_ in seen}) < 2 and time.monotonic() < end:
    seen |= set(sc.parallelize(range(8), 8).map(look).collect())
report = captain.verify()
print(report, file=sys.stderr)
print(
    "RESULT",
    json.dumps(
        {
            "before": before,
            "after": live(),
            "seen": sorted(seen),
            "ok": report.ok,
            "answered": len(report.executors),
            "foreign": [executor.foreign_files for executor in report.executors],
            "report": str(report),
        }
    ),
    flush=True,
)
sc.stop()
