"""What launch_ship does to a process, told as facts; the tests decide.

launching.py SCENARIO [ARGUMENTS]
"""

import json
import os
import sys
import time

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from coffee_boat import BoatError, Captain
from coffee_boat._support.store import Store
from coffee_boat.spark import class_data, install, java

CLUSTER = "local-cluster[1,1,1024]"


def tell(_):
    import importlib.util
    import os
    import sys

    prefix = os.path.realpath(sys.prefix)
    return {
        "inside": prefix.startswith(os.path.realpath(os.getcwd()) + "/"),
        "boat": os.path.basename(prefix).startswith("boat-"),
        "programs": "/boat-" in os.environ["PATH"].partition(":")[0],
        "edtf": importlib.util.find_spec("edtf") is not None,
        "iniconfig": importlib.util.find_spec("iniconfig") is not None,
        "nousersite": os.environ.get("PYTHONNOUSERSITE"),
        "user": os.environ.get("OF_THE_USER"),
        "generation": os.environ.get("GENERATION"),
    }


def ask(sc):
    return {**sc.parallelize([0], 1).map(tell).collect()[0], "master": sc.master}


def ship(*packages, **options):
    captain = Captain(install_local=False)
    captain.add_pip_packages(*packages)
    return captain.launch_ship(**options)


def quiet(master=None):
    conf = SparkConf().set("spark.ui.enabled", "false").set("spark.executorEnv.OF_THE_USER", "kept")
    return conf if master is None else conf.setMaster(master)


def forms():
    """One launch, and every way to start, one after the other."""
    before = dict(os.environ)
    ship("edtf")
    told = {}
    starts = {
        "positional": lambda: SparkContext("local[2]", "a name", conf=quiet()),
        "keyword, cluster": lambda: SparkContext(master=CLUSTER, conf=quiet()),
        "conf": lambda: SparkContext(conf=quiet("local[2]")),
        "getOrCreate": lambda: SparkContext.getOrCreate(quiet("local[1]")),
        "builder": (
            lambda: SparkSession.builder.config(conf=quiet("local[*]")).getOrCreate().sparkContext
        ),
        "builder, cluster": (
            lambda: (
                SparkSession.builder.master(CLUSTER)
                .config(conf=quiet(CLUSTER))
                .getOrCreate()
                .sparkContext
            )
        ),
    }
    for name, start in starts.items():
        sc = start()
        told[name] = ask(sc)
        sc.stop()
    changed = sorted(
        name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)
    )
    return {"told": told, "changed": changed}


def shared_map():
    """Variables reach functions that were made, and used, before."""
    from pyspark.sql.functions import udf

    ship("edtf")
    sc = SparkContext(CLUSTER, conf=quiet())

    def generation(_):
        import os

        return os.environ.get("GENERATION")

    rdd = sc.parallelize([0], 1).map(generation)
    df = SparkSession(sc).range(1).select(udf(generation)("id"))
    before = [*rdd.collect(), df.first()[0]]
    sc.environment["GENERATION"] = "2"
    return {"before": before, "after": [*rdd.collect(), df.first()[0]]}


def two_captains():
    """The newest wins; a captain that closes takes only its own hands off."""
    first = ship("edtf")
    second = ship("iniconfig")
    told = []
    for act in (first.close, second.close, lambda: None):
        sc = SparkContext("local[1]", conf=quiet())
        told.append(ask(sc))
        sc.stop()
        act()
    return {"told": told, "init": SparkContext.__init__.__module__}


def error_of(attempt):
    try:
        attempt()
    except BoatError as error:
        return str(error)
    return "nothing was raised"


def refused():
    """Masters and modes that are not served, and that the process is well afterwards."""
    captain = ship("edtf")
    attempts = [
        lambda: SparkContext(master="mesos://host:5050", conf=quiet()),
        lambda: SparkSession.builder.remote("sc://localhost:15002").getOrCreate(),
        lambda: (
            SparkSession.builder.config("spark.archives", "/x.zip#boat-0")
            .master("k8s://https://host")
            .getOrCreate()
        ),
    ]
    errors = [error_of(attempt) for attempt in attempts]
    sc = SparkContext("local[1]", conf=quiet())
    told = ask(sc)
    errors.append(error_of(captain.launch_ship))
    return {"errors": errors, "told": told}


def defaults():
    """master= and conf= of launch_ship, and what the program says itself."""
    captain = ship(
        "edtf",
        master=CLUSTER,
        conf={"spark.ui.enabled": "false", "spark.app.name": "of launch_ship"},
    )
    told = []
    for start in (
        SparkContext,
        lambda: captain.start().sparkContext,
        lambda: SparkContext(master="local[1]", appName="of the program"),
    ):
        sc = start()
        told.append({**ask(sc), "name": sc.appName, "ui": sc.uiWebUrl})
        sc.stop()
    return {"told": told}


def one(master):
    """One start."""
    ship("edtf")
    begun = time.monotonic()
    sc = SparkContext(master=master, conf=quiet())
    started = time.monotonic() - begun
    java = sc._jvm.java.lang.System.getProperty("java.home")
    return {"told": ask(sc), "java": java, "jvm": started}


def write_classes():
    """What is done when a session has ended; at once, whoever else wants the processor."""
    store, home = Store(), install.find_spark().home
    bundled = java.java_environment(store, home)["JAVA_HOME"]
    classes = class_data.of(store, home, bundled, {})
    classes.make(idly=False)
    end = time.monotonic() + 250
    while not classes.is_known and time.monotonic() < end:
        time.sleep(0.2)
    return {"folder": classes.name}


answer = {
    f.__name__: f for f in (forms, shared_map, two_captains, refused, defaults, one, write_classes)
}[sys.argv[1]](*sys.argv[2:])
print("RESULT", json.dumps(answer), flush=True)
if SparkContext._active_spark_context is not None:
    SparkContext._active_spark_context.stop()
