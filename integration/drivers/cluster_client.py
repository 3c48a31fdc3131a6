"""The README's snippet, verbatim but for the master, then an addition; what executors and the
driver's JVM run is told as facts.

    cluster_client.py MASTER [plan]

With `plan`, a table function is made whose schema Python finds on the driver.
"""

import json
import sys
import time

MASTER = sys.argv[1]

from pyspark import SparkContext  # noqa: E402

from coffee_boat import Captain  # noqa: E402

started = time.time()
captain = Captain(accept_conda_license=True)
captain.add_pip_packages("pyarrow", "edtf")
captain.launch_ship()
launched = time.time()
sc = SparkContext(master=MASTER)
up = time.time()

from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql.functions import udf  # noqa: E402


def look(_):
    """Where a task runs, and what it sees of packages that are there, or not yet."""
    import glob
    import os
    import shutil
    import socket
    import sys
    import time

    import edtf
    import pyarrow

    time.sleep(0.5)
    try:
        import humanize

        magic = humanize.__file__
    except ImportError:
        magic = ""
    # without the shipped environment's own, which are first there
    others = ":".join(part for part in os.environ["PATH"].split(":") if "boat-" not in part)
    pythons = sorted(
        {
            *filter(None, (shutil.which(name, path=others) for name in ("python", "python3"))),
            *glob.glob("/usr/bin/python3*"),
            *glob.glob("/usr/lib/*/libpython*"),
            *glob.glob("/usr/lib/python3*"),
        }
    )
    return {
        "host": socket.gethostname(),
        "executable": sys.executable,
        "real": os.path.realpath(sys.executable),
        "sum": pyarrow.array([40, 2]).sum().as_py(),
        "edtf": str(edtf.parse_edtf("1984-06?")),
        "added": magic,
        "pythons": pythons,
        "user": os.getuid(),
    }


rdd = sc.parallelize(range(4), 4).map(look)


def on_all(hosts=2, seconds=240):
    """Answers of that many hosts: a session starts before all of its executors are there."""
    seen, deadline = {}, time.monotonic() + seconds
    while len(seen) < hosts and time.monotonic() < deadline:
        seen |= {answer["host"]: answer for answer in rdd.collect()}
    return list(seen.values())


@udf("string")
def read(day):
    import edtf
    import pyarrow

    return f"{pyarrow.scalar(day).as_py()} {edtf.parse_edtf(day).lower_strict().tm_year}"


def planned(spark):
    """Where the schema of a table function was found, and where it ran; both need the packages."""
    from dataclasses import dataclass

    from pyspark.sql.functions import udtf
    from pyspark.sql.types import StructType
    from pyspark.sql.udtf import AnalyzeResult

    @dataclass
    class Planned(AnalyzeResult):
        planned: str = ""

    class Where:
        def __init__(self, analyze_result):
            self.planned = analyze_result.planned

        @staticmethod
        def analyze():
            import humanize  # noqa: F401

            return Planned(
                schema=StructType().add("planned", "string").add("ran", "string"),
                planned=sys.executable,
            )

        def eval(self):
            import humanize  # noqa: F401

            yield self.planned, sys.executable

    return [*udtf(Where)().first()]


spark = SparkSession(sc)
first = rdd.first()
answered = time.time()
told = {
    "before": on_all(),
    "udf": spark.createDataFrame([("2004-06/2006-08",)], ["day"]).select(read("day")).first()[0],
    "application": sc.applicationId,
    "archives": sc.getConf().get("spark.yarn.dist.archives", ""),
}
captain.add_pip_packages("humanize", wait=60.0)
told["after"] = on_all()
told["confirmed"] = list(captain.report.confirmed)
report = captain.verify()
print(report, file=sys.stderr)
told |= {
    "ok": report.ok,
    "report": str(report),
    "planned": planned(spark) if sys.argv[2:] == ["plan"] else None,
}
told["seconds"] = {
    "launch": launched - started,
    "session": up - launched,
    "first answer": answered - up,
}
print("RESULT", json.dumps(told), flush=True)
sc.stop()
