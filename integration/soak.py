"""A session under bad luck that changes all the time: executors and Python workers killed, nodes
that come and go, packages added, upgraded, removed and rolled back by two captains, while jobs run.

    python -m integration.soak --events 100 --seed 1 [--break late-archive | old-files]

(make soak.) The same seed gives the same events. Each task says which versions it has, by import
and by metadata. Afterwards they are compared with what was in force between the job's beginning and
its end: no mix of two generations, and none that was over before. `--break` puts in a bug, and must
make it fail; `--then-break` does so after the last event, and fails if nobody notices.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from integration import class_data, crowd_wheels
from integration.beds import _java, standalone
from integration.beds.standalone import cluster as clusters
from integration.running import plain_environment
from integration.soak_oracle import Change, Ledger, Task, find_faults
from integration.venvs import OWN_CACHE, cache_folder

OPTIONAL = ("crewsail", "crewflag", "crewchart", "crewframes")
VERSIONS = ("1.0", "2.0")
"""Of those: the solver takes what goes with crewballast's."""
NAMES = ("crewballast", "crewhull", "crewkeel", *OPTIONAL)
REFUSALS = {
    "lock.needed-by-others",
    "lock.version-would-change",
    "lock.unsolvable",
    "requirements.not-installed",
    "session.nothing-to-roll-back",
}
"""What a change may be told in earnest: the other captain was here before."""
THREADS = 3
NODES = 2
CONF = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.executor.memory": "512m",
    "spark.task.maxFailures": "10",
    "spark.sql.execution.pythonUDF.arrow.enabled": "false",
    "spark.log.level": "FATAL",
}


def look(_: object = None) -> list[Any]:
    """What is here by import, what by metadata; pid, executor, interpreter's folder."""
    import importlib
    import importlib.metadata
    import os
    import sys
    import time

    parts = ("ballast", "hull", "keel", "sail", "flag", "chart", "frames")
    names = [f"crew{part}" for part in parts]

    def imported(name: str) -> str | None:
        try:
            return str(importlib.import_module(name).VERSION)
        except ImportError:
            return None

    def described(name: str) -> str | None:
        # all of them: which one `version` gives is a matter of the order of a folder
        found = {one.version for one in importlib.metadata.distributions(name=name)}
        return " and ".join(sorted(found)) or None

    def read() -> list[Any]:
        return [{name: imported(name) for name in names}, {name: described(name) for name in names}]

    before, now = None, read()
    while before != now:  # an addition comes in the midst of a task
        time.sleep(0.02)
        before, now = now, read()
    return [*now, os.getpid(), os.getcwd(), sys.prefix]


@dataclass
class Soak:
    """One session, and what happens to it."""

    cluster: clusters.Cluster
    folder: Path
    some: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    wait: float = 20.0
    over: threading.Event = field(default_factory=threading.Event)
    extra: list[Any] = field(default_factory=list)
    later: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.luck = random.Random(self.some.random())  # for threads, whose order is nobody's choice
        self.kinds = self.shuffled(("add", "upgrade", "add", "remove", "rollback", "upgrade"))

    def launch(self) -> None:
        from pyspark.sql.functions import udf

        from coffee_boat import Captain

        wheels = str(self.folder / "wheels")
        first, second = (Captain(find_links=[wheels]) for _ in range(2))
        first.add_pip_packages("crewballast==1.0", "crewhull")
        self.spark = first.launch_ship(self.cluster.master_url, CONF).start()
        self.context = self.spark.sparkContext
        second.board(self.spark)
        self.captains = (first, second)
        seen = udf(lambda x: repr(look(x)), "string")
        self.rdd = self.context.parallelize(range(4), 4).map(look)
        self.frame = self.spark.range(0, 3, 1, 3).select(seen("id"))
        self.rdd.collect()
        self.frame.collect()

    # jobs

    def work(self) -> None:
        """Jobs until it is over, of functions that were made before and of new ones."""
        import ast

        number = 0
        while not self.over.is_set():
            number += 1
            under, began = self.captains[0].generations.current.number, time.time()
            try:
                if number % 2:
                    said = self.rdd.collect()
                elif number % 4:
                    said = [ast.literal_eval(row[0]) for row in self.frame.collect()]
                else:
                    said = self.context.parallelize(range(3), 3).map(look).collect()
            except Exception as error:  # noqa: BLE001  told in the end
                self.faults.append(f"a job failed: {str(error)[-1500:]}")
                continue
            self.counts["jobs"] += 1
            ended = time.time()
            self.ledger.tasks += [Task(under, began, ended, *one) for one in said]

    # changes

    def change(
        self, what: str, act: Callable[[], object], wanted: Mapping[str, Set[str | None]]
    ) -> None:
        from coffee_boat import BoatError

        began = time.time()
        try:
            act()
        except BoatError as error:
            self.counts[f"refused, {error.code}"] += 1
            wanted = {}
            if error.code not in REFUSALS:
                self.faults.append(f"{what}: {error}")
        self.counts[what] += 1
        self.ledger.changes.append(Change(began, time.time(), what, wanted))

    def act(self, captain: Any) -> tuple[str, Callable[[], object], Mapping[str, Set[str | None]]]:
        """A change that a captain may ask for, and what is so after it."""
        kind = next(self.kinds)
        here = {name for name in OPTIONAL if captain.lock.has(name)}
        absent = sorted(set(OPTIONAL) - here)
        if (kind == "add" and absent) or (kind == "remove" and not here):
            name = self.some.choice(absent)
            add = partial(captain.add_pip_packages, name, wait=self.wait)
            return f"add {name}", add, {name: {*VERSIONS}}
        if kind == "remove":
            name = self.some.choice(sorted(here))
            remove = partial(captain.remove_pip_packages, name, wait=self.wait)
            return f"remove {name}", remove, {name: {None}}
        if kind == "rollback" and len(captain.generations) > 1:
            number = self.some.randint(1, len(captain.generations) - 1)
            return "rollback", partial(captain.rollback, number, wait=self.wait), {}
        version = self.some.choice(crowd_wheels.BALLAST)
        upgrade = partial(captain.upgrade_pip_packages, f"crewballast=={version}", wait=self.wait)
        return "upgrade", upgrade, {"crewballast": {version}}

    def alone(self) -> None:
        self.change(*self.act(self.some.choice(self.captains)))

    def two_threads(self) -> None:
        self.at_once(self.captains[0], self.captains[0])

    def two_captains(self) -> None:
        self.at_once(*self.captains)

    def at_once(self, *captains: Any) -> None:
        acts = [self.act(captain) for captain in captains]
        threads = [threading.Thread(target=self.change, args=act) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # accidents

    def accident(self, act: Callable[[], None]) -> None:
        """A little later: in the midst of the next change."""
        timer = threading.Timer(self.some.uniform(0.0, 2.5), act)
        timer.start()
        self.later.append(timer)

    def kill_executor(self) -> None:
        self.accident(lambda: self.kill("CoarseGrainedExecutorBackend"))

    def kill_python(self) -> None:
        self.accident(lambda: self.kill("daemon"))

    def kill(self, word: str) -> None:
        """End one of the processes with a word in their commands; of Python daemons, workers."""
        found = [
            (pid, parent)
            for pid, parent, command in processes(self.cluster, self.extra)
            if word in command
        ]
        pids = {pid for pid, _ in found}
        if word == "daemon":
            pids = {pid for pid, parent in found if parent in pids}
        if pids:
            self.counts[f"killed, {word}"] += 1
            os.kill(self.luck.choice(sorted(pids)), signal.SIGKILL)

    def node_comes_or_goes(self) -> None:
        if self.extra:
            clusters.leave(self.extra.pop())
            self.counts["node went"] += 1
        else:
            self.extra.append(clusters.join(self.cluster, NODES + 1))
            self.counts["node came"] += 1

    # all

    def shuffled(self, deck: Sequence[Any]) -> Iterator[Any]:
        """All of them in some order, then all in another one, without an end."""
        while True:
            yield from self.some.sample(deck, len(deck))

    def events(self, count: int) -> None:
        changes = self.shuffled([self.alone] * 4 + [self.two_threads, self.two_captains])
        accidents = self.shuffled(
            [self.kill_executor] * 2 + [self.kill_python] * 2 + [self.node_comes_or_goes] * 2
        )
        for number in range(count):
            kind = next(accidents if number % 2 else changes)
            print(f"{number + 1}: {kind.__name__}", flush=True)
            kind()
        for thread in self.later:
            thread.join()

    def all_is_well_in_the_end(self) -> None:
        """A last change, and each executor says what it has."""
        self.change(
            "upgrade",
            lambda: self.captains[0].upgrade_pip_packages("crewballast==1.0", wait=self.wait),
            {"crewballast": {"1.0"}},
        )
        report = self.captains[0].verify()
        if not report.ok:
            self.faults.append(f"verify: {report}")

    @contextmanager
    def jobs(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
            time.sleep(3.0)
        finally:
            self.over.set()
            for thread in threads:
                thread.join()
            self.over.clear()

    def judge(self) -> list[str]:
        """What tasks said, against what the session had."""
        generations = [
            (one.when, {name: _version(one.lock, name) for name in NAMES})
            for one in self.captains[0].generations
        ]
        return find_faults(generations, self.ledger)


def _version(lock: Any, name: str) -> str | None:
    pin = lock.pin(name)
    return pin.version if pin else None


def processes(cluster: clusters.Cluster, extra: Sequence[Any]) -> list[tuple[int, int, str]]:
    """On the nodes: pid, its parent's, its command."""
    found = []
    ahead = [node.process for node in (*cluster.nodes, *extra) if node.process]
    while ahead:
        parent = ahead.pop()
        for child in parent.children():
            ahead.append(child)
            command = Path(f"/proc/{child.pid}/cmdline")
            try:
                found.append((child.pid, parent.pid, command.read_text(errors="replace")))
            except OSError:  # ended since
                continue
    return found


def break_it(kind: str, soak: Soak) -> None:
    """Put in a bug."""
    if kind == "old-files":
        from coffee_boat.workflow import composing

        composing._goes = lambda *_: ()  # type: ignore[assignment]
    else:
        from coffee_boat.session.classic import ClassicSession

        send = ClassicSession.send

        def late(self: Any, shipped: Any) -> None:
            threading.Timer(6.0, send, (self, shipped)).start()

        ClassicSession.send = late  # type: ignore[method-assign]
        soak.wait = 0.0  # nobody is asked whether it arrived


def run(chosen: argparse.Namespace, folder: Path, cluster: clusters.Cluster) -> Soak:
    soak = Soak(cluster, folder, random.Random(chosen.seed))
    crowd_wheels.write(folder / "wheels")
    soak.launch()
    if chosen.bug:
        break_it(chosen.bug, soak)
    try:
        with soak.jobs():
            soak.events(chosen.events)
            soak.all_is_well_in_the_end()
        soak.faults += soak.judge()
        if chosen.then_break:
            soak.faults += then_broken(chosen.then_break, soak)
        print(soak.captains[0].generations)
    finally:
        soak.spark.stop()
    return soak


def then_broken(kind: str, soak: Soak) -> list[str]:
    """That nobody noticed, if nobody did."""
    known = len(soak.judge())
    break_it(kind, soak)
    with soak.jobs():
        soak.change(
            "upgrade",
            lambda: soak.captains[0].upgrade_pip_packages("crewballast==5.0", wait=soak.wait),
            {"crewballast": {"5.0"}},
        )
    noticed = len(soak.judge()) - known
    print(f"{kind}: {noticed} faults noticed")
    return [] if noticed else [f"{kind} was put in, and nobody noticed"]


def main() -> int:
    """1 if a task saw what it should not, or a change or a job failed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--break", dest="bug", choices=BUGS)
    options.add_argument("--then-break", choices=BUGS)
    options.add_argument("--store", type=Path, help="default: an empty one")
    chosen = options.parse_args()
    began = time.monotonic()
    shared = class_data.options(OWN_CACHE)
    os.environ[_java.OPTIONS] = " ".join(filter(None, [_java.QUICK, shared]))
    state = cache_folder() / "beds" / f"soak-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="boat-soak-") as name:
        folder = Path(name)
        plain = plain_environment(Path(sys.executable), chosen.store or folder / "store")
        for variable in set(os.environ) - set(plain):
            del os.environ[variable]
        os.environ.update(plain)
        cluster = standalone.up(state, standalone.Options(workers=NODES))
        try:
            soak = run(chosen, folder, cluster)
        finally:
            standalone.down(state)
            shutil.rmtree(state, ignore_errors=True)
    for what, count in sorted(soak.counts.items()):
        print(f"{what}: {count}")
    print(*soak.faults[:20], sep="\n")
    print(
        f"seed {chosen.seed}: {len(soak.ledger.tasks)} tasks, {len(soak.faults)} faults,"
        f" {time.monotonic() - began:.0f} s"
    )
    return 1 if soak.faults else 0


BUGS = ("late-archive", "old-files")

if __name__ == "__main__":
    sys.exit(main())
