"""A bare machine: a new Debian in a folder, with Python, make and certificates, and nothing else.

    python -m integration.beds.bare_root up SUITE DIR          trixie, sid ...: made, unless it is
                                                               there
    python -m integration.beds.bare_root run DIR -- COMMAND    in a fresh copy of this checkout
    python -m integration.beds.bare_root down DIR

No git, no Java, no compiler; another glibc and another Python than this machine's. The network is
this machine's, and so are pip's settings and the certificates: what lies between a machine and its
package index is no part of what is tried. Linux, root and debootstrap are needed.

Whatever is mounted is mounted in a namespace that ends with the command's last process: nothing is
left of it, however the command ends.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from integration.beds import BedCannotRun, BedFailed, _packages

CHECKOUT = "/work/coffee_boat"
"""Where a root has the checkout, and commands start. Others cannot read root's home."""

_ROOT = Path(__file__).resolve().parents[2]
_PYTHONS = {"sid": "python3.14"}
"""Where a suite's `python3` is not the one that is meant."""
_PACKAGES = ("ca-certificates", "make")
_MARK = "bare-root"
"""The file that says that a folder is a root of ours, and which Python it is for."""
_TOOLS = ("debootstrap", "unshare", "mount", "pivot_root", "apt-get", "git")
_INSTALLABLE = {"debootstrap": "debootstrap", "git": "git"}
"""Of the tools, those that a small Debian lacks: program -> package."""
_NAMESPACE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
# pivot_root(2) has this use of it; a chroot alone would be no root that namespaces can be made in.
# Debian has /tmp in memory since 13.
_ENTER = (
    'set -e; mount --bind "$1" "$1"; cd "$1"; shift; mount -t proc proc proc;'
    " mount -t tmpfs -o mode=1777 tmp tmp; mount --rbind /dev dev;"
    ' pivot_root . .; umount -l .; exec env --chdir="$0" "$@"'
)
_SETTINGS = (
    "/etc/pip.conf",
    "/etc/uv/uv.toml",
    "/etc/resolv.conf",
    "/etc/hosts",
    "~/.pip/pip.conf",
    "~/.config/pip/pip.conf",
    "~/.config/uv/uv.toml",
)
_CERTIFICATES = "/etc/ssl/certs"
_VARIABLES = ("PIP_", "UV_", "SSL_CERT_")
_VARIABLES_TOO = {"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}


def cannot_run() -> str | None:
    """What this machine lacks to hold a root; None if nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root: to make namespaces and change the root"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"needs {', '.join(missing)}: apt-get install debootstrap git" if missing else None


def _require() -> None:
    _packages.require(_INSTALLABLE)
    if reason := cannot_run():
        raise BedCannotRun(reason)


def up(suite: str, folder: Path) -> Path:
    """A root with this suite, made unless it is there.

    Raises:
        BedCannotRun: this machine lacks something, and it cannot be installed.
        BedFailed: debootstrap failed; what it said is in `folder`.log.
    """
    _require()
    if (folder / _MARK).exists():
        return folder
    if folder.exists():
        raise BedFailed(f"{folder} is there and is no root of this bed: name another folder")
    python = _PYTHONS.get(suite, "python3")
    making = _made(suite, folder, (python, f"{python}-venv", *_PACKAGES))
    _bring_settings(making)
    (making / _MARK).write_text(f"{suite} {python}\n")
    making.rename(folder)
    return folder


def system(suite: str, folder: Path) -> Path:
    """A new folder with the smallest system of this suite, without Python: what a node can have.

    Raises:
        BedCannotRun: this machine lacks something, and it cannot be installed.
        BedFailed: debootstrap failed; what it said is in `folder`.log.
    """
    _require()
    return _made(suite, folder, ()).rename(folder)


def discard(folder: Path) -> None:
    """Remove what `system` made, whole or not; its log stays where it failed.

    Raises:
        BedFailed: something is mounted there.
    """
    if folder.exists():
        folder.with_name(folder.name + ".log").unlink(missing_ok=True)
    for path in (folder, folder.with_name(folder.name + ".new")):
        _remove(path)


def _made(suite: str, folder: Path, packages: Sequence[str]) -> Path:
    """What is to become `folder`, beside it."""
    log, making = folder.with_name(folder.name + ".log"), folder.with_name(folder.name + ".new")
    _remove(making)
    making.parent.mkdir(parents=True, exist_ok=True)
    include = [f"--include={','.join(packages)}"] if packages else []
    command = ["debootstrap", "--variant=minbase", *include, suite, str(making), mirror()]
    with log.open("wb") as out:
        ended = subprocess.run(
            [*_NAMESPACE, *command], check=False, stdout=out, stderr=subprocess.STDOUT
        )
    if ended.returncode:
        raise BedFailed(f"debootstrap ended with {ended.returncode}: see {log}")
    return making


def run(folder: Path, command: Sequence[str]) -> int:
    """Run a command in a fresh copy of this checkout: what an earlier one left there is gone, what
    it left in the user's caches is not. Gives its exit code.

    Raises:
        BedFailed: there is no root of ours.
    """
    _, python = _marked(folder)
    _bring_checkout(folder)
    return subprocess.run(
        [*_NAMESPACE, "/bin/sh", "-c", _ENTER, CHECKOUT, str(folder.resolve()), *command],
        check=False,
        env=_environment(folder, python),
    ).returncode


def down(folder: Path) -> None:
    """Remove a root.

    Raises:
        BedFailed: the folder is none of ours, or something is mounted there.
    """
    if folder.exists():
        _marked(folder)
    discard(folder)
    folder.with_name(folder.name + ".log").unlink(missing_ok=True)


def mirror() -> str:
    """Where apt of this machine takes Debian from.

    Raises:
        BedCannotRun: apt knows no Debian.
    """
    fields = ["--format", "$(ORIGIN) $(COMPONENT) $(SITE)", "Created-By: Packages"]
    said = subprocess.run(
        ["apt-get", "indextargets", *fields], check=False, capture_output=True, text=True
    )
    found = [line.split(" ", 2) for line in said.stdout.splitlines()]
    sites = [site for origin, component, site in found if (origin, component) == ("Debian", "main")]
    # security.debian.org has no whole suite, and comes after the main archive in every list.
    if not sites:
        raise BedCannotRun("apt knows no mirror of Debian: apt-get update, or add one")
    return sites[0]


def _marked(folder: Path) -> tuple[str, str]:
    """The root's suite and the name of its Python."""
    try:
        suite, python = (folder / _MARK).read_text().split()
    except FileNotFoundError:
        raise BedFailed(f"{folder} is no root of this bed: up first") from None
    return suite, python


def _remove(folder: Path) -> None:
    inside = f"{folder.resolve()}/"
    mounted = [point for point in _mount_points() if f"{point}/".startswith(inside)]
    if mounted:
        raise BedFailed(f"{mounted[0]} is mounted: nothing below {folder} is removed")
    if folder.exists():
        shutil.rmtree(folder)


def _mount_points() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield line.split(" ")[4]


def _bring_settings(root: Path) -> None:
    for name in _SETTINGS:
        path = Path(name).expanduser()
        if path.is_file():
            # The user in there is root, whose home is /root.
            target = root / name.replace("~", "/root").lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(path, target)
    _bring_certificates(root / _CERTIFICATES.lstrip("/"))


def _bring_certificates(folder: Path) -> None:
    """This machine's bundle and its folder of hashes, links followed."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(_CERTIFICATES).iterdir()):
        if path.is_file():
            (folder / path.name).unlink(missing_ok=True)
            shutil.copyfile(path, folder / path.name)


def _bring_checkout(root: Path) -> None:
    """The checkout as git knows it, with what is not committed yet."""
    target = root / CHECKOUT.lstrip("/")
    _remove(target)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        cwd=_ROOT,
        stdout=subprocess.PIPE,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if os.path.lexists(_ROOT / name):  # not one that is removed and not committed so
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / name, target / name, follow_symlinks=False)


def _environment(root: Path, python: str) -> dict[str, str]:
    """That of a login, and what leads to the package index: but no path that is not there."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_VARIABLES) or name in _VARIABLES_TOO or name.lower().endswith("_proxy")
    }
    return {
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHON": python,
        **{
            name: value
            for name, value in passed.items()
            if not value.startswith("/") or (root / value.lstrip("/")).exists()
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 3 if the bed cannot run or failed; `run` gives the command's own."""
    given = _parser().parse_args(arguments)
    started = time.monotonic()
    try:
        if given.verb == "run":
            return run(given.folder, given.command)
        if given.verb == "up":
            up(given.suite, given.folder)
        else:
            down(given.folder)
    except (BedCannotRun, BedFailed) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 3
    print(f"{given.verb} after {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m integration.beds.bare_root",
        description="A new Debian in a folder, with Python, make and certificates only.",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    start = verbs.add_parser("up", help="make it, unless it is there")
    start.add_argument("suite", metavar="SUITE", help="trixie, sid, ...")
    inside = verbs.add_parser("run", help="run a command in a fresh copy of this checkout")
    end = verbs.add_parser("down", help="remove it")
    for verb in (start, inside, end):
        verb.add_argument("folder", metavar="DIR", type=lambda text: Path(text).absolute())
    inside.add_argument("command", metavar="COMMAND", nargs="+", help="after --")
    return parser


if __name__ == "__main__":
    sys.exit(main())
