"""TOML, JSON and YAML from outside -> values, whatever is written there.

The libraries read what is sane; here is what they do with the rest: nesting ends in RecursionError,
numbers of thousands of digits in ValueError, keys of thousands of parts and YAML's aliases in
hours. One kind of error comes out, a ValueError that says it in a line.
"""

from __future__ import annotations

import json as _json
import re
import sys
from typing import TYPE_CHECKING, Any, Literal

from coffee_boat._support import quoting

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

_DEEP = "it is nested too deeply"
_BRACKETS = 1_000
_BRACKET = re.compile(r"""[\[\]{}]|'[^'\n]*'?|"(?:\\.|[^"\\\n])*"?""")
_PARTS = 100
"""Of one key of a TOML file: what reads it takes the square of their number."""
_PART_ENDS = re.compile(r"[\w\"'][ \t]*\.(?!\.)")
_HUGE = 14_000
"""Bits of a whole number: more digits than Python writes."""
_QUOTED = re.compile(
    r'''"""(?:\\.|[^\\])*?(?:"{3,5}|\Z)|'{3}.*?(?:'{3,5}|\Z)'''
    r"""|"(?:\\[^\n]|[^"\\\n])*(?:"|$)|'[^'\n]*(?:'|$)|\#[^\n]*""",
    re.DOTALL | re.MULTILINE,
)
"""Strings and comments. One without an end goes as far as tomllib would look for it."""
_NODES = 100_000
"""Values of a YAML file with its aliases written out."""


class Unreadable(ValueError):  # noqa: N818  (callers catch ValueError)
    """What was read is no such text, or is more than is taken."""


def toml(text: str) -> dict[str, Any]:
    """A TOML document.

    Raises:
        ValueError: it is none (tomllib.TOMLDecodeError, mostly).
    """
    _check_keys(text)
    try:
        read = tomllib.loads(text)
        _refuse_huge(read, text)
        return read
    except RecursionError:
        raise Unreadable(_DEEP) from None


def _refuse_huge(value: object, text: str) -> None:
    """Raise for whole numbers that cannot be shown: in hexadecimal or octal they can be read."""
    waiting = [value] if re.search(r"0[xob][0-9a-f_]{2000}", text, re.IGNORECASE) else []
    while waiting:
        one = waiting.pop()
        if isinstance(one, int) and one.bit_length() > _HUGE:
            raise Unreadable("a number in it has thousands of digits")
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, (list, tuple, set)):
            waiting += one


def _check_keys(text: str) -> None:
    if not any(line.count(".") > _PARTS for line in text.split("\n")):
        return
    bare = _QUOTED.sub(lambda found: '""' + "\n" * found[0].count("\n"), text)
    for number, line in enumerate(bare.split("\n"), 1):
        if line.count(".") <= _PARTS:
            continue
        for piece in re.split("[=,]", line):
            if piece.count(".") > _PARTS and len(_PART_ENDS.findall(piece)) > _PARTS:
                raise Unreadable(
                    f"a key of more than {_PARTS} parts (at line {number}); a key may have {_PARTS}"
                    " here: write tables in place of dots"
                )


def check_brackets(text: str, most: int = _BRACKETS) -> None:
    """For a reader of YAML that takes the square of how many brackets are open.

    An opening one counts wherever it stands; a closing one within quotes does not, since what looks
    like quotes may be none.

    Raises:
        ValueError: more are open at one place.
    """
    if text.count("[") + text.count("{") <= most:
        return
    depth = 0
    for found in _BRACKET.finditer(text):
        if len(found[0]) > 1 and "[" not in found[0] and "{" not in found[0]:
            continue
        inner = top = 0
        for mark in found[0]:
            if mark in "[{":
                inner += 1
                top = max(top, inner)
            elif mark in "]}":
                inner -= inner > 0 or len(found[0]) == 1
        if depth + top > most:
            raise Unreadable(_DEEP)
        depth = max(0, depth + inner)


def json(text: str | bytes) -> Any:
    """A JSON document.

    Raises:
        ValueError: it is none.
    """
    try:
        return _json.loads(text)
    except RecursionError:
        raise Unreadable(_DEEP) from None


def yaml(text: str, kind: Literal["safe", "rt"] = "safe") -> Any:
    """A YAML document (ruamel.yaml); with `rt` with its comments, as conda reads its settings.

    Raises:
        ValueError: it is none, or its aliases make more of it than is taken.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        if "*" in text:
            _check_aliases(YAML(typ=kind, pure=True).compose(text))
        read = YAML(typ=kind, pure=True).load(text)
        _refuse_huge(read, text)
        return read
    except RecursionError:
        raise Unreadable(_DEEP) from None
    except YAMLError as error:
        raise Unreadable(quoting.where(error)) from None
    except Unreadable:
        raise
    except (ValueError, TypeError, OverflowError) as error:  # 2024-13-45, {[a]: b}, 1e999999999
        raise Unreadable(f"a value cannot be read: {quoting.where(error)}") from None


def _check_aliases(root: Node | None) -> None:
    """Refuse what refers to itself, and what is short only as long as its aliases are not written
    out: to show it, to compare it or to merge it (`<<`) writes them out.
    """
    sizes: dict[int, int | None] = {}

    def size(node: Node) -> int:
        known = sizes.get(id(node), 0)
        if known is None:
            raise Unreadable("an alias in it refers to what it stands in")
        if known:
            return known
        sizes[id(node)] = None
        total = 1 + sum(map(size, _below(node)))
        if total > _NODES:
            raise Unreadable(
                f"with its aliases written out it has more than {_NODES:,} values; {_NODES:,} are"
                " taken: write them out, or split the file"
            )
        sizes[id(node)] = total
        return total

    if root is not None:
        size(root)


def _below(node: Node) -> list[Node]:
    if not isinstance(node.value, list):
        return []
    return [
        child for entry in node.value for child in (entry if isinstance(entry, tuple) else (entry,))
    ]
