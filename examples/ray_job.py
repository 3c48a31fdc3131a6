"""Ray outside of Spark: tasks that run with the packages of an archive, on each node.

boat conf --for ray --pip ray --pip edtf     # what to type for the cluster
/opt/boat/bin/python3.11 examples/ray_job.py HEAD:6379
"""

import json
import sys

import ray


@ray.remote
def year(text):
    import edtf

    return edtf.parse_edtf(text).lower_strict().tm_year, sys.executable


ray.init(address=sys.argv[1], log_to_driver=False)
answers = ray.get([year.remote(text) for text in ("1984-06?", "2004-06/2006-08")])
pythons = sorted({python for _, python in answers})
nodes = sum(node["Alive"] for node in ray.nodes())
print("RESULT", json.dumps({"years": [a for a, _ in answers], "pythons": pythons, "nodes": nodes}))
