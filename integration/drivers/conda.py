"""Conda packages with one of pip on top, then packages of conda that come aboard while the session
runs.

conda.py MASTER CHANNEL PYTHON HOSTS      PYTHON is the minor version, as "3.11"; HOSTS is how many
                                          have executors
"""

import json
import sys
import time

MASTER, CHANNEL, PYTHON, HOSTS = sys.argv[1:]

from pyspark import SparkConf, SparkContext  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql.functions import udf  # noqa: E402

from coffee_boat import Captain  # noqa: E402

captain = Captain()
captain.add_conda_packages(
    f"python={PYTHON}", "numpy", "edtf", "activated", channel=CHANNEL
).add_pip_packages("humanize")
captain.launch_ship()
sc = SparkContext(master=MASTER, conf=SparkConf().set("spark.ui.showConsoleProgress", "false"))
spark = SparkSession(sc)


@udf("string")
def use_all(number):
    import edtf
    import humanize
    import numpy

    return f"{numpy.sqrt(number):.0f} {edtf.parse_edtf('1984-06?')} {humanize.intcomma(1234567)}"


def look(_):
    """Where a task runs, with what, and what activation and prefixes came to."""
    import os
    import shutil
    import socket
    import subprocess
    import sys
    import time

    time.sleep(0.2)
    prefix = os.path.realpath(sys.prefix)
    program = os.path.join(prefix, "bin", "native-tool")
    return [
        {
            "host": socket.gethostname(),
            "inside": (
                os.path.realpath(sys.executable).startswith(os.path.realpath(os.getcwd()) + "/")
            ),
            "prefix": prefix,
            "pid": os.getpid(),
            "conda": shutil.which("conda") or "",
            "home": os.environ.get("ACTIVATED_HOME", ""),
            "mode": os.environ.get("ACTIVATED_MODE", ""),
            "text": (
                next(
                    line.partition("=")[2]
                    for line in open(os.path.join(prefix, "etc", "native.conf"))
                    if line.startswith("home=")
                ).strip()
            ),
            "binary": (
                open(os.path.join(prefix, "share", "native", "native.bin"), "rb")
                .read()[2:]
                .partition(b"\0")[0]
                .decode()
            ),
            "script": (
                subprocess.run(
                    [program], capture_output=True, text=True, check=False
                ).stdout.strip()
            ),
        }
    ]


def everywhere(rdd, hosts):
    """Answers until enough hosts are among them: a session starts with fewer executors than it will
    have.
    """
    seen, end = {}, time.monotonic() + 60
    while len(seen) < hosts and time.monotonic() < end:
        seen |= {answer["host"]: answer for answer in rdd.collect()}
    return list(seen.values())


looking = sc.parallelize(range(4), 4).mapPartitions(look)
answers = [row[0] for row in spark.range(4, 5).select(use_all("id")).collect()]
nodes = everywhere(looking, int(HOSTS))
report = captain.verify(modules=["numpy", "edtf", "humanize"])
print(report, file=sys.stderr)
result = {
    "answers": answers,
    "nodes": nodes,
    "ok": report.ok,
    "report": str(report),
    "conda": [dict(executor.conda) for executor in report.executors],
    "pip": [executor.distributions.get("humanize") for executor in report.executors],
}


def version(name):
    try:
        return __import__(name).VERSION
    except ImportError:
        return ""


def have(_):
    """What a function that was made before the packages came finds of them, in which worker and
    which base.
    """
    import os
    import sys
    import time

    time.sleep(0.2)
    found = {
        "pid": os.getpid(),
        "prefix": os.path.realpath(sys.prefix),
        "host": os.uname().nodename,
    }
    return [{**found, **{name: version(name) for name in ("pure", "late")}}]


@udf("string")
def late_version(_):
    import late

    return late.VERSION + " " + late.home()


def planned(package):
    """What an addition would be, and the lock of the session afterwards, which it must not have
    changed.
    """
    plan = captain.plan(conda=[package])
    return {
        "plan": str(plan),
        "size": plan.size,
        "items": [item.label for item in plan.items],
        "aboard": captain.lock.digest,
    }


made_before = sc.parallelize(range(4), 4).mapPartitions(have)
result["lock"] = captain.lock.digest
result["planned"] = {"pure": planned("pure"), "late": planned("late")}
result["before"] = made_before.collect()

captain.add_conda_packages("pure")  # modules only
result["layer"] = {
    "archive": captain.report.archive.name,
    "report": str(captain.report),
    "answers": made_before.collect(),
    "ok": captain.verify().ok,
}

captain.add_conda_packages("late")  # for this platform, with a prefix in it
base = captain.report.archive
result["base"] = {
    "archive": base.name,
    "layer": base.layer,
    "size": base.size,
    "report": str(captain.report),
    "answers": made_before.collect(),
}
result["base"]["udf"] = [row[0] for row in spark.range(1).select(late_version("id")).collect()]
result["base"]["again"] = [row[0] for row in spark.range(4, 5).select(use_all("id")).collect()]
report = captain.verify(modules=["late", "pure", "numpy", "humanize"])
result["base"] |= {
    "ok": report.ok,
    "verify": str(report),
    "prefixes": sorted({executor.prefix for executor in report.executors}),
}

if MASTER.startswith(("spark:", "local[")):  # not on each kind of cluster
    captain.remove_conda_packages("late")
    result["removed"] = {
        "answers": made_before.collect(),
        "ok": captain.verify().ok,
        "report": str(captain.report),
    }
    captain.rollback()
    result["back"] = {
        "answers": made_before.collect(),
        "ok": captain.verify(modules=["late"]).ok,
        "changes": captain.diff(1).summary,
    }

captain.close()
other = Captain()  # as a restarted kernel would
other.board(spark)
other.add_pip_packages("cowsay")
result["boarded"] = {
    "report": str(other.report),
    "layer": other.report.archive.layer,
    "ok": other.verify(modules=["cowsay", "late"]).ok,
}
print("RESULT", json.dumps(result), flush=True)
sc.stop()
