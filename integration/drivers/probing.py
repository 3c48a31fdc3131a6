"""What a cluster says while this session holds all of it, to others and of this session; and what
its nodes say without Python.

probing.py MASTER [KEY=VALUE...]
"""

import json
import os
import sys
import time

from pyspark import SparkConf, SparkContext

from coffee_boat.clusters import probe, waiting
from coffee_boat.model import SparkFacts
from coffee_boat.session import nodes

master, conf = sys.argv[1], dict(pair.split("=", 1) for pair in sys.argv[2:])
os.environ["PYSPARK_PYTHON"] = "./there/is/no/python"
sc = SparkContext(conf=SparkConf().setMaster(master).setAll(conf.items()))
try:
    asked = nodes.ask(sc, deadline=240)
    facts = SparkFacts(sc.version, master, conf=conf)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        found = probe(facts)
        seconds.append(time.perf_counter() - started)
    told = {
        "manager": found.manager,
        "nodes": [node.host for node in found.nodes],
        "findings": [str(finding) for finding in found.findings],
        "waiting": [str(finding) for finding in waiting(facts, sc.applicationId)],
        "asked": [[node.host, node.architecture, node.glibc] for node in asked],
        "seconds": min(seconds),
    }
finally:
    sc.stop()
print("RESULT", json.dumps(told))
