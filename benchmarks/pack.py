"""Requirements -> archive, for numpy + pandas + pyarrow + scikit-learn: coffee_boat against what
people use today, in one run.

    python benchmarks/pack.py [--cache FOLDER] [--repeat N] [--only WORD] [--driver PYTHON]

Makes its own virtual environments below the cache folder; standard library only. Every contestant
is started as a process of its own, and asks the same index. Each runs once untimed, so that its
downloads are there; then what the table does not call warm is removed, and it is timed. The best of
N runs counts. coffee_boat's archive also holds the interpreter and pyspark's Python files (made
once a machine, warm here); those of the others hold neither.
"""

from __future__ import annotations

import ensurepip
import json
import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from _common import CHECKOUT, Workshop, arguments

PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn")
ONE_MORE = "idna"
MADE_ONCE = ("python ", "pyspark ", "coffee_boat ")
"""Labels of the chunks that a machine makes once, whatever is asked for."""
OURS = """
import json, sys
from coffee_boat import Captain
store, path, *packages = sys.argv[1:]
captain = Captain(store=store)
captain.add_pip_packages(*packages).pack(path)
print(json.dumps(captain._work.tools.pipeline.watch.seconds))
"""
CONCATENATE = """
import json, shutil, sys, time
from pathlib import Path
from coffee_boat import Captain
from coffee_boat._support.store import Store
from coffee_boat.archive.assemble import assemble
root, path, *packages = sys.argv[1:]
captain, store = Captain(store=root), Store(root)
archive = captain.add_pip_packages(*packages).pack(path, overwrite=True)
def best(work, undo):
    runs = []
    for _ in range(5):
        undo()
        started = time.perf_counter()
        work()
        runs.append(time.perf_counter() - started)
    return min(runs)
def again():
    return assemble(archive.chunks, target=archive.target, lock=captain.lock, has_python=True, inputs={"again": True}, store=store)
made, copy = Path(again().path), Path(path + ".cp")
concatenate = best(again, made.unlink)
copied = best(lambda: shutil.copyfile(made, copy), lambda: copy.unlink(missing_ok=True))
copy.unlink()
print(json.dumps({"concatenate": concatenate, "cp of the same bytes": copied}))
"""  # noqa: E501


@dataclass
class Row:
    """One contestant under one condition."""

    label: str
    warm: str
    runs: list[float] = field(default_factory=list)
    """Seconds."""
    work: list[float] = field(default_factory=list)
    """Seconds of processor time, children's children included: what remains comparable on a busy
    machine.
    """
    size: int = 0
    parts: dict[str, float] = field(default_factory=dict)


def processor_time() -> float:
    """Seconds that all children that ended so far have used."""
    times = os.times()
    return times.children_user + times.children_system


class Bench:
    """What was measured, and the workshop it is made in."""

    def __init__(self, shop: Workshop, repeat: int, only: str, driver: str | None) -> None:
        self.shop, self.repeat, self.only, self.driver = shop, repeat, only, driver
        self.path, self.run, self.environment, self.version = (
            shop.path,
            shop.run,
            shop.environment,
            shop.version,
        )
        self.rows: list[Row] = []
        self.commands: dict[str, str] = {}
        self.last_parts: dict[str, float] = {}

    def gone(self, name: str) -> Path:
        shutil.rmtree(self.path(name), ignore_errors=True)
        self.path(name).unlink(missing_ok=True)
        return self.path(name)

    def measure(
        self,
        label: str,
        warm: str,
        work: Callable[[], Path],
        *,
        before: Callable[[], object] = lambda: None,
    ) -> None:
        """Time a contestant; `work` returns what it made, `before` removes what shall not be
        warm.
        """
        if self.only not in label:
            return
        row = Row(label, warm)
        work()
        for _ in range(self.repeat):
            before()
            started, spent = time.perf_counter(), processor_time()
            made = work()
            row.runs.append(time.perf_counter() - started)
            row.work.append(processor_time() - spent)
            if self.last_parts and row.runs[-1] == min(row.runs):
                row.parts = self.last_parts
        row.size = (
            sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
            if made.is_dir()
            else made.stat().st_size
        )
        self.last_parts = {}
        self.rows.append(row)
        print(
            f"  {label}: {', '.join(f'{run:.2f}' for run in row.runs)} s; processors"
            f" {min(row.work):.2f} s",
            flush=True,
        )


class Ours:
    """coffee_boat with a store of its own, parts of which can be forgotten."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.store, self.out = bench, bench.path("store"), bench.path("ours.tar.gz")
        self.python = (
            Path(bench.driver)
            if bench.driver
            else bench.environment("coffee_boat", "pyspark", "--editable", CHECKOUT)
        )

    def child(self, code: str, *packages: str) -> dict[str, float]:
        said = self.bench.run(
            self.python, "-c", code, self.store, self.out, *packages, PYTHONPATH=str(CHECKOUT)
        )
        seconds: dict[str, float] = json.loads(said.splitlines()[-1])
        return seconds

    def pack(self, *packages: str) -> Path:
        self.bench.gone(
            self.out.name
        )  # as the others do: to replace a large file takes longer than to write one
        self.bench.last_parts = self.child(OURS, *packages)
        return self.out

    def forget_archives(self) -> None:
        for folder in ("archives", "keys/clashes"):
            shutil.rmtree(self.store / folder, ignore_errors=True)

    def forget_chunks(self, wanted: Callable[[str], bool]) -> None:
        """And the lock, as adding to what is asked for resolves anew; and what was read from
        wheels.
        """
        self.forget_archives()
        for folder in ("keys/lock", "keys/requires"):
            shutil.rmtree(self.store / folder, ignore_errors=True)
        for key in (self.store / "keys/chunk").iterdir():
            chunk = json.loads(key.read_text())
            if wanted(chunk["label"]):
                key.unlink()
                (self.store / "chunks" / f"{chunk['id']}.gz").unlink(missing_ok=True)


def coffee_boat(bench: Bench) -> None:
    ours = Ours(bench)
    bench.commands["coffee_boat"] = (
        f"Captain(store=...).add_pip_packages{PACKAGES}.pack(path);"
        f" {bench.version(ours.python, 'pyspark')}"
    )
    made_here = "wheels; uv's cache; chunks of interpreter and pyspark"
    bench.measure(
        "ours, chunks cold",
        made_here,
        lambda: ours.pack(*PACKAGES),
        before=lambda: ours.forget_chunks(lambda label: not label.startswith(MADE_ONCE)),
    )
    bench.measure(
        "ours, chunks warm",
        "lock, wheels, all chunks",
        lambda: ours.pack(*PACKAGES),
        before=ours.forget_archives,
    )
    bench.measure(
        "ours, the same again", "all that the first time left", lambda: ours.pack(*PACKAGES)
    )
    more, anew = (
        (*PACKAGES, ONE_MORE),
        lambda: ours.forget_chunks(lambda label: label.startswith(f"{ONE_MORE} ")),
    )
    bench.measure(
        f"ours, {ONE_MORE} more",
        "wheels; uv's cache; the other chunks",
        lambda: ours.pack(*more),
        before=anew,
    )
    if bench.only in "ours":
        for name, seconds in ours.child(CONCATENATE, *PACKAGES).items():
            bench.rows.append(
                Row(f"ours, of it: {name}", "all chunks", [seconds], size=ours.out.stat().st_size)
            )


def uv_and_igzip(bench: Bench) -> None:
    python = bench.environment("uv", "uv", "isal")
    out = bench.path("uv.tar.gz")
    install = [
        python.with_name("uv"),
        "pip",
        "install",
        "--quiet",
        "--cache-dir",
        bench.path("uv-cache"),
        "--python",
        sys.executable,
    ]
    pipe = (
        f"tar -C {shlex.quote(str(bench.path('uv-target')))} -cf - . | {shlex.quote(str(python))}"
        f" -m isal.igzip -1 > {shlex.quote(str(out))}"
    )
    bench.commands["uv + igzip"] = (
        "uv pip install --target DIR ...; tar -cf - | python -m isal.igzip -1;"
        f" {bench.version(python, 'uv')}, {bench.version(python, 'isal')}"
    )

    def work() -> Path:
        bench.gone(out.name)
        bench.run(*install, "--target", bench.path("uv-target"), *PACKAGES)
        bench.run("sh", "-c", pipe)
        return out

    bench.gone("uv-target")
    bench.measure(
        "uv + igzip", "uv's cache (unpacked wheels)", work, before=lambda: bench.gone("uv-target")
    )


def pex(bench: Bench) -> None:
    """pex's own pip lives in PEX_ROOT too: what it was after a first small pex is kept aside, and
    put back; pip's cache of downloads stays.
    """
    python, root, seed = (
        bench.environment("pex", "pex"),
        bench.path("pex-root"),
        bench.path("pex-seed"),
    )
    bench.commands["pex"] = f"pex ... --layout zipapp|packed -o OUT; {bench.version(python, 'pex')}"
    flags = ["--pex-root", root, "--runtime-pex-root", root, "--python", sys.executable]
    if not seed.exists():
        bench.gone("pex-root")
        bench.run(python.with_name("pex"), ONE_MORE, "-o", bench.gone("small.pex"), *flags)
        shutil.copytree(root, seed, symlinks=True)

    def forget_built() -> None:
        shutil.move(root / "pip", bench.gone("pex-pip"))
        shutil.copytree(seed, bench.gone("pex-root"), symlinks=True)
        shutil.rmtree(root / "pip")
        shutil.move(bench.path("pex-pip"), root / "pip")

    for layout in ("zipapp", "packed"):

        def work(layout: str = layout) -> Path:
            made = bench.gone(f"pex-{layout}.pex")
            bench.run(python.with_name("pex"), *PACKAGES, "--layout", layout, "-o", made, *flags)
            return made

        bench.measure(f"pex {layout}", "pip's cache in PEX_ROOT", work, before=forget_built)
        bench.measure(f"pex {layout}, all warm", "PEX_ROOT", work)


def venv_pack(bench: Bench) -> None:
    python, out = (
        bench.environment("venv-pack", "venv-pack", "setuptools<81"),
        bench.path("venv.tar.gz"),
    )
    bench.commands["venv-pack"] = (
        "python -m venv; pip install --quiet ...; venv-pack -o OUT;"
        f" {bench.version(python, 'venv-pack')}, pip {ensurepip.version()}"
    )

    def work() -> Path:
        home, made = bench.gone("venv-packed"), bench.gone(out.name)
        bench.run(sys.executable, "-m", "venv", home)
        bench.run(
            home / "bin/python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--cache-dir",
            bench.path("pip-cache"),
            *PACKAGES,
        )
        bench.run(python.with_name("venv-pack"), "--quiet", "--prefix", home, "-o", made)
        return made

    bench.measure("venv + pip + venv-pack", "pip's cache", work)


def show(bench: Bench) -> None:
    print(
        f"\nPython {platform.python_version()}, {os.cpu_count()} cores, load"
        f" {os.getloadavg()[0]:.1f}, best of {bench.repeat}; {' '.join(PACKAGES)}"
    )
    for name, command in bench.commands.items():
        print(f"  {name}: {command}")
    bases = [
        row
        for label in ("ours, chunks cold", "ours, chunks warm")
        for row in bench.rows
        if row.label == label
    ]
    heads = "".join(f"{'x ' + base.label.split()[-1]:>9}{'(cpu)':>7}" for base in bases)
    print(f"\n{'':36}{'seconds':>8}{'cpu s':>8}{'MB':>6}{heads}  warm before the clock starts")
    for row in bench.rows:
        spent = f"{min(row.work):.2f}" if row.work else ""
        ratios = "".join(
            f"{min(row.runs) / min(base.runs):>9.1f}"
            + (f"{min(row.work) / min(base.work):>7.1f}" if row.work else " " * 7)
            for base in bases
        )
        print(
            f"{row.label:36}{min(row.runs):>8.2f}{spent:>8}{row.size / 1e6:>6.0f}{ratios} "
            f" {row.warm}"
        )
    for row in bench.rows:
        if row.parts:
            parts = ", ".join(
                f"{name} {seconds:.2f} s" for name, seconds in row.parts.items() if seconds
            )
            print(
                f"parts of {row.label}: {parts}; the rest is start, imports and the copy to the"
                " path"
            )


def main() -> None:
    parser = arguments(__doc__, repeat=3)
    parser.add_argument(
        "--only", default="", metavar="WORD", help="only rows with this word: ours, uv, pex, venv"
    )
    parser.add_argument(
        "--driver",
        metavar="PYTHON",
        help=(
            "an interpreter that has coffee_boat's dependencies and pyspark, instead of a new"
            " environment"
        ),
    )
    given = parser.parse_args()
    bench = Bench(Workshop(given.cache), given.repeat, given.only, given.driver)
    for contestant, word in (
        (coffee_boat, "ours"),
        (uv_and_igzip, "uv"),
        (pex, "pex"),
        (venv_pack, "venv"),
    ):
        if given.only in word or word in given.only:
            contestant(bench)
    show(bench)


if __name__ == "__main__":
    main()
