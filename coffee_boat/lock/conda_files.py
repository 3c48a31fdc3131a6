"""Locks that hold conda packages: rattler's format (pixi.lock, versions 6 and 7 of it), read and
written, and conda's @EXPLICIT lists, read.

A pixi.lock holds packages of pip as well; a file's sha256 stands behind its URL (`#sha256=...`),
where pip and uv look for it too. Of a file on this machine rattler drops that: it is hashed when
the lock is read. What the nodes are stands with the platform, as a virtual package. What was named
by the user is what nothing else in the lock needs, as far as it can be told.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urldefrag, urlsplit

from coffee_boat import _conda, _grammar, _limits, _quoting
from coffee_boat._conda import Channel, Configuration
from coffee_boat._credentials import without_credentials
from coffee_boat._digest import file_digest, tree_digest
from coffee_boat._files import local_path, local_path_or_none
from coffee_boat._store import Store
from coffee_boat.errors import LockError
from coffee_boat.lock import conda, spark
from coffee_boat.model import CondaPin, Finding, Lock, Manifest, Pin, Target

if TYPE_CHECKING:
    from rattler import Environment, LockPlatform, RepoDataRecord

_EXPLICIT = "@EXPLICIT"
_LONGEST = 2_000
"""Characters of what a package needs; rattler's parser ends the process at 100,000 brackets."""
_AGAIN = (
    "make the lock again for this target: `boat lock -o pixi.lock`, or `pixi lock` with the"
    " platform among its platforms"
)


def holds_conda(path: Path) -> bool:
    """True for the files that this module reads, by what is in them; a file that cannot be read is
    none.
    """
    try:
        text = _limits.read_text(path, _limits.LOCK)
    except _limits.TooMuch as error:
        raise _too_large(path, error) from error
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.strip() == _EXPLICIT for line in text.splitlines()) or text.lstrip().startswith(
        ("version:", "---\nversion:")
    )


def _too_large(path: Path, error: _limits.TooMuch) -> LockError:
    return LockError("the lock file cannot be read", value=str(path), cause=str(error), cure=_AGAIN)


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
    _conda.rattler()
    if any(line.strip() == _EXPLICIT for line in path.read_text("utf-8").splitlines()):
        return _read_explicit(path, target, configuration, store, accepted=accepted)
    lock = read_rattler(path, target)
    conda.refuse_anacondas_files(lock.conda, accepted=accepted)
    return lock


def read_rattler(path: Path, target: Target) -> Lock:
    """A pixi.lock for a target.

    Raises:
        LockError: as `read`.
    """
    module = _conda.rattler()
    try:
        environment = _environment(module.LockFile.from_path(path), path)
    except module.exceptions.ParseCondaLockError as error:
        cause = _quoting.where(error)
        raise LockError(
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
            "packages of a lock are built from source",
            value=", ".join(strange),
            cause="only built conda packages can be taken",
            cure="publish them to a channel",
        )
    places = [
        Channel(_conda.without_secrets(str(c)).rstrip("/"), f"{str(c).rstrip('/')}/", str(c))
        for c in environment.channels()
    ]
    records = environment.conda_repodata_records_for_platform(platform) or []
    found = [conda.pin_from(record, Manifest(), [*_named(places), *places]) for record in records]
    pip = [
        _pin(package, path) for package in packages if isinstance(package, module.PypiLockedPackage)
    ]
    return _lock(found, pip, target, path)


def write(lock: Lock) -> str:
    """The lock as a pixi.lock, the same text for the same lock. Holds no credentials."""
    module = _conda.rattler()
    glibc = ".".join(map(str, lock.target.glibc))
    platform = module.LockPlatform(
        conda.subdir(lock.target), virtual_packages=[f"__glibc={glibc}=0"]
    )
    made = module.LockFile([platform])
    made.set_channels(
        "default",
        [module.LockChannel(url) for url in dict.fromkeys(_channel_url(pin) for pin in lock.conda)],
    )
    for pin in lock.conda:
        made.add_conda_package("default", platform, _conda.record_of(pin))
    for pip in lock.pins:
        made.add_pypi_package("default", platform, pip.name, pip.version or "0", _location(pip))
    with tempfile.TemporaryDirectory(prefix="coffee_boat-lock-") as folder:
        file = Path(folder, "pixi.lock")
        made.to_path(file)
        return file.read_text("utf-8")


def refuse_too_new(lock: Lock, name: str) -> None:
    """Raise for conda packages that need a newer glibc than the target has.

    Raises:
        LockError: which, and what they need.
    """
    module = _conda.rattler()
    own = module.Version(".".join(map(str, lock.target.glibc)))
    specs = [
        (pin, module.MatchSpec(text))
        for pin in lock.conda
        for text in _depends(pin)
        if text.startswith("__glibc") and len(text) <= _LONGEST
    ]
    wrong = [
        f"{pin.name} {pin.version} needs {spec}"
        for pin, spec in specs
        if spec.version and not module.VersionSpec(spec.version).matches(own)
    ]
    if wrong:
        cure = 'say what they are, as platform="manylinux_2_39_x86_64", or lock again'
        raise LockError(
            "the lock was not made for these executors",
            value=f"{name}: {', '.join(wrong)}",
            cause=f"the platform is {lock.target.platform}",
            cure=cure,
        )


def _lock(found: Iterable[CondaPin], pip: Iterable[Pin], target: Target, path: Path) -> Lock:
    """With what nothing else needs as asked for, and without what the driver itself brings."""
    pins, wheels = list(found), list(pip)
    needed = {name for pin in pins for name in pin.requires}
    both: list[CondaPin | Pin] = [*pins, *wheels]
    dropped = [pin for pin in both if pin.name in spark.DRIVERS_OWN]
    for pin in pins:
        _grammar.checked_conda(pin, path.name)
        if not pin.sha256:
            raise LockError(
                "a file of the lock has no sha256",
                value=f"{pin.name} {pin.version} in {path.name}",
                cause="what is not hashed cannot be checked; an md5 can be forged",
                cure="take it from a channel that lists sha256, and make the lock again",
            )
    made = Lock(
        replace(target, python=conda.python_of(pins).version) if pins else target,
        tuple(sorted((pin for pin in wheels if pin not in dropped), key=lambda pin: pin.name)),
        tuple(spark.not_locked(pin.name, f"{pin.version} in {path.name}") for pin in dropped),
        tuple(
            sorted(
                (
                    replace(pin, requested=pin.name not in needed)
                    for pin in pins
                    if pin not in dropped
                ),
                key=lambda pin: pin.name,
            )
        ),
    )
    refuse_too_new(made, path.name)
    return made


def _depends(pin: CondaPin) -> Sequence[str]:
    import json

    return [str(text) for text in json.loads(pin.record).get("depends", [])]


# rattler's


def _environment(lock: Any, path: Path) -> Environment:
    named = dict(lock.environments())
    if "default" not in named and len(named) != 1:
        raise LockError(
            "the lock has several environments, and none is called default",
            value=f"{path}: {', '.join(sorted(named)) or 'none at all'}",
            cure="lock the one that is meant",
        )
    made: Environment = named.get("default") or next(iter(named.values()))
    return made


def _platform(environment: Environment, target: Target, path: Path) -> LockPlatform:
    wanted = conda.subdir(target)
    platforms = environment.platforms()
    found = next((platform for platform in platforms if str(platform.subdir) == wanted), None)
    if found is None:
        named = ", ".join(str(platform.subdir) for platform in platforms)
        raise LockError(
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
        for found in _conda.channels([place.url], Configuration())
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
        if fault := _grammar.vcs_fault(location):
            raise _grammar.refused(where, path.name, location, fault)
        url, commit = urldefrag(location)
        return _grammar.checked(
            Pin(**common, kind="vcs", url=without_credentials(url), commit=commit, direct=True),
            path.name,
        )
    is_url = "://" in location or location.startswith("file:")
    if fault := _location_fault(location, is_url=is_url):
        raise _grammar.refused(where, path.name, location, fault)
    url, fragment = urldefrag(location if is_url else (path.parent / location).resolve().as_uri())
    place = local_path_or_none(url)
    if place is not None and place.is_dir():
        return _grammar.checked(
            Pin(**common, kind="directory", url=url, sha256=tree_digest(place), direct=True),
            path.name,
        )
    sha256 = (
        _sha256(package)
        or parse_qs(fragment).get("sha256", [""])[0].lower()
        or (file_digest(place) if place is not None and place.is_file() else "")
    )
    filename = unquote(urlsplit(url).path).rpartition("/")[2]
    if not sha256:
        raise LockError(
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
    return _grammar.checked(pin, path.name)


def _location_fault(location: str, *, is_url: bool) -> str:
    if is_url:
        return _grammar.url_fault(location, _grammar.FILES)
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


# conda's @EXPLICIT


def _read_explicit(
    path: Path, target: Target, configuration: Configuration, store: Store, *, accepted: bool
) -> Lock:
    from rattler.explicit_environment import ExplicitEnvironmentSpec

    module = _conda.rattler()
    try:
        spec = ExplicitEnvironmentSpec.from_path(path)
    except module.exceptions.ParseExplicitEnvironmentSpecError as error:
        raise LockError(
            "not an @EXPLICIT list",
            value=str(path),
            cause=_quoting.where(error),
            cure="make one with `conda list --explicit --sha256`",
        ) from None
    if spec.platform is not None and str(spec.platform) != conda.subdir(target):
        raise LockError(
            "the list was made for another platform",
            value=f"{path}: {spec.platform}, the executors are {conda.subdir(target)}",
            cure="make it on a machine like them",
        )
    urls = [str(entry.url) for entry in spec.packages]
    places = _conda.channels(
        dict.fromkeys(urldefrag(url).url.rpartition("/")[0].rpartition("/")[0] for url in urls),
        configuration,
    )
    _conda.refuse_unlicensed(places, accepted=accepted)
    try:
        gateway = _conda.gateway(configuration, _conda.cache(store, "repodata"))
        records = _conda.wait(lambda: _listed(urls, places, gateway, conda.subdir(target)))
    except module.exceptions.GatewayError as error:
        raise conda.unreachable(str(error), places, configuration) from None
    made = _lock(
        [conda.pin_from(_checked(url, records, path), Manifest(), places) for url in urls],
        (),
        target,
        path,
    )
    return replace(made, findings=(*made.findings, *_lacking(made, path), *_unfixed(urls, path)))


async def _listed(
    urls: Sequence[str], places: Sequence[Channel], gateway: Any, subdir: str
) -> Mapping[str, RepoDataRecord]:
    """Public URL -> what its channel says of it."""
    module = _conda.rattler()
    names = sorted({_file(url).rsplit("-", 2)[0] for url in urls})
    found = await gateway.query(
        [module.Channel(place.url) for place in places],
        [subdir, "noarch"],
        names,
        recursive=False,
        channel_relations="disabled",
    )
    return {
        _conda.without_secrets(str(record.url)): record for records in found for record in records
    }


def _file(url: str) -> str:
    return (
        unquote(urlsplit(url).path)
        .rpartition("/")[2]
        .removesuffix(".conda")
        .removesuffix(".tar.bz2")
    )


def _checked(url: str, records: Mapping[str, RepoDataRecord], path: Path) -> RepoDataRecord:
    """The record, if it is of the file that the list means."""
    bare, fragment = urldefrag(url)
    record = records.get(_conda.without_secrets(bare))
    shown = _conda.without_secrets(bare)
    if record is None:
        raise LockError(
            "a channel does not list a file of the lock",
            value=f"{shown} in {path.name}",
            cause="it was taken away, or the URL is wrong",
            cure="make the list again",
        )
    said = _said(fragment)
    if said and not any(_grammar.is_digest(said, kind) for kind in ("sha256", "md5")):
        raise _grammar.refused(
            shown, path.name, f"#{fragment}", "a hash is 64 (sha256) or 32 (md5) hex digits"
        )
    own = {digest.hex() for digest in (record.sha256, record.md5) if digest}
    if said and said not in own:
        raise LockError(
            "a file of the lock is another one in its channel",
            value=f"{shown} in {path.name}",
            cause=f"the list says {said}",
            cure="find out who replaced it",
        )
    return record


def _said(fragment: str) -> str:
    """The digest behind a URL of a list, as conda, mamba and pixi write it."""
    for kind in ("sha256:", "sha256=", "md5:", "md5="):
        fragment = fragment.removeprefix(kind)
    return fragment.lower()


def _unfixed(urls: Sequence[str], path: Path) -> tuple[Finding, ...]:
    """Files of a list that it does not fix by a sha256: their channels say what they are."""
    loose = [_file(url) for url in urls if not _grammar.is_digest(_said(urldefrag(url).fragment))]
    if not loose:
        return ()
    return (
        Finding(
            "a list has no sha256 of some of its files: what their channels list today is taken",
            f"{path.name}: {', '.join(loose[:3])}"
            + (f" + {len(loose) - 3} others" if len(loose) > 3 else ""),
            cause="a channel may replace a file; an md5 is compared, and can be forged",
            cure="make the list with `conda list --explicit --sha256`",
        ),
    )


def _lacking(lock: Lock, path: Path) -> tuple[Finding, ...]:
    """What packages of a list need that is not in it: conda does not look either, but says
    nothing.
    """
    have = {pin.name for pin in lock.conda} | set(spark.DRIVERS_OWN)
    lacking = sorted(
        {
            f"{name} (of {pin.name})"
            for pin in lock.conda
            for name in pin.requires
            if name not in have
        }
    )
    return (
        (
            Finding(
                "a list of conda packages lacks what some of them need",
                f"{path.name}: {', '.join(lacking)}",
                "it was shortened by hand",
                "make it anew",
            ),
        )
        if lacking
        else ()
    )
