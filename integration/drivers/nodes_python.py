"""Packages only: the nodes' own Python runs them.

nodes_python.py MASTER
"""

import json
import sys

from pyspark import SparkContext

from coffee_boat import Captain

captain = Captain(ship_python=False)
captain.add_pip_packages("numpy", "edtf")
captain.launch_ship()
sc = SparkContext(master=sys.argv[1])


def where(_):
    import os
    import sys

    import edtf
    import numpy

    here = os.path.realpath(os.getcwd())
    return os.path.realpath(sys.executable), all(
        os.path.realpath(module.__file__).startswith(here) for module in (edtf, numpy)
    )


answers = sorted(set(sc.parallelize(range(4), 4).map(where).collect()))
report = captain.verify()
print(report, file=sys.stderr)
print(
    "RESULT", json.dumps({"answers": answers, "ok": report.ok, "report": str(report)}), flush=True
)
sc.stop()
