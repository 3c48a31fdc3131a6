"""Two applications, one after the other, whose nodes unpack the environment once; the second one
adds packages, a large one among them, and takes one away.

    node_store.py MASTER FOLDER
"""

import json
import os
import sys
import time
from pathlib import Path

from pyspark import SparkContext

from coffee_boat import Captain

MASTER, FOLDER = sys.argv[1:]
captain = Captain(install_local=False)
captain.add_pip_packages("edtf", "six")
captain.launch_ship()


def where(_):
    import os
    import socket
    import sys
    import time

    import edtf

    time.sleep(0.2)
    root = sys.prefix
    listed = os.path.join(os.path.dirname(root), "files.json")
    made = os.stat(listed).st_mtime_ns if os.path.exists(listed) else 0
    return socket.gethostname(), root, edtf.__file__, made


def answers(context):
    """Of an executor on each node: a session starts with fewer than it will have."""
    deadline, seen = time.monotonic() + 60, set()
    while len({host for host, *_ in seen}) < 2 and time.monotonic() < deadline:
        seen |= set(context.parallelize(range(4), 4).map(where).collect())
    return sorted(seen)


def unpacked_first(context):
    """Executor -> whether its environment was there before Spark gave it its first task."""

    def made(_):
        import os
        import sys
        import time

        time.sleep(0.2)
        listed = os.path.join(os.path.dirname(sys.prefix), "files.json")
        return os.path.basename(os.getcwd()), os.stat(listed).st_mtime_ns // 10**6

    there = dict(context.parallelize(range(4), 4).map(made).collect())
    tasks = context._jsc.sc().statusStore().taskList(0, 0, 100)
    given = {}
    for task in map(tasks.apply, range(tasks.size())):
        given.setdefault(task.executorId(), []).append(task.launchTime().getTime())
    return {one: there[one] <= min(given[one]) for one in there.keys() & given.keys()}


def fetched(context):
    """How many executors have the archive in their folder."""

    def there(_):
        import glob
        import os
        import time

        time.sleep(0.2)
        return os.getcwd(), len(glob.glob("boat-*.cargo"))

    return sum(dict(context.parallelize(range(4), 4).map(there).collect()).values())


first = SparkContext(master=MASTER)
told = {"first": answers(first), "unpacked first": unpacked_first(first)}
told["fetched"] = {"first": fetched(first)}
told["first_ok"] = captain.verify().ok
first.stop()
second = SparkContext(master=MASTER)
told["second"] = answers(second)
told["fetched"]["second"] = fetched(second)
report = captain.verify()
told |= {
    "ok": report.ok,
    "report": str(report),
    "foreign": [e.foreign_files for e in report.executors],
}
captain.add_pip_packages("isodate")
added = second.parallelize(range(4), 4).map(lambda _: __import__("isodate").__file__)
told["added"] = sorted(set(added.collect()))
sack = Path(FOLDER, "sack")
sack.mkdir()
(sack / "__init__.py").touch()
(sack / "beans.bin").write_bytes(os.urandom(9 << 20))
captain.add_local(sack)


def large(_):
    import os
    import socket

    import sack

    return socket.gethostname(), sack.__file__, os.path.realpath(sack.__file__)


told["large"] = sorted(set(second.parallelize(range(4), 4).map(large).collect()))
captain.remove_pip_packages("edtf")


def lacks(_):
    import importlib.util
    import sys

    return sys.prefix, importlib.util.find_spec("edtf") is None, __import__("six").__file__


told["without"] = sorted(set(second.parallelize(range(4), 4).map(lacks).collect()))
told["large after"] = sorted(set(second.parallelize(range(4), 4).map(large).collect()))
told["ok_after"] = captain.verify().ok
print("RESULT", json.dumps(told))
second.stop()
