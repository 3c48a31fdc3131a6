"""Launches whose archive was damaged on its way: what the user's own first action shows, and what
verify() says.

    broken.py MASTER DAMAGE[,DAMAGE...] [KEY=VALUE...]

MASTER is any that launch_ship takes; KEY=VALUE are Spark settings that the cluster needs. DAMAGE is
what happened to the archive after it was built, where nothing looks at it again; each gets a
session of its own:

    glibc          the interpreter asks for a version of glibc that no node has, as one from a newer
                   system does
    architecture   the interpreter's ELF header names another machine, as one from a driver of
                   another architecture does
    library        the interpreter looks for a library that is nowhere
    gone           the archive holds no interpreter
    cut            the second half of the archive did not arrive
    none           nothing: the same launch, healthy

Prints RESULT with, for each: `action`, the text of what the action raised, empty if it went well;
`error`, the four parts of what verify() raised and its class, null if nothing; or both of
SparkContext(...), where that refuses; `told`, what went to stderr as `coffee_boat: error: ...`;
`seconds` until all was over.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from pyspark import SparkContext

from coffee_boat import BoatError, Captain
from coffee_boat._support.store import Store

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = f"bin/python{MINOR}"
_MACHINE = 18
"""Offset of e_machine in an ELF header (elf(5)); 183 is aarch64, 62 x86_64."""


def newer_glibc(binary: bytes) -> bytes:
    """All that it needs of glibc, asked for under a name of the same length that there is not: the
    loader compares names (dl-version.c).
    """
    return re.sub(rb"GLIBC_2\.(\d+)\0", rb"GLIBC_9.\1\0", binary)


def other_machine(binary: bytes) -> bytes:
    here = int.from_bytes(binary[_MACHINE : _MACHINE + 2], "little")
    return (
        binary[:_MACHINE]
        + (62 if here == 183 else 183).to_bytes(2, "little")
        + binary[_MACHINE + 2 :]
    )


def missing_library(binary: bytes) -> bytes:
    return re.sub(rb"\0lib(python\d\.\d+\.so\.1\.0|m\.so\.6)\0", rb"\0gib\1\0", binary)


CHANGES = {"glibc": newer_glibc, "architecture": other_machine, "library": missing_library}


def damage(whole: Path, kind: str, archive: Path) -> None:
    """Write an archive of the store anew, damaged."""
    if kind in ("none", "cut"):
        archive.write_bytes(
            whole.read_bytes()[: None if kind == "none" else whole.stat().st_size // 2]
        )
        return
    made = io.BytesIO()
    with (
        tarfile.open(whole) as old,
        tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as new,
    ):
        for member in old:
            content = old.extractfile(member).read() if member.isfile() else b""
            if member.name == PYTHON and kind == "gone":
                continue
            if member.name == PYTHON:
                changed = CHANGES[kind](content)
                assert changed != content, f"{kind}: nothing in {PYTHON} to change"
                content = changed
                member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    archive.write_bytes(made.getvalue())


def first_action(sc: SparkContext) -> str:
    try:
        sc.parallelize(range(2), 2).map(lambda number: number + 1).collect()
    except Exception as error:  # noqa: BLE001  whatever a user would meet
        return str(error)
    return ""


def parts(error: BoatError) -> dict[str, str]:
    return {
        "class": type(error).__name__,
        "what": error.what,
        "value": error.value,
        "cause": error.cause,
        "cure": error.cure,
    }


def verified(captain: Captain) -> dict[str, str] | None:
    try:
        captain.verify(deadline=90)
    except BoatError as error:
        return parts(error)
    return None


def session(captain: Captain, master: str) -> tuple[str, dict[str, str] | None, float]:
    started = time.monotonic()
    try:
        sc = SparkContext(master=master)
    except BoatError as error:
        return str(error), parts(error), time.monotonic() - started
    try:
        return first_action(sc), verified(captain), time.monotonic() - started
    finally:
        sc.stop()


def one(captain: Captain, master: str) -> dict[str, object]:
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard):
        action, error, seconds = session(captain, master)
    told = [
        line for line in heard.getvalue().splitlines() if line.startswith("coffee_boat: error: ")
    ]
    return {"action": action, "error": error, "told": told, "seconds": seconds}


def main(master: str, kinds: str, *settings: str) -> None:
    conf = dict(setting.split("=", 1) for setting in settings)
    with tempfile.TemporaryDirectory() as folder, Captain() as captain:
        whole = Path(folder, "whole.tar.gz")
        archive = Store().archive_path(captain.pack(whole).id)
        captain.launch_ship(conf=conf)
        found = {}
        try:
            for kind in kinds.split(","):
                damage(whole, kind, archive)
                found[kind] = one(captain, master)
        finally:
            damage(whole, "none", archive)
    print("RESULT", json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
