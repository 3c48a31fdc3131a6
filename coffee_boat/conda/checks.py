"""What a conda package says, looked at before rattler links it: an installer takes a package's word
for where its files go, and writes a prefix into them there.

Without this a package that lists `../../../../.bashrc` has that file of the user rewritten. Looked
at are the names in info/paths.json (info/files and info/has_prefix of old packages), the entry
points in info/link.json, and the links in the archive itself."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from coffee_boat._support import limits, parse
from coffee_boat._support.words import human_bytes
from coffee_boat.archive.names import folders_of, is_inside, is_plain
from coffee_boat.errors import BuildError
from coffee_boat.model import CondaPin

if TYPE_CHECKING:
    from rattler.package_streaming import ArchiveEntry

_INFO = ("info/index.json", "info/paths.json", "info/files", "info/has_prefix", "info/link.json")
_SITE = re.compile(r"lib/python3\.\d+/site-packages/")
_SHOWN = 3


@dataclass(frozen=True)
class Unpacked:
    """What is in a package, as far as it decides where something is written."""

    info: Mapping[str, bytes]
    links: Mapping[str, str] = field(default_factory=dict)
    """Name -> target of each symbolic link."""
    odd: tuple[str, ...] = ()
    """What is neither file, folder nor symbolic link."""
    unclear: tuple[str, ...] = ()
    """What would be unpacked over, or beside, what was looked at."""


async def of_archive(path: Path) -> Unpacked:
    """Of a .conda or .tar.bz2 file; nothing of it is written.

    Raises:
        BuildError: its tar has a name that leaves it, or cannot be read.
    """
    try:
        return await _of_archive(path)
    except limits.TooMuch as error:
        packed = path.stat().st_size
        raise too_large(f"{path.name}: {error}", packed, limits.unpacked(packed)) from None
    except (OSError, ValueError) as error:
        raise BuildError(
            "build.conda-package-unreadable",
            "a conda package cannot be read",
            value=path.name,
            cause=str(error),
            cure="leave it out, or pin another build of it: name=version=build; if it was damaged"
            " on its way, try again",
        ) from error


def too_large(found: str, packed: int | None, most: int) -> BuildError:
    """Of what is unpacked, or was written so far."""
    return BuildError(
        "build.conda-too-large",
        "conda packages become larger than their size allows",
        value=f"{found}, of {packed or 0:,} bytes as they are fetched",
        cause=(
            f"at most {human_bytes(most)} are taken: {human_bytes(limits.UNPACKED_FREE)}, or twice"
            f" the size that the lock says, and unpacked {limits.UNPACKED} times that; one may be"
            " damaged, or its server does not stop"
        ),
        cure="leave it out; if it is right, lock again, so that its size is known",
    )


async def _of_archive(path: Path) -> Unpacked:
    from rattler.package_streaming import PackageArchive

    archive = await PackageArchive.from_path(path)
    most, found = limits.unpacked(path.stat().st_size), 0

    def count(entry: ArchiveEntry) -> None:
        nonlocal found
        found += entry.size
        if found > most:
            raise limits.TooMuch(f"unpacked it has more than {most:,} bytes, which its size allows")

    info: list[str] = []
    linked: set[str] = set()
    async for entry in archive.stream("info"):
        name = _normal(entry.name)
        if name in _INFO and entry.size > limits.INFO.most:  # read whole
            raise limits.TooMuch(f"{entry.name}: {limits.INFO.exceeded(f'{entry.size:,} bytes')}")
        count(entry)
        info.append(name)
        linked |= {name} if entry.is_link else set()
    read = await archive.read_files(_INFO)
    links: dict[str, str] = {}
    odd, names = [], []
    async for entry in archive.stream("pkg"):
        count(entry)
        name = _normal(entry.name)
        names.append(name)
        if entry.is_symlink:
            links[name] = entry.link_target or ""
        elif entry.is_hardlink and is_plain((entry.link_target or "").removeprefix("./")):
            continue  # a second name of another file of the package
        elif entry.is_link:
            odd.append(name)
    return Unpacked(
        {name: data for name, data in read.items() if data is not None},
        links,
        tuple(odd),
        tuple(_unclear(info, names, linked | links.keys())),
    )


def _unclear(info: Sequence[str], names: Sequence[str], links: Collection[str]) -> Iterator[str]:
    """What would be unpacked over what was read: of two members with one name the first is read,
    and the last is what an installer finds; and what lies below a link lies elsewhere.

    Args:
        info: names of all members of the package's description.
        names: of all others.
        links: names among both that are links.
    """
    for name in _INFO:
        if info.count(name) > 1:
            yield f"{name}: it is there twice"
    for name in sorted({name for name in names if name.partition("/")[0] == "info"}):
        yield f"{name}: a file of the package lies in the folder that describes it"
    for name in sorted(folders_of([*info, *names]) & set(links)):
        yield f"{name}: it is a link, and has files below it"


def of_folder(folder: Path) -> Unpacked:
    """Of a package that was unpacked before."""
    info = {name: (folder / name).read_bytes() for name in _INFO if (folder / name).is_file()}
    links = {}
    odd = []
    for place, folders, files in os.walk(folder):
        if Path(place) == folder and "info" in folders:
            folders.remove("info")
        for path in (Path(place, name) for name in (*folders, *files)):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                links[name] = str(path.readlink())
            elif not path.is_file() and not path.is_dir():
                odd.append(name)
    return Unpacked(info, links, tuple(odd))


def refuse_hostile(found: Iterable[tuple[CondaPin, Unpacked]]) -> None:
    """Refuse packages that would have something written outside of the prefix, or say whose files
    are whose.

    Raises:
        BuildError: one would.
    """
    all_found = tuple(found)
    for pin, package in all_found:
        if issues := list(_issues(pin, package)):
            raise _refused(pin, issues)
    links = {_placed(name): pin for pin, package in all_found for name in package.links}
    for pin, package in all_found:
        below = folders_of(map(_placed, _names(package))) & links.keys()
        if below:
            raise _refused(
                pin,
                [
                    f"{name}: it has files below it, {links[name].name} has a link of that name"
                    for name in sorted(below)
                ],
            )


def _issues(pin: CondaPin, package: Unpacked) -> Iterator[str]:
    stem = f"{pin.name}-{pin.version}-{pin.build}"
    if "/" in stem or not is_plain(stem):
        yield f"{stem!r}: not a valid name of a package"
    site = _record(pin).get("python_site_packages_path")
    if site is not None and (not isinstance(site, str) or not is_plain(site)):
        yield f"{site!r}: packages cannot lie there"
    yield from (f"{name}: it is neither a file, a folder nor a link" for name in package.odd)
    yield from package.unclear
    for name, target in package.links.items():
        if not is_plain(name) or not is_inside(_linked(name, pin), target):
            yield f"{name}: it is a link to {target!r}, out of the archive"
    try:
        yield from _misnamed(pin, package)
        yield from _misplaced(list(_names(package)), list(_commands(package)))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        yield f"info: it cannot be read: {type(error).__name__}: {error}"


def _misplaced(names: Iterable[str], commands: Iterable[str]) -> Iterator[str]:
    for name in names:
        if not is_plain(name):
            yield f"{name}: its name leaves the prefix or is not a valid file name"
        elif name.casefold().partition("/")[0] == "conda-meta":
            yield (
                f"{name}: what is in conda-meta says what is installed: no package may have files"
                " there"
            )
    for command in commands:
        if "/" in command or not is_plain(command):
            yield f"{command}: not a valid name of a script"


def _misnamed(pin: CondaPin, package: Unpacked) -> Iterator[str]:
    """What a package is by its own word, where its channel says another: rattler panics."""
    said = parse.json(package.info.get("info/index.json", b"{}"))
    for key, own in (("name", pin.name), ("version", pin.version), ("build", pin.build)):
        value = said.get(key, own)
        if str(value).lower() != own.lower():
            yield f"{str(value)[:100]!r} is its own {key}, its channel calls it {own!r}"


def _names(package: Unpacked) -> Iterator[str]:
    """All files that a package says it has.

    Raises:
        ValueError, TypeError, AttributeError, KeyError: it says so in no form that is known.
    """
    if (said := package.info.get("info/paths.json")) is not None:
        for entry in parse.json(said)["paths"]:
            yield _text(entry["_path"])
            mode, placeholder = entry.get("file_mode"), entry.get("prefix_placeholder")
            if mode not in (None, "text", "binary"):
                raise ValueError(f"file_mode is {mode!r}")
            if placeholder is not None and not _text(placeholder):
                raise ValueError("prefix_placeholder is empty")
    for old in ("info/files", "info/has_prefix"):
        for line in filter(str.strip, package.info.get(old, b"").decode("utf-8").splitlines()):
            yield line if old == "info/files" else line.split()[-1].strip("\"'")


def _commands(package: Unpacked) -> Iterator[str]:
    said = parse.json(package.info.get("info/link.json", b"{}"))
    for entry in (said.get("noarch") or {}).get("entry_points") or ():
        yield _text(entry).partition("=")[0].strip()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is not text")
    return value


def _record(pin: CondaPin) -> Mapping[str, object]:
    said = parse.json(pin.record or "{}")
    return said if isinstance(said, dict) else {}


def _linked(name: str, pin: CondaPin) -> str:
    """Where a link lies in the prefix: modules of noarch packages go deeper than they say."""
    return (
        f"lib/python3/{name}" if pin.noarch_python and name.startswith("site-packages/") else name
    )


def _placed(name: str) -> str:
    """One name for a file of a noarch package and one of a native package in the same place."""
    return _SITE.sub("site-packages/", name, count=1) if name.startswith("lib/python3") else name


def _normal(name: str) -> str:
    """As it is unpacked: "./info//files" is info/files."""
    return posixpath.normpath(name)


def _refused(pin: CondaPin, issues: list[str]) -> BuildError:
    others = f"; + {len(issues) - _SHOWN} others" if len(issues) > _SHOWN else ""
    return BuildError(
        "build.conda-package-unusable",
        "a conda package cannot be shipped",
        value=pin.filename,
        cause="; ".join(issues[:_SHOWN]) + others,
        cure="leave it out, or pin another build of it: name=version=build",
    )
