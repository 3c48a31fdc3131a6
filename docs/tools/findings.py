"""The page of errors and findings: what the source says, read without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from docs.tools.markdown import escaped, first_sentences, table

ROOT = Path(__file__).resolve().parents[2]


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
_UNKNOWN = "…"


_INTRODUCTION = """\
Everything that coffee_boat reports, in its own words. An ellipsis stands for what is known only
then: a name, a path, a version.

* An *error* (`BoatError`, one class a stage) ends what you asked for; nothing is left half done.
* A *finding* is in a plan, a report or a note: `note`, `warning` or `error`. What was asked for
  goes on, but for an error.
* Both have the same parts: what happened, with what value, the usual cause, and what to type.

Search this page for the words that you see. What Spark, Java and the loader say themselves is in
[troubleshooting](../guides/troubleshooting.md)."""


def page(sources: Iterable[Path]) -> str:
    """Those with a code under a heading of that code, the others in a table a kind."""
    said = sorted({one for path in sources for one in _said_in(path)})
    coded = {one.code: one for one in reversed(said) if one.code}
    plain = [one for one in said if not one.code]
    kinds = dict.fromkeys(one.kind for one in plain)
    return "\n".join(
        [
            "# Errors and findings\n",
            "<!-- Made from the source by docs/tools: make reference -->\n",
            _INTRODUCTION,
            *(_with_code(one) for one in sorted(coded.values(), key=lambda one: one.code)),
            *(_of_kind(kind, [one for one in plain if one.kind == kind]) for kind in kinds),
            "",
        ]
    )


def _with_code(one: Said) -> str:
    return "\n".join(
        [f"\n### {one.code}\n", escaped(one.what)]
        + [
            f"\n* {name}: {escaped(text)}"
            for name in ("cause", "cure")
            if (text := vars(one)[name])
        ]
    )


def _of_kind(kind: str, said: Sequence[Said]) -> str:
    import coffee_boat

    rows = [(escaped(one.what), escaped(one.cause), escaped(one.cure)) for one in said]
    head = f"\n## {kind}\n\n{first_sentences(getattr(coffee_boat, kind, None))}\n\n"
    return head + table(("what happened", "usual cause", "what to do"), rows)


def sources() -> list[Path]:
    """All of the package's own."""
    return sorted([*(ROOT / "coffee_boat").rglob("*.py"), *(ROOT / "cli").rglob("*.py")])


def _said_in(path: Path) -> Iterator[Said]:
    tree = ast.parse(path.read_text("utf-8"))
    constants = dict(_constants(tree))
    for node in ast.walk(tree):
        kind = (
            node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        )
        if isinstance(node, ast.Call) and (kind in _KINDS or kind in _errors()):
            parts = _parts(node, constants)
            if parts.get("what", _UNKNOWN) != _UNKNOWN:
                yield Said(
                    kind, *(_known(parts, name) for name in ("code", "what", "cause", "cure"))
                )


def _known(parts: Mapping[str, str], name: str) -> str:
    """Empty, too, where nothing of it is known beforehand."""
    return "" if (text := parts.get(name, "")) == _UNKNOWN else text


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
            if text != _UNKNOWN:
                known[node.targets[0].id] = text
    yield from known.items()


def _text(node: ast.expr, constants: Mapping[str, str]) -> str:
    """What an expression says, as far as it is written there."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return _joined(_text(part, constants) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _joined([_text(node.left, constants), _text(node.right, constants)])
    if isinstance(node, ast.Name):
        return constants.get(node.id, _UNKNOWN)
    return _UNKNOWN


def _joined(texts: Iterable[str]) -> str:
    """One ellipsis for a version of three parts, too."""
    return re.sub(rf"{_UNKNOWN}(\.?{_UNKNOWN})+", _UNKNOWN, "".join(texts))
