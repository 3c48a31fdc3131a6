"""first_udf.py on each kind of cluster: the beds of integration/beds are started one after the
other, so one command gives all tables.

    python benchmarks/first_udf_everywhere.py [--cache FOLDER] [--repeat N] [--on NAME]...
    [-- WORD...]

Linux and root, as the beds; Kubernetes is compiled first where it was not. Words behind `--` are
first_udf.py's own: --import-packages, --dont-write-bytecode, --only REGEX.

    local-cluster   and local[2]
    standalone      two nodes with two executors each
    yarn            two executors; the archive without a stage, and staged before
    kubernetes      two executors, and a folder of the node as a volume of each pod
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from _common import CHECKOUT, arguments

BENCHMARK = Path(__file__).with_name("first_udf.py")
POD_USER = 185
"""As the image of the bed has it."""
SMALL = ("spark.executor.memory=512m",)
TWO = (*SMALL, "spark.executor.instances=2")
VOLUME = "spark.kubernetes.executor.volumes.hostPath.boats"


def main() -> None:
    parser = arguments(__doc__, repeat=3)
    parser.add_argument(
        "--on", action="append", choices=KINDS, metavar="NAME", help=f"{', '.join(KINDS)}; or all"
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="of first_udf.py, behind --")
    given = parser.parse_args()
    common = [f"--cache={given.cache}", f"--repeat={given.repeat}", *given.words]
    for name in given.on or KINDS:
        began = time.monotonic()
        print(f"\n{name}", flush=True)
        with KINDS[name]() as words:
            subprocess.run([sys.executable, BENCHMARK, *common, *words], check=True)
        print(f"\n{name} took {(time.monotonic() - began) / 60:.1f} minutes", flush=True)


@contextlib.contextmanager
def _here() -> Iterator[Sequence[str]]:
    yield ()


@contextlib.contextmanager
def _standalone() -> Iterator[Sequence[str]]:
    nodes = ("--workers=2", "--cores=2", "--memory=2048", "--with-system-python")
    with _bed("standalone", *nodes) as told:
        conf = (*SMALL, "spark.executor.cores=1", "spark.cores.max=4")
        yield ("--master", told["SPARK_BED_MASTER"], *_conf(conf))


@contextlib.contextmanager
def _yarn() -> Iterator[Sequence[str]]:
    with _bed("yarn", "--with-system-python"):
        stage = f"hdfs:///tmp/boats-{os.getpid()}"
        yield ("--master", "yarn", "--stage", stage, *_conf(TWO))


@contextlib.contextmanager
def _kubernetes() -> Iterator[Sequence[str]]:
    folder = tempfile.mkdtemp(prefix="boats-")
    os.chown(folder, POD_USER, POD_USER)
    try:
        with _bed("kubernetes") as told:
            host = told["KUBERNETES_DRIVER_HOST"]
            conf = (
                *TWO,
                f"spark.kubernetes.container.image={told['KUBERNETES_IMAGE_WITH_PYTHON']}",
                "spark.kubernetes.container.image.pullPolicy=IfNotPresent",
                "spark.kubernetes.executor.request.cores=0.3",
                "spark.executor.memoryOverhead=400m",
                f"{VOLUME}.mount.path=/boats",
                f"{VOLUME}.options.path={folder}",
                f"spark.driver.host={host}",
                f"spark.driver.bindAddress={host}",
            )
            yield ("--master", told["KUBERNETES_MASTER"], "--node-store=/boats", *_conf(conf))
    finally:
        shutil.rmtree(folder)


KINDS = {
    "local-cluster": _here,
    "standalone": _standalone,
    "yarn": _yarn,
    "kubernetes": _kubernetes,
}


@contextlib.contextmanager
def _bed(name: str, *options: str) -> Iterator[dict[str, str]]:
    """A cluster while the block lasts, and its variables in this process."""
    bed = [sys.executable, "-m", f"integration.beds.{name}"]
    folder = CHECKOUT / ".cache" / "beds" / f"first-udf-{os.getpid()}"
    state = f"--state={folder}"
    try:
        up = subprocess.run(
            [*bed, "up", state, *options],
            cwd=CHECKOUT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = [line for line in up.stdout.splitlines() if line.startswith("export ")]
        told = dict(shlex.split(line)[1].split("=", 1) for line in lines)
        with _variables(told):
            yield told
    finally:
        subprocess.run([*bed, "down", state], cwd=CHECKOUT, check=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _variables(told: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(told)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _conf(settings: Sequence[str]) -> list[str]:
    return [f"--conf={setting}" for setting in settings]


if __name__ == "__main__":
    main()
