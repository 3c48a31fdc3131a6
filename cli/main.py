"""The entry point `boat`: the group, its exit codes, and the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NoReturn

import click

from coffee_boat import _version
from coffee_boat._support.exceptions import without_secrets
from coffee_boat._support.progress import say_line
from coffee_boat._support.redact import redact
from coffee_boat._version import __version__
from coffee_boat.captain import Captain
from coffee_boat.cli import ended, options, outside, render, spark_words
from coffee_boat.cli import functions as asked_functions
from coffee_boat.cli.cache import cache
from coffee_boat.cli.group import BoatGroup
from coffee_boat.cli.options import Place, Probing, Wanted, Where
from coffee_boat.cli.origin import origin
from coffee_boat.model import Plan
from coffee_boat.spark import submission

OK, NO, USAGE = 0, 1, 2
"""Exit codes. NO: the question of `verify`, `check` or `lock --check` was answered with no, or a
`plan` says that its launch would be refused.

`launch` gives the application's own.
"""

FORMATS = {
    "args": submission.as_arguments,
    "properties": submission.as_properties,
    "json": submission.as_json,
    "k8s-yaml": submission.as_yaml,
    "connect-server": submission.as_connect_server,
}


class Terminal:
    """The place of a command that was typed in a terminal: a Captain of its own, tables or text on
    stdout.
    """

    def captain(self, wanted: Wanted) -> Captain:
        """A new Captain."""
        return wanted.captain()

    def plan(self, wanted: Wanted, master: str | None) -> Plan:
        """Of a new Captain."""
        return self.captain(wanted).plan(master)

    def show(self, value: Any, *, as_json: bool = False) -> None:
        """Print it."""
        render.show(value, as_json=as_json)


def _tell_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        said = origin(Path(_version.__file__).resolve().parent)
        click.echo(redact(", ".join(filter(None, (f"boat, version {__version__}", said)))))
        ctx.exit()


@click.group(cls=BoatGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version, and which checkout or URL it is from, and exit.",
)
@click.pass_context
def boat(ctx: click.Context) -> None:
    """Any Python environment, on any Spark cluster, in seconds.

    \b
    boat launch --pip pyarrow --master spark://host:7077 job.py 2024-01-01
    boat launch --master local[2] job.py       # job.py says what it needs (PEP 723)
    boat lock -r requirements.txt              # writes pylock.toml
    boat verify --master spark://host:7077 --lock pylock.toml

    Products go to stdout, all talk to stderr. Exit codes: 0; 1 if the answer of verify, check or
    lock --check is no, or a plan has an error: a launch would be refused; 2 usage; 3 a failure that
    comes with a hint; launch gives the application's own.

    \b
    Completion of commands and options:
      bash  eval "$(_BOAT_COMPLETE=bash_source boat)"
      zsh   eval "$(_BOAT_COMPLETE=zsh_source boat)"
      fish  _BOAT_COMPLETE=fish_source boat | source
    """
    ctx.obj = ctx.obj or Terminal()


@boat.command()
@options.as_json
@options.master
@options.wanted
@click.pass_obj
def plan(place: Place, wanted: Wanted, master: str | None, as_json: bool) -> None:
    """Show what would be locked, built, sent and set. Builds and sends nothing."""
    made = place.plan(wanted, master)
    place.show(made, as_json=as_json)
    _answer(not any(finding.severity == "error" for finding in made.findings))


@boat.command()
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Where to; - is stdout. Default: pylock.toml, with conda packages pixi.lock.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 if FILE is not what would be written."
)
@options.wanted
@click.pass_obj
def lock(place: Place, wanted: Wanted, output: str | None, check: bool) -> None:
    """Choose versions for the executors, and write them with their hashes: a pylock.toml (PEP 751),
    with conda packages a pixi.lock.
    """
    from coffee_boat.cli import locking

    made = place.captain(wanted).plan()
    output = output or locking.default_name(made.lock)
    if check:
        _answer(locking.is_current(made.lock, output))
    locking.write(made.lock, output)
    _tell(made)


@boat.command()
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    required=True,
    help="Where to: a .tar.gz that spark.archives takes.",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--pyspark/--no-pyspark",
    default=True,
    help="Without pyspark and py4j, for what runs outside of Spark.",
)
@options.as_json
@options.wanted
@click.pass_obj
def pack(
    place: Place, *, wanted: Wanted, output: str, overwrite: bool, pyspark: bool, as_json: bool
) -> None:
    """Write the archive to a file, for people who submit with spark-submit, Airflow or Livy; or who
    run it elsewhere: boat unpack, boat exec.
    """
    archive = place.captain(wanted).pack(output, overwrite=overwrite, pyspark=pyspark)
    say_line(render.how_to_use(archive, pyspark=pyspark))
    place.show(archive if as_json else output, as_json=as_json)


@boat.command(context_settings={"allow_interspersed_args": False})
@click.argument("script", required=False, type=click.Path())
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@options.where
@options.wanted
@spark_words.of_submit
@asked_functions.option
@click.pass_obj
def launch(
    place: Place,
    *,
    wanted: Wanted,
    where: Where,
    functions: tuple[str, ...],
    script: str | None,
    args: tuple[str, ...],
    properties_file: str | None,
    extra_properties_files: tuple[str, ...],
    load_spark_defaults: bool,
    main_class: str | None,
    proxy_user: str | None,
    remote: str | None,
) -> None:
    """Run SCRIPT with spark-submit and the environment; ends with the application's exit code.

    It takes what spark-submit takes. What stands after SCRIPT belongs to the application. What
    SCRIPT says of itself (PEP 723) is added to what is asked for. Without SCRIPT: an interactive
    pyspark.

    SCRIPT may be a jar, with --class; Python functions that it calls in SQL are named by
    --function.
    """
    files = [*filter(None, [properties_file]), *extra_properties_files]
    code = (
        asked_functions.asked(place.captain(wanted), functions)
        .preload(*where.preload)
        .submit(
            script,
            args,
            master=where.master or remote,
            deploy_mode=where.deploy_mode,
            conf={**spark_words.read(*files), **where.conf},
            options=["--proxy-user", proxy_user] if proxy_user else [],
            main_class=main_class,
            spark_defaults=load_spark_defaults or not properties_file,
        )
    )
    click.get_current_context().exit(code)


@boat.command()
@options.as_json
@options.probing
@options.session
@options.wanted
@click.pass_obj
def verify(place: Place, wanted: Wanted, where: Where, probing: Probing, as_json: bool) -> None:
    """Start a session with the environment, ask every executor what it runs, and stop it."""
    with place.captain(wanted) as captain:
        spark = (
            captain.preload(*where.preload)
            .launch_ship(master=where.master, conf=where.conf)
            .start()
        )
        try:
            report = captain.verify(modules=probing.modules, deadline=probing.deadline)
        finally:
            spark.stop()
    place.show(report, as_json=as_json)
    _answer(report.ok)


@boat.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="args",
    show_default=True,
    help="k8s-yaml is the spec of a SparkApplication, connect-server what a Spark Connect server on"
    " this master is started with.",
)
@click.option(
    "--for",
    "system",
    type=click.Choice(outside.SYSTEMS),
    help="Print what is typed there instead, where no Spark runs. The archive lies in the store,"
    " without pyspark where that is not needed.",
)
@asked_functions.driver
@asked_functions.option
@options.where
@options.wanted
@click.pass_obj
def conf(
    place: Place,
    *,
    wanted: Wanted,
    where: Where,
    form: str,
    system: str | None,
    driver: Literal["python", "jvm"],
    functions: tuple[str, ...],
) -> None:
    """Build the environment and print the Spark settings that use it, for Airflow, Livy,
    spark-operator and others who submit.

    The archive lies in the store, or in the `stage` of the settings.
    """
    if system is not None:
        outside.refuse_spark(click.get_current_context(), system, [*options.OF_PACKAGES, "system"])
        archive = place.captain(wanted).pack(None, pyspark=system in outside.NEEDS_PY4J)
        place.show(outside.how_to(system, archive))
        return
    order = (
        asked_functions.asked(place.captain(wanted), functions, driver)
        .preload(*where.preload)
        .order(
            master=where.master,
            deploy_mode=where.deploy_mode,
            conf=where.conf,
            serves_connect=form == "connect-server",
            driver=driver,
        )
    )
    place.show(FORMATS[form](order).rstrip("\n"))


@boat.command()
@options.as_json
@options.cluster
@options.wanted
@click.pass_obj
def check(place: Place, wanted: Wanted, where: Where, as_json: bool) -> None:
    """Look whether this machine is ready: Python, Spark, Java, the resolver, the store.

    Builds nothing.

    With --master the cluster is asked, too: whether it answers, what its nodes are, and whether it
    can give what the settings ask for.

    --json prints a report to attach to an issue: the checks, versions, settings and where each was
    set, Spark's files, variables, the cluster and the store. Secrets are hidden.
    """
    from coffee_boat.cli import checks, diagnosis

    found = checks.check(wanted, where)
    shown = diagnosis.of(found, wanted) if as_json else checks.listing(found.rows)
    place.show(shown, as_json=as_json)
    _answer(found.ok)


@boat.command()
def demo() -> None:
    """Ship two packages to an embedded Spark with two executors, and prove it.

    Needs the extra `local`.
    """
    from coffee_boat.cli import demo as show

    click.get_current_context().exit(show.main())


boat.add_command(cache)
boat.add_command(outside.unpack)
boat.add_command(outside.exec_)


def main() -> None:
    """The console script."""
    ended.listen()
    with without_secrets():
        boat(prog_name="boat")


def _answer(yes: bool) -> NoReturn:
    click.get_current_context().exit(OK if yes else NO)


def _tell(made: Plan) -> None:
    for finding in made.findings:
        render.tell(finding)
