"""`boat cache`: what the local store holds, and how to free its space and a stage's."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import click

from coffee_boat._support import scratch
from coffee_boat._support.entries import UNFINISHED, Entry
from coffee_boat._support.store import Store
from coffee_boat._support.words import human_size
from coffee_boat.cli import render, stored
from coffee_boat.cli.verbose import Group
from coffee_boat.errors import LaunchError, ShipError
from coffee_boat.model import Finding, text_table
from coffee_boat.ship import last_used
from coffee_boat.spark import facts, gateway, install

_DAY = 86400.0
_KINDS = ("kind", "entries", "size", "last used")
_NUMBERS = ("entries", "size")


@click.group(cls=Group)
def cache() -> None:
    """Show or free what was built and fetched. All of it is made again when it is needed."""


@cache.command("list")
@stored.option
@click.option("--json", "as_json", is_flag=True, help="Print every entry as JSON, for programs.")
def list_(store: str | None, as_json: bool) -> None:
    """List the store: its kinds of entries, then the packages in it, the largest first."""
    opened = stored.opened(store)
    entries = sorted(opened.entries(), key=lambda entry: (entry.kind, entry.name))
    if as_json:
        click.echo(
            render.to_json(
                [
                    {
                        "kind": e.kind,
                        "name": e.name,
                        "path": str(e.path),
                        "size": e.size,
                        "used": e.used,
                    }
                    for e in entries
                ]
            )
        )
    else:
        click.echo(_listing(opened, entries))


@cache.command()
@stored.option
@click.option("--stage", metavar="URL", help="Free this stage instead of the store. Asks first.")
@click.option(
    "--days",
    "--older-than",
    "days",
    metavar="DAYS",
    type=click.FloatRange(min=0),
    help="Keep what was used within so many days. Default: 30, in a stage 90.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(
    store: str | None, stage: str | None, days: float | None, dry_run: bool, yes: bool
) -> None:
    """Remove what was not used for a while; what is being made, or what a session runs from, stays.

    Executors that join a session late fetch its archive from the stage again: keep a stage's
    archives for longer than sessions last.
    """
    opened, now = stored.opened(store), time.time()
    if stage is not None:
        _prune_stage(opened, stage, 90 if days is None else days, dry_run=dry_run, yes=yes)
        return
    stale = [
        entry for entry in opened.entries() if _stale(entry, now, 30 if days is None else days)
    ]
    if dry_run:
        doomed = [entry for entry in stale if not opened.in_use(entry)]
        if len(doomed) < len(stale):
            render.tell(_in_use([entry for entry in stale if entry not in doomed]))
        click.echo(
            f"would remove {_summary(doomed)} from {opened.root}\n{stored.table(opened, doomed)}"
        )
    else:
        _remove(opened, stale, in_use_too=False)


@cache.command()
@stored.option
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear(store: str | None, yes: bool) -> None:
    """Remove everything but what is being made, and what it needs.

    Sessions that run from the store lose their files.
    """
    opened, now = stored.opened(store), time.time()
    doomed = [
        entry for entry in opened.entries() if entry.kind != UNFINISHED or _stale(entry, now, 0)
    ]
    if doomed and not yes:
        click.confirm(
            f"Remove {_summary(doomed)} from {opened.root}? Spark sessions that run from it lose"
            " their files",
            abort=True,
            err=True,
        )
    _remove(opened, doomed)


def _prune_stage(store: Store, stage: str, days: float, *, dry_run: bool, yes: bool) -> None:
    hadoop = gateway.hadoop(store, _spark_settings())
    doomed = last_used.leftovers(stage, days, hadoop=hadoop)
    rows = [
        (
            each.name,
            human_size(each.size),
            time.strftime("%Y-%m-%d", time.localtime(each.used)),
            each.owner,
        )
        for each in doomed
    ]
    if not doomed or dry_run:
        click.echo(
            "\n".join(
                [
                    f"would remove {_summary(doomed)} from {stage}",
                    *(
                        [
                            text_table(
                                ("archive", "size", "last used", "owner"), rows, right=_NUMBERS
                            )
                        ]
                        if rows
                        else []
                    ),
                ]
            )
        )
        return
    click.echo(
        text_table(("archive", "size", "last used", "owner"), rows, right=_NUMBERS), err=True
    )
    if not yes:
        click.confirm(
            f"Remove {_summary(doomed)} from {stage}? Sessions that still need one lose executors"
            " that join later",
            abort=True,
            err=True,
        )
    done = last_used.prune(stage, doomed, hadoop=hadoop)
    for leftover, reason in done.kept:
        render.tell(
            Finding(
                "ship.not-removable",
                "could not be removed",
                value=leftover.name,
                cause=reason,
                cure="ask its owner to",
            )
        )
    for leftover in done.used:
        render.tell(
            Finding(
                "ship.still-in-use",
                "not removed",
                value=leftover.name,
                cause="it was used a moment ago",
                severity="note",
            )
        )
    click.echo(f"removed {_summary(done.removed)} from {stage}")
    if done.kept and not done.removed:
        raise ShipError(
            "ship.nothing-removed",
            "nothing could be removed from the stage",
            value=stage,
            cause=done.kept[0][1],
            cure="run it as somebody who may write there",
        )


def _spark_settings() -> Mapping[str, str]:
    """spark-defaults.conf, by which archives were put there: endpoints and name services.

    None where there is no Spark.
    """
    try:
        return facts.facts_of(install.find_spark()).conf
    except LaunchError:
        return {}


def _stale(entry: Entry, now: float, days: float) -> bool:
    """Unfinished work goes once its process is gone; where nobody can tell that, once nobody wrote
    to it for a day.
    """
    if entry.kind != UNFINISHED:
        return entry.used <= now - days * _DAY
    is_dead = scratch.is_dead(entry.path)
    return entry.used < now - max(days, 1) * _DAY if is_dead is None else is_dead


def _in_use(entries: Sequence[Entry]) -> Finding:
    return Finding(
        "ship.still-in-use",
        "not removed",
        value=f"{_summary(entries)}, {entries[0].path} first",
        cause="running processes of yours use it: a session, or a build",
        cure="end them, then try again",
        severity="note",
    )


def _remove(store: Store, doomed: Iterable[Entry], *, in_use_too: bool = True) -> None:
    kept: list[Entry] = []
    removed: list[Entry] = []
    for entry in doomed:
        (removed if store.remove(entry, in_use_too=in_use_too) else kept).append(entry)
    store.sweep()
    if kept:
        render.tell(_in_use(kept))
    click.echo(f"removed {_summary(removed)} from {store.root}")


def _summary(entries: Sequence[Entry | last_used.Leftover]) -> str:
    things = "entry" if len(entries) == 1 else "entries"
    return f"{len(entries)} {things}, {human_size(sum(entry.size for entry in entries))}"


def _listing(store: Store, entries: list[Entry]) -> str:
    kinds: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        kinds[entry.kind.partition("/")[0]].append(entry)
    head = f"{store.root}: {_summary(entries)}"
    if not kinds:
        return head
    rows = [_row(kind, found) for kind, found in kinds.items()]
    kinds_of = text_table(_KINDS, rows, right=_NUMBERS)
    return f"{head}\n{kinds_of}\n\n{stored.table(store, entries)}"


def _row(kind: str, found: list[Entry]) -> tuple[str, ...]:
    used = time.localtime(max(entry.used for entry in found))
    return (
        kind,
        str(len(found)),
        human_size(sum(entry.size for entry in found)),
        time.strftime("%Y-%m-%d", used),
    )
