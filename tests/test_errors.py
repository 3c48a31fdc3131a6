"""Problems and their codes: what a user sees of them, that each place which makes one gives it a
code, and that a code is one sentence.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import importlib
import pickle
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from coffee_boat import errors, requirements
from coffee_boat._support.store import Store
from coffee_boat.archive import chunks, clashes
from coffee_boat.errors import (
    BoatError,
    Finding,
    LaunchError,
    LockError,
    Problem,
    RequirementError,
    UnreachableError,
)
from coffee_boat.model import Chunk, Indexes, Lock, Manifest, Target
from coffee_boat.pip import answers, pylock
from coffee_boat.pip.request import Request

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*")
S = "hunter2secret"
TREES = {
    path: ast.parse(path.read_text("utf-8"))
    for folder in ("coffee_boat", "cli")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name != "errors.py"
}
FULL = Problem("launch.context-running", "one is up", value="x on y", cause="why", cure="stop it")


# what a user sees


def test_an_error_is_shown_as_four_lines_and_keeps_its_code() -> None:
    error = LaunchError.of(FULL)
    assert str(error) == "one is up: x on y\n  cause: why\n  hint:  stop it"
    assert (error.code, error.what, error.value) == (FULL.code, "one is up", "x on y")
    assert (error.cause, error.cure, error.problem) == ("why", "stop it", FULL)
    assert error._render_traceback_()[0] == "LaunchError: one is up: x on y"
    assert str(LaunchError("launch.context-running", "one is up")) == "one is up"


def test_a_finding_is_shown_in_one_line_and_keeps_its_code() -> None:
    finding = Finding.of(FULL, "error")
    assert str(finding) == "one is up: x on y (why) -> stop it"
    assert (finding.code, finding.severity) == (FULL.code, "error")
    assert Finding.of(FULL).severity == "warning"
    assert str(Finding("launch.context-running", "one is up", cure="stop it")) == (
        "one is up -> stop it"
    )


def test_an_error_of_a_finding_raises_the_problem_alone() -> None:
    error = UnreachableError.of(Finding.of(FULL, "note"))
    assert isinstance(error, LockError)
    assert error.problem == FULL
    assert str(error).count("\n") == 2


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_goes_to_another_process_whole(again: Any) -> None:
    error = again(LaunchError.of(FULL))
    assert type(error) is LaunchError
    assert error.problem == FULL


@pytest.mark.parametrize("part", ["value", "cause", "cure"])
def test_a_secret_is_hidden_in_each_part_and_in_what_is_made_of_it(part: str) -> None:
    said = {"value": f"https://me:{S}@host/simple"}
    said[part] = said["value"] if part == "value" else f"{S} was taken"
    problem = Problem("lock.index-unreachable", f"no {S}", **said)
    made = (problem, Finding.of(problem), LockError.of(problem))
    assert [one for one in made if S in f"{one} {one!r} {vars(one)}"] == []
    assert S not in repr(dataclasses.replace(problem, cure=f"https://me:{S}@host"))


@pytest.mark.parametrize(
    ("text", "code", "shown"),
    [
        ("numpy=1.26", "requirements.unreadable", "a requirement cannot be read: 'numpy=1.26'"),
        ("", "requirements.empty", "a requirement is empty: '' (here)"),
        ("-e .", "requirements.option-as-requirement", "an option was given where a requirement"),
        ("./nowhere.whl", "requirements.path-missing", "a requirement names a file that is not"),
    ],
)
def test_the_words_are_what_they_were_and_the_code_tells_them_apart(
    text: str, code: str, shown: str
) -> None:
    with pytest.raises(RequirementError) as caught:
        requirements.parse(text, origin="here")
    assert caught.value.code == code
    assert str(caught.value).startswith(shown)


# each place in the source


@functools.cache
def _calls() -> list[tuple[Path, ast.Call, str, frozenset[str]]]:
    """Each call, the name of what is called, and the parameters of the function that it is in."""

    def below(node: ast.AST, own: frozenset[str]) -> Iterator[tuple[ast.Call, frozenset[str]]]:
        for child in ast.iter_child_nodes(node):
            inner = own
            if isinstance(child, ast.FunctionDef):
                inner = frozenset(arg.arg for arg in child.args.args)
            if isinstance(child, ast.Call):
                yield child, inner
            yield from below(child, inner)

    return [
        (path, call, _name(call.func), own)
        for path, tree in TREES.items()
        for call, own in below(tree, frozenset())
    ]


def _name(called: ast.expr) -> str:
    return getattr(called, "id", "") or getattr(called, "attr", "")


def _makers() -> set[str]:
    """Errors, Finding and Problem; a class of errors may be defined in any file."""
    made = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, (BoatError, Problem))
    }
    classes = [
        node for t in TREES.values() for node in ast.walk(t) if isinstance(node, ast.ClassDef)
    ]
    return made | {one.name for one in classes if made & set(map(_name, one.bases))}


def _hands_on() -> Mapping[str, int]:
    """Functions that take a code and a sentence -> which argument the code is."""
    found: dict[str, int] = {"error": 0}  # a class of errors that was handed over (digest.py)
    for tree in TREES.values():
        for node in ast.walk(tree):
            names = [a.arg for a in node.args.args] if isinstance(node, ast.FunctionDef) else []
            if isinstance(node, ast.FunctionDef) and {"code", "what"} <= set(names):
                found[node.name] = names.index("code") - (names[0] == "self")
    return found


def _is_code(node: ast.expr, own: frozenset[str]) -> bool:
    """A code that is written there, one of a problem that is at hand, or the function's own."""
    return (
        (isinstance(node, ast.Constant) and bool(CODE.fullmatch(str(node.value))))
        or (isinstance(node, ast.Attribute) and node.attr == "code")
        or (isinstance(node, ast.Name) and node.id == "code" and "code" in own)
    )


def _as_stored(call: ast.Call) -> bool:
    """Made of what the store has of a finding, its code among it."""
    return not call.args and [one.arg for one in call.keywords] == [None]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, (ast.Constant, ast.JoinedStr))


def test_each_error_and_finding_has_a_code() -> None:
    makers = _makers()
    calls = [(path, call, own) for path, call, name, own in _calls() if name in makers]
    assert len(calls) > 300
    assert [
        f"{path}:{call.lineno}"
        for path, call, own in calls
        if not _as_stored(call) and (len(call.args) < 2 or not _is_code(call.args[0], own))
    ] == []


def test_each_function_that_hands_a_sentence_on_is_given_a_code() -> None:
    places = _hands_on()
    assert {"refusal", "refuse", "refuse_unreachable", "lost"} <= set(places)
    calls = [(p, c, places[n], own) for p, c, n, own in _calls() if n in places]
    sentences = [one for one in calls if any(map(_is_text, one[1].args[one[2] : one[2] + 2]))]
    assert len(sentences) > 50
    assert [
        f"{path}:{call.lineno}"
        for path, call, at, own in sentences
        if path.parts[-2] != "cli" and not _is_code(call.args[at], own)
    ] == []


@pytest.fixture(scope="module")
def said() -> list[Any]:
    """Each place that makes a problem, as the docs have it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        made = importlib.import_module("docs.tools.findings")
    return [one for path in made.sources() for one in made.said_in(path)]


def test_one_code_is_one_sentence_and_one_sentence_one_code(said: list[Any]) -> None:
    sentences: dict[str, set[str]] = defaultdict(set)
    codes: dict[str, set[str]] = defaultdict(set)
    for one in said:
        sentences[one.code].add(one.what)
        codes[one.what].add(one.code)
    assert len(sentences) > 400
    assert {code: whats for code, whats in sentences.items() if len(whats) > 1} == {}
    assert {what: several for what, several in codes.items() if len(several) > 1} == {}
    assert "…" not in codes, "a sentence is written where its code is"


def test_each_code_that_is_written_has_a_heading_in_the_docs(said: list[Any]) -> None:
    page = (ROOT / "docs" / "reference" / "findings.md").read_text("utf-8")
    headings = re.findall(r"^### (.+)$", page, re.MULTILINE)
    makers, places = _makers(), _hands_on()
    written = {
        call.args[at].value
        for _, call, name, _ in _calls()
        if (at := 0 if name in makers else places.get(name)) is not None
        and len(call.args) > at + 1
        and isinstance(call.args[at], ast.Constant)
        and CODE.fullmatch(str(call.args[at].value))
    }
    assert sorted(headings) == sorted({one.code for one in said})
    assert sorted(written - set(headings)) == []


# what is stored

OLD = {"what": "odd", "value": "", "cause": "", "cure": "", "severity": "note"}
"""A finding as the store has it from before it had a code."""
TARGET = Target("3.11.7")
CHUNK = Chunk("0" * 64, 1, 1, 1, (0, 0), "x")


def test_what_is_stored_of_a_finding_is_what_its_formats_are_of() -> None:
    # Another field: raise FORMAT of archive/chunks.py, _LAYOUT of pip/request.py and of
    # conda/request.py, and the key of archive/clashes.py.
    assert [one.name for one in dataclasses.fields(Finding)] == [
        "code",
        "what",
        "value",
        "cause",
        "cure",
        "severity",
    ]


def test_a_finding_that_was_stored_without_a_code_is_not_read(store: Store) -> None:
    store.remember("findings", CHUNK.id, [OLD])
    assert chunks.findings([CHUNK], store) == ()
    store.remember("clashes", ["modules too", "1" * 64], [OLD])
    assert clashes.clashes("1" * 64, (), TARGET, store) == ()


def test_an_answer_that_was_stored_without_codes_is_asked_for_again(
    store: Store,
) -> None:
    wanted = Manifest((requirements.parse("x", origin="test"),))
    request = Request(wanted, TARGET, "python", {}, Indexes(), {})
    key = request.key()
    old = {"pylock": pylock.write(Lock(TARGET)), "made": 0.0, "preferred": {}, "findings": [OLD]}
    store.remember("lock", {**key, "layout": 1}, old)
    assert answers.recall(store, key, request) is None
    store.remember("lock", key, {**old, "findings": [{**OLD, "code": "lock.uv-warning"}]})
    known = answers.recall(store, key, request)
    assert known is not None
    assert [one.code for one in known.lock.findings] == ["lock.uv-warning"]
