"""CondaPins -> a prefix: installed by rattler in the store's scratch, read by conda-pack, gone when
its chunks are made.

The prefix is what is locked and not packed yet: nothing else was ever in it, no link script ran,
and nobody writes into it. So what can make an archive of a conda environment wrong is refused here
or cannot be: files that pip replaced or removed, editable installs, a package cache that somebody
wrote into (rattler compares every file with the package's own hashes, and unpacks it again).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from coffee_boat import _conda, _limits
from coffee_boat._conda import Channel, Configuration
from coffee_boat._digest import file_digest
from coffee_boat._files import local_path_or_none
from coffee_boat._progress import Say
from coffee_boat._run import redact
from coffee_boat._sizes import human_bytes
from coffee_boat._store import Store
from coffee_boat.build import conda_checks
from coffee_boat.build.conda_checks import Unpacked
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.model import CondaPin

_PARALLEL = 8
"""Packages that are fetched at a time."""
_FULL = "(os error 28)"
"""ENOSPC, as Rust says it."""
_EVERY = 0.5
"""Seconds between two looks at what was written."""
_NO_NETWORK = (
    "error sending request",
    "request failed",
    "dns error",
    "connect error",
    "status client error",
    "status server error",
    "not found",
)


@dataclass(frozen=True)
class Source:
    """Where packages are fetched from."""

    configuration: Configuration = field(default_factory=Configuration)
    channels: tuple[Channel, ...] = ()
    """With the credentials that pins do not hold."""


@dataclass(frozen=True)
class CondaFile:
    """One file or link of a package, as it was before a prefix was written into it."""

    name: str
    """Below the prefix."""
    source: Path
    mode: Literal["", "text", "binary"] = ""
    """How the placeholder in it is replaced."""
    placeholder: str = ""
    sha256: str = ""
    """As the package says it; empty for a link."""


@dataclass(frozen=True)
class Installed:
    """One package in a prefix."""

    pin: CondaPin
    folder: Path
    """The unpacked package."""
    index: Mapping[str, Any]
    """Its info/index.json."""
    paths: tuple[CondaFile, ...]
    """Sorted by name; without what rattler generates."""
    entry_points: tuple[str, ...]
    """Of a noarch python package: "name = module:attribute"."""


def have(pin: CondaPin, store: Store) -> bool:
    """True if nothing has to be fetched for a pin: it lies unpacked in the store.

    (Rattler still looks whether it is the pin's.)
    """
    return _unpacked(pin, store).is_dir()


@contextmanager
def installed(
    pins: Sequence[CondaPin], store: Store, source: Source, say: Say
) -> Iterator[dict[str, Installed]]:
    """Packages in a prefix, by name, for as long as the block lasts.

    Raises:
        BuildError: a package cannot be fetched, is damaged, or does not go into one prefix with the
            others.
        StoreError: the store cannot be written, or its disk is full.
    """
    if source.configuration.offline:
        _refuse_to_fetch(
            [pin for pin in pins if not pin.url.startswith("file:") and not have(pin, store)]
        )
    for pin in pins:
        _check_local(pin)
    with store.scratch() as prefix:
        say(f"installing {len(pins)} conda packages")
        _install(pins, prefix, store, source)
        listed = _listed(pins, prefix, _conda.cache(store, "pkgs"))
        packages = {pin.name: _read(pin, found) for pin, found in listed}
        for package in packages.values():
            _check_size(package)
        yield packages


def _check_size(package: Installed) -> None:
    """Each file is read whole, and a kilobyte of a package may have become gigabytes."""
    size, most = package.pin.size, _limits.unpacked(package.pin.size or 0)
    found = sum(file.source.lstat().st_size for file in package.paths)
    if found > most:
        raise conda_checks.too_large(f"{package.pin.filename}: {human_bytes(found)}", size, most)


async def bounded(work: Awaitable[object], folder: Path, most: int) -> None:
    """Wait for what writes below a folder; it is cancelled when that is more than `most` bytes.

    How much of the disk is free is looked at first, which is cheap; only then at files.

    Raises:
        TooMuch: it was cancelled.
    """
    import asyncio

    started, before = time.time() - 1, _free(folder)
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=_EVERY))[0]:
            if before - _free(folder) > most and (found := _written(folder, started)) > most:
                raise _limits.TooMuch(human_bytes(found))
        task.result()
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


def _free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _written(folder: Path, since: float) -> int:
    """Bytes on disk of files that were written since; links to one file count once."""
    found: dict[tuple[int, int], int] = {}
    for path in folder.rglob("*"):
        with suppress(OSError):
            said = path.lstat()
            if said.st_ctime >= since:
                found[said.st_dev, said.st_ino] = said.st_blocks * 512
    return sum(found.values())


def _refuse_to_fetch(pins: Sequence[CondaPin]) -> None:
    if pins:
        some = ", ".join(f"{pin.name} {pin.version}" for pin in pins[:3]) + (
            f" + {len(pins) - 3} others" if len(pins) > 3 else ""
        )
        raise BuildError(
            "conda packages are not in the store, and nothing may be fetched",
            value=some,
            cause="offline is set",
            cure="build once with a network, or unset offline",
        )


def _check_local(pin: CondaPin) -> None:
    """Rattler compares what it downloads with the lock's hash, and not what lies in a folder."""
    path = local_path_or_none(pin.url)
    if path is not None and pin.sha256 and path.is_file() and file_digest(path) != pin.sha256:
        raise _not_as_locked(f"{path}: its sha256 is not {pin.sha256}")


# rattler


def _install(pins: Sequence[CondaPin], prefix: Path, store: Store, source: Source) -> None:
    with store.scratch() as fetched:
        fetched.mkdir()
        _link(_checked(pins, fetched, store, source), prefix, store, source)


def _checked(
    pins: Sequence[CondaPin], fetched: Path, store: Store, source: Source
) -> Sequence[CondaPin]:
    """The pins, each of which was looked at: those that have to be fetched are in `fetched` then.

    Raises:
        BuildError: one cannot be fetched, is not what was pinned, or is hostile.
    """
    import asyncio

    from rattler.package_streaming import download_to_path

    records = {pin.name: _conda.record_of(pin, source.channels) for pin in pins}
    client, failures = _conda.client(source.configuration), _failures()
    fetching: tuple[type[Exception], ...] = (RuntimeError, *failures)

    async def look(pin: CondaPin, few: asyncio.Semaphore) -> tuple[CondaPin, Unpacked | None]:
        there = _unpacked(pin, store)
        if pin.sha256 and (there / "info/index.json").is_file():
            return pin, conda_checks.of_folder(there)
        local = local_path_or_none(pin.url)
        if local is not None:
            found = await conda_checks.of_archive(local) if local.is_file() else None
            return pin, found  # rattler says what is wrong with one that is not there
        place = fetched / pin.subdir / pin.filename
        place.parent.mkdir(exist_ok=True)
        async with few:
            try:
                await download_to_path(client, records[pin.name].url, place)
            except fetching as error:
                said = f"failed to fetch {pin.filename}\n{redact(str(error))}"
                raise _not_installed(said, store) from None  # its URL may hold a token
        if pin.sha256 and file_digest(place) != pin.sha256:
            raise _not_as_locked(f"{pin.filename}: its sha256 is not {pin.sha256}")
        return replace(pin, url=place.as_uri()), await conda_checks.of_archive(place)

    looked: list[tuple[CondaPin, Unpacked | None]] = []
    sizes = _sizes(pins)
    most = max(_limits.UNPACKED_FREE, 2 * sum(sizes))

    async def look_at_all() -> None:
        few = asyncio.Semaphore(_PARALLEL)
        looked.extend(await asyncio.gather(*(look(pin, few) for pin in pins)))

    try:
        _conda.wait(lambda: bounded(look_at_all(), fetched, most))
    except _limits.TooMuch as error:
        raise conda_checks.too_large(_too_many(pins, error), sum(sizes), most) from error
    except failures as error:
        raise _not_installed(redact(str(error)), store) from error
    conda_checks.refuse_hostile((pin, found) for pin, found in looked if found is not None)
    return [pin for pin, _ in looked]


def _failures() -> tuple[type[Exception], ...]:
    """What rattler raises."""
    from rattler import exceptions

    return tuple(
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, Warning)
    )


def _link(pins: Sequence[CondaPin], prefix: Path, store: Store, source: Source) -> None:
    import rattler
    from rattler.package_cache import PackageCache, ValidationMode

    records = [_conda.record_of(pin, source.channels) for pin in pins]
    subdir = next((pin.subdir for pin in pins if pin.subdir != "noarch"), "noarch")

    async def install() -> None:
        cache = PackageCache.new_layered(
            [_conda.cache(store, "pkgs")], validation_mode=ValidationMode.full()
        )
        work = rattler.install(
            records,
            target_prefix=prefix,
            package_cache=cache,
            platform=rattler.Subdir(subdir),
            client=_conda.client(source.configuration),
            execute_link_scripts=False,
            show_progress=False,
        )
        await bounded(work, _conda.cache(store, "pkgs"), most)

    sizes = _sizes(pins)
    most = _limits.unpacked(sum(sizes))
    _conda.cache(store, "pkgs").mkdir(parents=True, exist_ok=True)
    try:
        _conda.wait(install)
    except _limits.TooMuch as error:
        raise conda_checks.too_large(_too_many(pins, error), sum(sizes), most) from error
    except _failures() as error:
        raise _not_installed(redact(str(error)), store) from None


def _too_many(pins: Sequence[CondaPin], error: _limits.TooMuch) -> str:
    return f"{', '.join(pin.filename for pin in pins[:3])}: {error} so far"


def _sizes(pins: Sequence[CondaPin]) -> list[int]:
    """Of a package whose size nobody tells, as of any other file."""
    return [_limits.DOWNLOAD // _limits.UNPACKED if pin.size is None else pin.size for pin in pins]


def _unpacked(pin: CondaPin, store: Store) -> Path:
    return _conda.cache(store, "pkgs") / f"{pin.name}-{pin.version}-{pin.build}"


def _not_installed(said: str, store: Store) -> BuildError | StoreError:
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [
        "rattler does not say why"
    ]
    cause = "; ".join(line.removeprefix("Caused by: ") for line in lines[1:]) or lines[0]
    if _FULL in said:
        return StoreError(
            "the disk of the store is full",
            value=str(store.root),
            cause=cause,
            cure="free some space, or name another folder: COFFEE_BOAT_STORE=/some/folder",
        )
    if "hash mismatch" in said:
        return _not_as_locked(cause)
    if any(word in said.lower() for word in _NO_NETWORK):
        return BuildError(
            "a conda package cannot be fetched",
            value=lines[0],
            cause=cause,
            cure="look at the channel's URL, proxies and ssl_verify in .condarc, and try again",
        )
    return BuildError(
        "conda packages cannot be installed together",
        value=lines[0],
        cause=cause,
        cure="captain.plan() locks anew; leave out or pin the package that is named",
    )


def _not_as_locked(cause: str) -> BuildError:
    return BuildError(
        "a conda package is not the one that was locked",
        value=cause,
        cause="its channel has replaced it, or it was damaged on its way",
        cure="captain.plan() locks anew",
    )


# conda-pack


def _listed(
    pins: Sequence[CondaPin], prefix: Path, cache: Path
) -> Iterator[tuple[CondaPin, tuple[dict[str, Any], list[Any]]]]:
    """Each pin with rattler's record of it and the files that conda-pack finds to be of it."""
    records = {
        record["name"]: record
        for record in map(_json, sorted((prefix / "conda-meta").glob("*.json")))
    }
    owners = {
        record["link"]["source"]: name
        for name, record in records.items()
        if Path(record["link"]["source"]).resolve().is_relative_to(cache.resolve())
    }
    files: dict[str, list[Any]] = {name: [] for name in records}
    for file in _packed(prefix):
        owner = next(
            (owners[str(folder)] for folder in Path(file.source).parents if str(folder) in owners),
            None,
        )
        if owner is not None:
            # what else lies there was generated: conda-meta, rattler's entry points, its copies of
            # clobbered files
            files[owner].append(file)
    missing = [pin.name for pin in pins if pin.name not in records]
    if missing:
        raise BuildError(
            "conda packages are missing from what was installed",
            value=", ".join(missing),
            cause="rattler left them out",
            cure="try again",
        )
    for pin in pins:
        yield pin, (records[pin.name], files[pin.name])


def _packed(prefix: Path) -> Sequence[Any]:
    try:
        from conda_pack import CondaEnv, CondaPackException
    except ImportError as error:
        raise _conda.missing_extra(error) from error
    try:
        return CondaEnv.from_prefix(str(prefix), on_missing_cache="raise").files  # type: ignore[no-any-return]
    except CondaPackException as error:
        raise BuildError(
            "the conda packages do not make one whole environment",
            value=str(error).strip().splitlines()[0],
            cause=" ".join(str(error).split()),
            cure="leave out the package named",
        ) from error


def _read(pin: CondaPin, listed: tuple[dict[str, Any], list[Any]]) -> Installed:
    record, files = listed
    folder = Path(record["link"]["source"])
    hashes = {
        entry["_path"]: entry.get("sha256") or ""
        for entry in _json(folder / "info" / "paths.json", {}).get("paths", ())
    }
    link = _json(folder / "info" / "link.json", {})
    paths = [
        CondaFile(
            name=file.target,
            source=Path(file.source),
            mode=file.file_mode or "",
            placeholder=file.prefix_placeholder or "",
            sha256=""
            if Path(file.source).is_symlink()
            else hashes.get(str(Path(file.source).relative_to(folder)), ""),
        )
        for file in files
    ]
    entry_points = (link.get("noarch") or {}).get("entry_points") or ()
    return Installed(
        pin,
        folder,
        _json(folder / "info" / "index.json"),
        tuple(sorted(paths, key=lambda path: path.name)),
        tuple(entry_points),
    )


def _json(path: Path, default: Any = None) -> Any:
    if default is not None and not path.exists():
        return default
    return json.loads(path.read_text("utf-8"))
