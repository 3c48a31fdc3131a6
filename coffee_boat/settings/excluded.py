"""The words of `exclude`: what stays behind of packages."""

from __future__ import annotations

import re
from dataclasses import replace

from coffee_boat.model.excluded import GROUPS, in_order, is_pattern
from coffee_boat.settings.values import Said, texts

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def words(said: Said) -> tuple[str, ...]:
    """A list of groups, patterns and names; commas may stand between them where all is text."""
    if said.source.textual and isinstance(said.value, str):
        said = replace(said, value=said.value.replace(",", " "))
    found = texts(said)
    for word in found:
        if why := fault(word):
            raise said.error(
                "settings.exclude-invalid",
                "what to leave out of packages cannot be read",
                value=word,
                cause=why,
                cure=f"say a group ({', '.join(GROUPS)}), a pattern with a * or a /"
                ' ("pandas/tests/"), or the name of a package ("triton")',
            )
    return in_order(found)


def fault(word: object) -> str:
    """Why something is no word of `exclude`; empty if it is one."""
    if not isinstance(word, str) or not word.strip():
        return "a list of texts is wanted"
    if not word.isprintable():
        return "it has control characters"
    if is_pattern(word):
        return _fault_of_pattern(word)
    if not _NAME.fullmatch(word):
        return "it is neither a group, a pattern nor a name"
    if word.lower() == "python":
        return "an environment has an interpreter; ship_python=False uses the nodes' own"
    return ""


def _fault_of_pattern(word: str) -> str:
    if word.startswith(("!", "#")):
        return "a pattern of .gitignore that takes something back, or a remark"
    from pathspec import GitIgnoreSpec

    try:
        read = GitIgnoreSpec.from_lines([word])
    except (ValueError, re.error) as error:
        return f"no pattern: {error}"
    return "" if all(one.include for one in read.patterns) else "it names nothing"
