"""Packages that come aboard while the session runs, and who sees them.

    hot_add.py MASTER FOLDER

FOLDER holds two projects that share the namespace `brew`: brew_base is shipped at launch,
brew_extra is added; brew_more adds a module to brew_base's package; brew_large is sent as a file.
"""

import contextlib
import importlib
import io
import json
import sys
import threading
import time
from pathlib import Path

MASTER, FOLDER = sys.argv[1:]

from IPython.core.interactiveshell import InteractiveShell  # noqa: E402
from pyspark import InheritableThread, SparkContext, SparkFiles  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402

from coffee_boat import Captain  # noqa: E402

captain = Captain(accept_conda_license=True)
captain.add_pip_packages("pyarrow", "edtf", f"{FOLDER}/brew_base")
captain.launch_ship()
sc = SparkContext(master=MASTER)


def look(_):
    """Whether the added package is there, and in which worker."""
    import os
    import socket
    import time

    time.sleep(0.3)
    try:
        import humanize
    except ImportError:
        return [(socket.gethostname(), os.getpid(), "")]
    return [(socket.gethostname(), os.getpid(), humanize.__file__)]


def wait_for_it(_):
    """One task that was running before the package was sent."""
    import os
    import time

    started, end = time.time(), time.monotonic() + 90
    while time.monotonic() < end:
        try:
            import humanize
        except ImportError:  # noqa: PERF203
            time.sleep(0.2)
        else:
            return [(os.getpid(), started, time.time(), humanize.__file__)]
    return [(os.getpid(), started, 0.0, "")]


def inspect(_):
    """What a layer must bring besides modules."""
    import importlib.metadata as metadata
    from importlib.resources import files

    import brew.base
    import brew.extra
    import rapidfuzz.fuzz

    return [
        {
            "native": rapidfuzz.fuzz.ratio("boat", "boats"),
            "namespace": [brew.base.__file__, brew.extra.__file__],
            "version": metadata.version("humanize"),
            "entry_points": sorted(
                f"{point.name}={point.load()()}"
                for point in metadata.entry_points(group="brew.beans")
            ),
            "resource": files("brew.extra").joinpath("beans.txt").read_text().strip(),
        }
    ]


def both_hosts(rdd):
    """Answers until two hosts are among them: a session starts with fewer executors than it will
    have.
    """
    seen, end = set(), time.monotonic() + 60
    while len({host for host, *_ in seen}) < 2 and time.monotonic() < end:
        seen |= set(rdd.collect())
    return sorted(seen)


def occupy(seconds):
    """A job that keeps all four slots, once it has them."""

    def rest(_):
        import time

        time.sleep(seconds)
        return []

    job = InheritableThread(target=lambda: sc.parallelize(range(4), 4).mapPartitions(rest).count())
    job.start()
    tracker, end = sc.statusTracker(), time.monotonic() + 60
    while (
        time.monotonic() < end
        and sum(tracker.getStageInfo(stage).numActiveTasks for stage in tracker.getActiveStageIds())
        != 4
    ):
        time.sleep(0.05)
    return job


def add_while_all_are_busy():
    """What an addition says that no executor can confirm, and what it is to the next job."""
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "coffee_boat")
    shell.user_ns["captain"] = captain
    before, told = captain.report, io.StringIO()
    job = occupy(25)
    began = time.monotonic()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
        shown = shell.run_line_magic("boat", "add toolz")
    took = time.monotonic() - began
    busy = job.is_alive()
    job.join()

    def version(_):
        import toolz

        return [toolz.__version__]

    return {
        "took": took,
        "busy": busy,
        "missed": captain.report.missed,
        "new": captain.report is not before,
        "told": f"{told.getvalue()}\n{shown}",
        "next job": sc.parallelize(range(4), 4).mapPartitions(version).collect(),
    }


def sack(_):
    """What a large package is to a task, and to what a task starts."""
    import hashlib
    import importlib.metadata
    import os
    import subprocess
    import sys
    from importlib.resources import files

    version = importlib.metadata.version("brew-large")
    import brew.large

    code = "import brew.large; print(brew.large.__file__)"
    started = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
    data = files("brew.large").joinpath("beans.txt").read_bytes()
    file = brew.large.__file__
    return [[os.getpid(), version, hashlib.sha256(data).hexdigest(), file, started]]


def programs(_):
    """What the programs of an addition and of the base say, where nothing of it was imported."""
    import subprocess

    ran = (
        subprocess.run(["brew-" + name], stderr=subprocess.PIPE, text=True, check=False)
        for name in ("large", "base")
    )
    return [", then ".join(one.stderr.strip() for one in ran)]


def add_a_large_one():
    """A package that is sent as a file; the driver's JVM unpacks nothing of it."""
    pids = sc.parallelize(range(4), 4).map(lambda _: __import__("os").getpid()).collect()
    captain.add_pip_packages(f"{FOLDER}/brew_large")
    arrival, large = captain.report, sc.parallelize(range(4), 4).mapPartitions(sack)
    name = arrival.archive.name
    files = Path(SparkFiles.getRootDirectory())
    return large, {
        "pids": pids,
        "confirmed": arrival.confirmed,
        "programs": sc.parallelize(range(4), 4).mapPartitions(programs).collect(),
        "name": name,
        "seen": large.collect(),
        "with the driver": sorted(path.name for path in files.glob(f"{name}*")),
        "here": importlib.import_module("brew.large").__file__,
        "ok": captain.verify().ok,
    }


def edit_own_code():
    """Code of one's own that comes, is used, and is edited."""
    package = Path(FOLDER, "mine", "roastery")
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from roastery.level import LEVEL\n")
    (package / "level.py").write_text("LEVEL = 'light'\n")

    def level(_):
        import importlib.metadata

        import roastery

        return [[roastery.LEVEL, importlib.metadata.version("roastery"), roastery.__file__]]

    captain.add_local(package)
    in_an_rdd = sc.parallelize(range(4), 4).mapPartitions(level)
    spark = SparkSession(sc)
    spark.udf.register("level", lambda _: level(None)[0][0])
    in_sql = spark.range(0, 4, 1, 4).selectExpr("level(id)")

    def seen():
        return {"rdd": in_an_rdd.collect(), "sql": [row[0] for row in in_sql.collect()]}

    told = {"here": importlib.import_module("roastery").__file__, "before": seen()}
    (package / "level.py").write_text("LEVEL = 'dark'\n")
    began = time.monotonic()
    captain.refresh()
    told |= {"took": time.monotonic() - began, "size": captain.report.archive.size}
    sent = captain.report
    captain.refresh()
    told |= {"again": captain.report is not sent, "after": seen(), "ok": captain.verify().ok}
    return told


def extend_a_package():
    """A module that another distribution adds to the package of one that was shipped at launch,
    and that both sides have imported.
    """

    def more(_):
        from brew.base import more

        return [more.MORE]

    importlib.import_module("brew.base")
    captain.add_pip_packages(f"{FOLDER}/brew_more")
    there = sc.parallelize(range(4), 4).mapPartitions(more).collect()
    return {"there": there, "here": importlib.import_module("brew.base.more").MORE}


early = sc.parallelize(range(4), 4).mapPartitions(look)
before = both_hosts(early)

running = []
job = InheritableThread(
    target=lambda: running.extend(sc.parallelize([0], 1).mapPartitions(wait_for_it).collect())
)
job.start()
while not any(
    sc.statusTracker().getStageInfo(stage).numActiveTasks
    for stage in sc.statusTracker().getActiveStageIds()
):
    time.sleep(0.05)
time.sleep(1.0)

plan = captain.plan(pip=["humanize", "rapidfuzz", f"{FOLDER}/brew_extra"])
planned = {
    "text": str(plan),
    "items": [item.label for item in plan.items],
    "wanted": captain.manifest.texts,
    "seen": [file for *_, file in early.collect()],
}

sent = time.time()
captain.add_pip_packages("humanize", "rapidfuzz", f"{FOLDER}/brew_extra")
arrival = captain.report
job.join()

# what executors use is not the driver's copy; it is the store's, and other tests have it too
on_the_driver = Path(importlib.import_module("humanize").__file__).parent
hidden = on_the_driver.rename(on_the_driver.with_suffix(".hidden"))
try:
    after = both_hosts(early)
    details = sc.parallelize(range(2), 2).mapPartitions(inspect).collect()
    # Spark keeps the workers of SQL apart from those of RDDs: these start now
    SparkSession(sc).udf.register("look", lambda _: "{} {} {}".format(*look(None)[0]))
    later = [
        row[0].split()
        for row in SparkSession(sc).range(0, 4, 1, 4).selectExpr("look(id)").collect()
    ]
    report = captain.verify()
    crowded = add_while_all_are_busy()
    large_rdd, large = add_a_large_one()
    own = edit_own_code()
    more = extend_a_package()
    large["composed"] = large_rdd.collect()
finally:
    hidden.rename(on_the_driver)
print(arrival, report, sep="\n", file=sys.stderr)
result = {
    "before": before,
    "planned": planned,
    "running": running,
    "sent": sent,
    "after": after,
    "later": [[host, int(pid), file] for host, pid, file in later],
    "details": details,
    "confirmed": arrival.confirmed,
    "parts": arrival.seconds,
    "crowded": crowded,
    "own": own,
    "more": more,
    "large": large,
    "ok": report.ok,
    "report": str(report),
    "threads": threading.active_count(),
}
print("RESULT", json.dumps(result), flush=True)
sc.stop()
