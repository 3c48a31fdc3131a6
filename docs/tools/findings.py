"""The page of errors and findings: what the source says, read without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from docs.tools.markdown import escaped, link

ROOT = Path(__file__).resolve().parents[2]

STAGES = {
    "store": "The store of this machine.",
    "settings": "Settings, and the files that they stand in.",
    "requirements": "What was asked for, and the files that ask for it.",
    "lock": "Choosing versions, and lock files.",
    "build": "Making the interpreter, the packages and the archive.",
    "ship": "Putting the archive where executors find it.",
    "functions": "Python functions for programs of the JVM.",
    "launch": "Starting Spark with it.",
    "cluster": "What a cluster says of itself, and what becomes of an application there.",
    "session": "A session that runs.",
    "driver": "The driver's own packages.",
    "verify": "What executors have.",
    "executor": "What did not start or failed on an executor.",
}
"""What the first word of a code is about; in the order of a launch."""
CODE = re.compile(rf"(?:{'|'.join(STAGES)})\.[a-z0-9]+(?:-[a-z0-9]+)*")
_UNKNOWN = "…"

_INTRODUCTION = """\
Everything that coffee_boat reports, in its own words, by its code. A code is stable: compare it
(`error.code`, and `code` in the JSON of `boat plan`, `boat check` and `boat verify`), not the
sentence. An ellipsis stands for what is known only then: a name, a path, a version.

* An *error* (`BoatError`, one class a stage) ends what you asked for; nothing is left half done.
* A *finding* is in a plan, a report or a note: `note`, `warning` or `error`. What was asked for
  goes on, but for an error.
* Both have the same parts: what happened, with what value, the usual cause, and what to type.

Search this page for the words that you see. What Spark, Java and the loader say themselves is in
[troubleshooting](../guides/troubleshooting.md).

## Index
"""


@dataclass(frozen=True)
class Said:
    """One place that makes a problem, as the source has it; what is known only then is an
    ellipsis."""

    code: str
    what: str
    cause: str
    cure: str


def page(sources: Iterable[Path]) -> str:
    """A heading for each code, under that of its stage."""
    order = list(STAGES)
    by_code = sorted(
        (one for path in sources for one in said_in(path)),
        key=lambda one: (order.index(_stage(one.code)), one.code),
    )
    stages = [stage for stage, _ in groupby(by_code, lambda one: _stage(one.code))]
    return "\n".join(
        [
            "# Errors and findings\n",
            "<!-- Made from the source by docs/tools: make reference -->\n",
            _INTRODUCTION,
            *(f"* {link(stage)}: {STAGES[stage]}" for stage in stages),
            *(
                "\n".join(_of_stage(stage, several))
                for stage, several in groupby(by_code, lambda one: _stage(one.code))
            ),
            "",
        ]
    )


def sources() -> list[Path]:
    """All of the package's own."""
    return sorted([*(ROOT / "coffee_boat").rglob("*.py"), *(ROOT / "cli").rglob("*.py")])


def said_in(path: Path) -> Iterator[Said]:
    """What is made in a file: each call with a code before a sentence, whatever is called."""
    tree = ast.parse(path.read_text("utf-8"))
    yield from _said_below(tree, _constants(tree.body, {}))


def _of_stage(stage: str, said: Iterable[Said]) -> Iterator[str]:
    yield f"\n## {stage}\n\n{STAGES[stage]}"
    for code, several in groupby(said, lambda one: one.code):
        places = list(several)
        yield f"\n### {code}\n\n{escaped(places[0].what)}"
        points = dict.fromkeys(
            f"* {name}: {escaped(text)}"
            for one in places
            for name, text in (("cause", one.cause), ("hint", one.cure))
            if text
        )
        if points:
            yield "\n" + "\n".join(points)


def _stage(code: str) -> str:
    return code.partition(".")[0]


# reading the source


def _said_below(node: ast.AST, constants: Mapping[str, str]) -> Iterator[Said]:
    for child in ast.iter_child_nodes(node):
        known = constants
        if isinstance(child, ast.FunctionDef):
            known = _constants(ast.walk(child), constants)
        if isinstance(child, ast.Call) and (found := _said_by(child, known)):
            yield found
        yield from _said_below(child, known)


def _said_by(call: ast.Call, constants: Mapping[str, str]) -> Said | None:
    texts = [_filled(_text(value, constants)) for value in call.args]
    code = next((text for text in texts[:-1] if CODE.fullmatch(text)), None)
    if code is None:
        return None
    named = {one.arg: _text(one.value, constants) for one in call.keywords if one.arg}
    cause, cure = (_known(_filled(named.get(name, ""))) for name in ("cause", "cure"))
    return Said(code, texts[texts.index(code) + 1], cause, cure)


def _filled(text: str) -> str:
    """What a table has a name in braces for is known only then."""
    return re.sub(r"\{[a-z]+\}", _UNKNOWN, text)


def _known(text: str) -> str:
    """Empty where nothing of it is known beforehand."""
    return "" if text == _UNKNOWN else text


def _constants(nodes: Iterable[ast.AST], above: Mapping[str, str]) -> dict[str, str]:
    """Names of texts that are assigned once."""
    known: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            known[name] = _UNKNOWN if name in known else _text(node.value, {**above, **known})
    return {**above, **known}


def _text(node: ast.expr, constants: Mapping[str, str]) -> str:
    """What an expression says, as far as it is written there."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return _joined(_text(part, constants) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _joined([_text(node.left, constants), _text(node.right, constants)])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _text(node.func.value, constants) if node.func.attr == "rstrip" else _UNKNOWN
    if isinstance(node, ast.Name):
        return constants.get(node.id, _UNKNOWN)
    return _UNKNOWN


def _joined(texts: Iterable[str]) -> str:
    """One ellipsis for a version of three parts, too."""
    return re.sub(rf"{_UNKNOWN}(\.?{_UNKNOWN})+", _UNKNOWN, "".join(texts))
