"""A Lock and the file it is written to."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from coffee_boat._support import files
from coffee_boat.cli import render
from coffee_boat.conda import lockfile as conda_lockfile
from coffee_boat.errors import LockError
from coffee_boat.model import CondaPin, Finding, Lock, Pin
from coffee_boat.pip import pylock
from coffee_boat.workflow import lockfile


def default_name(lock: Lock) -> str:
    """What its file is called where nobody says it."""
    return "pixi.lock" if lock.conda else "pylock.toml"


def write(lock: Lock, output: str) -> None:
    """Write a pylock.toml, or a pixi.lock where there are conda packages, whole or not at all; "-"
    is stdout.

    Raises:
        LockError: it cannot be written.
    """
    if lock.conda and output.endswith(".toml"):
        raise LockError(
            "lock.pylock-without-conda",
            "a pylock.toml has no words for conda packages",
            value=output,
            cure="-o pixi.lock",
        )
    text = lockfile.text_of(lock)
    if output == "-":
        click.echo(text, nl=False)
        return
    path = files.named(output)
    try:
        if files.exists(path) and not files.is_file(path):  # a device, a pipe: it stays what it is
            path.write_text(text, "utf-8")
        else:
            _replaced(path, text)
    except (OSError, ValueError) as error:
        raise LockError(
            "lock.file-unwritable",
            "the lock cannot be written",
            value=output,
            cause=str(error),
            cure="name a file in a folder that you may write: -o FILE",
        ) from error
    click.echo(f"{output}: {lock.summary}", err=True)
    if lock.conda and lock.exclude:
        render.tell(_not_written(output, lock))


def _not_written(output: str, lock: Lock) -> Finding:
    return Finding(
        "lock.exclude-not-written",
        "a pixi.lock has no word for what stays behind of packages",
        value=f"{output}: {', '.join(lock.exclude)}",
        cause="its format is rattler's",
        cure="say --exclude again where the lock is used, or set exclude in pyproject.toml",
        severity="note",
    )


def _replaced(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, "utf-8")
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def is_current(lock: Lock, output: str) -> bool:
    """True if the file pins what was chosen now; says on stderr what differs.

    Raises:
        LockError: there is no such file, or it is no pylock.toml for this target.
    """
    there = (
        conda_lockfile.read_rattler(Path(output), lock.target)
        if lock.conda
        else pylock.read(output, lock.target)
    )
    written, chosen = _pins(there), _pins(lock)
    differing = [
        name
        for name in sorted({*written, *chosen})
        if name not in written
        or name not in chosen
        or written[name].identity != chosen[name].identity
    ]
    same = not differing
    words = ", ".join(there.exclude) or "nothing", ", ".join(lock.exclude) or "nothing"
    if not lock.conda and there.exclude != lock.exclude:
        click.echo(f"exclude: {words[0]} in {output}, {words[1]} now", err=True)
        same = False
    for name in differing:
        before, after = (
            f"{side[name].version or side[name].url}" if name in side else "absent"
            for side in (written, chosen)
        )
        click.echo(
            f"{name}: {before} in {output}, {after} now"
            + (" (other files)" if before == after else ""),
            err=True,
        )
    return same


def _pins(lock: Lock) -> dict[str, Pin | CondaPin]:
    return {
        **{f"{pin.name} (conda)": pin for pin in lock.conda},
        **{pin.name: pin for pin in lock.pins},
    }
