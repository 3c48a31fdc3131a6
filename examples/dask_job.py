"""Dask outside of Spark: tasks that run with the packages of an archive, on all workers.

boat conf --for dask --pip distributed --pip edtf     # what to type for the cluster
boat exec /opt/boat -- python examples/dask_job.py tcp://SCHEDULER:8786
"""

import json
import sys

from distributed import Client


def year(text):
    import edtf

    return edtf.parse_edtf(text).lower_strict().tm_year, sys.executable


with Client(sys.argv[1]) as client:
    workers = len(client.scheduler_info()["workers"])
    answers = client.gather(client.map(year, ["1984-06?", "2004-06/2006-08"], pure=False))
    pythons = sorted({python for _, python in answers})
    print(
        "RESULT",
        json.dumps({"years": [a for a, _ in answers], "pythons": pythons, "workers": workers}),
    )
