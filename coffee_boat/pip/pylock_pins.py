"""The pins that a pylock.toml has for a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from coffee_boat._support import limits, parse
from coffee_boat._support.digest import tree_digest
from coffee_boat._support.files import is_dir
from coffee_boat._support.urls import without_credentials
from coffee_boat.errors import LockError
from coffee_boat.interpreter.target import environment, tags
from coffee_boat.model import Pin, SourceKind, Target, grammar

if TYPE_CHECKING:
    from packaging.pylock import (
        Package,
        PackageArchive,
        PackageDirectory,
        PackageSdist,
        PackageVcs,
        PackageWheel,
        Pylock,
    )

    Source = PackageVcs | PackageDirectory | PackageArchive | PackageWheel | PackageSdist

_AGAIN = (
    "make the lock again for this target, as with `uv pip compile --format pylock.toml"
    " --generate-hashes`"
)


def pins_of(
    document: Mapping[str, Any],
    target: Target,
    base: Path,
    *,
    name: str,
    extras: Sequence[str] = (),
) -> tuple[Pin, ...]:
    """The pins that a parsed pylock.toml has for the target, sorted by name.

    Args:
        base: the folder that relative paths start from.
        name: what to call the document in errors.

    Raises:
        LockError: as `read`.
    """
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
    from packaging.pylock import Pylock, PylockSelectError, PylockValidationError

    try:
        pylock = Pylock.from_dict(document)
        _check_names(pylock, name)
        surroundings: Any = environment(target)
        chosen = list(pylock.select(environment=surroundings, tags=tags(target), extras=extras))
    except PylockValidationError as error:
        raise LockError(
            "lock.pylock-invalid",
            "not a valid pylock.toml (PEP 751)",
            value=name,
            cause=str(error),
            cure=_AGAIN,
        ) from error
    except (UndefinedEnvironmentName, UndefinedComparison) as error:
        raise LockError(
            "lock.marker-not-evaluated",
            "a marker of the lock cannot be evaluated",
            value=name,
            cause=str(error),
            cure=_AGAIN,
        ) from error
    except PylockSelectError as error:
        raise _does_not_fit(error, pylock, target, name) from error
    needed = {
        dependency.get("name")
        for package in pylock.packages
        for dependency in package.dependencies or ()
    }
    pins = (
        _pin(package, source, base, name, asked_for=package.name not in needed)
        for package, source in chosen
    )
    return tuple(sorted((_checked(pin, target, name) for pin in pins), key=lambda pin: pin.name))


# reading


def _pin(package: Package, source: Source, base: Path, name: str, *, asked_for: bool) -> Pin:
    from packaging.pylock import PackageArchive, PackageDirectory, PackageVcs

    _check_source(package, source, name)
    said = (package.tool or {}).get("coffee_boat")
    ours: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    common: dict[str, Any] = {
        "name": package.name,
        "version": str(package.version or ""),
        "requested": bool(ours.get("requested", asked_for)),
        "requires": tuple(
            str(dependency.get("name", "")) for dependency in package.dependencies or ()
        ),
    }
    if isinstance(source, PackageVcs):
        return _vcs_pin(source, base, common)
    if isinstance(source, PackageDirectory):
        if ours.get("local") is True:
            return _local_pin(source, base, common, ours)
        return _directory_pin(source, base, common, str(ours.get("sha256", "")))
    common |= {
        "url": _url(source.url, source.path, base),
        "size": source.size,
        "sha256": source.hashes.get("sha256", "").lower(),
    }
    if isinstance(source, PackageArchive):
        return _archive_pin(source, common)
    return Pin(**common, kind=_kind(source.filename), filename=source.filename)


def _check_names(pylock: Pylock, name: str) -> None:
    """Refuse file names that are none, also of wheels for others: errors quote them."""
    for package in pylock.packages:
        for wheel in package.wheels or ():
            if fault := grammar.file_name_fault(wheel.filename):
                label = f"{package.name} {package.version or ''}".rstrip()
                raise grammar.refused(label, name, f"file {wheel.filename!r}", fault)


def _check_source(package: Package, source: Source, name: str) -> None:
    """Refuse what must not even be looked at: what a URL or a path says is a part of what follows.

    Raises:
        LockError: a URL, a path, a hash or a file name is none.
    """
    from packaging.pylock import PackageDirectory, PackageVcs

    where = f"{package.name} {package.version or ''}".rstrip()
    kind = source.type if isinstance(source, PackageVcs) else ""
    url = None if isinstance(source, PackageDirectory) else source.url
    if kind not in ("", "git"):
        raise grammar.refused(where, name, kind, grammar.vcs_fault(kind))
    if url:
        bare, schemes = (url.removeprefix("git+"), grammar.GIT) if kind else (url, grammar.FILES)
        if fault := grammar.url_fault(bare, schemes):
            raise grammar.refused(where, name, url, fault)
    elif source.path and not source.path.isprintable():
        raise grammar.refused(where, name, source.path, "a path has no control characters")
    folder: str = getattr(source, "subdirectory", None) or ""
    if fault := grammar.folder_fault(folder):
        raise grammar.refused(where, name, folder, fault)
    for kind, digest in (getattr(source, "hashes", None) or {}).items():
        if fault := grammar.hash_fault(kind, digest.lower()):
            raise grammar.refused(where, name, f"{kind} {digest!r}", fault)


def _vcs_pin(source: PackageVcs, base: Path, common: dict[str, Any]) -> Pin:
    url = _url(source.url, source.path, base)
    return Pin(
        **common,
        kind="vcs",
        direct=True,
        url=f"{source.type}+{url.removeprefix(source.type + '+')}",
        commit=source.commit_id.lower(),
        subdirectory=source.subdirectory or "",
    )


def _directory_pin(
    source: PackageDirectory, base: Path, common: dict[str, Any], sha256: str
) -> Pin:
    folder = base / source.path
    project = folder / (source.subdirectory or "")
    if not is_dir(project):
        raise LockError(
            "lock.folder-missing",
            "a folder of the lock is not there",
            value=f"{common['name']}: {project}",
            cure="put it there, or lock again",
        )
    common["version"] = common["version"] or _static_version(project)
    return Pin(
        **common,
        kind="directory",
        direct=True,
        url=_folder_uri(folder),
        sha256=sha256 or tree_digest(folder, LockError),
        editable=bool(source.editable),
        subdirectory=source.subdirectory or "",
    )


def _local_pin(
    source: PackageDirectory, base: Path, common: dict[str, Any], ours: Mapping[str, Any]
) -> Pin:
    """Code of one's own, with or without a folder; that it is as it was is seen when it is
    packed.
    """
    return Pin(
        **common,
        kind="local",
        direct=True,
        url=(base / source.path).absolute().as_uri(),
        size=ours.get("size"),
        sha256=str(ours.get("sha256", "")),
    )


def _archive_pin(source: PackageArchive, common: dict[str, Any]) -> Pin:
    filename = PurePosixPath(
        unquote(urlsplit(common["url"]).path)
    ).name  # after unquoting: %2F..%2F is no way out
    common["version"] = common["version"] or _version_in(filename)
    return Pin(
        **common,
        kind=_kind(filename),
        direct=True,
        filename=filename,
        subdirectory=source.subdirectory or "",
    )


def _kind(filename: str) -> SourceKind:
    return "wheel" if filename.endswith(".whl") else "sdist"


def _version_in(filename: str) -> str:
    from packaging.utils import (
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    try:
        return str(
            parse_wheel_filename(filename)[1]
            if filename.endswith(".whl")
            else parse_sdist_filename(filename)[1]
        )
    except (
        InvalidWheelFilename,
        InvalidSdistFilename,
    ):  # an archive of a repository: its wheel tells
        return ""


def _static_version(project: Path) -> str:
    """The version that pyproject.toml states; empty if only a build tells."""
    try:
        table = parse.toml(limits.read_text(project / "pyproject.toml", limits.PROJECT))
    except (OSError, ValueError):
        return ""
    said = table.get("project", {})
    return str(said.get("version", "")) if isinstance(said, dict) else ""


def _url(url: str | None, path: str | None, base: Path) -> str:
    return without_credentials(url) if url else (base / str(path)).resolve().as_uri()


def _folder_uri(folder: Path) -> str:
    return folder.resolve().as_uri()


def _checked(pin: Pin, target: Target, name: str) -> Pin:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    if not pin.sha256 and pin.kind != "vcs":
        raise LockError(
            "lock.sha256-missing",
            "a file of the lock has no sha256",
            value=f"{pin.name} {pin.version} in {name}",
            cause="what is not hashed cannot be checked",
            cure=_AGAIN,
        )
    grammar.checked(pin, name)
    if pin.kind != "wheel" or not pin.direct:
        return pin
    try:
        fits = set(parse_wheel_filename(pin.filename)[3]) & set(tags(target))
    except InvalidWheelFilename as error:
        raise LockError(
            "lock.not-a-wheel-name",
            "not the name of a wheel",
            value=pin.filename,
            cause=str(error),
            cure="give it back the name that it was built with",
        ) from error
    if not fits:
        raise _no_wheel(pin.name, pin.version, [pin.filename], target)
    return pin


def _does_not_fit(error: Exception, pylock: Pylock, target: Target, name: str) -> LockError:
    for package in pylock.packages:
        if (
            package.wheels
            and "No wheel found" in str(error)
            and f"package {package.name!r}" in str(error)
        ):
            return _no_wheel(
                package.name,
                str(package.version or ""),
                [wheel.filename for wheel in package.wheels],
                target,
            )
    return LockError(
        "lock.other-executors",
        "the lock was not made for these executors",
        value=f"{name}, Python {target.python} on {target.platform}",
        cause=str(error),
        cure=_AGAIN,
    )


def _no_wheel(name: str, version: str, filenames: Sequence[str], target: Target) -> LockError:
    shown = ", ".join(filenames[:3]) + (
        f" + {len(filenames) - 3} others" if len(filenames) > 3 else ""
    )
    return LockError(
        "lock.no-file-fits",
        f"no wheel of {name} {version} fits Python {target.minor} on {target.platform}, and it has"
        " no source distribution",
        value=shown,
        cause="it is published for another Python, a newer glibc or another architecture only",
        cure=(
            f"ask for another version of {name}, or say"
            f' platform="manylinux_2_XX_{target.architecture}" if the nodes have a newer glibc'
        ),
    )
