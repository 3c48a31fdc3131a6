"""An archive of conda packages: coffee_boat against conda-pack on the same prefix, and against its
own way with wheels; one run, one machine.

    python benchmarks/conda.py [--cache FOLDER] [--repeat N] [--packages "numpy pandas pyarrow"]

The channel is made here, of PyPI's wheels and this CPython. Everything was fetched and unpacked
before the clock starts (py-rattler's package cache, wheels), the lock is known. Medians over the
rounds, of the clock on the wall and of the processor's seconds (which a busy machine changes less).
The contestants:

    conda-pack -1, -4   rattler installs the prefix (hard links), conda_pack.pack writes a .tar.gz;
                        4 is its default level
    coffee_boat         captain.pack: prefix, chunks, archive; nothing was packed before
    one package more    captain.pack: the same and `six`, when the rest was packed for another
                        environment
    again               captain.pack: the same environment in a new process' eyes: the store has it
    coffee_boat, pip    captain.pack of the same packages as wheels; of the interpreter and pyspark
                        the chunks are there
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _common import CHECKOUT, Workshop, arguments, median, shown, table, versions

sys.path.insert(0, str(CHECKOUT / "tests"))
import conda_channel as channels

MORE = "six"


def channel(shop: Workshop, packages: list[str]) -> str:
    """URL of the channel; made once."""
    folder = shop.path("conda-" + "-".join(packages))
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        shop.run(
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--only-binary",
            ":all:",
            "--dest",
            folder / "wheels",
            *packages,
            MORE,
        )
        wheels = [channels.from_wheel(wheel) for wheel in sorted((folder / "wheels").glob("*.whl"))]
        channels.fill(
            folder / "forge",
            channels.python_package(),
            channels.system_libraries(),
            channels.python_abi(),
            *wheels,
        )
        (folder / "ready").touch()
    return (folder / "forge").as_uri()


class Contest:
    """The stores, and what each contestant does in a folder of its own."""

    def __init__(self, shop: Workshop, url: str, packages: list[str]) -> None:
        self.url, self.packages = url, packages
        self.store = shop.path("conda-store")
        self.sizes: dict[str, int] = {}
        self.processor: dict[str, list[float]] = {}
        self.started = (0.0, 0.0)

    def captain(self, *more: str, pip: bool = False) -> object:
        from coffee_boat import Captain

        captain = Captain(store=self.store)
        if pip:
            return captain.add_pip_packages(*self.packages, *more)
        return captain.add_conda_packages(
            f"python={channels.MINOR}", *self.packages, *more, channel=self.url
        )

    def coffee_boat(self, folder: Path, *more: str, pip: bool = False) -> Path:
        self.captain(*more, pip=pip).pack(folder / "boat.tar.gz")  # type: ignore[attr-defined]
        return folder / "boat.tar.gz"

    def conda_pack(self, folder: Path, level: int) -> Path:
        import conda_pack
        import rattler

        from coffee_boat.conda import records as conda_records

        lock = self.captain().plan().lock  # type: ignore[attr-defined]
        records = [conda_records.record_of(pin) for pin in lock.conda]

        async def install(prefix: Path) -> None:
            await rattler.install(
                records,
                target_prefix=prefix,
                cache_dir=Path(self.store) / "pkgs",
                platform=rattler.Subdir(channels.NATIVE),
                show_progress=False,
            )

        asyncio.run(install(folder / "unpacked"))  # as our own store, its cache has them all
        self.begin()
        asyncio.run(install(folder / "prefix"))
        conda_pack.pack(
            prefix=str(folder / "prefix"), output=str(folder / "env.tar.gz"), compress_level=level
        )
        return folder / "env.tar.gz"

    def begin(self) -> None:
        self.started = time.perf_counter(), time.process_time()

    def forget(self) -> None:
        """All that was packed, but the interpreter and pyspark, which each environment has; what
        was fetched and locked stays.
        """
        for key in (self.store / "keys/chunk").iterdir():
            text = key.read_text()
            if not any(f'"label": "{name}' in text for name in ("pyspark", "coffee_boat")) and not (
                '"label": "python ' in text and "cpython" not in text
            ):
                key.unlink()
        shutil.rmtree(self.store / "archives", ignore_errors=True)

    def timed(self, name: str, work: Callable[[Path], Path]) -> float:
        with tempfile.TemporaryDirectory(prefix="boat-benchmark-") as folder:
            self.begin()
            made = work(Path(folder))
            seconds, processor = (
                time.perf_counter() - self.started[0],
                time.process_time() - self.started[1],
            )
            self.sizes[name] = made.stat().st_size
        self.processor.setdefault(name, []).append(processor)
        print(f"  {name}: {seconds:.2f} s, {processor:.2f} of the processor", flush=True)
        return seconds


def main() -> None:
    parser = arguments(__doc__, repeat=3)
    parser.add_argument("--packages", default="numpy pandas pyarrow")
    chosen = parser.parse_args()
    packages = chosen.packages.split()
    if reason := channels.why_no_python():
        sys.exit(reason)
    shop = Workshop(chosen.cache)
    contest = Contest(shop, channel(shop, packages), packages)
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:  # fetched, unpacked, locked
        for number, (more, pip) in enumerate((((), False), ((MORE,), False), ((), True))):
            (Path(folder) / str(number)).mkdir()
            contest.coffee_boat(Path(folder) / str(number), *more, pip=pip)
    for number in range(chosen.repeat):
        print(f"round {number + 1} of {chosen.repeat}", flush=True)
        contest.forget()
        rounds: dict[str, Callable[[Path], Path]] = {
            "conda-pack -4": lambda folder: contest.conda_pack(folder, 4),
            "conda-pack -1": lambda folder: contest.conda_pack(folder, 1),
            "coffee_boat": contest.coffee_boat,
            "one package more": lambda folder: contest.coffee_boat(folder, MORE),
            "again": contest.coffee_boat,
            "coffee_boat, pip": lambda folder: contest.coffee_boat(folder, pip=True),
        }
        for name, work in rounds.items():
            times.setdefault(name, []).append(contest.timed(name, work))
    print(
        f"\n{versions('coffee_boat', 'conda-pack', 'py-rattler')}\n{', '.join(packages)}, from a"
        " local channel"
    )
    best = median(times["coffee_boat"]) or 0.0
    rows = [
        (
            name,
            median(seconds),
            (median(seconds) or 0.0) / best,
            median(contest.processor[name]),
            contest.sizes[name] / 1e6,
            shown(seconds),
        )
        for name, seconds in times.items()
    ]
    print(table(("", "seconds", "ratio", "processor", "MB", "each round"), rows))


if __name__ == "__main__":
    main()
