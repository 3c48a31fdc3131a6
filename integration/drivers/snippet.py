"""The README's snippet, verbatim but for the master, and jobs that use both packages.

    snippet.py MASTER [ROUNDS]

With more rounds than one the context is stopped and started again, by the session's builder.
"""

import json
import sys
import time

MASTER = sys.argv[1]
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 1

from pyspark import SparkContext  # noqa: E402

from coffee_boat import Captain  # noqa: E402

captain = Captain(accept_conda_license=True)
captain.add_pip_packages("pyarrow", "edtf")
captain.launch_ship()
sc = SparkContext(master=MASTER)

from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql.functions import udf  # noqa: E402


def use_both(_):
    import os
    import socket
    import sys
    import time

    import edtf
    import pyarrow
    import pyspark

    time.sleep(0.2)
    application = os.path.dirname(os.path.realpath(os.getcwd()))  # has its executors' folders
    inside = os.path.realpath(sys.executable).startswith(application + "/")
    return (
        socket.gethostname(),
        os.getcwd(),
        os.path.realpath(sys.executable),
        inside,
        os.path.realpath(pyspark.__file__).startswith(os.path.realpath(sys.prefix) + "/"),
        pyarrow.array([40, 2]).sum().as_py(),
        str(edtf.parse_edtf("1984-06?")),
    )


FIELDS = ("host", "folder", "executable", "inside", "pyspark_inside", "sum", "edtf")


def in_rdd(context, executors=2):
    """Answers of different executors; a session starts with fewer than it will have."""
    deadline = time.monotonic() + 60
    seen = set()
    while len(seen) < executors and time.monotonic() < deadline:
        seen |= set(context.parallelize(range(4), 4).map(use_both).collect())
    return [dict(zip(FIELDS, answer, strict=True)) for answer in sorted(seen)]


def in_udf(spark):
    @udf("string")
    def read(day):
        import edtf
        import pyarrow

        return f"{pyarrow.scalar(day).as_py()} {edtf.parse_edtf(day).lower_strict().tm_year}"

    return [
        row[0]
        for row in (
            spark.createDataFrame([("2004-06/2006-08",)], ["day"]).select(read("day")).collect()
        )
    ]


def answers(context):
    return {"rdd": in_rdd(context), "udf": in_udf(SparkSession(context))}


rounds = [answers(sc)]
for _ in range(ROUNDS - 1):
    sc.stop()
    sc = SparkSession.builder.master(MASTER).getOrCreate().sparkContext
    rounds.append(answers(sc))
report = captain.verify()
print(report, file=sys.stderr)
print(
    "RESULT",
    json.dumps(
        {
            "rounds": rounds,
            "ok": report.ok,
            "executors": [executor.prefix for executor in report.executors],
            "report": str(report),
        }
    ),
    flush=True,
)
sc.stop()
