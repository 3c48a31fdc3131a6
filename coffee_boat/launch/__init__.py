"""ConfPatch -> Spark.

The only stage that sets anything, and only while a SparkContext is being made.

install(Launch(...)) -> Hook      from now on each new SparkContext of this process is completed
    SparkContext.__init__             defaults for master and conf; Java for the gateway; the
                                      executors' interpreter
    SparkContext._initialize_context  the first place where the final master is known, whoever named
                                      it
    SparkSession.Builder              refuses Spark Connect, which starts no SparkContext
pyspark.sql.udf, .udtf            _wrap_function: what the driver's JVM plans in Python gets the
                                  driver's copy of the interpreter
Hook.remove()                     takes all of it back
"""

from coffee_boat.launch._compat import compatible, elsewhere, fitting, load, refuse_if_running
from coffee_boat.launch._gateway import hadoop, java_vm
from coffee_boat.launch._hook import Hook, Launch, install, start
from coffee_boat.launch._java import java_environment

__all__ = [
    "Hook",
    "Launch",
    "compatible",
    "elsewhere",
    "fitting",
    "hadoop",
    "install",
    "java_environment",
    "java_vm",
    "load",
    "refuse_if_running",
    "start",
]
