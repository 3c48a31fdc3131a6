"""What wheels say that they need, and where they came from."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from coffee_boat._support.store import Store
from coffee_boat.archive import members
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.model import Lock, Pin

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def direct_url(pin: Pin) -> dict[str, object] | None:
    """The content of direct_url.json (PEP 610), None for what an index served.

    Credentials and queries (signed URLs) are left out. Of a local path only the last part is kept:
    the rest means nothing on a node, and would make archives of two homes differ.
    """
    if not pin.direct:
        return None
    value: dict[str, object] = {"url": _public(pin.url)}
    if pin.kind == "vcs":
        value["vcs_info"] = {"vcs": pin.url.split("+", 1)[0], "commit_id": pin.commit}
    elif pin.kind in ("directory", "local"):
        value["dir_info"] = {}
    else:
        value["archive_info"] = {"hashes": {"sha256": pin.sha256}} if pin.sha256 else {}
    return {**value, "subdirectory": pin.subdirectory} if pin.subdirectory else value


def _public(url: str) -> str:
    parts = urlsplit(url)
    scheme, path = parts.scheme.split("+")[-1], parts.path
    if scheme in ("file", ""):
        return f"file:///{posixpath.basename(path.rstrip('/'))}"
    if "+" in parts.scheme:
        folder, _, last = path.rpartition("/")
        path = f"{folder}/{last.partition('@')[0]}"
    return urlunsplit((scheme, parts.netloc.rpartition("@")[2], path, "", ""))


_EVALUATED = 200_000
"""Markers of one package that are evaluated: its requirements times its extras. The largest known
have some hundred of each.
"""


def requires(
    wheel: Path, environment: Mapping[str, str], extras: Collection[str] = ()
) -> tuple[str, ...]:
    """Normalized names of what a wheel needs where the markers are `environment`, with these extras
    of its own; sorted.

    Raises:
        BuildError: it is no wheel.
    """
    needs = _Needs(wheel.name, _requires_dist(wheel), environment)
    return tuple(sorted(needs.with_extras(frozenset(extras))))


def with_versions(lock: Lock, wheels: Mapping[str, Path]) -> Lock:
    """The lock with the versions that only a build could tell."""
    return replace(
        lock,
        pins=tuple(
            replace(pin, version=pin.version or _version(wheels[pin.name]))
            if pin.name in wheels
            else pin
            for pin in lock.pins
        ),
    )


def remember_requires(pin: Pin, requires_dist: list[str], store: Store) -> None:
    """Keep what a wheel says that it needs, for whoever has read its metadata anyway: `with_edges`
    does not open it again.
    """
    if pin.kind == "wheel" and pin.sha256:
        with suppress(StoreError):
            store.remember("requires", pin.sha256, requires_dist)


def with_edges(
    lock: Lock,
    wheels: Mapping[str, Path],
    environment: Mapping[str, str],
    extras: Mapping[str, Collection[str]] | None = None,
    *,
    store: Store,
) -> Lock:
    """The lock with Pin.requires filled.

    What a wheel says of itself is remembered: to open all of a large environment takes longer than
    to concatenate it.

    Args:
        environment: the markers of the executors.
        extras: normalized name -> extras that the user asked for; those that packages ask of each
            other are followed.

    Raises:
        BuildError: one of the files is no wheel.
    """
    asked = {name: frozenset(wanted) for name, wanted in (extras or {}).items()}
    said = {
        pin.name: _recalled(wheels[pin.name], pin, store) for pin in lock.pins if pin.name in wheels
    }
    needs = {name: _Needs(name, texts, environment) for name, texts in said.items()}
    edges: dict[str, dict[str, frozenset[str]]] = {}
    waiting = sorted(wheels)
    while waiting:
        name = waiting.pop()
        edges[name] = needs[name].with_extras(asked.get(name, frozenset()))
        for needed, wanted in edges[name].items():
            if wanted - asked.get(needed, frozenset()):
                asked[needed] = asked.get(needed, frozenset()) | wanted
                waiting += [needed] if needed in wheels else []
    return replace(
        lock,
        pins=tuple(
            replace(pin, requires=tuple(sorted(edges[pin.name]))) if pin.name in wheels else pin
            for pin in lock.pins
        ),
    )


# metadata


class _Needs:
    """What a package says that it needs, as more and more extras are asked of it: extras name each
    other, so each requirement is read once, and evaluated once for each extra.
    """

    def __init__(
        self, package: str, requires_dist: Iterable[str], environment: Mapping[str, str]
    ) -> None:
        from packaging.requirements import InvalidRequirement, Requirement
        from packaging.utils import canonicalize_name

        self._package, self._environment = package, environment
        self._found: dict[str, frozenset[str]] = {}
        """Normalized name -> the extras that are asked of it."""
        self._conditional: list[Requirement] = []
        self._seen: set[str] = set()
        self._evaluated = 0
        for text in requires_dist:
            try:
                requirement = Requirement(text)
            except InvalidRequirement:  # old metadata; its name is what matters here
                name = re.split(r"[^A-Za-z0-9._-]", text.strip(), maxsplit=1)[0]
                self._found.setdefault(canonicalize_name(name), frozenset())
                continue
            if requirement.marker is None:
                self._take(requirement)
            else:
                self._conditional.append(requirement)

    def with_extras(self, extras: frozenset[str]) -> dict[str, frozenset[str]]:
        """Normalized name -> the extras that are asked of it, with some of its own; with each call
        there may be more of them.

        Raises:
            BuildError: there are more than anybody needs.
        """
        new = {"", *extras} - self._seen
        self._seen |= new
        self._evaluated += len(new) * len(self._conditional)
        if self._evaluated > _EVALUATED:
            raise BuildError(
                "build.too-many-extras",
                "a package has more extras and requirements than are looked through",
                value=f"{self._package}: {len(self._conditional):,} requirements with markers,"
                f" {len(self._seen):,} extras",
                cause=f"at most {_EVALUATED:,} pairs of them are",
                cure="ask for fewer of its extras, or take another version",
            )
        for requirement in self._conditional:
            if any(self._holds(requirement, extra) for extra in new):
                self._take(requirement)
        return self._found

    def _holds(self, requirement: Requirement, extra: str) -> bool:
        marker = requirement.marker
        try:
            return marker is not None and marker.evaluate({**self._environment, "extra": extra})
        except ValueError as error:  # python_version ~= "abc": packaging has several kinds of it
            raise _unreadable(f"{self._package}: {requirement}", f"its marker: {error}") from error

    def _take(self, requirement: Requirement) -> None:
        from packaging.utils import canonicalize_name

        name = canonicalize_name(requirement.name)
        self._found[name] = self._found.get(name, frozenset()) | requirement.extras


def _recalled(wheel: Path, pin: Pin, store: Store) -> list[str]:
    """As `_requires_dist`; of a wheel that is pinned by its digest, remembered."""
    if pin.kind != "wheel" or not pin.sha256:
        return _requires_dist(wheel)
    known: list[str] | None = store.recall("requires", pin.sha256)
    if known is None:
        known = _requires_dist(wheel)
        remember_requires(pin, known, store)
    return known


def _requires_dist(wheel: Path) -> list[str]:
    """The requirements in a wheel's metadata, as they are written there."""
    from packaging.metadata import parse_email

    try:
        raw, _ = parse_email(_metadata(wheel))
    except RecursionError:
        raise _unreadable(str(wheel), "it is nested too deeply") from None
    except (ValueError, LookupError) as error:  # a coding that is none, a text that is none
        raise _unreadable(str(wheel), str(error)) from error
    return raw.get("requires_dist", [])


def _unreadable(value: str, cause: str) -> BuildError:
    return BuildError(
        "build.metadata-unreadable",
        "the metadata of a wheel cannot be read",
        value=value,
        cause=cause,
        cure="take another version",
    )


def _metadata(wheel: Path) -> bytes:
    try:
        with members.opened(wheel) as archive:
            inside = next(
                name
                for name in archive.namelist()
                if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)
            )
            return members.read(archive, inside, most=members.METADATA)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise BuildError(
            "build.not-a-wheel",
            "not a wheel",
            value=str(wheel),
            cause=str(error) or "it has no METADATA",
            cure="build it again, or take another version",
        ) from error


def _version(wheel: Path) -> str:
    from packaging.utils import parse_wheel_filename

    return str(parse_wheel_filename(wheel.name)[1])
