"""An environment that is larger than fields of 32 bits: a wheel of more than 2 GiB, another one
that becomes 2.5 GiB, and one of 30,000 files; packed, read back by Python's own tarfile, compared.

    python benchmarks/large.py [--folder FOLDER]

It needs 9 GB below the folder, which are gone when it ends. No network is used.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import resource
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from coffee_boat import Captain

MIB = 1 << 20
NOISE = os.urandom(16 * MIB)
"""No deflate stream looks back that far: repeated, it stays incompressible."""
FILES = 30_000


def main() -> int:
    """Exit code 1 if anything came back otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--folder", type=Path, default=None, help="where to work")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().folder, prefix="boat-large-") as name:
        return _try(Path(name))


def _try(folder: Path) -> int:
    wheels = folder / "wheels"
    wheels.mkdir()
    with timed("wheels made"):
        made = {
            **wheel(wheels, "noise", {"noise/data.bin": [NOISE] * 136}),
            **wheel(wheels, "sparse", {"sparse/data.bin": [NOISE[:MIB] + bytes(63 * MIB)] * 40}),
            **wheel(wheels, "many", {f"many/m{n}.py": [b"N = %d\n" % n] for n in range(FILES)}),
        }
    for path in sorted(wheels.iterdir()):
        print(f"  {path.name}: {path.stat().st_size / 1e9:.2f} GB")
    with Captain(
        ship_python=False, offline=True, find_links=[str(wheels)], store=folder / "store"
    ) as captain:
        captain.add_pip_packages("noise", "sparse", "many")
        with timed("packed"):
            archive = captain.pack(folder / "large.tar.gz")
    site = archive.target.site_packages
    with timed("read back"):
        found = read(folder / "large.tar.gz", site)
    wrong = [name for name, digest in made.items() if found.get(site + name) != digest]
    peak = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    size, memory = archive.size / 1e9, peak / 1e6
    print(f"archive: {size:.2f} GB, {len(found):,} files; {memory:.2f} GB of memory at most")
    print(f"{len(made):,} files compared, {len(wrong)} differ {wrong[:3]}")
    return 1 if wrong else 0


def wheel(folder: Path, name: str, files: dict[str, Iterable[bytes]]) -> dict[str, str]:
    """Write one whose members are these blocks; gives member -> sha256 (hex)."""
    info, digests, rows = f"{name}-1.0.dist-info", dict[str, str](), list[str]()
    kind = zipfile.ZIP_STORED if name == "noise" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w", kind) as archive:
        texts: dict[str, Iterable[bytes]] = {
            f"{info}/METADATA": [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()],
            f"{info}/WHEEL": [
                b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            ],
        }
        for path, blocks in {**files, **texts}.items():
            digest, size = hashlib.sha256(), 0
            with archive.open(path, "w", force_zip64=name != "many") as member:
                for block in blocks:
                    digest.update(block)
                    size += member.write(block)
            said = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
            rows.append(f"{path},sha256={said},{size}\n")
            if path in files:
                digests[path] = digest.hexdigest()
        archive.writestr(f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]))
    return digests


def read(path: Path, below: str) -> dict[str, str]:
    """Name -> sha256 (hex) of the files of an archive below a folder."""
    found = {}
    with tarfile.open(path, "r:gz") as entries:
        for entry in entries:
            stream = entries.extractfile(entry) if entry.name.startswith(below) else None
            if stream is not None:
                digest = hashlib.sha256()
                while block := stream.read(MIB):
                    digest.update(block)
                found[entry.name] = digest.hexdigest()
    return found


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print seconds, and those of a processor."""
    began, before = time.monotonic(), os.times()
    yield
    after = os.times()
    busy = sum(after[:4]) - sum(before[:4])
    print(f"{what}: {time.monotonic() - began:.1f} s, {busy:.1f} s of a processor", flush=True)


if __name__ == "__main__":
    sys.exit(main())
