"""Locks that hold conda packages: rattler's format (pixi.lock), read and written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urldefrag, urlsplit

from coffee_boat._support import limits, parse, quoting, temporary
from coffee_boat._support.digest import file_digest, tree_digest
from coffee_boat._support.files import local_path, local_path_or_none
from coffee_boat._support.store import Store
from coffee_boat._support.urls import without_credentials
from coffee_boat.conda import apart, channels, client, request
from coffee_boat.conda import records as conda_records
from coffee_boat.conda.channels import Channel
from coffee_boat.conda.configuration import Configuration
from coffee_boat.conda.explicit import read_explicit
from coffee_boat.conda.taken import lock_of
from coffee_boat.errors import LockError
from coffee_boat.model import CondaPin, Finding, Lock, Manifest, Pin, Target, grammar

if TYPE_CHECKING:
    from rattler import Environment, LockPlatform


_EXPLICIT = "@EXPLICIT"

_AGAIN = (
    "make the lock again for this target: `boat lock -o pixi.lock`, or `pixi lock` with the"
    " platform among its platforms"
)


def holds_conda(path: Path) -> bool:
    """True for the files that this module reads, by what is in them; a file that cannot be read is
    none.
    """
    try:
        text = limits.read_text(path, limits.LOCK)
    except limits.TooMuch as error:
        raise _unreadable(path, str(error)) from error
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.strip() == _EXPLICIT for line in text.splitlines()) or text.lstrip().startswith(
        ("version:", "---\nversion:")
    )


def _unreadable(path: Path, cause: str) -> LockError:
    return LockError(
        "lock.file-unreadable",
        "the lock file cannot be read",
        value=str(path),
        cause=cause,
        cure=_AGAIN,
    )


def read(
    path: Path, target: Target, *, configuration: Configuration, accepted: bool, store: Store
) -> Lock:
    """A pixi.lock or an @EXPLICIT list, taken as it is for the target; nothing is resolved.

    Of the latter the channels are asked what its files are.

    Args:
        accepted: True if Anaconda's terms of service were accepted.

    Raises:
        LockError: it cannot be read, holds nothing for the target, or a file in it cannot be
            checked.
        RequirementError: a package in it is Anaconda's, and its terms were not accepted; rattler is
            not installed.
    """
    client.rattler()
    try:
        text = limits.read_text(path, limits.LOCK)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error
    with client.reading(
        LockError,
        "lock.file-unreadable",
        "the lock file cannot be read",
        str(path),
        _AGAIN,
        ValueError,
    ):
        if any(line.strip() == _EXPLICIT for line in text.splitlines()):
            return read_explicit(path, target, configuration, store, accepted=accepted)
        try:
            parse.check_brackets(text)  # rattler takes the square of their number
        except parse.Unreadable as error:
            raise _unreadable(path, str(error)) from None
        lock = read_rattler(path, target)
        conda_records.refuse_anacondas_files(lock.conda, accepted=accepted)
        return lock


def read_rattler(path: Path, target: Target) -> Lock:
    """A pixi.lock for a target.

    Raises:
        LockError: as `read`.
    """
    said = apart.call(__name__, there_read.__name__, path.absolute(), target, of=str(path))
    return Lock(
        replace(target, python=said["python"]),
        tuple(
            grammar.checked(Pin(**{**pin, "requires": tuple(pin["requires"])}), path.name)
            for pin in said["pins"]
        ),
        tuple(Finding(**finding) for finding in said["findings"]),
        tuple(grammar.checked_conda(conda_records.pin_of(pin), path.name) for pin in said["conda"]),
    )


def there_read(path: Path, target: Target) -> dict[str, Any]:
    """As `read_rattler`, in a process of its own (apart.py)."""

    def made() -> dict[str, Any]:
        lock = _read_rattler(path, target)
        return {
            "python": lock.target.python,
            "pins": [asdict(pin) for pin in lock.pins],
            "findings": [vars(finding) for finding in lock.findings],
            "conda": [asdict(pin) for pin in lock.conda],
        }

    return apart.told(made)


def _read_rattler(path: Path, target: Target) -> Lock:
    module = client.rattler()
    try:
        environment = _environment(module.LockFile.from_path(path), path)
    except (module.exceptions.ParseCondaLockError, UnicodeEncodeError) as error:
        cause = quoting.where(error)
        raise LockError(
            "lock.not-pixi-lock",
            "not a lock of rattler's (pixi.lock)",
            value=str(path),
            cause=cause,
            cure="of conda-lock: `conda-lock render --kind explicit`, and add that file",
        ) from None
    platform = _platform(environment, target, path)
    packages = environment.packages(platform) or []
    if strange := [
        package.name for package in packages if isinstance(package, module.CondaLockedSourcePackage)
    ]:
        raise LockError(
            "lock.conda-built-from-source",
            "packages of a lock are built from source",
            value=", ".join(strange),
            cause="only built conda packages can be taken",
            cure="publish them to a channel",
        )
    places = [
        Channel(channels.without_secrets(str(c)).rstrip("/"), f"{str(c).rstrip('/')}/", str(c))
        for c in environment.channels()
    ]
    records = environment.conda_repodata_records_for_platform(platform) or []
    found = [
        conda_records.pin_from(record, Manifest(), [*_named(places), *places]) for record in records
    ]
    pip = [
        _pin(package, path) for package in packages if isinstance(package, module.PypiLockedPackage)
    ]
    return lock_of(found, pip, target, path)


def write(lock: Lock) -> str:
    """The lock as a pixi.lock, the same text for the same lock. Holds no credentials.

    Raises:
        LockError: it has code of one's own, which the format has no word for.
    """
    if code := [pin.name for pin in lock.pins if pin.kind == "local"]:
        raise LockError(
            "lock.own-code-not-writable",
            "code of your own cannot stand in a pixi.lock",
            value=", ".join(code),
            cause="it lists packages of channels and indexes, and projects",
            cure="give the folder a pyproject.toml with a [build-system], or pack an archive:"
            " captain.pack(path)",
        )
    module = client.rattler()
    glibc = ".".join(map(str, lock.target.glibc))
    platform = module.LockPlatform(
        request.subdir(lock.target), virtual_packages=[f"__glibc={glibc}=0"]
    )
    made = module.LockFile([platform])
    made.set_channels(
        "default",
        [module.LockChannel(url) for url in dict.fromkeys(_channel_url(pin) for pin in lock.conda)],
    )
    for pin in lock.conda:
        made.add_conda_package("default", platform, conda_records.record_of(pin))
    for pip in lock.pins:
        made.add_pypi_package("default", platform, pip.name, pip.version or "0", _location(pip))
    with temporary.folder() as folder:
        file = folder / "pixi.lock"
        made.to_path(file)
        return file.read_text("utf-8")


# rattler's


def _environment(lock: Any, path: Path) -> Environment:
    named = dict(lock.environments())
    if "default" not in named and len(named) != 1:
        raise LockError(
            "lock.no-default-environment",
            "the lock has several environments, and none is called default",
            value=f"{path}: {', '.join(sorted(named)) or 'none at all'}",
            cure="lock the one that is meant",
        )
    made: Environment = named.get("default") or next(iter(named.values()))
    return made


def _platform(environment: Environment, target: Target, path: Path) -> LockPlatform:
    wanted = request.subdir(target)
    platforms = environment.platforms()
    found = next((platform for platform in platforms if str(platform.subdir) == wanted), None)
    if found is None:
        named = ", ".join(str(platform.subdir) for platform in platforms)
        raise LockError(
            "lock.platform-missing",
            "the lock holds nothing for the executors' platform",
            value=f"{path}: {wanted}, it has {named or 'none'}",
            cure=_AGAIN,
        )
    return found


def _named(places: Iterable[Channel]) -> list[Channel]:
    """Channels under the names that people know."""
    return [
        replace(place, name=found.name)
        for place in places
        for found in channels.channels([place.url], Configuration())
    ]


def _channel_url(pin: CondaPin) -> str:
    return pin.url.rpartition("/")[0].rpartition("/")[0] + "/"


def _location(pin: Pin) -> str:
    if pin.kind == "directory":
        return str(local_path(pin.url))
    if pin.kind == "vcs":
        return f"{without_credentials(pin.url)}#{pin.commit}"
    return f"{urldefrag(without_credentials(pin.url)).url}#sha256={pin.sha256}"


def _pin(package: Any, path: Path) -> Pin:
    location = str(package.location)
    common: dict[str, Any] = {
        "name": _normalized(package.name),
        "version": str(package.version).replace("<dynamic>", ""),  # of a folder: its build tells
        "requires": _requires(package),
    }
    where = f"{package.name} {package.version}"
    if location.startswith("git+"):
        if fault := grammar.vcs_fault(location):
            raise grammar.refused(where, path.name, location, fault)
        url, commit = urldefrag(location)
        return grammar.checked(
            Pin(**common, kind="vcs", url=without_credentials(url), commit=commit, direct=True),
            path.name,
        )
    is_url = "://" in location or location.startswith("file:")
    if fault := _location_fault(location, is_url=is_url):
        raise grammar.refused(where, path.name, location, fault)
    url, fragment = urldefrag(location if is_url else (path.parent / location).resolve().as_uri())
    place = local_path_or_none(url)
    if place is not None and place.is_dir():
        return grammar.checked(
            Pin(
                **common,
                kind="directory",
                url=url,
                sha256=tree_digest(place, LockError),
                direct=True,
            ),
            path.name,
        )
    sha256 = (
        _sha256(package)
        or parse_qs(fragment).get("sha256", [""])[0].lower()
        or _digest_of(place, where, path)
    )
    filename = unquote(urlsplit(url).path).rpartition("/")[2]
    if not sha256:
        raise LockError(
            "lock.sha256-missing",
            "a file of the lock has no sha256",
            value=f"{package.name} {package.version} in {path.name}",
            cause="what is not hashed cannot be checked",
            cure=_AGAIN,
        )
    pin = Pin(
        **common,
        kind="wheel" if filename.endswith(".whl") else "sdist",
        filename=filename,
        url=without_credentials(url),
        sha256=sha256,
    )
    return grammar.checked(pin, path.name)


def _digest_of(place: Path | None, package: str, path: Path) -> str:
    """The sha256 of a file of this machine that the lock names; empty if it is none."""
    try:
        return file_digest(place) if place is not None and place.is_file() else ""
    except OSError as error:
        raise LockError(
            "lock.local-file-unreadable",
            "a file that the lock names cannot be read",
            value=f"{package} in {path.name}: {place}",
            cause=error.strerror or str(error),
            cure="make it readable, or lock again",
        ) from error


def _location_fault(location: str, *, is_url: bool) -> str:
    if is_url:
        return grammar.url_fault(location, grammar.FILES)
    return "" if location.isprintable() else "a path has no control characters"


def _sha256(package: Any) -> str:
    try:
        return str(package.hashes.sha256.hex())
    except AttributeError:  # without any hash there is a PackageHashes around nothing
        return ""


def _normalized(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


def _requires(package: Any) -> tuple[str, ...]:
    from packaging.requirements import Requirement

    return tuple(
        sorted(
            {
                _normalized(Requirement(text).name)
                for text in package.requires_dist
                if "extra ==" not in text
            }
        )
    )
