"""One requirement, as a person writes it -> Requirement."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.utils import canonicalize_name

from coffee_boat._support.files import exists
from coffee_boat.model import Requirement
from coffee_boat.requirements import hints
from coffee_boat.requirements.places import (
    SCP,
    URL,
    VCS,
    Source,
    from_place,
    may_be_shown,
    name_and_extras,
)
from coffee_boat.requirements.spelling import (
    ARCHIVES,
    EXTRAS,
    MARKER,
    canonical,
    first_line,
    refusal,
    render,
)

_NAMED = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.\-]*)\s*(?:(?P<extras>\[[^\]]*\])\s*)?@\s*(?P<place>\S.*)", re.DOTALL
)

_SURROGATE = re.compile("[\ud800-\udfff]")

_EXAMPLE = 'write it like "name" or "name>=1.0"'
_LONGEST = 10_000
"""Characters of one requirement, marker and all, without its hashes."""


def parse(text: object, *, origin: str, folder: Path | None = None) -> Requirement:
    """See `coffee_boat.requirements.parse`."""
    written = _one_line(text, origin)
    place, marker = _split_marker(written)
    named = None if SCP.fullmatch(place) else _NAMED.fullmatch(place)
    if named is None and not names_a_place(place, folder or Path()):
        return _from_index(written, origin)
    source = Source(place=place, origin=origin, folder=folder or Path.cwd(), written=written)
    if named is not None and not VCS.match(place):
        asked = name_and_extras(source, named["name"], named["extras"])
        source = replace(source, place=named["place"], name=asked.name, extras=asked.extras)
    elif (tail := EXTRAS.fullmatch(place)) is not None and not exists(source.folder / place):
        source = replace(
            source, place=tail["place"], extras=name_and_extras(source, "", tail["extras"]).extras
        )
    return from_place(replace(source, marker=_checked_marker(marker, source)))


# the text


def _one_line(text: object, origin: str) -> str:
    if isinstance(text, os.PathLike):
        text = os.fspath(text)
        text = text if os.sep in str(text) else os.path.join(os.curdir, str(text))  # noqa: PTH118  (Path drops the "./" that says "a path")
    if isinstance(text, (list, tuple, set, frozenset, dict)):
        raise refusal(
            "requirements.collection-given",
            "a requirement is a string, not a collection of them",
            repr(text),
            origin,
            cure="put a star before it: add_pip_packages(*names)",
        )
    if not isinstance(text, str):
        raise refusal(
            "requirements.not-a-string",
            f"a requirement is a string, not {type(text).__name__}",
            repr(text),
            origin,
            cure='write it like "name" or "name>=1.0"',
        )
    line = text.strip()
    if len(line) > _LONGEST:
        raise refusal(
            "requirements.line-too-long",
            f"a requirement has {len(line):,} characters, at most {_LONGEST:,} are read",
            line,
            origin,
            cause="it is not a valid requirement, or several without a line's end between them",
            cure="write each on a line of its own; a long list of markers goes to a lock",
        )
    if not line:
        raise refusal(
            "requirements.empty",
            "a requirement is empty",
            text,
            origin,
            cure='write it like "name" or "name>=1.0"',
        )
    if _SURROGATE.search(line):
        raise refusal(
            "requirements.forbidden-character",
            "a requirement has a character that no file name and no package name can have",
            ascii(line),
            origin,
            cure="type it anew",
        )
    if any(character in line for character in "\n\r\0"):
        raise refusal(
            "requirements.several-lines",
            "a requirement is one line",
            line,
            origin,
            cure="give each package a string of its own, or a file: captain.add_requirements(path)",
        )
    if line.startswith("-"):
        raise refusal(
            "requirements.option-as-requirement",
            "an option was given where a requirement is read",
            line,
            origin,
            cure=hints.cure_of_option(line),
        )
    return line


def _split_marker(line: str) -> tuple[str, str]:
    parts = MARKER.split(line, maxsplit=1)
    if len(parts) == 1 and "://" not in line:
        parts = line.split(";", maxsplit=1)
    return (parts[0].strip(), parts[1].strip()) if len(parts) > 1 else (line, "")


def _checked_marker(marker: str, source: Source) -> str:
    try:
        return str(Marker(marker)) if marker else ""
    except InvalidMarker as error:
        raise source.refuse(
            "requirements.marker-unreadable",
            "a marker cannot be read",
            cause=first_line(error),
            cure="write it like ; python_version >= '3.11'",
        ) from None


def names_a_place(place: str, folder: Path) -> bool:
    """True if it is read as a URL or a path, not as a name.

    Args:
        folder: what relative paths are relative to.
    """
    if URL.match(place) or SCP.fullmatch(place) or place.startswith((".", "~")):
        return True
    if (
        "://" in place
    ):  # a URL behind other words: reading it as a path would take its password apart
        return False
    head = place.partition(";")[0]
    bare = EXTRAS.fullmatch(head)
    filename = (bare["place"] if bare else head).lower()
    return (
        "/" in head
        or filename.endswith((".whl", *ARCHIVES))
        or hints.is_file_name(filename, folder)
    )


# from an index

_DIGITS = 1_000
_ENDLESS = re.compile(rf"\d{{{_DIGITS + 1}}}")
"""Python makes no number of more than 4,300 digits, and no version has such a one."""


def _from_index(written: str, origin: str) -> Requirement:
    try:
        if _ENDLESS.search(written):
            raise InvalidRequirement(f"a number in it has more than {_DIGITS:,} digits")
        read = Pep508(written)
    except InvalidRequirement as error:
        raise refusal(
            "requirements.unreadable",
            "a requirement cannot be read",
            written,
            origin,
            cause=first_line(error),
            cure=hints.cure_of_text(written) if may_be_shown(written) else _EXAMPLE,
        ) from None
    specifier = str(read.specifier)
    return render(
        Requirement(
            text="",
            name=str(canonicalize_name(read.name)),
            extras=canonical(read.extras),
            specifier=specifier,
            marker=str(read.marker) if read.marker else "",
            origin=origin,
        )
    )
