"""%boat in notebooks: the command line's grammar, on the notebook's own Captain.

    %load_ext coffee_boat
    %boat add edtf rapidfuzz -r requirements.txt
    %boat plan
    %boat launch --master spark://host:7077      # binds `spark` and `sc`; without options, takes
                                                 over the session that runs
    %boat verify
    %boat status

    %%boat add
    edtf
    numpy >=2         # a requirement a line, or options

The Captain is the one that the notebook made (`captain`, or the only one there is under another
name), else a new one, bound to `captain`. So Python cells and %boat lines work on the same.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import click

from coffee_boat._support.exceptions import guarded
from coffee_boat._support.progress import say_line
from coffee_boat._support.redact import redact
from coffee_boat._support.wording import told_in
from coffee_boat.captain import Captain
from coffee_boat.cli import changing, elsewhere, options, render, words
from coffee_boat.cli import main as terminal
from coffee_boat.cli.cache import cache
from coffee_boat.cli.cells import Status, words_of
from coffee_boat.cli.notebooks import Last
from coffee_boat.cli.options import Probing, Wanted, Where
from coffee_boat.cli.verbose import Group
from coffee_boat.cli.watching import Watch, refresh, watch
from coffee_boat.errors import BoatError, Problem, SettingsError
from coffee_boat.model import Archive, Arrival, Difference, Finding, History, Plan, Report
from coffee_boat.spark import connect, install, jvm

_NAME = "captain"
_WITH_FINDINGS = (Archive, Arrival, Plan, Report)
_JVM_ENDED = f"{jvm.ENDED.what}: {jvm.ENDED.cure}"


def load(shell: Any) -> None:
    """Register %boat with an IPython shell, and how our values look where it has no tables."""
    notebook = Notebook(shell)

    def run(line: str, cell: str | None = None) -> Any:
        return notebook.run(line, cell)

    run.__doc__ = boat.get_help(click.Context(boat, info_name="%boat"))  # what %boat? shows
    shell.register_magic_function(run, "line_cell", "boat")
    plain = shell.display_formatter.formatters["text/plain"]
    for kind in (*_WITH_FINDINGS, Difference, History):
        plain.for_type(kind, lambda value, printer, _cycle: printer.text(str(value)))


class Notebook:
    """The place of a command that stands in a cell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._product: Any = None
        self.last = Last(shell.user_ns)
        self.watch = Watch(shell, self._find)

    @partial(guarded, explain=jvm.explain)
    def run(self, line: str, cell: str | None = None) -> Any:
        """One %boat line. What it makes (a Plan, a Report) is the value of the line.

        Args:
            cell: the lines below a %%boat line, each with a requirement or with options.

        Raises:
            IPython's UsageError: the line cannot be read.
            BoatError: as the Captain's own functions; a notebook shows its text.
        """
        from IPython.core.error import UsageError

        self._product = None
        try:
            typed = [*shlex.split(line), *words_of(cell or "")] or ["--help"]
        except ValueError as error:
            raise UsageError(f"%boat: {error}") from error
        try:
            # not boat.main: it prints an empty line for an interrupt, a red bar in a notebook
            with (
                told_in(words.in_magic),
                suppress(click.exceptions.Exit),  # --help
                boat.make_context("%boat", typed, obj=self) as context,
            ):
                boat.invoke(context)
        except click.Abort as error:
            raise KeyboardInterrupt from error
        except click.ClickException as error:
            hint = elsewhere.hint(error, "%boat add")
            raise UsageError(f"%boat: {error.format_message()}{hint} (%boat --help)") from error
        except BoatError as error:  # shown later, by IPython
            error.problem = _in_magic(error.problem)
            raise
        return self._product

    def captain(self, wanted: Wanted) -> Captain:
        """The notebook's Captain, with more to want.

        Raises:
            SettingsError: there are several, `captain` is something else, or settings come too
                late.
        """
        captain = wanted.add_to(self._own(wanted))
        self.last.lock = wanted.lock or self.last.lock
        return captain

    def plan(self, wanted: Wanted, master: str | None) -> Plan:
        """Of what the notebook's Captain has and of `wanted`, which it is not asked for by that;
        where its session runs, of `wanted` alone.
        """
        return self._own(wanted).plan_with(wanted.manifest(), master, lock=wanted.lock)

    def _own(self, wanted: Wanted) -> Captain:
        found = self._find()
        if found is None:
            found = Captain(**wanted.settings)
            self._shell.user_ns[_NAME] = found
            self.last.settings, self.last.made_here = wanted.settings, True
        elif wanted.settings:
            given = redact(", ".join(f"{key}={value!r}" for key, value in wanted.settings.items()))
            raise SettingsError(
                "settings.captain-exists",
                "the notebook has its Captain already",
                value=given,
                cause="settings are given when it is made",
                cure=f"captain.close(); captain = Captain({given})",
            )
        return found

    def show(self, value: Any, *, as_json: bool = False) -> None:
        """Tables become the value of the line; text is printed."""
        if as_json or isinstance(value, (str, list)):
            render.show(value, as_json=as_json)
        elif isinstance(value, _WITH_FINDINGS):
            self._product = replace(value, findings=tuple(map(_in_magic, value.findings)))
        else:
            self._product = value

    def bind(self, spark: Any) -> None:
        """Bind a session as a pyspark shell does; what else has these names stays."""
        context = getattr(spark, "sparkContext", None)  # Spark Connect has none
        for name, value in (("spark", spark), ("sc", context)):
            taken = self._shell.user_ns.get(name)
            if taken is None or type(taken).__module__.startswith("pyspark."):
                self._shell.user_ns[name] = value
            else:
                say_line(
                    f"note: {name} stays as it is ({type(taken).__name__}); the session is"
                    " SparkSession.getActiveSession()"
                )

    def names_of(self, value: Any) -> list[str]:
        """The notebook's own names of a value."""
        return sorted(
            name
            for name, held in list(self._shell.user_ns.items())
            if held is value and not name.startswith("_")
        )

    def session(self) -> Any:
        """The session that the kernel has, whoever started it: a SparkSession where there is one,
        else a SparkContext, else None.
        """
        context = _active_context()
        if context is None:
            return connect.among(self._shell.user_ns.values())
        return next((value for _, value in self._sessions(context)), context)

    def take_last(self, wanted: Wanted, where: Where) -> Where:
        """Ask the Captain for what this notebook launched last, and for more.

        Returns:
            Where that was, under what is said now.

        Raises:
            SettingsError: nothing is kept of this notebook.
        """
        kept = self.last.recalled(wanted, has_captain=self._find() is not None)
        made = kept.settings if self._find() is None else {}  # else it has its own
        said = replace(wanted, **{**made, **wanted.settings}, lock=wanted.lock or kept.lock)
        self.captain(said).add_manifest(kept.manifest)
        return kept.at(where)

    def look_up(self, captain: Captain) -> None:
        """Warn at once of what a launch could not have, as a misspelt name, or of what is odd."""
        try:
            told = [one for one in captain.plan().findings if one.severity != "note"]
        except BoatError as error:
            told = [Finding.of(error.problem)]
        for finding in told:
            say_line(f"{finding.severity}: {finding}")

    def status(self) -> Status:
        """What there is now; makes and changes nothing."""
        found = self._find()
        return Status(tuple(self._rows(found)))

    def report(self) -> Any:
        """The Captain's last report; None without one."""
        found = self._find()
        return found.report if found else None

    def _find(self) -> Captain | None:
        named = self._shell.user_ns.get(_NAME)
        if isinstance(named, Captain):
            return named
        held = {
            id(value): value
            for name, value in list(self._shell.user_ns.items())
            if isinstance(value, Captain) and not name.startswith("_")
        }
        if len(held) > 1:
            names = ", ".join(name for one in held.values() for name in self.names_of(one))
            raise SettingsError(
                "settings.several-captains",
                "the notebook has several Captains",
                value=names,
                cure=f"bind the one that is meant: {_NAME} = ...",
            )
        if not held and named is not None:
            raise SettingsError(
                "settings.captain-name-taken",
                "the name captain is taken",
                value=type(named).__name__,
                cause="%boat binds its Captain to that name",
                cure="make one under another name: boat = Captain()",
            )
        return next(iter(held.values()), None)

    def _rows(self, captain: Captain | None) -> Iterator[tuple[str, str]]:
        if captain is None:
            yield "captain", "none yet: %boat add NAME..."
            yield from self.last.told()
        else:
            yield "captain", ", ".join(self.names_of(captain)) or repr(captain)
            yield "asked for", ", ".join(captain.manifest.texts) or "nothing yet"
            yield "locked", captain.lock.summary if captain.lock else "not yet"
            yield (
                "last report",
                (str(captain.report).splitlines()[0] if captain.report else "none: %boat verify"),
            )
        yield "session", self._told_session()

    def _sessions(self, context: Any) -> list[tuple[str, Any]]:
        """The notebook's own names of the SparkSessions of a context."""
        values = [
            (name, value)
            for name, value in list(self._shell.user_ns.items())
            if not name.startswith("_") and type(value).__name__ == "SparkSession"
        ]
        return [(name, value) for name, value in values if getattr(value, "_sc", None) is context]

    def _told_session(self) -> str:
        context = _active_context()
        if context is None:
            return (
                f"none: {_JVM_ENDED}" if jvm.has_ended() else "none: %boat launch --master MASTER"
            )
        names = {*self.names_of(context), *(name for name, _ in self._sessions(context))}
        if not jvm.is_up(context):
            return _JVM_ENDED if jvm.has_ended() else "stopped: spark.stop(), then %boat launch"
        return f"Spark {context.version} on {context.master}" + (
            f", as {', '.join(sorted(names))}" if names else ""
        )


Told = TypeVar("Told", bound=Problem)


def _in_magic(problem: Told) -> Told:
    return replace(problem, cure=words.in_magic(problem.cure))


def _active_context() -> Any:
    """The SparkContext of this process; pyspark is not imported for it."""
    return getattr(
        getattr(sys.modules.get("pyspark"), "SparkContext", None), "_active_spark_context", None
    )


_notebook = click.make_pass_decorator(Notebook)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def boat() -> None:
    """Any Python environment on the executors of this notebook's Spark.

    \b
    %boat add edtf rapidfuzz
    %boat launch --master spark://host:7077
    %boat verify
    """


@boat.command()
@click.argument("packages", nargs=-1)
@options.wanted
@options.allow_changes
@_notebook
def add(place: Notebook, wanted: Wanted, packages: tuple[str, ...]) -> None:
    """Ask for PACKAGES; in a running session they are there at once."""
    before = place.report()
    captain = place.captain(replace(wanted, pip=(*packages, *wanted.pip)))  # all in one addition
    if captain.running:
        place.last.keep(captain)
    else:
        place.look_up(captain)
    arrival = captain.report
    if isinstance(arrival, Arrival) and arrival is not before:
        place.show(replace(arrival, findings=()))  # they were told when it was sent
    else:
        place.show(place.status())


@boat.command()
@click.argument("packages", nargs=-1)
@options.as_json
@options.master
@options.wanted
@_notebook
def plan(
    place: Notebook, wanted: Wanted, master: str | None, as_json: bool, packages: tuple[str, ...]
) -> None:
    """Show what would be locked, built, sent and set, with PACKAGES besides. Builds and sends
    nothing.
    """
    made = place.plan(replace(wanted, pip=(*packages, *wanted.pip)), master)
    place.show(made, as_json=as_json)


@boat.command()
@click.option(
    "--last", is_flag=True, help="With what this notebook launched last, in a kernel before."
)
@options.session
@options.wanted
@_notebook
def launch(place: Notebook, wanted: Wanted, where: Where, last: bool) -> None:
    """Build the environment and start a session with it, as `spark` and `sc`; or take over the
    session that the kernel has.
    """
    running = place.session() if where == Where() else None
    if running is None:
        install.refuse_if_running()  # before the session that runs gets what is for another one
    if last:
        where, wanted = place.take_last(wanted, where), Wanted()
    captain = place.captain(wanted)
    if running is not None:
        captain.board(running)
    else:
        place.last.tell_empty(captain)
        captain.preload(*where.preload)
        place.bind(captain.launch_ship(master=where.master, conf=where.conf).start())
    place.last.keep(captain, where if running is None else None)
    place.show(place.status())


@boat.command()
@options.as_json
@options.probing
@_notebook
def verify(place: Notebook, probing: Probing, as_json: bool) -> None:
    """Ask every executor of the session what it runs."""
    place.show(
        place.captain(Wanted()).verify(modules=probing.modules, deadline=probing.deadline),
        as_json=as_json,
    )


@boat.command()
@_notebook
def status(place: Notebook) -> None:
    """Show the Captain, what was asked for, and the session."""
    place.show(place.status())


_OF_TERMINALS = (terminal.lock, terminal.pack, terminal.conf, terminal.check, cache)
for _command in (*_OF_TERMINALS, *changing.COMMANDS, refresh, watch):
    boat.add_command(_command)
