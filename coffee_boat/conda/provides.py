"""The Python distributions that conda packages bring."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from coffee_boat._support.store import Store
from coffee_boat.conda import apart, channels
from coffee_boat.conda import client as conda_client
from coffee_boat.conda.configuration import Configuration
from coffee_boat.conda.request import Wish
from coffee_boat.errors import LockError, StoreError
from coffee_boat.model import CondaPin, Finding, Lock

_PARALLEL = 16
_LONGEST = 1_024
"""Characters of a path."""
_INFO = re.compile(
    r"(?:^|/)site-packages/(?P<name>[A-Za-z0-9][\w.-]*?)-(?P<version>\d[\w.+!]*)(?:\.dist-info|(?:-py3[^/]*)?\.egg-info)(?:/|$)"
)


def provided(pins: Iterable[CondaPin]) -> dict[str, str]:
    """Normalized name -> version of the Python distributions in conda packages, as far as they are
    known.
    """
    return dict(said.split("==", 1) for pin in pins for said in pin.provides)


def with_provided(lock: Lock, wish: Wish, *, store: Store) -> Lock:
    """The lock with the distributions that its packages bring.

    Their names on PyPI may be others than conda's: the dist-info folders in a package say it, and
    of a .conda file these can be read without fetching all of it. Where that cannot be had, a
    package is taken for the distribution of its own name.
    """
    if all(pin.provides for pin in lock.conda if _is_pythons(pin)):
        return lock
    listed = _listed(
        [pin for pin in lock.conda if _is_pythons(pin) and not pin.provides], wish, store
    )
    unread = tuple(name for name, files in listed.items() if files is None)
    pins = tuple(
        replace(pin, provides=_distributions(pin, listed[pin.name])) if pin.name in listed else pin
        for pin in lock.conda
    )
    return replace(lock, conda=pins, findings=(*lock.findings, *_taken_by_name(unread)))


def distributions(files: Iterable[str]) -> tuple[str, ...]:
    """The Python distributions that a list of paths holds: "numpy==2.4.6", from the names of their
    dist-info and egg-info.
    """
    from packaging.utils import canonicalize_name

    found = (_INFO.search(path) for path in files)
    return tuple(
        sorted(
            {f"{canonicalize_name(match['name'])}=={match['version']}" for match in found if match}
        )
    )


def _listed(
    pins: Sequence[CondaPin], wish: Wish, store: Store
) -> Mapping[str, Sequence[str] | None]:
    """Name -> the paths in each package that tell its distributions; None where they could not be
    read.
    """
    known = {pin.name: store.recall("conda-paths", pin.identity) for pin in pins}
    new = [pin for pin in pins if known[pin.name] is None]
    if not new:
        return known
    places = wish.channels
    urls = {pin.name: channels.with_secrets(pin.url, places) for pin in new}
    try:
        found = apart.call(
            __name__,
            there_listed.__name__,
            urls,
            wish.configuration,
            of=f"what {len(new)} conda packages list of themselves",
        )
    except LockError:
        return {**known, **dict.fromkeys(urls)}
    for pin in new:
        if found[pin.name] is not None:
            with suppress(StoreError):
                store.remember("conda-paths", pin.identity, found[pin.name])
    return {**known, **found}


def there_listed(urls: Mapping[str, str], configuration: Configuration) -> dict[str, Any]:
    """Name -> the paths in the package at a URL; in a process of its own (apart.py)."""
    import asyncio

    module, client = conda_client.rattler(), conda_client.client(configuration)

    async def one(name: str, url: str, few: asyncio.Semaphore) -> tuple[str, list[str] | None]:
        async with few:
            try:
                files = await _paths(module, client, url, offline=configuration.offline)
            except Exception:  # noqa: BLE001  (rattler has no common error: whatever it was, the name serves, and a Finding says so)
                return name, None
        if files is None:
            return name, None
        return name, [path for path in files if len(path) <= _LONGEST and _INFO.search(path)]

    async def all_of_them() -> dict[str, list[str] | None]:
        few = asyncio.Semaphore(_PARALLEL)
        return dict(await asyncio.gather(*(one(*item, few) for item in urls.items())))

    return apart.told(lambda: conda_client.wait(all_of_them))


async def _paths(module: Any, client: Any, url: str, *, offline: bool) -> list[str] | None:
    if url.startswith("file:"):
        return [
            str(entry.relative_path)
            for entry in module.PathsJson.from_package_archive(
                Path(unquote(urlsplit(url).path))
            ).paths
        ]
    if offline:
        return None
    found = await module.PathsJson.from_remote_url(client, url)
    return None if found is None else [str(entry.relative_path) for entry in found.paths]


def _is_pythons(pin: CondaPin) -> bool:
    """True if a package may hold Python distributions: nearly all that need python."""
    return pin.noarch_python or "python" in pin.requires or "python_abi" in pin.requires


def _distributions(pin: CondaPin, files: Sequence[str] | None) -> tuple[str, ...]:
    from packaging.utils import canonicalize_name

    return (
        distributions(files)
        if files is not None
        else (f"{canonicalize_name(pin.name)}=={pin.version}",)
    )


def _taken_by_name(names: Sequence[str]) -> tuple[Finding, ...]:
    if not names:
        return ()
    cause = "their files could not be looked at: the names of some differ between conda and PyPI"
    return (
        Finding(
            "lock.conda-provides-pip",
            "conda packages are taken for the distributions of the same name",
            value=", ".join(names),
            cause=cause,
            cure="name in conda's words what pip would fetch again",
            severity="note",
        ),
    )
