"""What a cluster cannot do, one attempt after the other: the message, how long it took, and whether
anything was built for it before.

    cluster_refused.py MASTER ATTEMPT...

ATTEMPT is JSON: {"conf": {key: value}, "master": another one, "without": [variables to remove]},
each of which can be left out.
"""

import json
import os
import sys
import time

from coffee_boat import BoatError, Captain


def refused(master, conf=None, without=()):
    for name in without:
        os.environ.pop(name, None)
    captain = Captain()
    captain.add_pip_packages("edtf")
    started = time.monotonic()
    try:
        captain.launch_ship(master=master, conf=conf or {})
        told = {"error": "", "what": ""}
    except BoatError as error:
        told = {"error": str(error), "what": error.what}
    archives = os.path.join(os.environ["COFFEE_BOAT_STORE"], "archives")
    seconds = time.monotonic() - started
    captain.close()
    return {**told, "seconds": seconds, "built": os.path.isdir(archives)}


attempts = [{"master": sys.argv[1], **json.loads(attempt)} for attempt in sys.argv[2:]]
print("RESULT", json.dumps({"attempts": [refused(**attempt) for attempt in attempts]}))
