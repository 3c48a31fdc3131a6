"""pylock.toml (PEP 751): reading one for a target, and writing a Lock as one.

What PEP 751 has no word for lies in [tool.coffee_boat] and [packages.tool.coffee_boat]: the target,
what was asked for by name, a folder's digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coffee_boat._support import home, limits, parse, quoting
from coffee_boat._support.files import local_path
from coffee_boat._support.urls import without_query
from coffee_boat.errors import LockError
from coffee_boat.model import Finding, Lock, Pin, Target
from coffee_boat.model.excluded import in_order
from coffee_boat.pip.pylock_pins import pins_of
from coffee_boat.settings import excluded
from coffee_boat.spark import packages

if TYPE_CHECKING:
    from packaging.pylock import Package


def read(source: str | Path, target: Target, *, extras: Sequence[str] = ()) -> Lock:
    """A pylock.toml, taken as it is: what it holds for the target is pinned, nothing is resolved.

    Args:
        source: a path, or the text itself. Relative paths in it are relative to the file, in a text
            to the working directory.
        extras: extras of the lock file to take as well; its default groups are always taken.

    Raises:
        LockError: it is no valid pylock.toml, was made for another Python or platform, or a file in
            it has no sha256.
    """
    text, name, base = _content(source)
    try:
        document = parse.toml(text)
    except ValueError as error:
        raise LockError(
            "lock.pylock-not-toml",
            "the lock file is not TOML",
            value=name,
            cause=quoting.where(error),
            cure="give a pylock.toml (PEP 751); a requirements.txt goes to add_requirements",
        ) from error
    pins = pins_of(document, target, base, name=name, extras=extras)
    kept = tuple(pin for pin in pins if pin.name not in packages.DRIVERS_OWN)
    dropped = tuple(
        packages.not_locked(pin.name, f"{pin.version} in {name}")
        for pin in pins
        if pin.name in packages.DRIVERS_OWN
    )
    findings = dropped + _lost_credentials(text, name)
    return Lock(target, kept, findings, exclude=_exclude(document, name))


def _exclude(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """What stays behind of its packages, where we wrote it.

    Raises:
        LockError: it says something else there.
    """
    said: object = document
    for key in ("tool", "coffee_boat", "exclude"):
        said = said.get(key) if isinstance(said, Mapping) else None
    if said is None:
        return ()
    words: list[object] = said if isinstance(said, list) else [None]
    for word in words:
        if why := excluded.fault(word):
            raise LockError(
                "lock.exclude-invalid",
                "the lock file says what to leave out, and it cannot be read",
                value=f"{name}: {said if word is None else word!r}",
                cause=why,
                cure="make the lock again: boat lock --exclude ...",
            )
    return in_order(map(str, words))


def write(lock: Lock) -> str:
    """The lock as a valid pylock.toml, the same text for the same lock.

    `read` of it gives the pins back. It is of pip's packages alone.

    Holds no credentials, and of URLs no query, which may be a token: who fetches must have them
    from elsewhere.
    """
    import tomli_w
    from packaging.markers import Marker
    from packaging.pylock import Pylock
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    target = lock.target
    document = Pylock(
        lock_version=Version("1.0"),
        created_by="coffee_boat",
        requires_python=SpecifierSet(f"=={target.minor}.*"),
        environments=[
            Marker(
                f"sys_platform == 'linux' and platform_machine == '{target.architecture}' and"
                " implementation_name == 'cpython'"
            )
        ],
        packages=[_package(pin) for pin in lock.pins],
        tool={
            "coffee_boat": {
                "python": target.python,
                "platform": target.platform,
                **({"exclude": list(lock.exclude)} if lock.exclude else {}),
            }
        },
    )
    document.validate()
    return tomli_w.dumps(document.to_dict())


def _content(source: str | Path) -> tuple[str, str, Path]:
    """Text, what to call it, and the folder that its relative paths start from."""
    if isinstance(source, str) and "\n" in source:
        return source, "the lock", Path.cwd()
    path = home.expanded(source).absolute()
    try:
        return limits.read_text(path, limits.LOCK), str(path), path.parent
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(
            "lock.file-unreadable",
            "the lock file cannot be read",
            value=str(path),
            cause=str(error),
            cure="check the path; it is relative to the working directory",
        ) from error


def _lost_credentials(text: str, name: str) -> tuple[Finding, ...]:
    from coffee_boat._support.redact import redact

    if "***@" not in redact(text) or redact(text) == text:
        return ()
    cure = "put them into ~/.netrc, or give the index with its credentials as index_url"
    return (
        Finding(
            "lock.credentials-ignored",
            "credentials in a lock file are not used",
            value=name,
            cause="a lock is shared, and so is what is made of it",
            cure=cure,
        ),
    )


# writing


def _package(pin: Pin) -> Package:
    from packaging.pylock import Package
    from packaging.version import Version

    ours: dict[str, Any] = {"requested": pin.requested} | (
        {"sha256": pin.sha256} if pin.kind in ("directory", "local") else {}
    )
    if pin.kind == "local":
        ours |= {"local": True, "size": pin.size}
    return Package(
        name=pin.name,  # type: ignore[arg-type]
        version=Version(pin.version) if pin.version else None,
        dependencies=[{"name": name} for name in pin.requires] or None,
        tool={"coffee_boat": ours},
        **_source(pin),
    )


def _source(pin: Pin) -> dict[str, Any]:
    from packaging.pylock import (
        PackageArchive,
        PackageDirectory,
        PackageSdist,
        PackageVcs,
        PackageWheel,
    )

    url, hashes, subdirectory = _public(pin), {"sha256": pin.sha256}, pin.subdirectory or None
    if pin.kind == "vcs":
        kind, _, place = url.partition("+")
        return {
            "vcs": PackageVcs(type=kind, url=place, commit_id=pin.commit, subdirectory=subdirectory)
        }
    if pin.kind in ("directory", "local"):
        return {
            "directory": PackageDirectory(
                path=str(local_path(url)), editable=pin.editable or None, subdirectory=subdirectory
            )
        }
    if pin.direct:
        return {
            "archive": PackageArchive(
                url=url, size=pin.size, hashes=hashes, subdirectory=subdirectory
            )
        }
    if pin.kind == "wheel":
        return {"wheels": [PackageWheel(name=pin.filename, url=url, size=pin.size, hashes=hashes)]}
    return {"sdist": PackageSdist(name=pin.filename, url=url, size=pin.size, hashes=hashes)}


def _public(pin: Pin) -> str:
    return pin.url if pin.url.startswith("file:") else without_query(pin.url)
