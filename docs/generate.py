"""Writes those pages of the reference that say what the code says already.

    python docs/generate.py            # make reference

    command-line.md, magic.md   what `boat --help` and `%boat --help` say, of each command
    python.md                   the public names and the first sentence of each docstring; the site
                                has the docstrings whole in that place (hooks.py)
    findings.md                 every error and finding in the source, in its own words

They are kept in the repository, since they are read there too; a test compares.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
SHARED_BY = 3
"""Options that so many commands have stand once, in a section of their own."""
RESULTS = ("Arrival", "ExecutorFacts", "PlanItem")
"""Values that a user gets from others, and makes none of: public by way of these."""


def pages() -> dict[str, str]:
    """File names in docs/reference/ -> the text that belongs there."""
    from coffee_boat import magic
    from coffee_boat.cli import main

    return {
        "command-line.md": _commands("Command line", "boat", main.boat),
        "magic.md": _commands("Notebook magic", "%boat", magic.boat),
        "python.md": _python(),
        "findings.md": _findings(),
    }


# commands


def _commands(title: str, program: str, group: click.Group) -> str:
    commands = list(_walk(program, group))
    shared = _shared([command for _, command in commands])
    of = f"`{program} --help`"
    return "\n".join(
        [
            f"# {title}\n",
            f"<!-- Made from {of} by docs/generate.py: make reference -->\n",
            _help(group.help or ""),
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
        yield _table(("option", "meaning"), records, code=True)


def _command(name: str, command: click.Command, shared: set[tuple[str, str]]) -> str:
    own = [record for record in _options(command) if record not in shared]
    usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=name)))
    parts = [f"\n## {name}\n", f"```text\n{name} {usage}\n```\n", _help(command.help or "")]
    if own:
        parts += ["", _table(("option", "meaning"), own, code=True)]
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


def _help(text: str) -> str:
    """Paragraphs; what click must not rewrap (after a backspace) is a block of code."""
    paragraphs = [
        f"```text\n{inspect.cleandoc(part.removeprefix(chr(8)))}\n```"
        if part.startswith("\b")
        else _escaped(" ".join(part.split()))
        for part in inspect.cleandoc(text).split("\n\n")
    ]
    return "\n\n".join(paragraphs)


# Python


def _python() -> str:
    import coffee_boat
    from coffee_boat import model

    public = {
        name: (f"coffee_boat.{name}", getattr(coffee_boat, name))
        for name in coffee_boat.__all__
        if not name.startswith("__")
    }
    results = {name: (f"coffee_boat.model.{name}", getattr(model, name)) for name in RESULTS}
    classes = {name: pair for name, pair in public.items() if isinstance(pair[1], type)}
    errors = {n: pair for n, pair in classes.items() if issubclass(pair[1], Exception)}
    captain = {"Captain": classes["Captain"]}
    values = {n: p for n, p in classes.items() if n not in errors and n not in captain}
    return "\n".join(
        [
            "# Python\n",
            "<!-- Made from the docstrings by docs/generate.py: make reference -->\n",
            "`from coffee_boat import Captain`. These names are public."
            " In Python, `help(Captain)` has the docstrings whole; so has the site.",
            *_section("What you hold", captain),
            *_section("What you get", {**values, **results}),
            *_section("Errors", errors),
        ]
    )


def _section(title: str, classes: Mapping[str, tuple[str, type]]) -> Iterator[str]:
    yield f"\n## {title}"
    for name, (path, kind) in classes.items():
        yield f"\n### {name}\n\n<!-- api {path} -->\n\n{_escaped(_sentence(kind))}"
        rows = [(_spelled(kind, member), text) for member, text in _members(kind)]
        if rows:
            yield "\n" + _table(("name", "meaning"), rows, code=True)
        yield "\n<!-- end of api -->"


def _members(kind: type) -> Iterator[tuple[str, str]]:
    """Public methods and properties of the class itself, in the order of its source."""
    for name, value in vars(kind).items():
        value = getattr(value, "__func__", value)
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            yield name, _sentence(value)


def _spelled(kind: type, name: str) -> str:
    if isinstance(inspect.getattr_static(kind, name), property):
        return name
    parameters = inspect.signature(getattr(kind, name)).parameters.values()
    return f"{name}({', '.join(_parameters(parameters))})"


def _parameters(parameters: Iterable[inspect.Parameter]) -> Iterator[str]:
    for one in parameters:
        if one.name == "self":
            continue
        stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        needed = one.default is one.empty
        yield f"{stars}{one.name}" + ("" if needed or stars else f"={one.default!r}")


def _sentence(documented: Any) -> str:
    first = (inspect.getdoc(documented) or "").split("\n\n", maxsplit=1)[0]
    return " ".join(first.split())


# errors and findings


@dataclass(frozen=True, order=True)
class Said:
    """One error or finding, as the source has it; what is known only then is an ellipsis."""

    kind: str
    code: str
    what: str
    cause: str
    cure: str


_KINDS = ("Finding", "Problem")
_CODE = re.compile(r"[a-z]+(\.[a-z0-9-]+)+")
_FIELDS = ("what", "value", "cause", "cure")


def _findings() -> str:
    said = sorted({one for path in _sources() for one in _said_in(path)})
    coded = {one.code: one for one in reversed(said) if one.code}
    plain = [one for one in said if not one.code]
    kinds = dict.fromkeys(one.kind for one in plain)
    return "\n".join(
        [
            "# Errors and findings\n",
            "<!-- Made from the source by docs/generate.py: make reference -->\n",
            "Everything that coffee_boat reports, in its own words. An ellipsis stands for what is"
            " known only then: a name, a path, a version.\n",
            "* An *error* (`BoatError`, one class a stage) ends what you asked for; nothing is left"
            " half done.",
            "* A *finding* is in a plan, a report or a note: `note`, `warning` or `error`. What"
            " was asked for goes on, but for an error.",
            "* Both have the same parts: what happened, with what value, the usual cause, and what"
            " to type.\n",
            "Search this page for the words that you see. What Spark, Java and the loader say"
            " themselves is in [troubleshooting](../guides/troubleshooting.md).",
            *(_with_code(one) for one in sorted(coded.values(), key=lambda one: one.code)),
            *(_of_kind(kind, [one for one in plain if one.kind == kind]) for kind in kinds),
            "",
        ]
    )


def _with_code(one: Said) -> str:
    return "\n".join(
        [f"\n### {one.code}\n", _escaped(one.what)]
        + [f"\n* {name}: {_escaped(text)}" for name in ("cause", "cure") if (text := vars(one)[name])]
    )


def _of_kind(kind: str, said: Sequence[Said]) -> str:
    import coffee_boat

    rows = [(_escaped(one.what), _escaped(one.cause), _escaped(one.cure)) for one in said]
    head = f"\n## {kind}\n\n{_sentence(getattr(coffee_boat, kind))}\n\n"
    return head + _table(("what happened", "usual cause", "what to do"), rows)


def _sources() -> list[Path]:
    return sorted([*(ROOT / "coffee_boat").rglob("*.py"), *(ROOT / "cli").rglob("*.py")])


def _said_in(path: Path) -> Iterator[Said]:
    tree = ast.parse(path.read_text("utf-8"))
    constants = dict(_constants(tree))
    for node in ast.walk(tree):
        kind = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if isinstance(node, ast.Call) and (kind in _KINDS or kind in _errors()):
            parts = _parts(node, constants)
            if parts.get("what", "…") != "…":
                yield Said(kind, *(parts.get(name, "") for name in ("code", "what", "cause", "cure")))


def _errors() -> set[str]:
    import coffee_boat

    return {name for name in coffee_boat.__all__ if name.endswith("Error")}


def _parts(call: ast.Call, constants: Mapping[str, str]) -> dict[str, str]:
    texts = [_text(value, constants) for value in call.args]
    code = [texts.pop(0)] if texts and _CODE.fullmatch(texts[0]) else []
    named = {one.arg: _text(one.value, constants) for one in call.keywords if one.arg}
    return {"code": "".join(code), **dict(zip(_FIELDS, texts, strict=False)), **named}


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    known: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = _text(node.value, known)
            if text != "…":
                known[node.targets[0].id] = text
    yield from known.items()


def _text(node: ast.expr, constants: Mapping[str, str]) -> str:
    """What an expression says, as far as it is written there."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return re.sub("…+", "…", "".join(_text(part, constants) for part in node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return re.sub("…+", "…", _text(node.left, constants) + _text(node.right, constants))
    if isinstance(node, ast.Name):
        return constants.get(node.id, "…")
    return "…"


# Markdown


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, code: bool = False) -> str:
    """Args:
    code: the first column is, and the others are plain text.
    """
    lines = [head, ["---"] * len(head)]
    for first, *others in rows:
        lines.append([f"`{first}`", *map(_escaped, others)] if code else [first, *others])
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", " or ") or " "


def _escaped(text: str) -> str:
    """Plain text as Markdown; what is code already stays."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*<]|\b_|_\b|\[(?=[^\]]*\]\())", r"\\\1", part)
        for part in parts
    )


def main() -> int:
    """Write the pages; exit code 1 if one of them was not what it should be."""
    stale = False
    for name, text in pages().items():
        path = REFERENCE / name
        text = text.rstrip() + "\n"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)  # noqa: T201
            stale = True
    return int(stale and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
