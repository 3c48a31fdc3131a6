"""Flink outside of Spark: Python functions of a table that run with the packages of an archive.

boat conf --for flink --pip apache-flink --pip edtf     # builds it, and says its file
boat exec boat.tar.gz -- python examples/flink_job.py boat.tar.gz#boat boat/bin/python3.11
"""

import json
import os
import sys

from pyflink.table import DataTypes, EnvironmentSettings, TableEnvironment
from pyflink.table.expressions import col
from pyflink.table.udf import udf


@udf(result_type=DataTypes.STRING())
def year(text):
    import edtf

    year = edtf.parse_edtf(text).lower_strict().tm_year
    return json.dumps([year, sys.executable, edtf.__file__])


# without `flink run` this program starts a MiniCluster, whose functions run in its own Python
os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112  (as Flink has it)

archive, python = sys.argv[1:]
env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
env.add_python_archive(*archive.split("#"))
env.get_config().set_python_executable(python)
texts = env.from_elements([("1984-06?",), ("2004-06/2006-08",)], ["text"])
with texts.select(year(col("text"))).execute().collect() as rows:
    answers = sorted(json.loads(row[0]) for row in rows)
print("RESULT", json.dumps(answers))
