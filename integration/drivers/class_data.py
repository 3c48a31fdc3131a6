"""A session that does a little of everything, and whose JVM writes the classes that it loaded into
a file when it ends: JEP 350.
"""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession
from pyspark.sql.functions import udf

# A cluster's master and worker are in its driver, and what they and it say to each other.
builder = SparkSession.builder.master("local-cluster[1,1,1024]").config(
    "spark.driver.extraJavaOptions",
    f"-XX:ArchiveClassesAtExit={sys.argv[1]} -Xlog:cds=off -Xlog:cds+dynamic=off",
)
spark = builder.getOrCreate()
assert spark.sparkContext.parallelize(range(4), 2).map(lambda number: number + 1).sum() == 10
doubled = spark.range(4).select(udf(lambda number: 2 * number, "long")("id").alias("number"))
assert [
    row[0] for row in doubled.groupBy("number").count().orderBy("number").select("number").collect()
] == [0, 2, 4, 6]
gateway = spark.sparkContext._gateway
spark.stop()
gateway.shutdown()
gateway.proc.stdin.close()  # Spark's gateway ends with its input
gateway.proc.wait(300)
