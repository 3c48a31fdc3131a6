"""What the driver sends to its executors, and how long that takes, with and without a stage: a
local-cluster of many executors on this machine.

    python benchmarks/fan_out.py [--executors 8] [--megabytes 50] [--repeat 1]

The environment holds a file that no compression makes smaller. Each session runs in a network
namespace of its own, where nothing else uses the loopback interface: what its counter says is what
left the driver, and a few MB of Spark's own words. Needs `unshare` and the right to use it (root,
or user namespaces). The time is from the start of the session until a task of each executor has
read the file; all executors share this machine's cores and disk, so it says little of a cluster:
the bytes do.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _common import QUIET, median, on_each, stop, table, versions
from large import wheel

_UP, _SET = 0x1, 0x8914
"""IFF_UP and SIOCSIFFLAGS, of linux/if.h and linux/sockios.h."""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--executors", type=int, default=8)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=1, metavar="N")
    parser.add_argument("--session", default="", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.session:
        print(json.dumps(session(json.loads(said.session))))
        return 0
    print(versions("coffee_boat", "pyspark"))
    with tempfile.TemporaryDirectory(prefix="boat-fan-out-") as name:
        folder = Path(name)
        (folder / "wheels").mkdir()
        wheel(folder / "wheels", "noise", {"noise/data.bin": [os.urandom(said.megabytes << 20)]})
        rows = [
            _row(way, [_child(folder, way, said.executors) for _ in range(said.repeat)])
            for way in ("no stage", "stage")
        ]
    head = (f"{said.executors} executors", "archive, MB", "sent by the driver, MB", "seconds")
    print(table(head, rows))
    return 0


def _row(way: str, told: list[dict[str, float]]) -> list[object]:
    return [way, *(median(one[key] for one in told) for key in ("archive", "sent", "seconds"))]


def _child(folder: Path, way: str, executors: int) -> dict[str, float]:
    """One session, in a network of its own."""
    plan = {"folder": str(folder), "executors": executors, "stage": way == "stage"}
    words = [sys.executable, __file__, "--session", json.dumps(plan)]
    done = subprocess.run(
        ["unshare", "--net", "--map-root-user", *words],
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{way} failed:\n{done.stderr[-3000:]}")
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {way}: {told}", flush=True)
    return told


def session(plan: dict[str, object]) -> dict[str, float]:
    """One session's figures: megabytes and seconds."""
    from coffee_boat import Captain

    _loopback_up()
    folder, executors = Path(str(plan["folder"])), int(str(plan["executors"]))
    captain = Captain(
        ship_python=False,
        offline=True,
        find_links=[str(folder / "wheels")],
        store=folder / "store",
        stage=str(folder / "stage") if plan["stage"] else None,
    )
    captain.add_pip_packages("noise")
    archive = captain.pack(folder / "noise.tar.gz", overwrite=True)
    conf = {**QUIET, "spark.driver.memory": "1g", "spark.executor.memory": "512m"}
    captain.launch_ship(f"local-cluster[{executors},1,512]", conf)
    before, began = _sent(), time.perf_counter()
    context = captain.start().sparkContext
    sizes = on_each(context, executors, _read)
    seconds, sent = time.perf_counter() - began, _sent() - before
    stop(context)
    captain.close()
    if len(set(sizes)) != 1 or not sizes[0]:
        raise RuntimeError(f"executors read different files: {sizes}")
    return {"archive": archive.size / 1e6, "sent": sent / 1e6, "seconds": seconds}


def _read() -> int:
    """On an executor: the file is there, all of it."""
    import noise

    return int(os.stat(os.path.join(next(iter(noise.__path__)), "data.bin")).st_size)


def _loopback_up() -> None:
    """A new network namespace has a loopback interface that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SET, struct.pack("16sh14x", b"lo", _UP))


def _sent() -> int:
    """Bytes that went over the loopback interface of this network."""
    lines = Path("/proc/net/dev").read_text("ascii").splitlines()
    lo = next(line for line in lines if line.strip().startswith("lo:"))
    return int(lo.partition(":")[2].split()[8])


if __name__ == "__main__":
    sys.exit(main())
