"""Sessions that a captain takes over, told as facts; the tests decide.

boarding.py SCENARIO MASTER
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf
from pyspark.sql.types import StringType

from coffee_boat import BoatError, Captain

SCENARIO, MASTER = sys.argv[1:3]
HELPERS = """
from pyspark.sql.functions import udtf
from pyspark.sql.types import StructType


def gather(text: str) -> list[str]:
    return text.split()


@udtf(returnType=StructType().add("word", "string").add("length", "integer"))
class Words:
    def eval(self, text):
        yield from ((word, len(word)) for word in text.split())
"""


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


def told_in_sql(_):
    return json.dumps(tell(None))


def by_name(spark, query):
    return [list(row) for row in spark.sql(query).collect()]


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

    captain = Captain().add_pip_packages("edtf")
    captain.add_function("before", told_in_sql, returns="string").board(spark)
    captain.add_function("after", tell_in_sql)  # which was used already
    stream.stop()
    told |= {
        "old rdd": mapped(old),
        "new rdd": mapped(sc.parallelize(range(2), 2).map(tell)),
        "old udf": asked(spark),
        "by name": [json.loads(one) for one in by_name(spark, "SELECT before(1), after(1)")[0]],
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
    captain.add_function("asked_before", told_in_sql, returns="string")
    captain.add_function("spelt", "helpers:ather", returns="string")
    captain.launch_ship()
    spark = SparkSession.builder.master(MASTER).config("spark.ui.enabled", "false").getOrCreate()
    sc = spark.sparkContext
    old = sc.parallelize(range(2), 2).map(tell)
    told = {"before": mapped(old)}
    captain.add_pip_packages("iniconfig")

    told["by name"] = functions_of_a_running_session(captain, spark)

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


def refused(captain, place, **words):
    try:
        captain.add_function("misspelt", place, **words)
    except BoatError as error:
        return [error.code, error.value, error.cure]


def functions_of_a_running_session(captain, spark):
    told = {"asked before": json.loads(by_name(spark, "SELECT asked_before(1)")[0][0])}
    Path("helpers.py").write_text(HELPERS)
    captain.add_local("helpers.py")
    captain.add_function("gather", "helpers:gather").add_function("words", "helpers:Words")
    told["module"] = by_name(spark, "SELECT gather(text)[1] FROM VALUES ('a b') AS t(text)")
    told["table"] = by_name(spark, "SELECT * FROM words('a bcd')")
    told["refused"] = [
        refused(captain, "helpers:ather"),
        refused(captain, "mypkg:f"),
        refused(captain, "helpers:gather", returns="arra<int>"),
    ]
    told["unknown"] = spark.catalog.functionExists("misspelt")
    Path("helpers.py").write_text(HELPERS.replace("text.split()", "[text, 'edited']"))
    captain.refresh()
    told["edited"] = by_name(spark, "SELECT gather('a b')[1]")
    captain.remove_pip_packages("iniconfig")
    told["removed"] = json.loads(by_name(spark, "SELECT asked_before(1)")[0][0])
    captain.add_pip_packages("iniconfig")
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
    captain.add_function("waits", told_in_sql, returns="string")
    old = sc.parallelize(range(2), 2).map(tell)
    before = old.collect()
    captain.add_pip_packages("iniconfig")
    after = old.collect()
    spark = SparkSession.builder.getOrCreate()
    by_its_name = json.loads(by_name(spark, "SELECT waits(1)")[0][0])
    report = captain.verify()
    executables = sorted({executor.executable for executor in report.executors})
    sc.stop()
    return {
        "before": before,
        "after": after,
        "by name": by_its_name,
        "arrival": captain.report.ok,
        "verified": report.ok,
        "report": str(report),
        "executables": executables,
        "same workers": {a["pid"] for a in before} == {a["pid"] for a in after},
    }


print("RESULT", json.dumps(globals()[SCENARIO]()), flush=True)
