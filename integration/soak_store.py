"""A store under bad luck: builds that are killed, interrupted, and pruned away under their hands.

    python -m integration.soak_store --kills 200 --interrupts 50 --builders 16 --seed 1

(make soak-store.) The same seed gives the same commands and the same delays. Afterwards nothing may
be lost, each build gives the bytes that it gave before, and nothing may be left behind: no
unfinished work, no lock, no lease, no file in TMPDIR.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from small_packages import serving, wheel

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
ENDS_WITHIN = 2.0
"""Seconds after one Ctrl-C."""
START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " from coffee_boat.cli.start import main; main()"
)


@dataclass
class Soak:
    """One store, and what went wrong with it."""

    folder: Path
    index: str
    some: random.Random
    faults: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    known: dict[tuple[str, ...], str] = field(default_factory=dict)
    """What was asked for -> the digest of its archive."""

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`boat`, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", START, *words],
            cwd=self.folder,
            env={
                **os.environ,
                "COFFEE_BOAT_STORE": str(self.folder / "store"),
                "TMPDIR": str(self.folder / "tmp"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def asked(self) -> tuple[str, ...]:
        """Some packages."""
        return tuple(sorted(self.some.sample(NAMES, self.some.randint(1, 4))))

    def pack(self, asked: tuple[str, ...], to: str) -> subprocess.Popen[str]:
        """A build that is under way."""
        wanted = [word for name in asked for word in ("--pip", name)]
        python = [] if len(asked) > 3 else ["--no-ship-python"]
        words = ("--overwrite", *python, "--index-url", self.index)
        return self.start("pack", "-o", to, *wanted, *words)

    def ended(self, process: subprocess.Popen[str], asked: tuple[str, ...], to: str) -> None:
        """A build that nobody disturbs comes to its end, and gives what it gave before."""
        _, said = process.communicate(timeout=600)
        if process.returncode:
            self.faults.append(f"a build failed ({process.returncode}): {said[-1500:]}")
            return
        self.counts["whole builds"] += 1
        digest = hashlib.sha256((self.folder / to).read_bytes()).hexdigest()
        if self.known.setdefault(asked, digest) != digest:
            self.faults.append(f"a build gave other bytes: {asked}")

    def kills(self, count: int) -> None:
        for number in range(count):
            asked = self.asked()
            process = self.pack(asked, "killed.tar.gz")
            time.sleep(self.some.uniform(0.3, 3.0))
            self.counts["killed at work" if process.poll() is None else "too late to kill"] += 1
            process.kill()
            process.communicate()
            if number % 20 == 19:
                self.whole()

    def whole(self) -> None:
        asked = self.asked()
        self.ended(self.pack(asked, "whole.tar.gz"), asked, "whole.tar.gz")

    def interrupts(self, count: int) -> None:
        slowest = 0.0
        for number in range(count):
            if number % 10 == 0:
                self.start("cache", "clear", "--yes").communicate()  # there is work to interrupt
            process = self.pack(self.asked(), "interrupted.tar.gz")
            time.sleep(self.some.uniform(1.5, 5.0))
            if process.poll() is not None:
                self.counts["too late to interrupt"] += 1
                process.communicate()
                continue
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=120)
            took = time.monotonic() - begun
            slowest = max(slowest, took)
            self.counts["interrupted"] += 1
            if took > ENDS_WITHIN:
                self.faults.append(f"Ctrl-C took {took:.1f} s: {said[-300:]}")
            if process.returncode not in (0, 130) or "Traceback" in said:
                self.faults.append(f"Ctrl-C ended with {process.returncode}: {said[-1500:]}")
        self.counts["milliseconds of the slowest Ctrl-C"] = int(1000 * slowest)
        self.whole()

    def builders(self, count: int) -> None:
        """All at once, while everything that is not in use is pruned all the time."""
        done = threading.Event()

        def prune() -> None:
            while not done.is_set():
                word = ("prune", "--days", "0") if self.counts["prunes"] % 2 else ("clear", "--yes")
                process = self.start("cache", *word)
                _, said = process.communicate()
                self.counts["prunes"] += 1
                if process.returncode:
                    self.faults.append(f"{word} failed: {said[-1500:]}")

        thread = threading.Thread(target=prune)
        thread.start()
        try:
            running = [
                (self.pack(asked, f"{number}.tar.gz"), asked, f"{number}.tar.gz")
                for number, asked in enumerate(self.asked() for _ in range(count))
            ]
            for one in running:
                self.ended(*one)
        finally:
            done.set()
            thread.join()

    def prune(self) -> None:
        _, said = (pruning := self.start("cache", "prune")).communicate()
        if pruning.returncode:
            self.faults.append(f"prune failed: {said[-1500:]}")

    def left(self) -> None:
        """What may not be there in the end. Work that has no mark yet may have just begun: it stays
        for a minute.
        """
        store = self.folder / "store"
        self.prune()
        if any(not (work / "alive").exists() for work in (store / "tmp").iterdir()):
            time.sleep(65.0)
            self.prune()
        places = {
            "unfinished work": [[work, *work.iterdir()] for work in (store / "tmp").iterdir()],
            "locks": [*(store / "locks").iterdir()],
            "leases": [p for p in (store / "leases").iterdir() if p.name != "gate"],
            "in TMPDIR": [*(self.folder / "tmp").iterdir()],
            "half archives": [*self.folder.glob(".boat-*")],
        }
        self.faults += [f"left behind, {what}: {found}" for what, found in places.items() if found]


def main() -> int:
    """1 if anything was lost or left behind."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--interrupts", type=int, default=50)
    options.add_argument("--builders", type=int, default=16)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="boat-soak-") as name:
        folder = Path(name)
        (folder / "tmp").mkdir()
        for package in NAMES:
            wheel(folder / "index", package, "1.0")
        with serving(folder / "index") as index:
            soak = Soak(folder, index.url, random.Random(chosen.seed))
            soak.whole()
            soak.kills(chosen.kills)
            soak.interrupts(chosen.interrupts)
            soak.builders(chosen.builders)
            soak.left()
    for what, count in sorted(soak.counts.items()):
        print(f"{what}: {count}")
    print(*soak.faults, sep="\n")
    print(f"seed {chosen.seed}: {len(soak.faults)} faults, {time.monotonic() - begun:.0f} s")
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
