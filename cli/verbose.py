"""-v and -vv: what is decided, and why, on stderr. Each command has it, and the group before it."""

from __future__ import annotations

from typing import Any

import click

from coffee_boat._support import logs

_KEY = "coffee_boat.verbosity"


class Command(click.Command):
    """A command with -v. What it logs is shown while it runs, and no longer: a notebook goes on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_option())

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        with logs.shown(ctx.meta.get(_KEY, 0)):
            return super().invoke(ctx)


class Group(click.Group):
    """A group whose commands have -v, and which takes it before them: `boat -v plan`."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_option())


def _option() -> click.Option:
    return click.Option(
        ["-v", "--verbose"],
        count=True,
        expose_value=False,
        callback=_add,
        help="Log on stderr what is decided, and why; -vv: also the details.",
    )


def _add(ctx: click.Context, _option: click.Parameter, count: int) -> int:
    """Before and after a command's name are the same, and add up."""
    ctx.meta[_KEY] = ctx.meta.get(_KEY, 0) + count
    return count
