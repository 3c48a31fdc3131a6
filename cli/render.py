"""What the commands print: the product to stdout, talk to stderr.

Tables in a terminal, plain text in a pipe, JSON on demand.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from coffee_boat._support.redact import redact, redact_setting
from coffee_boat._support.words import human_size
from coffee_boat.errors import BoatError
from coffee_boat.model import PLAN_HEAD, PLAN_NUMBERS, Archive, Finding, Plan, Report
from coffee_boat.model.archive import START_FOLDER

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_COLOURS = {"note": "cyan", "warning": "yellow", "error": "red"}
_DERIVED = {Report: ("ok",), Archive: ("name", "floor", "python")}
"""Properties that a program wants to read too."""
_SHOWN: dict[type, tuple[str, ...]] = {
    Plan: (
        *("lock", "items", "patch", "findings", "addition", "kind"),
        *("size", "unpacked", "unpacked_here", "unpacked_later", "seconds", "left_out"),
    )
}
"""What a program reads in place of the fields."""


def show(value: Any, *, as_json: bool = False) -> None:
    """Print a Plan, a Report, an Archive, or text to stdout."""
    if as_json:
        click.echo(to_json(value))
    elif sys.stdout is not None and sys.stdout.isatty() and isinstance(value, (Plan, Report)):
        _show_table(value)
    else:
        click.echo(str(value))


def to_json(value: Any) -> str:
    """JSON of one of the values of model, or of plain data. URLs lose their credentials."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False)


def tell(finding: Finding) -> None:
    """One Finding on stderr."""
    _stderr().print(_finding(finding), soft_wrap=True)


def tell_error(error: BoatError) -> None:
    """A BoatError on stderr: what happened, with what value, the usual cause, what to type."""
    first, *rest = redact(str(error)).splitlines()
    console = _stderr()
    console.print(f"[bold red]error:[/] {_escaped(first)}", soft_wrap=True)
    for line in rest:
        label, colon, text = line.partition(":")
        known = colon and label.strip() in {"cause", "hint"}
        console.print(
            f"[bold]{label}:[/]{_escaped(text)}" if known else _escaped(line), soft_wrap=True
        )


def how_to_use(archive: Archive, *, pyspark: bool = True) -> str:
    """What a packed archive is, and the options of spark-submit that use it; without pyspark, what
    runs it elsewhere.
    """
    glibc = ".".join(map(str, archive.floor))
    needs = f"needs glibc {glibc} or newer" if any(archive.floor) else "needs no certain glibc"
    packages = ":".join(
        f"./boat/{folder}".rstrip("/") for folder in (START_FOLDER, archive.target.site_packages)
    )
    python = (
        f"spark.pyspark.python=./boat/{archive.python}"
        if archive.has_python
        else f"spark.executorEnv.PYTHONPATH={packages}"
    )
    if not pyspark:
        return (
            f"{human_size(archive.size)} for Python {archive.target.minor}; {needs}. To use it:\n"
            f"  boat exec {archive.path} -- python ...\n"
            f"  boat unpack {archive.path} DIR"
        )
    return (
        f"{human_size(archive.size)} for Python {archive.target.minor}; {needs}. To use it:\n"
        f"  --archives {archive.path}#boat\n"
        f"  --conf {python}"
    )


def table(
    head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, right: Collection[str] = ()
) -> Table:
    """A table for a terminal; every cell is taken literally.

    Args:
        right: names of the columns that hold numbers.
    """
    from rich.table import Table

    made = Table(box=None, pad_edge=False)
    for name in head:
        made.add_column(name, justify="right" if name in right else "left")
    for row in rows:
        made.add_row(*map(_escaped, row))
    return made


def _show_table(value: Plan | Report) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    title, drawn = _plan_table(value) if isinstance(value, Plan) else _report_table(value)
    console.print(f"[bold]{_escaped(title)}[/]", soft_wrap=True)
    if isinstance(value, Plan) and value.addition:
        console.print(_escaped(value.addition), soft_wrap=True)
    if drawn.row_count:
        console.print(drawn)
    if isinstance(value, Plan) and value.unpacking:
        console.print(_escaped(value.unpacking), soft_wrap=True)
    for line in _settings(value) if isinstance(value, Plan) else _asked_for(value):
        console.print(_escaped(redact(line)), soft_wrap=True)
    for finding in value.findings:
        console.print(_finding(finding), soft_wrap=True)


def _settings(plan: Plan) -> list[str]:
    return (
        [
            f"{key}={redact_setting(key, setting)}"
            for key, setting in sorted(plan.patch.conf.items())
        ]
        if plan.patch
        else []
    )


def _asked_for(report: Report) -> list[str]:
    return [
        "installed: "
        + (", ".join(f"{pin.name} {pin.version}" for pin in report.lock.pins) or "nothing")
    ]


def _plan_table(plan: Plan) -> tuple[str, Table]:
    return f"Plan: {plan.lock.summary}", table(PLAN_HEAD, plan.rows, right=PLAN_NUMBERS)


def _report_table(report: Report) -> tuple[str, Table]:
    mapped = [
        f"{len(e.foreign_files)} foreign" if e.foreign_files else "own" for e in report.executors
    ]
    rows = [
        (e.executor, e.host, e.python, e.pyspark, e.lock_digest[:12], files, e.executable)
        for e, files in zip(report.executors, mapped, strict=True)
    ]
    answered = (
        f"{len(rows)} of {len(rows) + len(report.missed)} executors answered in"
        f" {report.seconds:.1f} s"
    )
    title = (
        f"{'ok' if report.ok else 'NOT ok'}: {answered} (Spark: driver {report.driver_spark}, JVM"
        f" {report.jvm_spark})"
    )
    return title, table(
        ("executor", "host", "python", "pyspark", "lock", "mapped files", "executable"), rows
    )


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = _SHOWN.get(type(value)) or (
            *(field.name for field in dataclasses.fields(value)),
            *_DERIVED.get(type(value), ()),
        )
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return redact(value) if isinstance(value, str) else value


def _finding(finding: Finding) -> str:
    return f"[{_COLOURS[finding.severity]}]{finding.severity}:[/] {_escaped(redact(str(finding)))}"


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
