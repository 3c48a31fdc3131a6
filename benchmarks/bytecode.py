"""What it costs and what it gains to ship the bytecode of pandas + pyarrow + scikit-learn: bytes,
seconds to pack and to unpack, and to import in a fresh process, where it may write bytecode beside
the packages and where it may not (PYTHONDONTWRITEBYTECODE=1, or a folder that is read-only).

    python benchmarks/bytecode.py [--cache FOLDER] [--repeat N]

No Spark: an archive is unpacked as executors do it, by tar, and its own interpreter imports. Each
figure is the seconds that pass and those of processors, which other load changes less. Medians.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _common import Workshop, arguments, median, table, versions

PACKAGES = ("pandas", "pyarrow", "scikit-learn")
IMPORT = "import pandas, pyarrow, sklearn.ensemble"
KINDS = {
    "not shipped": lambda name: "/site-packages/" not in name or "/pyspark/" in name,
    "shipped, not of tests": lambda _: True,
}
"""Which bytecode stays in the archive that has all of it."""


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Those that pass, and those of the processors for the children."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    passed, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, sum(after[:2]) - sum(before[:2])


def shown(times: list[tuple[float, float]]) -> str:
    passed, used = (median(column) for column in zip(*times, strict=True))
    return f"{passed:.1f} / {used:.1f}"


def pack(store: Path, bytecode: str, to: Path) -> str:
    from coffee_boat import Captain

    os.environ["COFFEE_BOAT_BYTECODE"] = bytecode
    return shown([seconds(lambda: Captain(store=store).add_pip_packages(*PACKAGES).pack(to))])


def forget(store: Path) -> None:
    """All bytecode of packages that was made before."""
    for key in (store / "keys" / "chunk").iterdir():
        if '"label": "bytecode of ' in key.read_text():
            key.unlink()


def only(kind: str, whole: Path, to: Path) -> int:
    """The archive with some of the bytecode; how many files it has."""
    keep, files = KINDS[kind], 0
    with tarfile.open(whole) as source, tarfile.open(to, "w:gz", compresslevel=6) as out:
        for member in source:
            if not member.name.endswith(".pyc") or keep(member.name):
                out.addfile(member, source.extractfile(member) if member.isreg() else None)
                files += 1
    return files


def imported(root: Path, *, writes: bool) -> tuple[float, float]:
    python = next(root.glob("bin/python3.[0-9]*"))
    environ = {"PATH": os.environ["PATH"], **({} if writes else {"PYTHONDONTWRITEBYTECODE": "1"})}
    return seconds(lambda: subprocess.run([python, "-c", IMPORT], env=environ, check=True))


def main() -> None:
    given = arguments(__doc__, repeat=3).parse_args()
    shop = Workshop(given.cache)
    os.environ["UV_CACHE_DIR"] = str(shop.path("uv-cache"))
    store, rows = shop.path("store"), []
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(dir=given.cache) as scratch:
        folder = Path(scratch)
        pack(store, "base", folder / "base.tar.gz")
        forget(store)
        first = pack(store, "all", folder / "all.tar.gz")
        again = pack(store, "all", folder / "again.tar.gz")
        for kind in KINDS:
            archive = folder / "some.tar.gz"
            files = only(kind, folder / "all.tar.gz", archive)
            told: dict[str, list[tuple[float, float]]] = {}
            for _ in range(given.repeat):
                root = folder / "root"
                shutil.rmtree(root, ignore_errors=True)
                root.mkdir()
                words = ["tar", "-xzf", archive, "-C", root]
                told.setdefault("unpack", []).append(
                    seconds(lambda words=words: subprocess.run(words, check=True))
                )
                for name, writes in (("not", False), ("not", False), ("first", True)):
                    told.setdefault(name, []).append(imported(root, writes=writes))
                told.setdefault("later", []).append(imported(root, writes=True))
            size = archive.stat().st_size / 1e6
            rows.append([kind, f"{size:.1f}", files, *map(shown, told.values())])
            print(f"  {rows[-1]}, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    loads.append(os.getloadavg()[0])
    print(f"\n{versions('coffee_boat')}; load {loads[0]:.1f} to {loads[1]:.1f}")
    print(
        f"{' '.join(PACKAGES)}: {IMPORT}; medians of {given.repeat}; seconds passed / of processors"
    )
    print(f"to compile it, and pack: {first} s; to pack again {again} s\n")
    head = ("bytecode of packages", "MB", "files", "unpack", "each import, may not write")
    print(table((*head, "first import", "later imports"), rows))


if __name__ == "__main__":
    main()
