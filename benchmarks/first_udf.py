"""Session start and the time to the first UDF result, with and without coffee_boat, and what the
difference is made of.

    python benchmarks/first_udf.py [--cache FOLDER] [--repeat N] [--only REGEX] [--import-packages]
    [--dont-write-bytecode] [--master MASTER [--conf KEY=VALUE]... [--node-store FOLDER]
    [--stage URL]]

Each row is a process of its own, with a JVM of its own: the session is started, a UDF runs on two
partitions, then the same query once more. The UDF needs no package, or imports each with
--import-packages. On local-cluster and standalone clusters the executors unpack it in every
session, once a node; or Spark does (node_store="off"); or they keep it there for later sessions:
cold is without what an earlier one left, warm with it. On local[2] the store has the environment
unpacked after the first one. All chunks,
locks and archives are in the store. Medians over the processes; the clock starts when SparkSession
is asked for, `launch` comes before it. Steps are told by process and file times of this machine's
kernel.

With --dont-write-bytecode workers are told PYTHONDONTWRITEBYTECODE=1, as many images do.

With --master: the same on a cluster whose nodes are on this machine and have a python3.X of the
driver's minor version, which pyspark alone runs; first_udf_everywhere.py starts such clusters, one
after the other. --node-store names the folder of the nodes ("on" by default); on Kubernetes it has
to be one of a volume, since a pod keeps nothing. With --stage once more, with what another
application left there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _common import QUIET, Workshop, arguments, median, on_each, shown, stop, table, versions

PACKAGES = ("pandas", "pyarrow", "scikit-learn")
IMPORTED = {"scikit-learn": "sklearn.ensemble"}
"""What is imported of a package, if it is not called as the package."""
CLUSTER, LOCAL = "local-cluster[2,1,1024]", "local[2]"
ROWS = (
    (f"{CLUSTER}, pyspark alone", CLUSTER, "plain", ()),
    (f"{CLUSTER}, coffee_boat, no packages", CLUSTER, "ours", ()),
    (f"{CLUSTER}, coffee_boat, {' '.join(PACKAGES)}", CLUSTER, "ours", PACKAGES),
    (f"{CLUSTER}, {' '.join(PACKAGES)}, by Spark", CLUSTER, "off", PACKAGES),
    (f"{CLUSTER}, {' '.join(PACKAGES)}, kept on nodes, cold", CLUSTER, "node-cold", PACKAGES),
    (f"{CLUSTER}, {' '.join(PACKAGES)}, kept on nodes, warm", CLUSTER, "node-warm", PACKAGES),
    (f"{LOCAL}, pyspark alone", LOCAL, "plain", ()),
    (f"{LOCAL}, coffee_boat, {' '.join(PACKAGES)}, unpacking", LOCAL, "unpack", PACKAGES),
    (f"{LOCAL}, coffee_boat, {' '.join(PACKAGES)}, unpacked before", LOCAL, "ours", PACKAGES),
)


Row = tuple[str, str, str, tuple[str, ...]]
"""Name, master, way, packages."""


def on_cluster(master: str, stage: str | None, node_store: str) -> list[Row]:
    """The rows of a cluster that was started by other means."""
    name = " ".join(PACKAGES)
    rows: list[Row] = [
        (f"{master}, pyspark alone", master, "plain", ()),
        (f"{master}, coffee_boat, no packages", master, "ours", ()),
        (f"{master}, coffee_boat, {name}", master, "ours", PACKAGES),
    ]
    rows += [
        (f"{master}, {name}, by the application", master, "application", PACKAGES),
        (f"{master}, {name}, by Spark", master, "off", PACKAGES),
    ]
    if not (master.startswith("k8s://") and node_store == "on"):  # pods keep nothing
        rows += [
            (f"{master}, {name}, kept on nodes, {how}", master, f"node-{how}", PACKAGES)
            for how in ("cold", "warm")
        ]
    if stage is not None:
        staged = f"{master}, coffee_boat, {name}, staged before"
        rows.append((staged, master, f"staged={stage}", PACKAGES))
    return rows


STEPS = (
    "executor's JVM",
    "archive, first file",
    "archive, last file",
    "Python daemon",
    "UDF's first row",
)


def observed(names: Sequence[str]) -> str:
    """When this worker's daemon and executor started and the UDF was done, as JSON; seconds since
    the epoch.

    Args:
        names: of modules that the UDF imports, where they are.
    """
    import contextlib
    import importlib
    import json
    import os
    import time

    for name in names:
        with contextlib.suppress(ModuleNotFoundError):  # pyspark alone has none of them
            importlib.import_module(name)
    now = time.time()
    boot = now - time.clock_gettime(time.CLOCK_BOOTTIME)

    def stat(pid: int) -> list[str]:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()

    daemon = os.getppid()
    executor = int(stat(daemon)[1])
    started = {
        name: boot + int(stat(pid)[19]) / os.sysconf("SC_CLK_TCK")
        for name, pid in (("Python daemon", daemon), ("executor's JVM", executor))
    }
    return json.dumps({**started, "UDF's first row": now})


def unpacked() -> dict[str, float]:
    """When the first and the last file of the executor's archive were written, by the times of
    their inodes; nothing without one.
    """
    import os
    import sys

    root = os.path.realpath(sys.prefix)
    if not os.path.exists(os.path.join(root, "boat.json")):
        return {}
    born = [
        os.stat(os.path.join(folder, name), follow_symlinks=False).st_ctime
        for folder, _, names in os.walk(root)
        for name in names
        if not name.endswith(".pyc")
    ]
    return {
        "archive, first file": min(born),
        "archive, last file": os.stat(os.path.join(root, "boat.json")).st_ctime,
    }


def forgotten() -> str:
    """The environment of this node that was removed; for what runs last in a session."""
    import os
    import shutil
    import sys
    import time

    time.sleep(0.3)
    place = os.path.dirname(os.path.realpath(sys.prefix))
    if "coffee_boat-node-" in place:
        shutil.rmtree(place, ignore_errors=True)
    return place


def session(
    master: str,
    way: str,
    store: str,
    packages: list[str],
    conf: Mapping[str, str],
    node_store: str,
    imported: Sequence[str],
) -> dict[str, float]:
    """One process's figures."""
    launched = time.perf_counter()
    foreign = not master.startswith("local")
    if way == "plain":
        os.environ["PYSPARK_PYTHON"] = (
            f"python{sys.version_info.major}.{sys.version_info.minor}"
            if foreign
            else sys.executable
        )
    else:
        if way in ("off", "application"):
            os.environ["COFFEE_BOAT_NODE_STORE"] = way
        if way.startswith("node-"):
            os.environ["COFFEE_BOAT_NODE_STORE"] = (
                node_store if foreign else str(node_store_of(Path(store)))
            )
        launch(master, store, packages, conf, stage=way.partition("=")[2] or None)
    launch_time = time.perf_counter() - launched
    if way == "build":
        return {"launch": launch_time}
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import udf

    epoch, started = time.time(), time.perf_counter()
    builder = SparkSession.builder.master(master)
    for key, value in {**QUIET, **conf}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    start_time = time.perf_counter() - started
    query = spark.range(0, 2, 1, 2).select(
        udf(lambda _: observed(imported), "string", useArrow=False)("id")
    )
    rows = [json.loads(row[0]) for row in query.collect()]
    first = time.perf_counter() - started
    again = time.perf_counter()
    query.collect()
    second = time.perf_counter() - again
    cluster = foreign or master.startswith("local-cluster")
    if foreign:  # nodes share no folder to meet in
        rows += spark.sparkContext.parallelize(range(8), 8).map(lambda _: unpacked()).collect()
    elif cluster:
        rows += on_each(spark.sparkContext, 2, unpacked)
    if foreign and way == "node-cold":
        spark.sparkContext.parallelize(range(8), 8).map(lambda _: forgotten()).collect()
    stop(spark.sparkContext)
    steps = {
        step: min(row[step] for row in rows if step in row) - epoch
        for step in STEPS
        if any(step in row for row in rows) and (cluster or step != "executor's JVM")
    }
    return {"launch": launch_time, "start": start_time, "first": first, "second": second, **steps}


def launch(
    master: str, store: str, packages: list[str], conf: Mapping[str, str], *, stage: str | None
) -> None:
    from coffee_boat import Captain

    captain = Captain(store=store, install_local=False, stage=stage)
    captain.add_pip_packages(*packages)
    captain.launch_ship(master, conf)


def node_store_of(store: Path) -> Path:
    """The folder that stands for one of a node."""
    folder = store.with_name("node")
    folder.mkdir(exist_ok=True)
    return folder


def forget_unpacked(store: Path) -> None:
    for tree in (store / "trees").glob("boat-*"):
        shutil.rmtree(tree)


def main() -> None:
    parser = arguments(__doc__, repeat=3)
    parser.add_argument(
        "--session",
        nargs="+",
        metavar="WORD",
        help=(
            "MASTER plain|build|unpack|ours STORE [PACKAGE...]: one process only; its figures as"
            " JSON"
        ),
    )
    parser.add_argument(
        "--only", metavar="REGEX", default="", help="rows whose name it is found in"
    )
    parser.add_argument("--master", help="of a cluster that runs; default: local-cluster and local")
    parser.add_argument(
        "--conf",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="with --master: a setting of Spark's, as often as needed",
    )
    parser.add_argument(
        "--stage", metavar="URL", help="with --master: a stage in the cluster's file system"
    )
    parser.add_argument(
        "--node-store",
        metavar="FOLDER",
        default="on",
        help="with --master: where nodes keep environments (%(default)s)",
    )
    parser.add_argument(
        "--import-packages", action="store_true", help="the UDF imports each package"
    )
    parser.add_argument(
        "--dont-write-bytecode",
        action="store_true",
        help="workers have PYTHONDONTWRITEBYTECODE=1",
    )
    given = parser.parse_args()
    if any("=" not in setting for setting in given.conf) or (
        given.conf and not (given.master or given.session)
    ):
        parser.error("--conf is KEY=VALUE, and goes with --master")
    if given.session:
        master, way, store, *packages = given.session
        conf = dict(setting.split("=", 1) for setting in given.conf)
        if given.dont_write_bytecode:
            conf["spark.executorEnv.PYTHONDONTWRITEBYTECODE"] = "1"
        imported = [IMPORTED.get(name, name) for name in PACKAGES if given.import_packages]
        figures = session(master, way, store, packages, conf, given.node_store, imported)
        print(json.dumps(figures))
        return
    compare(given)


def compare(given: argparse.Namespace) -> None:
    """All rows, and the table of them."""
    shop = Workshop(given.cache)
    words = [
        *(f"--conf={setting}" for setting in given.conf),
        f"--node-store={given.node_store}",
        *(["--import-packages"] if given.import_packages else []),
        *(["--dont-write-bytecode"] if given.dont_write_bytecode else []),
    ]
    os.environ["UV_CACHE_DIR"] = str(shop.path("uv-cache"))
    store, found = shop.path("store"), []

    def run(master: str, way: str, packages: Sequence[str]) -> dict[str, Any]:
        return shop.child(__file__, "--session", master, way, store, *packages, *words)

    rows: Sequence[Row] = ROWS
    if given.master:
        rows = on_cluster(given.master, given.stage, given.node_store)
    wanted = [row for row in rows if re.search(given.only, row[0])]
    for _, master, _, packages in rows[1:3]:  # makes what shall be in the store
        run(master, "build", packages)
    for label, master, way, packages in wanted:
        if "=" in way or (given.master and way.startswith("node-")):
            run(master, way, packages)  # fills the stage or nodes; or lets them forget
        runs: list[dict[str, Any]] = []
        for _ in range(given.repeat):
            if way == "unpack":
                forget_unpacked(store)
            if way == "node-cold" and not given.master:
                shutil.rmtree(node_store_of(store))
            runs.append(run(master, way, packages))
        print(
            f"  {label}: first result {shown(one['first'] for one in runs)} s",
            file=sys.stderr,
            flush=True,
        )
        found.append({name: median(one[name] for one in runs) for name in runs[0]})
    show(wanted, found, given.repeat)


def show(
    wanted: Sequence[Row],
    found: list[dict[str, Any]],
    repeat: int,
) -> None:
    print(f"\n{versions('coffee_boat', 'pyspark')}; medians of {repeat} processes; seconds\n")
    plain = {
        master: found[place]["first"]
        for place, (_, master, way, _) in enumerate(wanted)
        if way == "plain"
    }
    rows = []
    for (label, master, _, _), run in zip(wanted, found, strict=True):
        whole = run["launch"] + run["first"]
        rows.append(
            [
                label,
                run["launch"],
                run["start"],
                run["first"],
                whole,
                f"{whole / plain[master]:.2f}" if master in plain else "",
                run["second"],
            ]
        )
    print(
        table(
            ("", "launch", "session", "first result", "with launch", "x alone", "second query"),
            rows,
        )
    )
    print(
        "\nwhen things happened, in seconds since the session was asked for, on the executor that"
        " was first"
    )
    print(
        table(
            ("", *STEPS, "result"),
            [
                [label, *(run.get(step) for step in STEPS), run["first"]]
                for (label, *_), run in zip(wanted, found, strict=True)
            ],
        )
    )


if __name__ == "__main__":
    main()
