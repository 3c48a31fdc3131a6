"""Python that the driver's JVM starts itself, to plan table functions and data sources; and
functions that pyspark sends as Arrow.

planning.py SCENARIO MASTER
"""

import json
import sys
from dataclasses import dataclass

from pyspark import SparkConf, SparkContext, SparkFiles
from pyspark.errors import PythonException
from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader
from pyspark.sql.functions import udf, udtf
from pyspark.sql.types import StructType
from pyspark.sql.udtf import AnalyzeResult

from coffee_boat import Captain

MASTER = sys.argv[2]
WHERE = "planned string, ran string"


def start():
    return SparkSession(SparkContext(MASTER, conf=SparkConf().set("spark.ui.enabled", "false")))


def table_function(package):
    """Tells where it was planned and where it ran; both need the package."""

    @dataclass
    class Planned(AnalyzeResult):
        planned: str = ""

    class Where:
        def __init__(self, analyze_result):
            self.planned = analyze_result.planned

        @staticmethod
        def analyze():
            __import__(package)
            return Planned(
                schema=StructType().add("planned", "string").add("ran", "string"),
                planned=sys.executable,
            )

        def eval(self):
            __import__(package)
            yield self.planned, sys.executable

    return udtf(Where)


class Reader(DataSourceReader):
    def __init__(self, planned):
        self.planned = planned

    def read(self, partition):
        yield self.planned, sys.executable


class Where(DataSource):
    @classmethod
    def name(cls):
        return "where"

    def schema(self):
        return WHERE

    def reader(self, schema):
        return Reader(sys.executable)


class Told:
    def eval(self):
        yield (sys.executable,)


def ran(_):
    return sys.executable


def planning():
    captain = Captain(install_local=False)
    captain.add_pip_packages("pyarrow", "edtf")
    captain.launch_ship()
    spark = start()
    spark.dataSource.register(Where)
    told = {
        "root": SparkFiles.getRootDirectory(),
        "table function": [*table_function("edtf")().first()],
        "data source": [*spark.read.format("where").load().first()],
    }
    captain.add_pip_packages("humanize")
    told["table function of an addition"] = [*table_function("humanize")().first()]
    other = spark.newSession()
    told["ran"] = {
        "rdd": spark.sparkContext.parallelize([0], 1).map(ran).first(),
        "udf": spark.range(1).select(udf(ran)("id")).first()[0],
        "table function": udtf(Told, returnType="ran string")().first()[0],
        "udf, another session": other.range(1).select(udf(ran)("id")).first()[0],
    }
    spark.stop()
    captain.close()
    return told


def both(spark):
    """A function of each kind; what they are made of is decided here."""
    return [
        spark.range(1).select(udf(ran)("id")).first()[0],
        udtf(Told, returnType="ran string")().first()[0],
    ]


def message_of(attempt):
    try:
        return str(attempt())
    except PythonException as error:
        return str(error)


def arrow():
    """A driver with pandas and pyarrow, and a ship without."""
    with Captain() as captain:
        before = list(sys.path)
        captain.add_pip_packages("pandas", "pyarrow").launch_ship()
        own = [entry for entry in sys.path if entry not in before]
    sys.path.extend(own)
    captain = Captain()
    captain.add_pip_packages("edtf").launch_ship()
    spark = start()
    told = {"without": message_of(lambda: both(spark))}
    for value in ("false", "true"):
        spark.conf.set("spark.sql.execution.pythonUDF.arrow.enabled", value)
        spark.conf.set("spark.sql.execution.pythonUDTF.arrow.enabled", value)
        told[value] = both(spark)
        captain.add_pip_packages("pyarrow")
    told["aboard"] = [pin.name for pin in captain.lock.pins]
    told["eval type"] = udf(ran).evalType
    spark.stop()
    return told


answer = {f.__name__: f for f in (planning, arrow)}[sys.argv[1]]()
print("RESULT", json.dumps(answer), flush=True)
