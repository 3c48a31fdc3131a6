"""What a cluster cannot do: the message, how long it took, and whether anything was built for it
before.

cluster_refused.py MASTER [key=value ...]
"""

import json
import os
import sys
import time

from coffee_boat import BoatError, Captain

captain = Captain()
captain.add_pip_packages("edtf")
started = time.monotonic()
try:
    captain.launch_ship(master=sys.argv[1], conf=dict(pair.split("=", 1) for pair in sys.argv[2:]))
    told = {"error": "", "what": ""}
except BoatError as error:
    told = {"error": str(error), "what": error.what}
store = os.environ["COFFEE_BOAT_STORE"]
print(
    "RESULT",
    json.dumps(
        {
            **told,
            "seconds": time.monotonic() - started,
            "built": os.path.isdir(os.path.join(store, "archives")),
        }
    ),
)
