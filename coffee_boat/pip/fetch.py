"""Lock -> wheel files: fetched by the lock's URLs and hashes, or built of their sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from coffee_boat._support.crew import Crew
from coffee_boat._support.files import local_path
from coffee_boat._support.futures import completed
from coffee_boat._support.logs import logger
from coffee_boat._support.progress import Say, Tally
from coffee_boat._support.store import Store
from coffee_boat._support.words import counted
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.model import Indexes, Lock, Pin
from coffee_boat.pip import builds, uv_options
from coffee_boat.pip.download import Downloads
from coffee_boat.pip.sources import Builder, built, local_file, offline

_log = logger(__name__)
_PARALLEL = 6
"""Downloads at once; more gains nothing from one index."""


def fetch(
    lock: Lock,
    *,
    indexes: Indexes,
    store: Store,
    python: str,
    say: Say,
    credentials: Iterable[str] = (),
    arrived: Callable[[Pin, Path], object] = lambda *_: None,
) -> dict[str, Path]:
    """A wheel file of every pin, in the store; where the user has it, if that cannot be written.

    Args:
        indexes: how to fetch; their credentials serve for files on the same host.
        python: an interpreter of the target's minor version; builds sources.
        say: takes what is being done; also called from other threads.
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
    builds.refuse(lock.pins, indexes, BuildError)
    urls = (*uv_options.index_urls(indexes), *credentials)
    downloads = Downloads(indexes, urls)
    builder = Builder(lock.target, indexes, python, store, downloads, urls, say)
    found = {
        pin.name: path for pin in lock.pins if (path := _present(pin, lock, store)) is not None
    }
    absent = [pin for pin in lock.pins if pin.name not in found and pin.kind == "wheel"]
    if lock.pins:
        _log.info(
            "%s: %d here already, %d to fetch, %d to build",
            counted(len(lock.pins), "wheel"),
            len(found),
            len(absent),
            len(lock.pins) - len(found) - len(absent),
        )
    if absent and indexes.offline:
        raise offline(absent)
    for pin in sorted(lock.pins, key=lambda pin: -(pin.size or 0)):
        if pin.kind == "wheel" and pin.name in found:
            arrived(pin, found[pin.name])
    found |= _fetched(absent, downloads, store, say, arrived)
    found |= {pin.name: builder.wheel(pin) for pin in lock.pins if pin.kind != "wheel"}
    return dict(sorted(found.items()))


def here(pin: Pin, store: Store) -> Path | None:
    """The file of a wheel pin for which nothing needs to be fetched."""
    if pin.kind != "wheel" or not pin.url.startswith("file:"):
        return kept(pin, store)
    path = local_path(pin.url)
    return path if path.is_file() else None


def kept(pin: Pin, store: Store) -> Path | None:
    """The wheel of a pin that was fetched before; None for other kinds, and for a wheel that the
    user has.
    """
    if pin.kind != "wheel" or pin.url.startswith("file:"):
        return None
    return _kept(pin, store) if _is_kept(pin, store) else None


def keep(pin: Pin, store: Store) -> Path | None:
    """The wheel of a pin as it lies in the store, where it stays until this process ends; None if
    it is not there. Of one that the user has, it is the copy.
    """
    return _kept(pin, store) if store.keep("wheels", pin.sha256) else None


# files


def _present(pin: Pin, lock: Lock, store: Store) -> Path | None:
    """The wheel of a pin if it is here already; a local one is checked."""
    if pin.kind != "wheel":
        return built(pin, lock.target, store)
    if pin.url.startswith("file:"):
        return _copied(pin, store)
    return kept(pin, store)


def _copied(pin: Pin, store: Store) -> Path:
    """The store's own copy of a wheel of this machine: whoever may write its folder could replace
    it after it was checked. A store that cannot be written makes no chunk of it either.
    """
    path = _kept(pin, store)
    if _is_kept(pin, store):
        return path
    try:
        with store.publish("wheels", f"{pin.sha256}/{pin.filename}") as scratch:
            local_file(pin, scratch)
    except StoreError:
        return local_file(pin)
    return path


def _kept(pin: Pin, store: Store) -> Path:
    return store.path("wheels", f"{pin.sha256}/{pin.filename}")


def _is_kept(pin: Pin, store: Store) -> bool:
    return store.use("wheels", f"{pin.sha256}/{pin.filename}")


def _fetched(
    pins: list[Pin],
    downloads: Downloads,
    store: Store,
    say: Say,
    arrived: Callable[[Pin, Path], object],
) -> dict[str, Path]:
    """Fetch wheels a few at a time; the first failure, or Ctrl-C, ends the others."""

    tally = Tally(say, "fetching", "package", {_called(pin): pin.size for pin in pins})

    def fetched(pin: Pin) -> Path:
        path = _fetch_one(pin, downloads, store, tally)
        tally.end(_called(pin))
        arrived(pin, path)
        return path

    # big ones first: the last to end decides how long all take
    queue = sorted(pins, key=lambda pin: (-(pin.size or 0), pin.name))
    with Crew(_PARALLEL, "fetch") as crew:
        waiting = {crew.submit(partial(fetched, pin)): pin.name for pin in queue}
        return {waiting[done]: done.result() for done in completed(waiting)}


def _called(pin: Pin) -> str:
    return f"{pin.name} {pin.version}"


def _fetch_one(pin: Pin, downloads: Downloads, store: Store, tally: Tally) -> Path:
    path, name = _kept(pin, store), _called(pin)
    with store.turn(f"fetch {pin.sha256}"):
        if _is_kept(pin, store):  # by another process, meanwhile
            return path
        tally.begin(name)
        with store.publish("wheels", f"{pin.sha256}/{pin.filename}") as scratch:
            downloads.fetch(
                pin.url, scratch, sha256=pin.sha256, size=pin.size, came=partial(tally.came, name)
            )
    _log.debug("fetched %s %s from %s", pin.name, pin.version, pin.url)
    return path
