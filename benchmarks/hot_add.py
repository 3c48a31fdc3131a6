"""One more package for a running session: coffee_boat against what people do today, in one run on
local-cluster[2,1,1024].

    python benchmarks/hot_add.py [--cache FOLDER] [--repeat N] [--base "pyarrow"] [--additions]

The time is from the call until a task on each executor has imported the package. Each round is one
live session, in which every contestant adds a pure, a native and a large native package; the
packages rotate over the rounds, so that each contestant adds each of them (a session cannot forget
one). Then a package of the base gets another version, and its first again; the session is stopped,
made anew with one more package, and started again, in two ways. Medians over the rounds. The
contestants:

    coffee_boat      captain.add_pip_packages(PACKAGE)
    spark-extension  what its install_pip_package does: pip install --target, zip, addArchive,
                     sc._python_includes.append
    foreach(pip)     pip install in a task on each executor, into the executor's own Python; pip is
                     aboard
    upgrade          captain.upgrade_pip_packages(PACKAGE==VERSION), of a package that is installed
    rollback         captain.rollback(), after that
    relaunch         stop, coffee_boat with one more package, start
    refresh          an edited module of one's own: captain.refresh(); beside it the call alone
    venv-pack        stop, pip install into a virtual environment that has the base already,
                     venv-pack, start with spark.archives
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _common import QUIET, Workshop, arguments, median, on_each, stop, table, versions

KINDS = ("pure", "native", "large")
MASTER, EXECUTORS = "local-cluster[2,1,1024]", 2
FETCHED = {
    "pure": {"humanize": "humanize", "xmltodict": "xmltodict", "inflection": "inflection"},
    "native": {"ujson": "ujson", "xxhash": "xxhash", "msgpack": "msgpack"},
    "large": {"numpy": "numpy", "llvmlite": "llvmlite.binding", "duckdb": "duckdb"},
}
"""Package -> module; none needs another package.

Their wheels were fetched before the clock starts, and nothing was made of them.
"""
NEW = {
    "pure": {"tabulate": "tabulate", "sortedcontainers": "sortedcontainers", "toolz": "toolz"},
    "native": {"mmh3": "mmh3", "bitarray": "bitarray", "rapidfuzz": "rapidfuzz"},
}
"""Nothing of them is on the machine when the clock starts."""
CHANGED, OLD, NEWER = "more-itertools", "10.4.0", "10.5.0"
"""What the base has in the old version."""
SEEN = {"pure": {"boltons": "boltons"}, "native": {"simplejson": "simplejson"}}
"""Added to the same base before: the lock and the layer are in the store."""
CONDITIONS = {"fetched before": FETCHED, "first time": NEW, "added before": SEEN}


@dataclass
class Times:
    """Seconds, by contestant, condition and kind of package; and the parts of those that have
    some.
    """

    total: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    parts: dict[tuple[str, str, str], list[dict[str, float]]] = field(default_factory=dict)

    def of(self, contestant: str, condition: str, kind: str) -> float | None:
        return median(self.total.get((contestant, condition, kind), ()))

    @contextlib.contextmanager
    def measure(self, contestant: str, condition: str, kind: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        self.total.setdefault((contestant, condition, kind), []).append(seconds)
        print(f"  {contestant}, {condition}, {kind}: {seconds:.2f} s", flush=True)


class HotAdd:
    """The session that is live, and the contestants."""

    def __init__(self, shop: Workshop, base: list[str]) -> None:
        self.shop, self.store = shop, shop.path("store")
        self.tools = shop.environment("tools", "uv", "venv-pack", "setuptools<81")
        self.pip = shop.version(self.tools, "pip").replace(" ", "==")
        self.base = base
        self.times = Times()
        self.steps: dict[str, float] = {}
        """What the addition that was made last consists of, as far as its contestant tells."""
        self.loads: list[float] = []
        self.context: Any = None
        self.captain: Any = None
        self.code = shop.path("code") / "bench_code.py"
        """A module of one's own, which is edited while the session runs."""
        self.code.parent.mkdir(parents=True, exist_ok=True)
        self.edits = 0
        self.edit()

    # coffee_boat

    def launch(self, *more: str) -> None:
        from coffee_boat import Captain

        self.captain = Captain(store=self.store)
        wanted = (self.pip, f"{CHANGED}=={OLD}", *self.base, *more)
        self.captain.add_pip_packages(*wanted).add_local(self.code)
        self.captain.launch_ship(MASTER, QUIET)
        self.context = self.captain.start().sparkContext

    def leave(self) -> None:
        stop(self.context)
        self.captain.close()

    def relaunch(self, package: str) -> None:
        self.leave()
        self.launch(package)

    def coffee_boat(self, package: str, _: str) -> None:
        self.captain.add_pip_packages(package)
        self.steps = dict(self.captain.report.seconds)

    def edit(self) -> None:
        self.edits += 1
        self.code.write_text(f"EDITS = {self.edits}\n", "utf-8")

    def refresh(self) -> None:
        """Edit the module, and see the edit on each executor."""
        self.edit()
        with self.times.measure("refresh", "own code edited", "pure"):
            self.captain.refresh()
            called = time.perf_counter()
            self.edited()
        self.times.total.setdefault(("the call alone", "own code edited", "pure"), []).append(
            self.times.total["refresh", "own code edited", "pure"][-1]
            - (time.perf_counter() - called)
        )

    def edited(self) -> None:
        """See the edit in a task on each executor."""

        def load() -> int:
            import bench_code

            return int(bench_code.EDITS)

        found = on_each(self.context, EXECUTORS, load)
        if found != [self.edits] * EXECUTORS:
            sys.exit(f"executors have edit {found}, {self.edits} was sent")

    def forget(self, package: str) -> None:
        """All that was made of a package: locks with it, and its chunk."""
        for kind, word in (("lock", f'name = \\"{package}\\"'), ("chunk", f'"label": "{package} ')):
            for key in (self.store / "keys" / kind).iterdir():
                if word in key.read_text():
                    key.unlink()

    def forget_all(self, package: str) -> None:
        """And its wheel, and what uv knows of it."""
        self.forget(package)
        for wheel in (self.store / "wheels").glob(f"*/{package}-*"):
            wheel.unlink()
        self.shop.run(self.tools.with_name("uv"), "cache", "clean", package)

    # the others

    def spark_extension(self, package: str, condition: str) -> None:
        """As gresearch.spark.install_pip_package does it."""
        name = f"spark-extension-pip-pkgs-{time.time()}"
        target = tempfile.mkdtemp(prefix=name)
        started = time.perf_counter()
        subprocess.check_call(
            [
                self.tools,
                "-m",
                "pip",
                "install",
                "--quiet",
                *_caching(condition),
                package,
                "--target",
                target,
            ]
        )
        installed = time.perf_counter()
        made = shutil.make_archive(target, "zip", target)
        shutil.rmtree(target)
        zipped = time.perf_counter()
        self.context._jsc.sc().addArchive(f"{made}#{name}")
        self.context._python_includes.append(name)
        self.steps = {
            "resolve": installed - started,
            "build": zipped - installed,
            "send": time.perf_counter() - zipped,
        }

    def foreach_pip(self, package: str, condition: str) -> None:
        words = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--root-user-action=ignore",
            *_caching(condition),
            package,
        ]

        def install() -> None:
            import subprocess
            import sys

            subprocess.check_call([sys.executable, *words])

        on_each(self.context, EXECUTORS, install)

    def venv_pack(self, home: Path, package: str) -> None:
        from pyspark.sql import SparkSession

        stop(self.context)
        self.shop.run(home / "bin/python", "-m", "pip", "install", "--quiet", package)
        made = self.shop.path("venv.tar.gz")
        self.shop.run(
            self.tools.with_name("venv-pack"), "--quiet", "--force", "--prefix", home, "-o", made
        )
        builder = SparkSession.builder.master(MASTER).config(
            "spark.archives", f"{made}#environment"
        )
        for key, value in QUIET.items():
            builder = builder.config(key, value)
        os.environ["PYSPARK_PYTHON"] = "./environment/bin/python"
        self.context = builder.getOrCreate().sparkContext
        del os.environ["PYSPARK_PYTHON"]

    # what is timed

    def imported(self, module: str) -> None:
        """Import a module in a task on each executor."""

        def load() -> tuple[str, str]:
            import importlib
            import os

            return os.getcwd(), str(importlib.import_module(module).__file__)

        found = on_each(self.context, EXECUTORS, load)
        if len({executor for executor, _ in found}) != EXECUTORS:
            sys.exit(f"{module} was not imported on {EXECUTORS} executors: {found}")

    def has(self, version: str) -> None:
        """Find the version of what was changed in a task on each executor."""

        def look() -> str:
            import importlib.metadata

            return importlib.metadata.version(CHANGED)

        if set(found := on_each(self.context, EXECUTORS, look)) != {version}:
            sys.exit(f"{CHANGED} {version} was wanted: {found}")

    def add(
        self,
        contestant: str,
        add: Callable[[str, str], None],
        condition: str,
        kind: str,
        package: str,
    ) -> None:
        self.steps = {}
        with self.times.measure(contestant, condition, kind):
            add(package, condition)
            called = time.perf_counter()
            self.imported(CONDITIONS[condition][kind][package])
            job = time.perf_counter() - called
        if self.steps:
            rest = (
                self.times.total[contestant, condition, kind][-1] - job - sum(self.steps.values())
            )
            self.times.parts.setdefault((contestant, condition, kind), []).append(
                {**self.steps, "rest of the call": rest, "import job": job}
            )

    # a round

    def live(self, number: int) -> None:
        """One session, all contestants."""
        for kind, known in SEEN.items():
            for package in known:
                self.add("coffee_boat", self.coffee_boat, "added before", kind, package)
        contestants = [
            ("coffee_boat", self.coffee_boat),
            ("spark-extension", self.spark_extension),
            ("foreach(pip)", self.foreach_pip),
        ]
        for condition, forget in (("fetched before", self.forget), ("first time", self.forget_all)):
            for kind, packages in CONDITIONS[condition].items():
                names = list(packages)
                for place, (contestant, add) in enumerate(contestants):
                    package = names[(number + place) % len(names)]
                    forget(package)
                    self.add(contestant, add, condition, kind, package)
        self.edited()
        self.refresh()
        self.imported("json")
        for _ in range(3):
            with self.times.measure("one task on each executor", "", ""):
                self.imported("json")

    def change(self) -> None:
        """Upgrade, and go back."""
        self.has(OLD)
        with self.times.measure("upgrade", "fetched before", "pure"):
            self.captain.upgrade_pip_packages(f"{CHANGED}=={NEWER}")
            self.has(NEWER)
        with self.times.measure("rollback", "fetched before", "pure"):
            self.captain.rollback()
            self.has(OLD)

    def anew(self, number: int, home: Path) -> None:
        """Stop, build, start: coffee_boat, then venv-pack."""
        package, module = list(FETCHED["pure"].items())[number % len(FETCHED["pure"])]
        self.forget(package)
        with self.times.measure("relaunch", "fetched before", "pure"):
            self.relaunch(package)
            self.imported(module)
        self.captain.close()
        with self.times.measure("venv-pack", "fetched before", "pure"):
            self.venv_pack(home, package)
            self.imported(module)
        stop(self.context)

    def warm(self) -> Path:
        """Fetch all that counts as fetched, for everyone; add once what counts as added before.

        Returns the environment for venv-pack.
        """
        from coffee_boat import Captain

        home = self.shop.environment("packed", *self.base).parents[1]
        shutil.rmtree(
            self.store / "keys/lock", ignore_errors=True
        )  # so that all of the index's answers are asked for now
        packages = [
            package for kinds in (FETCHED, SEEN) for known in kinds.values() for package in known
        ]
        self.shop.run(home / "bin/python", "-m", "pip", "uninstall", "--quiet", "--yes", *packages)
        with tempfile.TemporaryDirectory() as folder:
            self.shop.run(
                self.tools, "-m", "pip", "install", "--quiet", "--target", folder, *packages
            )
            Captain(store=self.store).add_pip_packages(*packages).pack(Path(folder) / "all.tar.gz")
            newer = Captain(store=self.store).add_pip_packages(f"{CHANGED}=={NEWER}")
            newer.pack(Path(folder) / "newer.tar.gz")
            self.forget(CHANGED)
        self.launch()
        for known in SEEN.values():
            for package in known:
                self.captain.add_pip_packages(package)
        self.leave()
        return home


def _caching(condition: str) -> list[str]:
    return ["--no-cache-dir"] if condition == "first time" else []


def show(bench: HotAdd, repeat: int) -> None:
    times = bench.times
    loads = ", ".join(f"{load:.1f}" for load in bench.loads)
    print(
        f"\n{versions('coffee_boat', 'pyspark', 'uv')} ({loads} when the rounds began);"
        f" {bench.shop.version(bench.tools, 'venv-pack')}"
    )
    print(
        f"{MASTER}, base: {bench.pip} {' '.join(bench.base)}; medians of {repeat} rounds; seconds"
        " until a task on each executor has imported the package"
    )
    print(
        "first time: nothing of the package is here. fetched before: its wheel and the index's"
        " answers are in the tools' own caches."
    )
    print("added before: coffee_boat's store has the lock and the layer, too.\n")
    ours = {key[1:]: median(runs) for key, runs in times.total.items() if key[0] == "coffee_boat"}
    rows = []
    for contestant, condition in dict.fromkeys(key[:2] for key in times.total if key[1]):
        figures = [
            (times.of(contestant, condition, kind), ours.get((condition, kind))) for kind in KINDS
        ]
        rows.append(
            [
                f"{contestant}, {condition}",
                *(value for value, _ in figures),
                *(f"{value / base:.1f}" if value and base else None for value, base in figures),
            ]
        )
    print(table(("", *KINDS, *(f"x ours, {kind}" for kind in KINDS)), rows))
    task = times.of("one task on each executor", "", "") or 0.0
    print(f"\none task on each executor that imports nothing new: {task:.2f} s")
    parts = list(
        dict.fromkeys(part for runs in times.parts.values() for run in runs for part in run)
    )
    rows = [
        [
            ", ".join(key),
            *(median(run[part] for run in runs if part in run) for part in parts),
            times.of(*key),
        ]
        for key, runs in times.parts.items()
    ]
    print(
        "\nparts. arrive is one job on each executor, by which coffee_boat knows that they have it:"
        " spark-extension does not ask."
    )
    print(
        "spark-extension's pip resolves, fetches and installs at"
        f" once.\n{table(('', *parts, 'all'), rows)}"
    )
    for kind in KINDS:
        mine, theirs = (
            times.of("coffee_boat", "fetched before", kind),
            times.of("spark-extension", "fetched before", kind),
        )
        if mine and theirs:
            print(
                f"goal, {kind}: {mine:.2f} s against 0.5 s + one task = {0.5 + task:.2f} s;"
                f" {theirs / mine:.1f} x faster than spark-extension, 5 x wanted"
            )

    anew = times.of("relaunch", "fetched before", "pure")
    for contestant in ("upgrade", "rollback"):
        took = times.of(contestant, "fetched before", "pure")
        if anew and took:
            print(
                f"{contestant}: {took:.2f} s; stop and relaunch take {anew / took:.1f} times that"
            )


def main() -> None:
    parser = arguments(__doc__, repeat=3)
    parser.add_argument(
        "--base", default="pyarrow", help="what the session is started with, besides pip"
    )
    parser.add_argument(
        "--additions", action="store_true", help="additions alone: no other version, no new session"
    )
    given = parser.parse_args()
    shop = Workshop(given.cache)
    os.environ |= {
        "UV_CACHE_DIR": str(shop.path("uv-cache")),
        "PIP_CACHE_DIR": str(shop.path("pip-cache")),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    bench = HotAdd(shop, given.base.split())
    home = bench.warm()
    for number in range(given.repeat):
        bench.loads.append(os.getloadavg()[0])
        print(f"round {number + 1}, load {bench.loads[-1]:.1f}", flush=True)
        bench.launch()
        bench.imported("json")
        bench.live(number)
        if given.additions:
            bench.leave()
        else:
            bench.change()
            bench.anew(number, home)
    show(bench, given.repeat)


if __name__ == "__main__":
    main()
