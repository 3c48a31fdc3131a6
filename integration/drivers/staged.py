"""An archive and a layer that executors fetch from a stage.

    staged.py MASTER STAGE [KEY=VALUE...]

Settings are Spark's.
"""

import json
import sys
import time

MASTER, STAGE, *SETTINGS = sys.argv[1:]

from pyspark import SparkContext  # noqa: E402

from coffee_boat import Captain  # noqa: E402

captain = Captain(stage=STAGE, install_local=False)
captain.add_pip_packages("edtf")
captain.launch_ship(conf=dict(setting.split("=", 1) for setting in SETTINGS))
started = time.monotonic()
sc = SparkContext(master=MASTER)
up = time.monotonic()


def look(_):
    import sys

    import edtf

    try:
        import humanize

        added = humanize.__file__
    except ImportError:
        added = ""
    return {"executable": sys.executable, "edtf": edtf.__file__, "added": added}


rdd = sc.parallelize([0], 1).map(look)
first = rdd.collect()[0]
ran = time.monotonic()
captain.add_pip_packages("humanize", wait=120)
print(
    "RESULT",
    json.dumps(
        {
            "archives": sc.getConf().get("spark.archives"),
            "listed": list(sc.listArchives),
            "before": first,
            "after": rdd.collect()[0],
            "arrival": str(captain.report),
            "seconds": {"context": up - started, "first task": ran - up},
        }
    ),
)
sc.stop()
