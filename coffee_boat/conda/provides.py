"""The Python distributions that conda packages bring."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from coffee_boat._support.store import Store
from coffee_boat.conda import channels
from coffee_boat.conda import client as conda_client
from coffee_boat.conda.request import Wish
from coffee_boat.errors import StoreError
from coffee_boat.model import CondaPin, Finding, Lock

_INFO = re.compile(
    r"(?:^|/)site-packages/(?P<name>[A-Za-z0-9][\w.-]*?)-(?P<version>\d[^-/]*)(?:\.dist-info|(?:-py3[^/]*)?\.egg-info)(?:/|$)"
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
    listed = conda_client.wait(
        lambda: _listed(
            [pin for pin in lock.conda if _is_pythons(pin) and not pin.provides], wish, store
        )
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


async def _listed(
    pins: Sequence[CondaPin], wish: Wish, store: Store
) -> dict[str, list[str] | None]:
    """Name -> the paths in each package; None where they could not be read."""
    import asyncio

    module, client, places = (
        conda_client.rattler(),
        conda_client.client(wish.configuration),
        wish.channels,
    )
    limit = asyncio.Semaphore(16)

    async def one(pin: CondaPin) -> tuple[str, list[str] | None]:
        known = store.recall("conda-paths", pin.identity)
        if known is not None:
            return pin.name, known
        async with limit:
            try:
                files = await _paths(
                    module,
                    client,
                    channels.with_secrets(pin.url, places),
                    offline=wish.configuration.offline,
                )
            except Exception:  # noqa: BLE001  (rattler has no common error: whatever it was, the name serves, and a Finding says so)
                return pin.name, None
        if files is not None:
            with suppress(StoreError):
                store.remember(
                    "conda-paths", pin.identity, [path for path in files if _INFO.search(path)]
                )
        return pin.name, files

    return dict(await asyncio.gather(*map(one, pins)))


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


def _distributions(pin: CondaPin, files: list[str] | None) -> tuple[str, ...]:
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
