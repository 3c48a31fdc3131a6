"""How one requirement is written: anew from its parts, and in refusals."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from coffee_boat._support.redact import redact_all
from coffee_boat.errors import RequirementError
from coffee_boat.model import Requirement

EXTRAS = re.compile(r"(?P<place>.*[^\[\s])\s*(?P<extras>\[[\w\s,.\-]+\])", re.DOTALL)
MARKER = re.compile(
    r"\s;|;\s"
)  # PEP 508: a URL ends at a blank, since it may hold a semicolon itself

ARCHIVES = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")
HASHES = {"sha256": 64, "sha384": 96, "sha512": 128}
"""Kind -> hex digits."""
SHOWN, _TOLD = 80, 300
"""Characters that an error quotes of a line, which may be one of another file than was meant; and
of a cause.
"""


def render(requirement: Requirement) -> Requirement:
    """The same with `text` written anew from its parts, in one spelling."""
    if requirement.local:  # a path, and no requirement of PEP 508
        return requirement
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    if requirement.url:
        text = (
            f"{requirement.name}{extras} @ {requirement.url}"
            if requirement.name
            else f"{requirement.url}{extras}"
        )
        return replace(
            requirement, text=f"{text} ; {requirement.marker}" if requirement.marker else text
        )
    text = f"{requirement.name}{extras}{requirement.specifier}"
    return replace(
        requirement, text=f"{text}; {requirement.marker}" if requirement.marker else text
    )


def refusal(
    code: str, what: str, written: str, origin: str, *, cause: str = "", cure: str = ""
) -> RequirementError:
    """An error that shows what was written and where, without credentials."""
    shown, what, cause, cure = redact_all(written, what, cause, cure)
    return RequirementError(
        code,
        what,
        value=f"{_shortened(shown)!r} ({origin})",
        cause=_shortened(cause, _TOLD),
        cure=cure,
    )


def _shortened(text: str, length: int = SHOWN) -> str:
    return f"{text[:length]}..." if len(text) > length else text


def checked_hash(text: str) -> str:
    """As "sha256:hex"; empty if it is no hash that an index would give."""
    kind, _, digest = text.lower().partition(":")
    return (
        f"{kind}:{digest}"
        if re.fullmatch(r"[0-9a-f]+", digest) and len(digest) == HASHES.get(kind)
        else ""
    )


def version_of(requirement: Requirement) -> str:
    """The version that the file name of a wheel or source archive tells; empty if nothing does."""
    filename = file_name(requirement.url)
    try:
        if filename.endswith(".whl"):
            return str(parse_wheel_filename(filename)[1])
        return (
            str(parse_sdist_filename(filename)[1])
            if requirement.name and filename.endswith(ARCHIVES)
            else ""
        )
    except (InvalidWheelFilename, InvalidSdistFilename):
        return ""


def canonical(extras: Iterable[str]) -> tuple[str, ...]:
    """Extras, normalized and sorted."""
    return tuple(sorted({str(canonicalize_name(extra)) for extra in extras}))


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return str(error).partition("\n")[0]


def file_name(url: str) -> str:
    """The file name at the end of a URL's path."""
    return unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
