"""CondaPins -> a prefix: installed by rattler in the store's scratch, read by conda-pack, gone when
its chunks are made.

The prefix is what is locked and not packed yet: nothing else was ever in it, no link script ran,
and nobody writes into it. So what can make an archive of a conda environment wrong is refused here
or cannot be: files that pip replaced or removed, editable installs, a package cache that somebody
wrote into (rattler compares every file with the package's own hashes, and unpacks it again).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from coffee_boat._support import limits, parse
from coffee_boat._support.progress import Say
from coffee_boat._support.store import Store
from coffee_boat._support.words import human_bytes
from coffee_boat.conda import checks
from coffee_boat.conda import client as conda_client
from coffee_boat.conda.install import (
    Source,
    check_local,
    has_unpacked,
    install_into,
    refuse_to_fetch,
)
from coffee_boat.errors import BuildError
from coffee_boat.model import CondaPin


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
    """True if nothing has to be fetched for a pin: it lies unpacked in the store."""
    return has_unpacked(pin, store)


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
        refuse_to_fetch(
            [pin for pin in pins if not pin.url.startswith("file:") and not have(pin, store)]
        )
    for pin in pins:
        check_local(pin)
    with store.scratch() as prefix, store.scratch() as again:
        install_into(pins, prefix, store, source, say, again=again)
        listed = _listed(pins, prefix, (store.root / "conda", again))
        packages = {pin.name: _read(pin, found) for pin, found in listed}
        for package in packages.values():
            _check_size(package)
        yield packages


def _check_size(package: Installed) -> None:
    """Each file is read whole, and a kilobyte of a package may have become gigabytes."""
    size, most = package.pin.size, limits.unpacked(package.pin.size or 0)
    found = sum(file.source.lstat().st_size for file in package.paths)
    if found > most:
        raise checks.too_large(f"{package.pin.filename}: {human_bytes(found)}", size, most)


# conda-pack


def _listed(
    pins: Sequence[CondaPin], prefix: Path, caches: Sequence[Path]
) -> Iterator[tuple[CondaPin, tuple[dict[str, Any], list[Any]]]]:
    """Each pin with rattler's record of it and the files that conda-pack finds to be of it."""
    records = {
        record["name"]: record
        for record in map(_json, sorted((prefix / "conda-meta").glob("*.json")))
    }
    roots = [cache.resolve() for cache in caches]
    owners = {
        record["link"]["source"]: name
        for name, record in records.items()
        if any(map(Path(record["link"]["source"]).resolve().is_relative_to, roots))
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
            "build.conda-packages-missing",
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
        raise conda_client.missing_extra(error) from error
    try:
        return CondaEnv.from_prefix(str(prefix), on_missing_cache=("raise")).files  # type: ignore[no-any-return]
    except CondaPackException as error:
        raise BuildError(
            "build.conda-incomplete",
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
    return parse.json(path.read_text("utf-8"))
