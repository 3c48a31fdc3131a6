"""The group of boat's commands: how errors, Ctrl-C and unknown words end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from coffee_boat import settings
from coffee_boat._support.redact import redact
from coffee_boat._support.wording import told_in
from coffee_boat.cli import elsewhere, ended, render, words
from coffee_boat.cli.verbose import Group
from coffee_boat.errors import BoatError

FAILED, INTERRUPTED = 3, 130
"""Exit codes."""


class BoatGroup(Group):
    """A group that turns a BoatError into its text and exit code 3, and Ctrl-C into 130. No message
    of click's shows a secret of the command line.
    """

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the group's own options."""
        with _redacted_messages():
            return super().make_context(*args, **kwargs)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command that is named; of some that others have, what is typed here."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            told = elsewhere.TYPED.get(args[0])
            if told is None:
                raise
            raise click.UsageError(f"No such command {args[0]!r}. {told}.", ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it says is in words of a command line."""
        with told_in(words.in_options):
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            with _redacted_messages():
                return super().invoke(ctx)
        except BoatError as error:
            render.tell_error(error)
            for finding in settings.misspelt():  # perhaps why; what goes well tells it itself
                render.tell(finding)
            ctx.exit(FAILED)
        except KeyboardInterrupt as error:
            click.echo("interrupted", err=True)
            ctx.exit(error.code if isinstance(error, ended.EndedError) else INTERRUPTED)


@contextmanager
def _redacted_messages() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        message = redact(f"{error.message}{elsewhere.hint(error, '--pip')}")
        error.message = message  # type: ignore[misc]  # what click shows
        raise
