"""What functions that were made before see after each change of a running session.

    generations.py MASTER FOLDER [few|every] [key=value ...]

FOLDER holds the wheels of crowd_wheels.py. With `few`, only some kinds of functions and no
accidents: for clusters that take longer; with `every` all of them, and no accidents. What follows
are settings of Spark. MASTER may be the address of a Connect server, too.
"""

import importlib.util
import json
import queue
import sys
import threading
import time
from pathlib import Path

from coffee_boat import BoatError, Captain

MASTER, FOLDER, *MORE = sys.argv[1:]
FEW, ACCIDENTS, REMOTE = "few" in MORE, not {"few", "every"} & {*MORE}, MASTER.startswith("sc://")
captain = Captain(find_links=[FOLDER])
captain.add_pip_packages("crewballast==1.0", "crewhull")
if not FEW:
    captain.add_pip_packages("pyarrow", "pandas")
elif REMOTE:
    captain.add_pip_packages("pyarrow")
conf = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    **dict(pair.split("=", 1) for pair in MORE if "=" in pair),
}
if REMOTE:
    from pyspark.sql import SparkSession

    captain.launch_ship()
    spark = SparkSession.builder.remote(MASTER).config(map=conf).getOrCreate()
else:
    spark = captain.launch_ship(master=MASTER, conf=conf).start()

from pyspark.sql.functions import pandas_udf, udf  # noqa: E402


def look(*_):
    """As JSON: what of our packages is here, by import and by metadata, and who says so."""
    import importlib
    import importlib.metadata
    import json
    import os
    import sys

    def imported(name):
        try:
            return importlib.import_module(name).VERSION
        except ImportError:
            return None

    def described(name):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    names = ("crewballast", "crewhull", "crewkeel", "crewsail", "crewchart")
    return json.dumps(
        {
            "imported": {name: imported(name) for name in names},
            "described": {name: described(name) for name in names},
            "pid": os.getpid(),
            "prefix": sys.prefix,
        }
    )


def rows():
    return spark.range(0, 2, 1, 2)


def answers(frame):
    return [row[0] for row in frame.collect()]


def look_at_batches(batches):
    import pandas as pd

    for batch in batches:
        yield pd.DataFrame({"seen": [look() for _ in range(len(batch))]})


def look_at_arrow(batches):
    import pyarrow as pa

    for batch in batches:
        yield pa.RecordBatch.from_pydict({"seen": [look()] * batch.num_rows})


def look_at_group(group):
    import pandas as pd

    return pd.DataFrame({"seen": [look()]})


def by_rdd():
    return spark.sparkContext.parallelize(range(2), 2).map(look).collect


def of_frame(frame):
    return lambda: answers(frame)


def by_udf():
    return of_frame(rows().select(udf(look, "string")("id")))


def by_pandas_udf():
    @pandas_udf("string")
    def looking(column):
        return column.map(look)

    return of_frame(rows().select(looking("id")))


def by_map_in_pandas():
    return of_frame(rows().mapInPandas(look_at_batches, "seen string"))


def by_map_in_arrow():
    return of_frame(rows().mapInArrow(look_at_arrow, "seen string"))


def by_apply_in_pandas():
    return of_frame(rows().groupBy("id").applyInPandas(look_at_group, "seen string"))


def by_registration():
    spark.udf.register("look_registered", look, "string")
    return of_frame(rows().selectExpr("look_registered(id)"))


def by_sql():
    spark.udf.register("look_by_sql", look, "string")
    return lambda: answers(spark.sql("SELECT look_by_sql(id) FROM range(0, 2, 1, 2)"))


def by_udtf():
    from pyspark.sql.functions import lit, udtf

    @udtf(returnType="seen string")
    class Looking:
        def eval(self, _):
            yield (look(),)

    return of_frame(Looking(lit(1)))


def by_data_source():
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

    class Reader(DataSourceReader):
        def partitions(self):
            return [InputPartition(number) for number in range(2)]

        def read(self, partition):
            yield (look(),)

    class Looking(DataSource):
        @classmethod
        def name(cls):
            return "looking"

        def schema(self):
            return "seen string"

        def reader(self, schema):
            return Reader()

    spark.dataSource.register(Looking)
    return of_frame(spark.read.format("looking").load())


def by_batches():
    """A query that runs all the time, and a batch when it is asked for one: a function of its
    frame, and one that its body uses.
    """
    turns, seen = threading.Semaphore(0), queue.Queue()
    within = udf(look, "string")

    def body(batch, _):
        turns.acquire()
        try:
            seen.put(
                [text for row in batch.select("early", within("value")).collect() for text in row]
            )
        except Exception as error:
            seen.put(error)
            raise

    source = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 2).load()
    frame = source.select("value", udf(look, "string")("value").alias("early"))
    query = frame.writeStream.foreachBatch(body).start()

    def ask():
        turns.release()
        said = seen.get(timeout=60)
        if isinstance(said, Exception):
            raise said
        return said

    def end():
        turns.release(1000)
        query.stop()

    ends.append(end)
    return ask


ends = []
MAKERS = {
    "rdd": by_rdd,
    "udf": by_udf,
    "pandas_udf": by_pandas_udf,
    "mapInPandas": by_map_in_pandas,
    "mapInArrow": by_map_in_arrow,
    "applyInPandas": by_apply_in_pandas,
    "registered": by_registration,
    "sql": by_sql,
    "udtf": by_udtf,
    "foreachBatch": by_batches,
}
if importlib.util.find_spec("pyspark.sql.datasource"):
    MAKERS["data source"] = by_data_source
if REMOTE:  # it has no RDDs, runs streams without archives, and plans sources with its own Python
    MAKERS = {
        kind: make
        for kind, make in MAKERS.items()
        if kind not in ("rdd", "foreachBatch", "data source")
    }
if FEW:
    MAKERS = {kind: MAKERS[kind] for kind in ("rdd", "udf") if kind in MAKERS}
kinds = {kind: make() for kind, make in MAKERS.items()}
result = {"seen": {}, "seconds": {}, "refused": {}}


def see(operation):
    """Ask each kind, and keep what its functions said."""
    began = time.monotonic()
    seen = result["seen"][operation] = {}
    for kind, ask in kinds.items():
        print(f"{operation}: {kind}", file=sys.stderr)
        seen[kind] = [json.loads(text) for text in ask()]
    result["seconds"][f"{operation}: jobs"] = time.monotonic() - began


def change(operation, act):
    began = time.monotonic()
    act()
    result["seconds"][operation] = time.monotonic() - began
    see(operation)


def refused(what, act):
    """That an act is refused, and how."""
    before = len(captain.generations)
    try:
        act()
    except BoatError as error:
        said = {"code": error.code, "text": str(error)}
    else:
        said = {"code": "", "text": "it was done"}
    result["refused"][what] = {**said, "generations": [before, len(captain.generations)]}


def in_other_processes(_):
    """What a task with another working directory sees, and what processes that it starts see."""
    import multiprocessing
    import os
    import subprocess
    import sys

    before = os.getcwd()
    os.chdir("/")
    try:
        words = "import crewsail, importlib.metadata as m; print(m.version('crewsail'))"
        ran = subprocess.run(
            [sys.executable, "-c", words], cwd="/tmp", capture_output=True, text=True, check=False
        )
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            spawned = pool.apply(eval, ("__import__('crewsail').VERSION",))
        import crewsail

        here = crewsail.VERSION
    finally:
        os.chdir(before)
    return {"chdir": here, "subprocess": ran.stdout.strip() or ran.stderr[-500:], "spawn": spawned}


def data_files(_):
    """Data files and programs, where programs look for them."""
    import os
    import shutil
    import subprocess
    import sys

    path = os.path.join(sys.prefix, "share", "crewchart", "coast.txt")
    program = shutil.which("crewchart")
    ran = (
        subprocess.run([program], capture_output=True, text=True, check=False) if program else None
    )
    return {
        "data": open(path).read().strip() if os.path.isfile(path) else "",
        "program": ran.stdout.strip() or ran.stderr[-500:] if ran else "",
    }


def hauled(_):
    import crewrope

    return crewrope.haul()


def everywhere(function, tasks=4):
    asking = udf(lambda number: json.dumps(function(number)), "string")
    return [
        json.loads(text) for text in answers(spark.range(0, tasks, 1, tasks).select(asking("id")))
    ]


def permit(mode, everybody):
    """Set the mode of a folder of the base, which nothing needs, on the executor of the first task,
    or on those of all; those executors.
    """

    def act(number):
        import os
        import sys
        from pathlib import Path

        from coffee_boat_worker import facts

        if not everybody and number:
            return None
        running = os.environ.get("COFFEE_BOAT_GENERATION") or sys.prefix
        for base in Path(running).resolve().parent.glob("boat-*"):
            for folder in base.glob("lib/python3*/wsgiref"):
                folder.chmod(mode)
        return facts.executor_id()

    return sorted({one for one in everywhere(act) if one is not None})


def accident():
    """One executor cannot read a part of the base: the change fails, then the folder is mended."""
    result["spoilt"] = permit(0o000, everybody=False)
    refused("not composed", lambda: captain.upgrade_pip_packages("crewballast==3.0"))
    see("refused")
    result["mended"] = permit(0o755, everybody=True)
    captain.upgrade_pip_packages("crewballast==3.0")
    result["afterwards"] = [json.loads(text) for text in kinds["rdd"]()]


see("before")
# again: Spark ends a worker that had no task for a minute
again = ("rdd", "udf") if "rdd" in kinds else ("udf",)
result["workers"] = {kind: list(map(json.loads, kinds[kind]())) for kind in again}
change("add", lambda: captain.add_pip_packages("crewsail"))
result["children"] = everywhere(in_other_processes, 2)
change("upgrade", lambda: captain.upgrade_pip_packages("crewballast==2.0"))
change("remove", lambda: captain.remove_pip_packages("crewsail"))
refused("needed", lambda: captain.remove_pip_packages("crewkeel"))
change("rollback", captain.rollback)
result["children afterwards"] = everywhere(in_other_processes, 2)
change("data", lambda: captain.add_pip_packages("crewchart"))
result["files"] = everywhere(data_files)
if ACCIDENTS:
    accident()
if not FEW:
    for name in ("crewanchor", "crewrope"):
        if list(Path(FOLDER).glob(f"{name}-*")):
            captain.add_pip_packages(name)
            result["hauled"] = everywhere(hauled) if name == "crewrope" else []
    captain.add_pip_packages("crewflag", wait=60.0)
    result["confirmed"] = list(captain.report.confirmed)
report = captain.verify()
result["ok"], result["report"] = report.ok, str(report)
result["generations"] = str(captain.generations)
for end in ends:
    end()
print("RESULT", json.dumps(result), flush=True)
spark.stop()
