"""Every regular expression of the package, tried with strings that are made to keep it busy: text
from outside must not take the square of its length.
"""

from __future__ import annotations

import ast
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

PACKAGE = Path(__file__).resolve().parent.parent / "coffee_boat"
_CALLS = {"compile", "match", "search", "fullmatch", "sub", "findall", "split", "finditer"}
_LENGTH = 15_000
_PUMPS = (" ", "a", "1", "/", "-", "=", ".", "#", "[", "(", ":", "@", "?", ";", '"', "\\", "_", ",")
_PUMPS += ("a ", "a.", "1.", "/a", "a-", "x=", "?a=", "http://", "${", " #", "::", "\n", "# \n")
OURS = {
    r"^={60,}$.*?^={60,}$\n?": "an odd number of lines: looked through once more at each",
    r"(?:glibc|GLIBC|GNU libc|ldd \().*?(?P<major>\d+)\.(?P<minor>\d+)\s*$": "of 300 characters",
}
"""Those that are held to a short text by who calls them, and why."""


def _expressions() -> Iterator[tuple[str, str | bytes, int, bool]]:
    """Where, what, its flags, and whether it looks for its beginning, too."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        searching, named = _searching(tree), _named(tree)
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner, name = node.func.value, node.func.attr
            if not (isinstance(owner, ast.Name) and owner.id == "re" and name in _CALLS):
                continue
            text = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            if isinstance(text, (str, bytes)) and text not in OURS:
                where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
                anywhere = name not in {"match", "fullmatch", "compile"}
                said = " ".join(map(ast.unparse, node.args[1:]))
                flags = sum(f for f in (re.DOTALL, re.MULTILINE, re.IGNORECASE) if f.name in said)
                yield where, text, flags, anywhere or named.get(node.lineno, "") in searching


def _searching(tree: ast.AST) -> set[str]:
    """Names on which something is called that looks for a beginning, too."""
    return {
        node.func.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.attr in _CALLS - {"match", "fullmatch", "compile"}
    }


def _named(tree: ast.AST) -> dict[int, str]:
    """Line of a value -> the name that it is given."""
    return {
        node.value.lineno: node.targets[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


FOUND = list(_expressions())


def _words_of(pattern: str) -> list[str]:
    """What stands in an expression as it is: texts that repeat it are looked at most often."""
    plain = re.sub(r"\\[A-Za-z]|\[[^\]]*\]|\(\?[^:)]*[:>)]|[+*?|()^$]|\{[\d,]*\}", " ", pattern)
    words = [word.replace("\\", "") for word in plain.split()]
    return [word for word in words if 1 < len(word) < 30][:8]


@contextmanager
def _soon(what: str) -> Iterator[None]:
    """Fails what takes a second of processor time; a linear one takes a millisecond."""

    def late(*_: object) -> None:
        raise AssertionError(f"it takes more than the length of the text: {what}")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def test_expressions_are_found() -> None:
    assert len(FOUND) > 60


@pytest.mark.parametrize(
    ("where", "pattern", "flags", "anywhere"), FOUND, ids=[one[0] for one in FOUND]
)
def test_it_takes_time_as_the_text_is_long(
    where: str, pattern: str | bytes, flags: int, anywhere: bool
) -> None:
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    read = re.compile(pattern, flags)
    words = _words_of(text)
    for pump in (*_PUMPS, *words, *(f"{word}a" for word in words)):
        for before in ("", *words[:2], "a"):
            hostile = before + pump * (_LENGTH // len(pump)) + "!\n"
            subject = (
                hostile.encode("latin-1", "replace") if isinstance(pattern, bytes) else hostile
            )
            with _soon(f"{where}: {before!r} and many {pump!r}"):
                read.fullmatch(subject)  # type: ignore[type-var]
                read.match(subject)  # type: ignore[type-var]
                if anywhere:
                    read.search(subject)  # type: ignore[type-var]
