"""Conda packages fetched, checked and linked into a prefix, by rattler."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from coffee_boat._support import limits, network
from coffee_boat._support.digest import file_digest
from coffee_boat._support.files import is_file, local_path_or_none
from coffee_boat._support.progress import Say, Step, Tally
from coffee_boat._support.redact import redact
from coffee_boat._support.store import Store
from coffee_boat._support.words import counted, human_bytes
from coffee_boat.conda import checks
from coffee_boat.conda import client as conda_client
from coffee_boat.conda import records as conda_records
from coffee_boat.conda.channels import Channel
from coffee_boat.conda.checks import Unpacked
from coffee_boat.conda.configuration import Configuration
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.model import CondaPin

_PARALLEL = 8
"""Packages that are fetched at a time."""
_FULL = "(os error 28)"
"""ENOSPC, as Rust says it."""
_KIND = "conda"
"""Of the store's entries: sha256 of a package -> its folder, in it."""
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
                raise limits.TooMuch(human_bytes(found))
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


def refuse_to_fetch(pins: Sequence[CondaPin]) -> None:
    """Refuse to be without a network where packages have to be fetched."""
    if pins:
        some = ", ".join(f"{pin.name} {pin.version}" for pin in pins[:3]) + (
            f" + {len(pins) - 3} others" if len(pins) > 3 else ""
        )
        raise BuildError(
            "build.conda-offline",
            "conda packages are not in the store, and nothing may be fetched",
            value=some,
            cause="nothing may be fetched: offline=True, UV_OFFLINE, or `offline` in .condarc",
            cure=f"{network.again()}, or take `offline` out of .condarc",
        )


def check_local(pin: CondaPin) -> None:
    """Rattler compares what it downloads with the lock's hash, and not what lies in a folder."""
    path = local_path_or_none(pin.url)
    if path is None or not is_file(path):
        return
    with _reading(path):
        found = file_digest(path)
    if found != pin.sha256:
        raise _not_as_locked(f"{path}: its sha256 is not {pin.sha256}")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Around work with a package of this machine.

    Raises:
        BuildError: it cannot be read.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:  # of the store, which has words for it
            raise
        raise BuildError(
            "build.conda-package-unreadable",
            "a conda package cannot be read",
            value=str(path),
            cause=error.strerror or str(error),
            cure="make it readable, or have the channel list it anew",
        ) from error


# rattler


def install_into(
    pins: Sequence[CondaPin], prefix: Path, store: Store, source: Source, say: Say, *, again: Path
) -> None:
    """Fetch, check and link packages into a prefix.

    Args:
        say: takes what is being done; also called from other threads.
        again: a folder for those that rattler does not find to be whole in the store, and unpacks
            once more; the prefix' record names it, too.
    """
    step = Step(f"installing {counted(len(pins), 'conda package')}")
    say(step)
    far = {
        pin.name: pin.size
        for pin in pins
        if local_path_or_none(pin.url) is None and not has_unpacked(pin, store)
    }
    tally = Tally(say, "fetching", "conda package", far)
    again.mkdir()
    with store.scratch() as fetched:
        fetched.mkdir()
        found = _checked(pins, fetched, store, source, tally)
        if far:
            say(step)
        _unpack(found, store)
        _link(found, prefix, store, source, again)


def _checked(
    pins: Sequence[CondaPin], fetched: Path, store: Store, source: Source, tally: Tally
) -> Sequence[CondaPin]:
    """The pins, each of which was looked at: those that have to be fetched are in `fetched` then.

    Raises:
        BuildError: one cannot be fetched, is not what was pinned, or is hostile.
    """
    import asyncio

    from rattler.package_streaming import download_to_path

    records = {pin.name: conda_records.record_of(pin, source.channels) for pin in pins}
    client, failures = conda_client.client(source.configuration), conda_client.failures()
    fetching: tuple[type[Exception], ...] = (RuntimeError, *failures)

    async def look(pin: CondaPin, few: asyncio.Semaphore) -> tuple[CondaPin, Unpacked | None]:
        local = local_path_or_none(pin.url)
        there = local is not None and is_file(local)
        if not there and has_unpacked(pin, store):
            return pin, checks.of_folder(unpacked(pin, store))
        if local is not None and not there:
            return pin, None  # rattler says what is wrong with it
        place = fetched / pin.subdir / pin.filename
        place.parent.mkdir(exist_ok=True)
        async with few:
            if local is not None:  # who may write there could change it between two looks at it
                with _reading(local):
                    await asyncio.to_thread(shutil.copyfile, local, place)
                return await looked_at(pin, place)
            tally.begin(pin.name)
            try:
                await download_to_path(client, records[pin.name].url, place)
            except fetching as error:
                said = f"failed to fetch {pin.filename}\n{redact(str(error))}"
                raise _not_installed(said, store) from None  # its URL may hold a token
            tally.end(pin.name)
        return await looked_at(pin, place)

    async def looked_at(pin: CondaPin, place: Path) -> tuple[CondaPin, Unpacked]:
        _compare(pin, await asyncio.to_thread(file_digest, place))
        return replace(pin, url=place.as_uri()), await checks.of_archive(place)

    looked: list[tuple[CondaPin, Unpacked | None]] = []
    most = most_fetched(pins)

    async def look_at_all() -> None:
        few = asyncio.Semaphore(_PARALLEL)
        looked.extend(await asyncio.gather(*(look(pin, few) for pin in pins)))

    try:
        conda_client.wait(lambda: bounded(look_at_all(), fetched, most))
    except limits.TooMuch as error:
        raise checks.too_large(_too_many(pins, error), sum(_sizes(pins)), most) from error
    except failures as error:
        raise _not_installed(redact(str(error)), store) from error
    checks.refuse_hostile((pin, found) for pin, found in looked if found is not None)
    return [pin for pin, _ in looked]


def _unpack(pins: Sequence[CondaPin], store: Store) -> None:
    """Put what was looked at into the store, by its sha256: rattler's own cache goes by name,
    version and build, and takes what lies there without a hash for any package called so.

    Raises:
        BuildError: one is not what was pinned, or becomes too large.
    """
    import asyncio

    from rattler.package_streaming import extract

    new = [
        (pin, path)
        for pin in pins
        if not has_unpacked(pin, store)
        and (path := local_path_or_none(pin.url)) is not None
        and path.is_file()
    ]

    def one(pin: CondaPin, path: Path, place: Path) -> None:
        sha256, _ = extract(path, place)
        _compare(pin, sha256.hex())
        with store.publish(_KIND, f"{pin.sha256}/{_stem(pin)}") as entry:
            place.rename(entry)

    sizes = _sizes([pin for pin, _ in new])
    most = limits.unpacked(sum(sizes))
    with store.scratch() as folder:
        folder.mkdir()

        async def all_of_them() -> None:
            few = asyncio.Semaphore(os.cpu_count() or 1)

            async def unpack(pin: CondaPin, path: Path) -> None:
                async with few:
                    await asyncio.to_thread(one, pin, path, folder / _stem(pin))

            await asyncio.gather(*(unpack(pin, path) for pin, path in new))

        try:
            conda_client.wait(lambda: bounded(all_of_them(), folder, most))
        except limits.TooMuch as error:
            raise checks.too_large(
                _too_many([pin for pin, _ in new], error), sum(sizes), most
            ) from error
        except conda_client.failures() as error:
            raise _not_installed(redact(str(error)), store) from None


def _compare(pin: CondaPin, sha256: str) -> None:
    if sha256 != pin.sha256:
        raise _not_as_locked(f"{pin.filename}: its sha256 is not {pin.sha256}")


def _link(
    pins: Sequence[CondaPin], prefix: Path, store: Store, source: Source, again: Path
) -> None:
    import rattler
    from rattler.package_cache import PackageCache, ValidationMode

    records = [conda_records.record_of(pin, source.channels) for pin in pins]
    subdir = next((pin.subdir for pin in pins if pin.subdir != "noarch"), "noarch")

    async def install() -> None:
        cache = PackageCache.new_layered(
            # the first one is written into; in each of the others lies one package
            [again, *(unpacked(pin, store).parent for pin in pins if has_unpacked(pin, store))],
            validation_mode=ValidationMode.full(),
        )
        work = rattler.install(
            records,
            target_prefix=prefix,
            package_cache=cache,
            platform=rattler.Subdir(subdir),
            client=conda_client.client(source.configuration),
            execute_link_scripts=False,
            show_progress=False,
        )
        await bounded(work, again, most)

    sizes = _sizes(pins)
    most = limits.unpacked(sum(sizes))
    try:
        conda_client.wait(install)
    except limits.TooMuch as error:
        raise checks.too_large(_too_many(pins, error), sum(sizes), most) from error
    except conda_client.failures() as error:
        raise _not_installed(redact(str(error)), store) from None


def _too_many(pins: Sequence[CondaPin], error: limits.TooMuch) -> str:
    return f"{', '.join(pin.filename for pin in pins[:3])}: {error} so far"


def most_fetched(pins: Sequence[CondaPin]) -> int:
    """The most bytes that packages are taken of while they are fetched; of one whose size nobody
    tells as many as of any other file.
    """
    said = sum(limits.DOWNLOAD if pin.size is None else 2 * pin.size for pin in pins)
    return max(limits.UNPACKED_FREE, said)


def _sizes(pins: Sequence[CondaPin]) -> list[int]:
    """Of a package whose size nobody tells, so that it may become as large as any other file."""
    return [limits.DOWNLOAD // limits.UNPACKED if pin.size is None else pin.size for pin in pins]


def unpacked(pin: CondaPin, store: Store) -> Path:
    """Where the store keeps a package unpacked."""
    return store.path(_KIND, f"{pin.sha256}/{_stem(pin)}")


def _stem(pin: CondaPin) -> str:
    """What a package is called in a cache of rattler's."""
    return f"{pin.name}-{pin.version}-{pin.build}"


def has_unpacked(pin: CondaPin, store: Store) -> bool:
    """True if the store keeps this very package unpacked: the one with its sha256."""
    return bool(pin.sha256) and store.use(_KIND, f"{pin.sha256}/{_stem(pin)}/info/index.json")


def _not_installed(said: str, store: Store) -> BuildError | StoreError:
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [
        "rattler does not say why"
    ]
    cause = "; ".join(line.removeprefix("Caused by: ") for line in lines[1:]) or lines[0]
    if _FULL in said:
        return StoreError(
            "store.disk-full",
            "the disk of the store is full",
            value=str(store.root),
            cause=cause,
            cure="free some space, or name another folder: COFFEE_BOAT_STORE=/some/folder",
        )
    if "hash mismatch" in said:
        return _not_as_locked(cause)
    if any(word in said.lower() for word in _NO_NETWORK):
        return BuildError(
            "build.conda-fetch-failed",
            "a conda package cannot be fetched",
            value=lines[0],
            cause=cause,
            cure="look at the channel's URL, proxies and ssl_verify in .condarc, and try again",
        )
    return BuildError(
        "build.conda-install-failed",
        "conda packages cannot be installed together",
        value=lines[0],
        cause=cause,
        cure="captain.plan() locks anew; leave out or pin the package that is named",
    )


def _not_as_locked(cause: str) -> BuildError:
    """The error for a package that is not what the lock says."""
    return BuildError(
        "build.conda-package-changed",
        "a conda package is not the one that was locked",
        value=cause,
        cause="its channel has replaced it, or it was damaged on its way",
        cure="captain.plan() locks anew",
    )
