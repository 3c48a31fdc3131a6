"""spark-submit's own options, for the commands that start or ask a Spark: each is a setting, as
org.apache.spark.deploy.SparkSubmit has it, so that a launch checks and merges it as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from coffee_boat._support import files
from coffee_boat.spark import defaults
from coffee_boat.spark.keys import PY_FILES

F = TypeVar("F", bound=Callable[..., Any])
_SAID = "coffee_boat.cli.spark_words"
"""Where click's context keeps what was said."""

_FILES = {
    "--py-files": (PY_FILES, "A .py, .zip or .egg of your own that functions import on executors."),
    "--files": ("spark.files", "A file for the working directory of each executor."),
    "--archives": ("spark.archives", "An archive of your own; FILE#NAME says its folder."),
    "--jars": ("spark.jars", "A jar for driver and executors."),
}
"""Files of this machine or URLs: they may be named several times, and with commas."""
_LISTS = {
    "--packages": ("spark.jars.packages", "GROUP:NAME:VERSION", "A Maven package."),
    "--exclude-packages": ("spark.jars.excludes", "GROUP:NAME", "One that --packages leaves out."),
    "--repositories": ("spark.jars.repositories", "URL", "A further repository for --packages."),
}
_VALUES = {
    "--name": ("spark.app.name", "NAME", "The application's name."),
    "--executor-memory": ("spark.executor.memory", "SIZE", "Of each executor, as 4g."),
    "--executor-cores": ("spark.executor.cores", "N", "Of each executor."),
    "--num-executors": ("spark.executor.instances", "N", "How many executors."),
    "--total-executor-cores": ("spark.cores.max", "N", "Of all executors together (standalone)."),
    "--driver-memory": ("spark.driver.memory", "SIZE", "Of the driver, as 2g."),
    "--driver-cores": ("spark.driver.cores", "N", "Of the driver, in cluster mode."),
    "--driver-java-options": ("spark.driver.extraJavaOptions", "TEXT", "For the driver's JVM."),
    "--driver-library-path": ("spark.driver.extraLibraryPath", "PATH", "For the driver's JVM."),
    "--driver-class-path": ("spark.driver.extraClassPath", "PATH", "For the driver's JVM."),
    "--driver-default-class-path": (
        "spark.driver.defaultExtraClassPath",
        "PATH",
        "After the driver's class path.",
    ),
    "--queue": ("spark.yarn.queue", "NAME", "The queue of YARN."),
    "--principal": ("spark.kerberos.principal", "NAME", "Of Kerberos."),
    "--keytab": ("spark.kerberos.keytab", "FILE", "Of Kerberos."),
}
_ELSEWHERE = ("--kill", "--status")
_UNKNOWN = ("://", "*", "?", "[", "{")
"""Marks of names that only Spark knows the files of: URLs, also of the nodes' files, and globs."""


def said(context: click.Context) -> dict[str, str]:
    """What was said in these words, as Spark's settings."""
    return dict(context.meta.get(_SAID, {}))


def merged(conf: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
    """Settings of --conf under those said in words, lists too: as spark-submit takes them."""
    return {**conf, **words}


def read(*paths: str) -> dict[str, str]:
    """The settings of properties files; a later one is over an earlier one.

    Raises:
        LaunchError: one cannot be read.
    """
    found: dict[str, str] = {}
    for path in paths:
        found.update(defaults.read(Path(path)))
    return found


def settings(command: F) -> F:
    """Give a command the options that are settings; `said` is what they say."""
    options = [
        *(
            _option(name, key, _files, "FILE[,FILE...]", text, multiple=True)
            for name, (key, text) in _FILES.items()
        ),
        *(_option(name, key, _one, kind, text) for name, (key, kind, text) in _VALUES.items()),
        *(
            _option(name, key, _joined, kind, text, multiple=True)
            for name, (key, kind, text) in _LISTS.items()
        ),
        click.option(
            "--supervise",
            is_flag=True,
            expose_value=False,
            callback=_kept("spark.driver.supervise", lambda _, value: "true" if value else None),
            help="Start the driver anew where it fails, in cluster mode.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def of_submit(command: F) -> F:
    """Give a command the options that are for spark-submit alone; it gets them by their names."""
    options = (
        click.option(
            "--properties-file",
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False),
            help="Settings, in place of spark-defaults.conf.",
        ),
        click.option(
            "--extra-properties-file",
            "extra_properties_files",
            multiple=True,
            metavar="FILE",
            type=click.Path(exists=True, dir_okay=False),
            help="More of them, over those. Repeatable.",
        ),
        click.option(
            "--load-spark-defaults",
            is_flag=True,
            help="Read spark-defaults.conf also with --properties-file.",
        ),
        click.option("--class", "main_class", metavar="NAME", help="The main class of a jar."),
        click.option("--proxy-user", metavar="NAME", help="Whom to run as."),
        click.option("--remote", metavar="URL", help="A Spark Connect server, as --master."),
        *(
            click.option(name, metavar="ID", hidden=True, expose_value=False, callback=_refuse)
            for name in _ELSEWHERE
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _option(
    name: str,
    key: str,
    value: Callable[[str, Any], str | None],
    metavar: str,
    text: str,
    *,
    multiple: bool = False,
) -> Callable[[F], F]:
    return click.option(
        name,
        metavar=metavar,
        multiple=multiple,
        expose_value=False,
        callback=_kept(key, value),
        help=f"{text} Repeatable." if multiple else text,
    )


def _kept(
    key: str, value: Callable[[str, Any], str | None]
) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, option: click.Parameter, given: Any) -> None:
        text = value(option.opts[0], given)
        if text is not None:
            context.meta.setdefault(_SAID, {})[key] = text

    return keep


def _one(_: str, given: str | None) -> str | None:
    return given


def _joined(_: str, given: Sequence[str]) -> str | None:
    return ",".join(given) or None


def _files(option: str, given: Sequence[str]) -> str | None:
    for text in given:
        for name in text.split(","):
            path = name.partition("#")[0]
            said_elsewhere = files.is_remote(path) or any(mark in path for mark in _UNKNOWN)
            if not said_elsewhere and not files.exists(files.named(path)):
                raise click.BadParameter(f"{path!r} is not there", param_hint=option)
    return _joined(option, given)


def _refuse(_: click.Context, option: click.Parameter, given: str | None) -> None:
    if given is not None:
        raise click.BadParameter(
            "no environment is needed for that: spark-submit does it alone",
            param_hint=option.opts[0],
        )
