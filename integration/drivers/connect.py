"""The README's program through Spark Connect, and what else its sessions do.

    connect.py URL FOLDER

Half-way it writes FOLDER/ready, and waits for FOLDER/restarted: the server was started anew then.
"""

import json
import sys
import threading
import time
from pathlib import Path

URL, FOLDER = sys.argv[1], Path(sys.argv[2])

from pyspark.errors import PySparkException  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql.functions import udf  # noqa: E402

from coffee_boat import BoatError, Captain  # noqa: E402

told = {}
marks = [time.monotonic()]


def mark(what):
    marks.append(time.monotonic())
    print(f"{what}: {marks[-1] - marks[-2]:.1f} s", file=sys.stderr)


def year(text):
    import edtf

    return edtf.parse_edtf(text).lower_strict().tm_year


def spoken(number):
    try:
        import humanize
    except ImportError:
        return ""
    return humanize.intword(number)


def where(_):
    """Of a task that takes a while: when it ran, and with what."""
    import os
    import socket
    import sys
    import time

    import humanize

    began = time.time()
    time.sleep(2)
    inside = os.path.realpath(sys.executable).startswith(os.path.realpath(os.getcwd()) + "/")
    return f"{socket.gethostname()} {inside} {humanize.__version__} {began} {time.time()}"


def read(frame):
    return [row[0] for row in frame.collect()]


with_typing_mistake = URL.replace("token=", "token=not-")
captain = Captain()
captain.add_pip_packages("pyarrow", "edtf")
captain.launch_ship()
mark("built")
try:
    SparkSession.builder.remote(with_typing_mistake).create()
except BoatError as error:
    told["denied"] = [error.code, str(error)]
spark = SparkSession.builder.remote(URL).getOrCreate()
year, spoken, where = udf(year, "int"), udf(spoken, "string"), udf(where, "string")
mark("session")
days = spark.createDataFrame([("1984-06?",), ("2004-06/2006-08",)], ["day"])
told["years"] = read(days.select(year("day")))
numbers = spark.range(1_000_000, 1_000_001).select(spoken("id"))
mark("first job")
told["before"] = read(numbers)
mark("second job")
captain.add_pip_packages("humanize==4.10.0")
mark("addition")
told["after"] = read(numbers)
told["arrival"] = str(captain.report)
mark("third job")
report = captain.verify()
told |= {"ok": report.ok, "report": str(report), "hosts": [e.host for e in report.executors]}
told["foreign"] = [e.foreign_files for e in report.executors]

mark("verify")
# it changes, and goes back

captain.upgrade_pip_packages("humanize==4.11.0").remove_pip_packages("edtf")
told["changed"] = read(spark.range(1).select(where("id")))
try:
    read(days.select(year("day")))
except PySparkException as error:
    told["removed"] = str(error)
captain.rollback(2)
told["back"] = read(days.select(year("day"))) + read(spark.range(1).select(where("id")))
told["generations"] = str(captain.generations)
mark("changes")

# another session of the same server, with another version

other = Captain().add_pip_packages("pyarrow", "humanize==4.9.0").launch_ship()
beside = SparkSession.builder.remote(URL).create()
told["sessions"] = [spark.session_id, beside.session_id]
mark("another session")
for session in (spark, beside):  # once on each executor: they unpack what it has
    session.range(0, 2, 1, 2).select(where("id")).collect()
mark("unpacked")
at_once = {}


def ask(name, session):
    at_once[name] = read(session.range(1).select(where("id")))


threads = [threading.Thread(target=ask, args=pair) for pair in (("one", spark), ("other", beside))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
told["at once"] = at_once
told["running"] = [captain.running, other.running]
beside.stop()
told["stopped"] = [captain.running, other.running]
other.close()

# the server is started anew

mark("at once")
(FOLDER / "ready").touch()
while not (FOLDER / "restarted").exists():
    time.sleep(0.1)
mark("restarted")
told["after restart"] = captain.running
try:
    captain.board(spark)
except BoatError as error:
    told["gone"] = [error.code, str(error)]
spark.stop()
anew = SparkSession.builder.remote(URL).getOrCreate()
mark("new session")
began = time.monotonic()
captain.board(anew)
told["board took"] = time.monotonic() - began
mark("boarded")
told["anew"] = read(anew.range(1_000_000, 1_000_001).select(spoken("id")))
told["shown"] = [repr(captain), str(captain.report), repr(captain.plan())]
mark("last job")
print("RESULT", json.dumps(told), flush=True)
anew.stop()
