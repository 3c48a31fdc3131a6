"""Requirements as lines of a requirements file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from coffee_boat._support.files import local_path_or_none
from coffee_boat._support.urls import without_credentials
from coffee_boat.model import Requirement


def line(requirement: Requirement, copies: Mapping[Path, Path]) -> str:
    """One line of a requirements file.

    Git URLs go without credentials: uv would put them on git's command line.
    """
    url = location(requirement)
    if not url:
        return requirement.text
    if url.startswith("git+"):
        url = without_credentials(url)
    place = local(url)
    if place is not None and place in copies:
        url = copies[place].as_uri() + (
            "#" + urlsplit(url).fragment if urlsplit(url).fragment else ""
        )
    return (
        f"{requirement.name}{bracketed(requirement.extras)} @ {url}"
        if requirement.name
        else f"{url}{bracketed(requirement.extras)}"
    )


def location(requirement: Requirement) -> str:
    """The URL of a requirement that does not come from an index; empty for one that does."""
    if requirement.url:
        return requirement.url
    text = requirement.text
    if Path(text).is_absolute():
        return Path(text).as_uri()
    return text if re.match(r"[a-z+]+://", text) else ""


def local(url: str) -> Path | None:
    """The path of a `file:` URL, links resolved; None for any other."""
    path = local_path_or_none(url)
    return None if path is None else path.resolve()


def bracketed(extras: Sequence[str]) -> str:
    """Extras as they are written: "[a,b]", or nothing."""
    return f"[{','.join(extras)}]" if extras else ""


def same_place(url: str, pinned: str) -> bool:
    """True if a pinned URL is the one that was asked for, a commit aside."""

    def bare(text: str) -> str:
        parts = urlsplit(without_credentials(text))
        path = unquote(parts.path).rstrip("/")
        return f"{parts.scheme}://{parts.netloc}{path}"

    return bare(pinned) in (bare(url), bare(url).rpartition("@")[0])
