"""Sessions that a captain takes over, told as facts; the tests decide.

boarding.py SCENARIO MASTER
"""

import json
import os
import subprocess
import sys

from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf
from pyspark.sql.types import StringType

from coffee_boat import Captain

SCENARIO, MASTER = sys.argv[1:3]


def tell(_):
    """Which modules this worker finds, and whose interpreter it is."""
    import importlib.util
    import os
    import sys

    return {
        "found": [
            name for name in ("edtf", "iniconfig", "roman") if importlib.util.find_spec(name)
        ],
        "shipped": "/boat-" in os.path.realpath(sys.executable),
        "pid": os.getpid(),
        "preloaded": "edtf" in sys.modules,
    }


@udf(StringType())
def tell_in_sql(_):
    return json.dumps(tell(None))


def asked(spark, function=tell_in_sql):
    return json.loads(spark.range(1).select(function("id")).collect()[0][0])


def mapped(rdd):
    """One answer for all tasks, without the pid."""
    answers = {json.dumps({**answer, "pid": 0}, sort_keys=True) for answer in rdd.collect()}
    return [json.loads(answer) for answer in sorted(answers)]


def foreign():
    """A plain session; then ours."""
    spark = SparkSession.builder.master(MASTER).config("spark.ui.enabled", "false").getOrCreate()
    sc = spark.sparkContext
    old = sc.parallelize(range(2), 2).map(tell)
    told = {"rdd before": mapped(old), "sql before": asked(spark)}
    spark.range(3).cache().count()
    stream = (
        spark.readStream.format("rate")
        .load()
        .writeStream.format("noop")
        .queryName("ticks")
        .trigger(processingTime="1 hour")
        .start()
    )

    captain = Captain().add_pip_packages("edtf").board(spark)
    stream.stop()
    told |= {
        "old rdd": mapped(old),
        "new rdd": mapped(sc.parallelize(range(2), 2).map(tell)),
        "old udf": asked(spark),
    }
    late = sc.parallelize(range(2), 2).map(tell)
    mapped(late)
    captain.add_pip_packages("iniconfig")
    told |= {
        "hot": mapped(late),
        "arrival": captain.report.ok,
        "new session": asked(spark.newSession(), udf(lambda _: json.dumps(tell(_)), StringType())),
    }
    second = Captain().board(sc)
    report = second.verify()
    told |= {
        "verified": report.ok,
        "report": str(report),
        "aboard": sorted(pin.name for pin in second.lock.pins),
    }
    spark.stop()
    return told


def ours():
    """One of ours: by a second captain of this process, and by another process on the same JVM."""
    captain = Captain().add_pip_packages("edtf").preload("edtf", "no_such_module")
    captain.launch_ship()
    spark = SparkSession.builder.master(MASTER).config("spark.ui.enabled", "false").getOrCreate()
    sc = spark.sparkContext
    old = sc.parallelize(range(2), 2).map(tell)
    told = {"before": mapped(old)}
    captain.add_pip_packages("iniconfig")

    second = Captain().add_pip_packages("roman").board(spark)
    told |= {
        "second": mapped(old),
        "aboard": sorted(pin.name for pin in second.lock.pins),
        "report": str(second.report),
    }

    gateway = SparkContext._gateway
    variables = {
        "PYSPARK_GATEWAY_PORT": str(gateway.gateway_parameters.port),
        "PYSPARK_GATEWAY_SECRET": gateway.gateway_parameters.auth_token,
    }
    child = subprocess.run(
        [sys.executable, __file__, "attached", MASTER],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    sys.stderr.write(child.stderr)
    told["attached"] = json.loads(child.stdout.rpartition("RESULT ")[2])
    told["conf"] = {key: value for key, value in sc.getConf().getAll() if "coffee_boat" in key}
    spark.stop()
    return told


def attached():
    """A kernel that was restarted: the JVM and its context are there, the Python side is new."""
    from pyspark.java_gateway import launch_gateway

    gateway = launch_gateway()
    context = gateway.jvm.org.apache.spark.SparkContext.getOrCreate()
    sc = SparkContext(
        gateway=gateway, jsc=gateway.jvm.org.apache.spark.api.java.JavaSparkContext(context)
    )
    captain = Captain().board(sc)
    told = {
        "mapped": mapped(sc.parallelize(range(2), 2).map(tell)),
        "aboard": sorted(pin.name for pin in captain.lock.pins),
    }
    captain.add_pip_packages("iniconfig")  # there already
    told["nothing new"] = [pin.name for pin in captain.report.added]
    report = captain.verify()
    return {**told, "verified": report.ok, "report": str(report)}


def nodes_python():
    """Packages only, and more of them while it runs; by an RDD that was made before, in the same
    worker.
    """
    captain = Captain(ship_python=False).add_pip_packages("edtf").preload("edtf")
    captain.launch_ship()
    sc = SparkContext(master=MASTER)
    old = sc.parallelize(range(2), 2).map(tell)
    before = old.collect()
    captain.add_pip_packages("iniconfig")
    after = old.collect()
    report = captain.verify()
    executables = sorted({executor.executable for executor in report.executors})
    sc.stop()
    return {
        "before": before,
        "after": after,
        "arrival": captain.report.ok,
        "verified": report.ok,
        "report": str(report),
        "executables": executables,
        "same workers": {a["pid"] for a in before} == {a["pid"] for a in after},
    }


print("RESULT", json.dumps(globals()[SCENARIO]()), flush=True)
