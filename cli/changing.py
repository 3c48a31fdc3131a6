"""What changes the packages that a notebook asks for or has, in `%boat` lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import click

from coffee_boat.captain import Captain
from coffee_boat.cli.cells import Status
from coffee_boat.cli.notebooks import Last
from coffee_boat.cli.options import Place, Wanted
from coffee_boat.cli.verbose import Command
from coffee_boat.model import Arrival


class Notebook(Place, Protocol):
    """A place that remembers what it launched."""

    @property
    def last(self) -> Last:
        """What that was."""

    def status(self) -> Status:
        """What there is now."""


_CONDA = click.option("--conda", multiple=True, metavar="SPEC", help="A conda package. Repeatable.")


@click.command(cls=Command)
@click.argument("packages", nargs=-1, required=True)
@click.pass_obj
def forget(place: Notebook, packages: tuple[str, ...]) -> None:
    """Take PACKAGES back that were asked for; for sessions that start later."""
    place.captain(Wanted()).forget(*packages)
    place.show(place.status())


@click.command(cls=Command)
@click.argument("packages", nargs=-1)
@_CONDA
@click.pass_obj
def upgrade(place: Notebook, packages: tuple[str, ...], conda: tuple[str, ...]) -> None:
    """Have other versions of PACKAGES that are installed: "pandas==2.3.*", or the newest."""
    captain = place.captain(Wanted())
    captain.upgrade_pip_packages(*_some(packages, conda))
    captain.upgrade_conda_packages(*conda)
    _show_arrival(place, captain)


@click.command(cls=Command)
@click.argument("packages", nargs=-1)
@_CONDA
@click.pass_obj
def remove(place: Notebook, packages: tuple[str, ...], conda: tuple[str, ...]) -> None:
    """Take PACKAGES out of the session, and those that only they needed."""
    captain = place.captain(Wanted())
    captain.remove_pip_packages(*_some(packages, conda))
    captain.remove_conda_packages(*conda)
    _show_arrival(place, captain)


@click.command(cls=Command)
@click.argument("generation", type=int, required=False)
@click.pass_obj
def rollback(place: Notebook, generation: int | None) -> None:
    """Go back to what GENERATION had; without a number, to before the last change."""
    captain = place.captain(Wanted()).rollback(generation)
    _show_arrival(place, captain)


@click.command(cls=Command)
@click.pass_obj
def generations(place: Notebook) -> None:
    """Show what the session has and had, each time that it changed."""
    place.show(place.captain(Wanted()).generations)


@click.command(cls=Command)
@click.argument("before", type=int)
@click.argument("after", type=int, required=False)
@click.pass_obj
def diff(place: Notebook, before: int, after: int | None) -> None:
    """Show what tells generation BEFORE from AFTER, or from the newest."""
    place.show(place.captain(Wanted()).diff(before, after))


COMMANDS = (forget, upgrade, remove, rollback, generations, diff)


def _some(packages: tuple[str, ...], conda: tuple[str, ...]) -> tuple[str, ...]:
    if not packages and not conda:
        raise click.UsageError("name a package")
    return packages


def _show_arrival(place: Notebook, captain: Captain) -> None:
    place.last.keep(captain)
    if isinstance(captain.report, Arrival):
        place.show(replace(captain.report, findings=()))  # they were told when it was sent
