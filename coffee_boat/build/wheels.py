"""Lock -> wheel files: fetched by the lock's URLs and hashes, or built of their sources; and what
they need.

Fetched wheels are kept by sha256; a local wheel stays where it is. The order of downloads, retries
and threads leaves no trace in the result.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from coffee_boat import _builds, _uv
from coffee_boat._files import local_path
from coffee_boat._store import Store
from coffee_boat.build import members
from coffee_boat.build._http import Downloads
from coffee_boat.build.sources import Builder, built, local_file, offline
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.model import Indexes, Lock, Pin

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_EVALUATED = 200_000
"""Markers of one package that are evaluated: its requirements times its extras. The largest known
have some hundred of each.
"""
_PARALLEL = 6
"""Downloads at once; more gains nothing from one index."""


def fetch(
    lock: Lock,
    *,
    indexes: Indexes,
    store: Store,
    python: str,
    say: Callable[[str], None],
    credentials: Iterable[str] = (),
    arrived: Callable[[Pin, Path], object] = lambda *_: None,
) -> dict[str, Path]:
    """A wheel file of every pin, in the store or where the user has it.

    Args:
        indexes: how to fetch; their credentials serve for files on the same host.
        python: an interpreter of the target's minor version; builds sources.
        say: takes one line about what is being done; also called from other threads.
        credentials: more URLs that may hold credentials: those of direct requirements, which a lock
            does not keep.
        arrived: takes each wheel that need not be built as soon as it is here, while others are
            waited for; also called from other threads.

    Returns:
        Normalized name -> path, sorted by name.

    Raises:
        BuildError: a file cannot be fetched, does not match the lock, cannot be built or may not
            be (`only_binary`), or is not here while offline.
    """
    _builds.refuse(lock.pins, indexes, BuildError)
    urls = (*_uv.index_urls(indexes), *credentials)
    downloads = Downloads(indexes, urls)
    builder = Builder(lock.target, indexes, python, store, downloads, urls, say)
    found = {
        pin.name: path for pin in lock.pins if (path := _present(pin, lock, store)) is not None
    }
    absent = [pin for pin in lock.pins if pin.name not in found and pin.kind == "wheel"]
    if absent and indexes.offline:
        raise offline(absent)
    for pin in sorted(lock.pins, key=lambda pin: -(pin.size or 0)):
        if pin.kind == "wheel" and pin.name in found:
            arrived(pin, found[pin.name])
    found |= _fetched(absent, downloads, store, say, arrived)
    found |= {pin.name: builder.wheel(pin) for pin in lock.pins if pin.kind != "wheel"}
    return dict(sorted(found.items()))


def have(pin: Pin, store: Store) -> bool:
    """True if nothing needs to be fetched for a wheel pin."""
    if pin.kind != "wheel":
        return False
    return (
        local_path(pin.url).is_file()
        if pin.url.startswith("file:")
        else kept(pin, store) is not None
    )


def kept(pin: Pin, store: Store) -> Path | None:
    """The wheel of a pin that was fetched before; None for other kinds, and for a wheel that the
    user has.
    """
    path = _kept(pin, store)
    return (
        path if pin.kind == "wheel" and not pin.url.startswith("file:") and path.is_file() else None
    )


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


# files


def _present(pin: Pin, lock: Lock, store: Store) -> Path | None:
    """The wheel of a pin if it is here already; a local one is checked."""
    if pin.kind != "wheel":
        return built(pin, lock.target, store)
    if pin.url.startswith("file:"):
        return local_file(pin)
    return kept(pin, store)


def _kept(pin: Pin, store: Store) -> Path:
    return store.path("wheels", f"{pin.sha256}/{pin.filename}")


def _fetched(
    pins: list[Pin],
    downloads: Downloads,
    store: Store,
    say: Callable[[str], None],
    arrived: Callable[[Pin, Path], object],
) -> dict[str, Path]:
    """Fetch wheels a few at a time; the first failure, or Ctrl-C, ends the others."""

    def fetched(pin: Pin) -> Path:
        path = _fetch_one(pin, downloads, store, say)
        arrived(pin, path)
        return path

    # big ones first: the last to end decides how long all take
    queue = sorted(pins, key=lambda pin: (-(pin.size or 0), pin.name))
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="coffee_boat-fetch") as pool:
        waiting = {pool.submit(fetched, pin): pin.name for pin in queue}
        try:
            return {waiting[done]: done.result() for done in as_completed(waiting)}
        except BaseException:
            downloads.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(pin: Pin, downloads: Downloads, store: Store, say: Callable[[str], None]) -> Path:
    path = _kept(pin, store)
    with store.lock(f"fetch {pin.sha256}"):
        if path.is_file():  # by another process, meanwhile
            return path
        say(
            f"fetching {pin.name} {pin.version}"
            + (f" ({pin.size / 1e6:.1f} MB)" if pin.size else "")
        )
        with store.publish("wheels", f"{pin.sha256}/{pin.filename}") as scratch:
            downloads.fetch(pin.url, scratch, sha256=pin.sha256, size=pin.size)
    return path


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
                "a package has more extras and requirements than are looked through",
                value=f"{self._package}: {len(self._conditional):,} requirements with markers,"
                f" {len(self._seen):,} extras",
                cause=f"at most {_EVALUATED:,} pairs of them are",
                cure="ask for fewer of its extras, or take another version",
            )
        for requirement in self._conditional:
            marker = requirement.marker
            if marker is not None and any(
                marker.evaluate({**self._environment, "extra": extra}) for extra in new
            ):
                self._take(requirement)
        return self._found

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
        raise BuildError(
            "the metadata of a wheel cannot be read",
            value=str(wheel),
            cause="it is nested too deeply",
            cure="take another version",
        ) from None
    return raw.get("requires_dist", [])


def _metadata(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = next(
                name
                for name in archive.namelist()
                if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)
            )
            return members.read(archive, inside, most=members.METADATA)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise BuildError(
            "not a wheel",
            value=str(wheel),
            cause=str(error) or "it has no METADATA",
            cure="build it again, or take another version",
        ) from error


def _version(wheel: Path) -> str:
    from packaging.utils import parse_wheel_filename

    return str(parse_wheel_filename(wheel.name)[1])
