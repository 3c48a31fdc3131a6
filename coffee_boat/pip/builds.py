"""Whether a source may become a wheel here: what `only_binary` and `no_binary` promise.

To build is to run the package's own code on this machine, as is to ask a source what it needs. Who
would do either asks here first, whatever the source came from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NoReturn

from coffee_boat._support import uv
from coffee_boat._support.digest import digest_of
from coffee_boat.errors import BoatError
from coffee_boat.model import Indexes, Pin, Requirement
from coffee_boat.model.grammar import shown

ALL = ":all:"
_KINDS = {
    "sdist": "a source distribution",
    "directory": "a folder",
    "vcs": "a commit of a repository",
}
_ARCHIVE = re.compile(r"\.(tar\.\w+|tgz|zip)$", re.IGNORECASE)


_UV_KEYS = (
    "extra-build-dependencies",
    "extra-build-variables",
    "no-build-isolation",
    "no-build-isolation-package",
    "config-settings",
    "config-settings-package",
)
"""Of uv's configuration: what else a build has, and how it is run."""
_UV_VARIABLES = ("UV_NO_BUILD_ISOLATION",)


def surroundings() -> str:
    """A digest of what uv's configuration says of builds; empty where it says nothing. What was
    built otherwise is another wheel: Horovod with and without a framework, say.
    """
    said: list[object] = [
        [key, places[key]]
        for table in uv.configuration()
        for places in (table, table.get("pip", {}))
        for key in _UV_KEYS
        if key in places
    ]
    said += [[name, os.environ[name]] for name in _UV_VARIABLES if os.environ.get(name)]
    return digest_of(repr(said)) if said else ""


def may_build(name: str, indexes: Indexes) -> bool:
    """True if a package of this normalized name may be built; empty: the name is not known before
    it is.

    As pip and uv have it: a name is stronger than :all:. Where both lists have the name, or both
    have :all:, nothing is built.
    """
    if not name:
        return not indexes.only_binary
    if name in indexes.only_binary:
        return False
    return ALL not in indexes.only_binary or name in indexes.no_binary


def refuse(pins: Iterable[Pin], indexes: Indexes, error: type[BoatError]) -> None:
    """Raise for the first pin that would have to be built and may not.

    Args:
        error: of the stage that asks.

    Raises:
        BoatError: of that kind.
    """
    for pin in pins:
        if pin.kind not in ("wheel", "local") and not may_build(pin.name, indexes):
            _refuse(f"{pin.name} {pin.version}".rstrip(), pin.kind, pin.url, indexes, error)


def refuse_wanted(wanted: Iterable[Requirement], indexes: Indexes, error: type[BoatError]) -> None:
    """The same for requirements that name a source: before anything asks it for its name or for
    what it needs.
    """
    for requirement in wanted:
        kind = _kind(requirement.url)
        if kind and not may_build(requirement.name, indexes):
            label = requirement.name or "a package whose name only its build tells"
            editable = " (editable)" if requirement.editable else ""
            said = f"{label} ({requirement.origin}){editable}"
            _refuse(said, kind, requirement.url, indexes, error)


def options(indexes: Indexes) -> list[str]:
    """What `uv build` is told, for what a build itself needs."""
    names = [f"--no-build-package={name}" for name in indexes.only_binary if name != ALL]
    if ALL not in indexes.only_binary:
        return names
    allowed = [f"--no-binary-package={n}" for n in indexes.no_binary if may_build(n, indexes)]
    return ["--no-build", *names, *allowed]


def _kind(url: str) -> str:
    """What a requirement's URL leads to, if that would have to be built; else empty."""
    bare = url.partition("#")[0].partition("?")[0]
    if not url or bare.lower().endswith(".whl"):
        return ""
    if url.startswith("git+"):
        return "vcs"
    return "directory" if url.startswith("file:") and not _ARCHIVE.search(bare) else "sdist"


def _refuse(
    label: str, kind: str, place: str, indexes: Indexes, error: type[BoatError]
) -> NoReturn:
    name = label.partition(" ")[0]
    named = name in indexes.only_binary
    setting = name if named else ", ".join(indexes.only_binary)
    said = ", ".join(indexes.only_binary_said)
    allow = f"take {name} out of only_binary" if named else f'allow this one: no_binary=["{name}"]'
    if label.startswith("a package"):
        allow = "say its name, as in name @ file:///..., and allow that one by no_binary"
    raise error(
        "lock.only-wheels-allowed",
        "a package would have to be built, and only wheels are allowed",
        value=f"{label}: {_KINDS[kind]}, {shown(place)}",
        cause=f"only_binary = {setting}"
        + (f" ({said})" if said else "")
        + ": to build is to run the package's own code here",
        cure=f"give a wheel of it (find_links, or its URL), or {allow}",
    )
