"""A session whose executors cannot start; tells after how many seconds which lines were said.

    stuck.py MASTER SECONDS

SECONDS: how long to wait for something to be said, from the moment that the context is asked for.
"""

import json
import os
import sys
import threading
import time

MASTER, SECONDS = sys.argv[1], float(sys.argv[2])


class Clock:
    """stderr, with the second of each line of ours."""

    def __init__(self, stream):
        self.stream, self.lines, self.started = stream, [], time.monotonic()

    def write(self, text):
        if text.startswith("coffee_boat: "):
            self.lines.append([round(time.monotonic() - self.started, 1), text.strip()])
        return self.stream.write(text)

    def __getattr__(self, name):
        return getattr(self.stream, name)


sys.stderr = clock = Clock(sys.stderr)

from pyspark import SparkContext  # noqa: E402

from coffee_boat import BoatError, Captain  # noqa: E402

SparkContext._ensure_initialized()  # a JVM's start is not what is measured
captain = Captain()
captain.add_pip_packages("edtf")
captain.launch_ship()


def start():
    try:
        SparkContext(master=MASTER)
    except BoatError as error:
        clock.lines.append([round(time.monotonic() - clock.started, 1), str(error)])


clock.lines, clock.started = [], time.monotonic()
threading.Thread(target=start, daemon=True).start()
while time.monotonic() - clock.started < SECONDS and not any(
    line.startswith(("coffee_boat: warning", "coffee_boat: error")) or "\n" in line
    for _, line in clock.lines
):
    time.sleep(0.1)
print("RESULT", json.dumps({"lines": clock.lines}), flush=True)
sys.stdout.flush()
os._exit(0)  # what Spark still waits for is not waited for
