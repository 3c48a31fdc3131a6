"""A page of a group of commands: what `--help` says."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import click

from docs.tools.markdown import escaped, table

SHARED_BY = 3
"""Options that so many commands have stand once, in a section of their own."""


def page(title: str, program: str, group: click.Group) -> str:
    """What the group says of itself, options that commands share, then each command."""
    commands = list(_walk(program, group))
    shared = _shared([command for _, command in commands])
    of = f"`{program} --help`"
    return "\n".join(
        [
            f"# {title}\n",
            f"<!-- Made from {of} by docs/tools: make reference -->\n",
            _paragraphs(group.help or ""),
            *_shared_section(program, commands, shared),
            *(_command(name, command, shared) for name, command in commands),
        ]
    )


def _walk(name: str, group: click.Group) -> Iterator[tuple[str, click.Command]]:
    for word, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from _walk(f"{name} {word}", command)
        else:
            yield f"{name} {word}", command


def _shared(commands: Iterable[click.Command]) -> set[tuple[str, str]]:
    count: dict[tuple[str, str], int] = defaultdict(int)
    for command in commands:
        for record in _options(command):
            count[record] += 1
    return {record for record, times in count.items() if times >= SHARED_BY}


def _shared_section(
    program: str, commands: Sequence[tuple[str, click.Command]], shared: set[tuple[str, str]]
) -> Iterator[str]:
    """The options by who has them: those that the same commands take make one table."""
    takers: dict[tuple[str, str], list[str]] = {}
    for name, command in commands:
        for record in _options(command):
            if record in shared:
                takers.setdefault(record, []).append(name.removeprefix(f"{program} "))
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for record, names in takers.items():
        groups.setdefault(tuple(names), []).append(record)
    yield "\n## Options of several commands"
    for names, records in groups.items():
        yield f"\nOf {', '.join(f'`{name}`' for name in names)}:\n"
        yield table(("option", "meaning"), records, code=True)


def _command(name: str, command: click.Command, shared: set[tuple[str, str]]) -> str:
    own = [record for record in _options(command) if record not in shared]
    usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=name)))
    parts = [f"\n## {name}\n", f"`{name} {usage}`\n", _paragraphs(command.help or "")]
    if own:
        parts += ["", table(("option", "meaning"), own, code=True)]
    if len(own) < len(_options(command)):
        parts += ["", "And the [options of several commands](#options-of-several-commands)."]
    return "\n".join(parts)


def _options(command: click.Command) -> list[tuple[str, str]]:
    """Each option as `--help` shows it: how it is written, and what it means."""
    context = click.Context(command)
    return [
        record
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and (record := parameter.get_help_record(context)) is not None
    ]


def _paragraphs(text: str) -> str:
    """Paragraphs; what click must not rewrap (after a backspace) is a block of code."""
    paragraphs = [
        f"```text\n{inspect.cleandoc(part.removeprefix(chr(8)))}\n```"
        if part.startswith("\b")
        else escaped(" ".join(part.split()))
        for part in inspect.cleandoc(text).split("\n\n")
    ]
    return "\n\n".join(paragraphs)
