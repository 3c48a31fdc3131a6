"""Manifest + Target -> the conda half of a Lock, by rattler.

Rattler's solver is asked by names; versions, builds and what is aboard bound it from outside, as
constraints. It is more than style: a version in the specs themselves filters a channel's candidates
before priorities are looked at, so that a lower channel's version would be taken under strict
priority, and errors would not name what filtered. A spec that is tied to a channel
(`channel::name`) is told by that, for any priority.

The nodes are the Target, not the driver: virtual packages come from it (`__glibc`, `__linux`,
`__archspec`), else from CONDA_OVERRIDE_*. The python that is chosen becomes the environment's
interpreter, and its version the lock's target.
"""

from __future__ import annotations

import datetime
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from coffee_boat import _conda, _grammar
from coffee_boat._conda import Channel, Configuration
from coffee_boat._digest import file_state
from coffee_boat._run import redact
from coffee_boat._store import Store
from coffee_boat.errors import LockError, StoreError
from coffee_boat.lock import spark
from coffee_boat.lock.explain import UnreachableError
from coffee_boat.lock.pip import duration
from coffee_boat.model import CondaPin, CondaRequirement, Finding, Lock, Manifest, Target, digest_of

if TYPE_CHECKING:
    from rattler import Gateway, GenericVirtualPackage, RepoDataRecord
    from rattler.platform.subdir import SubdirLiteral

_INFO = re.compile(
    r"(?:^|/)site-packages/(?P<name>[A-Za-z0-9][\w.-]*?)-(?P<version>\d[^-/]*)(?:\.dist-info|(?:-py3[^/]*)?\.egg-info)(?:/|$)"
)
_LAYOUT = 2
"""Of what is remembered: another number forgets all."""
_TIMEOUT = datetime.timedelta(minutes=10)
_SUBDIRS = {"x86_64": "linux-64", "i686": "linux-32", "armv7l": "linux-armv7l"}
_KERNELS = ((34, "5.14"), (28, "4.18"), (17, "3.10"))
"""glibc's minor -> the kernel of the oldest distribution that came with it (RHEL 9, 8, 7): what
nodes have at least.
"""


@dataclass(frozen=True)
class Wish:
    """What is asked of the solver."""

    manifest: Manifest
    target: Target
    """Its glibc and architecture count; its python is the one that must be chosen, as far as
    `minor` says so.
    """
    minor: str
    """The minor version that python must have: "3.11"."""
    configuration: Configuration
    accepted: bool = False
    """True if Anaconda's terms of service were accepted."""
    aboard: tuple[CondaPin, ...] = ()
    """What must stay as it is."""
    preferred: Mapping[str, str] = field(default_factory=dict)
    """Normalized name -> version that the driver runs; taken where the requirements allow it, since
    objects are pickled from one to the other.
    """

    @property
    def requirements(self) -> tuple[CondaRequirement, ...]:
        """What is wanted, without what the driver itself brings."""
        return tuple(r for r in self.manifest.conda if r.name not in spark.DRIVERS_OWN)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The places that are asked, in order."""
        return channels_of(self.manifest, self.configuration)

    @property
    def python(self) -> str:
        """What python must be."""
        return f"python {self.minor}.*"

    def key(self) -> dict[str, Any]:
        """What an answer is remembered under; URLs enter as digests, for they may hold
        credentials.
        """
        return {
            "layout": _LAYOUT,
            "wanted": digest_of([[r.text, r.channel] for r in self.requirements]),
            "channels": digest_of([[channel.url, _listing(channel)] for channel in self.channels]),
            "priority": self.configuration.channel_priority,
            "target": [self.minor, self.target.platform, self.target.architecture],
            "overrides": dict(self.configuration.overrides),
            "aboard": digest_of([pin.identity for pin in self.aboard]),
        }


def channels_of(manifest: Manifest, configuration: Configuration) -> tuple[Channel, ...]:
    """The channels of a manifest, else those of conda's configuration, else conda-forge.

    One that a package is tied to is asked last, if it is not among them.

    Raises:
        RequirementError: one is no channel, or the configuration forbids it.
    """
    named = manifest.channels or configuration.channels or (_conda.DEFAULT,)
    return _conda.channels(
        [*named, *(r.channel for r in manifest.conda if r.channel)], configuration
    )


def subdir(target: Target) -> str:
    """The target's platform in conda's words: "linux-64"."""
    return _SUBDIRS.get(target.architecture, f"linux-{target.architecture}")


def resolve(wish: Wish, *, store: Store, max_age: float, say: Callable[[str], None]) -> Lock:
    """Choose a file of every conda package that is wanted and of all that it needs, python among
    them.

    Args:
        max_age: seconds for which an earlier answer is taken as it is.
        say: takes one line about what is being done.

    Returns:
        A Lock without pins of pip, whose target has the python that was chosen.

    Raises:
        RequirementError: a channel of Anaconda's without its licence; no channel at all; rattler is
            not installed.
        LockError: no set of packages serves all requirements, or a channel cannot be reached.
    """
    _conda.rattler()
    _conda.refuse_unlicensed(wish.channels, accepted=wish.accepted)
    key = wish.key()
    known = _recall(store, key, wish)
    if known is not None and known.exact and (known.age <= max_age or wish.configuration.offline):
        return known.lock if known.age <= max_age else known.aged("offline")
    try:
        with store.lock(f"solve {digest_of(key)}"):
            return _ask(wish, key, store, known, say)
    except StoreError:  # one that cannot be written serves what it has
        if known is None:
            raise
        return known.aged("the store cannot be written")


def minor_asked_for(manifest: Manifest, own: str) -> str:
    """The minor version that the manifest asks of python: the driver's own wherever it fits, else
    the first one that does.
    """
    module = _conda.rattler()
    bounds = [
        module.VersionSpec(bound)
        for r in manifest.conda
        if r.name == "python" and (bound := module.MatchSpec(r.text).version)
    ]
    minors = [own, *(f"3.{minor}" for minor in range(20, 7, -1))]

    def fits(minor: str) -> bool:
        return all(
            any(bound.matches(module.Version(f"{minor}.{patch}")) for patch in range(40))
            for bound in bounds
        )

    return next((minor for minor in minors if fits(minor)), own)


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
    listed = _conda.wait(
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

    module, client, places = _conda.rattler(), _conda.client(wish.configuration), wish.channels
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
                    _conda.with_secrets(pin.url, places),
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
            "conda packages are taken for the distributions of the same name",
            ", ".join(names),
            cause,
            "name in conda's words what pip would fetch again",
            severity="note",
        ),
    )


def virtual_packages(target: Target, overrides: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Name -> version and build of what the nodes are.

    An override that is empty takes a package away, as with conda.
    """
    kernel = next((version for minor, version in _KERNELS if target.glibc[1] >= minor), "3.10")
    own = {
        "unix": ("0", "0"),
        "linux": (kernel, "0"),
        "glibc": (".".join(map(str, target.glibc)), "0"),
        "archspec": ("1", target.architecture),
    }
    for name, value in overrides.items():
        own[name] = ("1", value) if name == "archspec" else (value, "0")
    return {f"__{name}": said for name, said in own.items() if all(said)}


# remembered answers


@dataclass(frozen=True)
class _Known:
    lock: Lock
    made: float
    """Seconds since the epoch."""
    exact: bool
    """False if the driver has other versions now: the answer serves, but is not the one that would
    be given today.
    """

    @property
    def age(self) -> float:
        """Seconds."""
        return max(0.0, time.time() - self.made)

    def aged(self, cause: str) -> Lock:
        """The lock, with a Finding that names its age."""
        cure = "newer packages are looked for once the channels can be reached"
        finding = Finding(
            "an earlier solution of the conda packages is used as it is",
            f"{duration(self.age)} old",
            cause,
            cure,
            severity="note",
        )
        return replace(self.lock, findings=(*self.lock.findings, finding))


def _recall(store: Store, key: Mapping[str, Any], wish: Wish) -> _Known | None:
    value = store.recall("conda-lock", key)
    if value is None:
        return None
    try:
        pins = tuple(_grammar.checked_conda(pin_of(said), "the store") for said in value["pins"])
    except (LockError, LookupError, TypeError, ValueError):  # not what we wrote: it is asked anew
        return None
    exact = all(
        wish.preferred.get(pin.name, "") in (value["preferred"].get(pin.name, ""), pin.version)
        for pin in pins
    )
    return _Known(
        _locked(pins, wish, tuple(Finding(**said) for said in value["findings"])),
        value["made"],
        exact,
    )


def pin_of(said: Mapping[str, Any]) -> CondaPin:
    """A pin from what `dataclasses.asdict` made of it and JSON gave back."""
    return CondaPin(
        **{**said, "requires": tuple(said["requires"]), "provides": tuple(said["provides"])}
    )


def _ask(
    wish: Wish,
    key: Mapping[str, Any],
    store: Store,
    known: _Known | None,
    say: Callable[[str], None],
) -> Lock:
    say(
        f"solving {len(wish.requirements)} conda requirements for Python {wish.minor} on"
        f" {subdir(wish.target)}"
    )
    try:
        lock = _solved(wish, store)
    except UnreachableError as error:
        if known is None:
            raise
        return known.aged(error.what)
    preferred = {
        pin.name: wish.preferred[pin.name] for pin in lock.conda if pin.name in wish.preferred
    }
    value = {
        "made": time.time(),
        "preferred": preferred,
        "pins": [asdict(pin) for pin in lock.conda],
        "findings": [vars(finding) for finding in lock.findings],
    }
    with suppress(StoreError):
        store.remember("conda-lock", key, value)
    return lock


def _listing(channel: Channel) -> list[list[object]]:
    """What a channel that is a folder lists, as far as can be told without reading it."""
    if not channel.url.startswith("file:"):
        return []
    folder = Path(unquote(urlsplit(channel.url).path))
    return [file_state(path) for path in sorted(folder.glob("*/repodata.json"))]


# asking rattler


def _solved(wish: Wish, store: Store) -> Lock:
    module = _conda.rattler()
    gateway = _conda.gateway(wish.configuration, _conda.cache(store, "repodata"))
    places = wish.channels
    try:
        records = _conda.wait(lambda: _chosen(wish, places, gateway))
    except module.exceptions.SolverError as error:
        raise _unsolvable(str(error), wish, gateway) from None  # theirs shows tokens of channels
    except module.exceptions.GatewayError as error:
        raise unreachable(str(error), places, wish.configuration) from None
    pins = tuple(
        sorted(
            (pin_from(record, wish.manifest, places) for record in records),
            key=lambda pin: pin.name,
        )
    )
    refuse_anacondas_files(pins, accepted=wish.accepted)
    kept = tuple(pin for pin in pins if pin.name not in spark.DRIVERS_OWN)
    return _locked(kept, wish, (*_findings(wish, pins), *_unhashed(kept)))


def _locked(pins: tuple[CondaPin, ...], wish: Wish, findings: tuple[Finding, ...]) -> Lock:
    return Lock(replace(wish.target, python=python_of(pins).version), conda=pins, findings=findings)


async def _chosen(wish: Wish, places: Sequence[Channel], gateway: Gateway) -> list[RepoDataRecord]:
    """The newest that goes together; then once more with the driver's own versions preferred, if
    what was chosen has others.
    """
    records = await _solve(wish, places, gateway)
    preferred = await _preferred(wish, records, places[0], gateway)
    return await _solve(wish, places, gateway, preferred=preferred) if preferred else records


async def _solve(
    wish: Wish,
    places: Sequence[Channel],
    gateway: Gateway,
    *,
    preferred: Sequence[RepoDataRecord] = (),
    flexible: bool = False,
) -> list[RepoDataRecord]:
    module = _conda.rattler()
    priority = "Flexible" if flexible else wish.configuration.channel_priority.capitalize()
    sources = [module.Channel(place.url) for place in places]
    platforms = _platforms(wish)
    found: list[RepoDataRecord] = await module.solve(
        sources=sources,
        specs=[
            await _spec(name, wish, gateway, platforms)
            for name in sorted(
                {"python", *(r.name for r in wish.requirements), *(pin.name for pin in wish.aboard)}
            )
        ],
        constraints=list(_constraints(wish)),
        locked_packages=preferred,
        pinned_packages=[
            _conda.record_of(pin, places) for pin in wish.aboard
        ],  # wherever they came from: no channel need list them now
        gateway=gateway,
        platforms=platforms,
        virtual_packages=_virtual(wish),
        channel_priority=getattr(module.ChannelPriority, priority),
        # a channel's own word must not bring another one in, which may be Anaconda's
        channel_relations="disabled",
        timeout=_TIMEOUT,
    )
    return found


async def _spec(name: str, wish: Wish, gateway: Gateway, platforms: Sequence[SubdirLiteral]) -> str:
    """The name, tied to its channel where it is tied: of several that a channel's name stands for,
    to the first one that has it.
    """
    tie = next((r.channel for r in wish.requirements if r.name == name and r.channel), "")
    if not tie:
        return name
    places = _conda.channels([tie], wish.configuration)
    if len(places) > 1:
        module = _conda.rattler()
        listed = await gateway.query(
            [module.Channel(place.url) for place in places],
            platforms,
            [name],
            recursive=False,
            channel_relations="disabled",
        )
        having = {
            _conda.without_secrets(str(record.channel)) for records in listed for record in records
        }
        places = tuple(place for place in places if place.public in having) or places
    return f"{places[0].url.rstrip('/')}::{name}"


async def _preferred(
    wish: Wish, records: Sequence[RepoDataRecord], first: Channel, gateway: Gateway
) -> list[RepoDataRecord]:
    """What the first channel has in the driver's own versions of what was chosen.

    Of another channel it would get around the priorities.
    """
    settled = {
        "python",
        *(pin.name for pin in wish.aboard),
        *(r.name for r in wish.requirements if r.channel),
    }
    names = {
        name: version
        for record in records
        if (version := wish.preferred.get(name := record.name.normalized))
        not in (None, str(record.version))
        and name not in settled
    }
    if not names:
        return []
    module = _conda.rattler()
    specs = [module.MatchSpec(f"{name} =={version}") for name, version in names.items()]
    listed = await gateway.query(
        [module.Channel(first.url)],
        _platforms(wish),
        specs,
        recursive=False,
        channel_relations="disabled",
    )
    fitting = [
        record
        for found in listed
        for record in found
        if str(record.version) == names.get(record.name.normalized) and _is_for(record, wish.minor)
    ]
    return list(
        {
            record.name.normalized: record
            for record in sorted(fitting, key=lambda record: record.build_number)
        }.values()
    )


def _is_for(record: RepoDataRecord, minor: str) -> bool:
    """True if a package goes with a minor version of Python, as far as it says."""
    module = _conda.rattler()
    bounds = [
        bound
        for text in record.depends
        if text.split(" ")[0] == "python" and (bound := module.MatchSpec(text).version)
    ]
    return all(module.VersionSpec(bound).matches(module.Version(f"{minor}.99")) for bound in bounds)


def _platforms(wish: Wish) -> list[SubdirLiteral]:
    return [subdir(wish.target), "noarch"]  # type: ignore[list-item]


def _constraints(wish: Wish) -> Iterator[str]:
    yield wish.python
    yield from (r.text for r in wish.requirements if r.text != r.name)


def _virtual(wish: Wish) -> list[GenericVirtualPackage]:
    module = _conda.rattler()
    said = virtual_packages(wish.target, wish.configuration.overrides)
    return [
        module.GenericVirtualPackage(
            module.PackageName(name), module.Version(version), module.BuildString(build)
        )
        for name, (version, build) in said.items()
    ]


# reading the answer


def pin_from(record: RepoDataRecord, manifest: Manifest, places: Iterable[Channel]) -> CondaPin:
    """A record of a channel as a pin, without credentials."""
    said: dict[str, Any] = json.loads(record.to_json())
    url = str(record.url)
    channel = next(
        (
            place
            for place in places
            if url.startswith(place.url) or _conda.without_secrets(url).startswith(place.public)
        ),
        None,
    )
    lies_in = str(record.channel or "")
    public = {
        **said,
        "url": _conda.without_secrets(url),
        "channel": channel.public if channel else _conda.without_secrets(lies_in),
    }
    name = record.name.normalized
    pin = CondaPin(
        name=name,
        version=str(record.version),
        build=str(record.build),
        subdir=str(record.subdir),
        channel=channel.name if channel else _conda.without_secrets(lies_in).rstrip("/"),
        url=public["url"],
        filename=record.file_name,
        sha256=record.sha256.hex() if record.sha256 else "",
        size=record.size,
        license=record.license or "",
        noarch_python=bool(record.noarch.python),
        requested=any(r.name == name for r in manifest.conda),
        requires=tuple(
            sorted(
                {
                    depend.split()[0].split("[")[0].split("=")[0]
                    for depend in record.depends
                    if not depend.startswith("__")
                }
            )
        ),
        record=json.dumps(public, sort_keys=True),
    )
    return _grammar.checked_conda(pin, f"the list of {pin.channel}")


def python_of(pins: Iterable[CondaPin]) -> CondaPin:
    """The pin that is the interpreter.

    Raises:
        LockError: there is none, or it is no CPython.
    """
    python = next((pin for pin in pins if pin.name == "python"), None)
    if python is None:
        raise LockError(
            "the conda packages hold no python",
            cause="it is the environment's interpreter",
            cure="lock again with `python` among what is asked for",
        )
    if "pypy" in python.build or "graalpy" in python.build:
        raise LockError(
            "the python of the conda packages is no CPython",
            value=f"python {python.version} {python.build}",
            cure='ask for "python=*=*_cpython"',
        )
    return python


def refuse_anacondas_files(pins: Iterable[CondaPin], *, accepted: bool) -> None:
    """Raise where a channel's list leads to files of Anaconda's, whatever the channel is called."""
    _conda.refuse_unlicensed(
        (
            Channel(pin.channel, pin.url, f"{pin.name} {pin.version} of {pin.channel}")
            for pin in pins
            if _conda.is_anacondas(pin.url)
        ),
        accepted=accepted,
    )


def _findings(wish: Wish, pins: Sequence[CondaPin]) -> Iterator[Finding]:
    asked = {r.name for r in wish.manifest.conda}
    for requirement in wish.manifest.conda:
        if requirement.name in spark.DRIVERS_OWN:
            yield spark.not_locked(requirement.name, f"{requirement.text} ({requirement.origin})")
    for pin in pins:
        if pin.name in ("pyspark", "pyspark-client") and pin.name not in asked:
            yield spark.not_locked(pin.name, "another conda package needs it")


def _unhashed(pins: Iterable[CondaPin]) -> Iterator[Finding]:
    """Old channels list md5 only, or nothing."""
    if names := [f"{pin.name} {pin.version} ({pin.channel})" for pin in pins if not pin.sha256]:
        cause = (
            "their channel lists no sha256: what comes from there is checked by less, or not at all"
        )
        yield Finding(
            "conda packages without a sha256",
            ", ".join(names),
            cause,
            "take them from a channel that is indexed anew",
        )


# what went wrong


def unreachable(text: str, places: Iterable[Channel], configuration: Configuration) -> LockError:
    """The error that rattler's words about a channel stand for."""
    value = redact(
        " / ".join(line.removeprefix("Caused by: ") for line in text.splitlines() if line)
    )
    named = ", ".join(place.name for place in places)
    if "no usable repodata cache" in text or "offline" in text.lower():
        cause = "offline, and the store does not know what they list"
        return UnreachableError(
            "the network is switched off, and the channels are not known here",
            value=named,
            cause=cause,
            cure="run once with the network, or name a channel in a folder",
        )
    if re.search(r"\b40[13]\b|Unauthorized|Forbidden", text):
        cure = (
            "put user and password into ~/.netrc, a token into the channel's URL"
            " (https://host/t/TOKEN/channel), or log in with `pixi auth login`"
        )
        return LockError(
            "a channel refused the credentials",
            value=value,
            cause="they are missing, wrong or expired",
            cure=cure,
        )
    if re.search(r"could not find subdir|\b404\b|No such file", text):
        return LockError(
            "no such channel",
            value=value,
            cause=f"it has no list of packages there; asked were {named}",
            cure="check its name; a name is looked up under channel_alias of .condarc",
        )
    if re.search(r"certificate|UnknownIssuer", text):
        cure = (
            "name the company's authorities: `ssl_verify: /path/to/company-ca.pem` in .condarc, or"
            " export SSL_CERT_FILE"
        )
        return UnreachableError(
            "the certificate of a channel is not trusted",
            value=value,
            cause="a company's proxy signs with its own authority",
            cure=cure,
        )
    cure = (
        "`proxy_servers` in .condarc or HTTPS_PROXY names a proxy; `channel_alias` a mirror; a"
        ' channel may also be a folder: channel="file:///folder"'
    )
    cause = (
        "no network here, a proxy that is not set, or a wrong host"
        f" name{' (proxy_servers is set)' if configuration.proxy_servers else ''}"
    )
    return UnreachableError("a channel cannot be reached", value=value, cause=cause, cure=cure)


def _unsolvable(text: str, wish: Wish, gateway: Gateway) -> LockError:
    """The solver's words, who asked for what they name, and what to type."""
    told = cleaned(redact(text))
    named = [
        line
        for name, line in _asked(wish)
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", told)
    ]
    value = "\n".join(
        [
            told,
            *(f"  asked for: {line}" for line in named),
            (
                f"  for Python {wish.minor} on {subdir(wish.target)}, channels"
                f" {', '.join(c.name for c in wish.channels)}"
            ),
        ]
    )
    what, cause, cure = _reason(told, wish, gateway)
    return LockError(what, value=value, cause=cause, cure=cure)


def _asked(wish: Wish) -> Iterator[tuple[str, str]]:
    for r in wish.requirements:
        yield r.name, f"{redact(r.channel) + '::' if r.channel else ''}{r.text} ({r.origin})"
    if not any(r.text == wish.python for r in wish.requirements):
        yield "python", f"{wish.python} (the driver's minor version, or python= of the Captain)"
    for pin in wish.aboard:
        yield pin.name, f"{pin.name} {pin.version} {pin.build} (aboard the running session)"


def cleaned(text: str) -> str:
    """The solver's explanation without its headline and without the lines that it says several
    times.
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    lines[0] = lines[0].removeprefix("Cannot solve the request because of: ")
    kept: dict[str, str] = {}
    for line in lines:
        kept.setdefault(line.strip("├└─│ "), line)
    return "\n".join(kept.values())


def _reason(told: str, wish: Wish, gateway: Gateway) -> tuple[str, str, str]:
    """What happened, the usual cause, and what to type."""
    if found := re.search(r"__(\w+)", _line_with("no candidates were found", told)):
        cure = (
            'say what the nodes are: platform="manylinux_2_28_x86_64" for glibc,'
            f" CONDA_OVERRIDE_{found[1].upper()}=... for others"
        )
        return (
            "a conda package does not run on the nodes",
            f"it needs a __{found[1]} that they do not have, as far as it was told",
            cure,
        )
    if found := re.search(r"No candidates were found for (\S+)", told):
        if found[1] == "python":
            return (
                "the channels have no python",
                "conda's python is the environment's interpreter",
                "name a channel that has it too: --channel conda-forge",
            )
        cause = (
            "the name is misspelt, or it lies in another channel, or has no build for these nodes"
        )
        return (
            "no such conda package",
            cause,
            (
                "check the name; name its channel; or, if PyPI has it,"
                f" captain.add_pip_packages({found[1].split('[')[0]!r})"
            ),
        )
    if "is locked, but another version is required" in told:
        return (
            "a version that is aboard would have to change",
            "a live session keeps what its workers have imported",
            "ask for what goes with what is aboard; or start the session anew",
        )
    if wish.configuration.channel_priority == "strict" and (lower := _if_flexible(wish, gateway)):
        cause = (
            "a name is taken from the first channel that has it (strict channel priority); a lower"
            f" one would serve: {lower}"
        )
        return (
            "no set of conda packages serves all requirements",
            cause,
            (
                "put that channel first, or set CONDA_CHANNEL_PRIORITY=flexible (or"
                " channel_priority in .condarc)"
            ),
        )
    return (
        "no set of conda packages serves all requirements",
        "two of them exclude each other",
        "loosen one of those that the text above names",
    )


def _if_flexible(wish: Wish, gateway: Gateway) -> str:
    """What would come from lower channels if that were allowed; empty if it would not help."""
    places = wish.channels
    if len(places) < 2:
        return ""
    module = _conda.rattler()
    try:
        records = _conda.wait(lambda: _solve(wish, places, gateway, flexible=True))
    except (module.exceptions.SolverError, module.exceptions.GatewayError):
        return ""
    pins = [pin_from(record, wish.manifest, places) for record in records]
    return (
        ", ".join(
            f"{pin.channel}::{pin.name} {pin.version}"
            for pin in pins
            if pin.channel != places[0].name and pin.requested
        )
        or "for what they need"
    )


def _line_with(words: str, told: str) -> str:
    return next((line for line in told.splitlines() if words in line), "")
