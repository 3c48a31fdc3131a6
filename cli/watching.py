"""One's own code, sent again before each cell of a notebook, where it was edited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import click

from coffee_boat._support.progress import say_line
from coffee_boat._support.words import human_size
from coffee_boat.captain import Captain
from coffee_boat.cli import changing, words
from coffee_boat.cli.options import Wanted
from coffee_boat.cli.verbose import Command
from coffee_boat.errors import BoatError
from coffee_boat.model import Arrival

_BEFORE_A_CELL = "pre_run_cell"


class Watch:
    """Of one notebook.

    Args:
        shell: IPython's.
        captain: gives the notebook's, if it has one.
    """

    def __init__(self, shell: Any, captain: Callable[[], Captain | None]) -> None:
        self._shell, self._captain = shell, captain
        self._told = ""
        self.on = False

    def turn(self, *, on: bool) -> None:
        """Begin or end; twice is as once."""
        events = self._shell.events
        if on and not self.on:
            events.register(_BEFORE_A_CELL, self._look)
        elif self.on and not on:
            events.unregister(_BEFORE_A_CELL, self._look)
        self.on = on

    def _look(self, *_: object) -> None:
        """Before a cell: it runs in any case; what cannot be sent is told once."""
        told = ""
        try:
            captain = self._captain()
            if captain is not None and captain.running:
                tell_sent(captain, keep_rollback=True)
        except (BoatError, OSError, ValueError) as error:
            told = f"warning: your code was not sent: {words.in_magic(str(error))}"
        if told and told != self._told:
            say_line(told)
        self._told = told


def tell_sent(captain: Captain, *, keep_rollback: bool = False) -> bool:
    """Send what was edited, and tell what; False if nothing was.

    Args:
        keep_rollback: as for `Captain.refresh`.
    """
    before = captain.report
    arrival = captain.refresh(keep_rollback=keep_rollback).report
    if arrival is before or not isinstance(arrival, Arrival):
        return False
    names = ", ".join(pin.name for pin in arrival.added)
    if arrival.archive is None:
        say_line(f"in force again: {names} (executors have it from before: nothing was sent)")
    else:
        say_line(f"sent again: {names} ({human_size(arrival.archive.size)})")
    return True


class Place(changing.Notebook, Protocol):
    """A notebook whose code is watched."""

    watch: Watch


@click.command(cls=Command)
@click.argument("switch", type=click.Choice(["on", "off"]), default="on")
@click.pass_obj
def watch(place: Place, switch: str) -> None:
    """Send code of your own again, where it was edited, before each cell; `%boat watch off` ends
    it.
    """
    place.watch.turn(on=switch == "on")
    say_line(
        "your code is read again before each cell, and sent if it was edited"
        if switch == "on"
        else "your code is sent by %boat refresh only"
    )


@click.command(cls=Command)
@click.pass_obj
def refresh(place: Place) -> None:
    """Send code of your own again, where it was edited."""
    captain = place.captain(Wanted())
    if not captain.running:
        place.show(place.status())
    elif not tell_sent(captain):
        say_line("nothing was edited since it was sent")
