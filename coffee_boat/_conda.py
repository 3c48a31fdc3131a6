"""Conda without conda: what its configuration decided, what a channel's name means, whose terms
hold there, and the rattler client made of it.

    Configuration   what .condarc files and CONDA_* variables decided (settings/condarc.py reads
                    them)
    Channels        names and URLs as people write them -> the URLs that are asked, in order, with
                    and without their credentials
    client, gateway rattler's, with the proxies, certificates and offline mode of the Configuration

Rattler is an extra (`conda` in setup.cfg), imported when it is needed. Its functions
are coroutines: `wait` runs one from anywhere, also where a notebook's event loop runs.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from coffee_boat._run import redact
from coffee_boat._store import Store
from coffee_boat.errors import RequirementError, SettingsError
from coffee_boat.model import CondaPin

if TYPE_CHECKING:
    from rattler import Client, Gateway, RepoDataRecord

T = TypeVar("T")

_GRACE = 10.0
"""Seconds that what was cancelled gets to end."""

ALIAS = "https://conda.anaconda.org"
"""What a channel's name is looked up under, unless `channel_alias` says otherwise (conda's
DEFAULT_CHANNEL_ALIAS).
"""
DEFAULT = "conda-forge"
"""The channel that is taken where nothing names one."""
ANACONDAS_DEFAULTS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
"""What `defaults` means to conda on Linux (conda's DEFAULT_CHANNELS_UNIX)."""

_ANACONDAS_HOSTS = {"repo.anaconda.com", "repo.anaconda.cloud", "repo.continuum.io"}
_MIRRORING_HOSTS = {"conda.anaconda.org", "anaconda.org", "api.anaconda.org"}
"""Anybody's channels, and among them Anaconda's own under these names:"""
_ANACONDAS_NAMES = {
    "main",
    "r",
    "msys2",
    "anaconda",
    "defaults",
    "free",
    "pro",
    "archive",
    "mro",
    "mro-archive",
    "pkgs",
}
_TOKEN = re.compile(r"/t/[^/]+(?=/|$)")
_SUBDIRS = {
    "noarch",
    "linux-64",
    "linux-32",
    "linux-aarch64",
    "linux-armv6l",
    "linux-armv7l",
    "linux-ppc64le",
    "linux-riscv64",
    "linux-s390x",
    "osx-64",
    "osx-arm64",
    "win-64",
}


@dataclass(frozen=True, repr=False)
class Configuration:
    """What conda's configuration decided. URLs may hold credentials: never print one unredacted."""

    channels: tuple[str, ...] = ()
    """Names and URLs, the first one first; empty where nothing says so."""
    default_channels: tuple[str, ...] = ANACONDAS_DEFAULTS
    """What `defaults` means."""
    channel_alias: str = ALIAS
    custom_channels: Mapping[str, str] = field(default_factory=dict)
    """Name -> the URL that it lies below."""
    custom_multichannels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> the channels that it stands for."""
    allowlist: tuple[str, ...] = ()
    """The only channels that may be used, where there are any."""
    denylist: tuple[str, ...] = ()
    channel_priority: Literal["strict", "flexible", "disabled"] = "strict"
    proxy_servers: Mapping[str, str] = field(default_factory=dict)
    """Scheme ("http", "https") -> URL."""
    ssl_verify: bool | str = True
    """Whether servers must prove who they are; or the file with the authorities that are
    believed.
    """
    retries: int = 3
    """How often a request is tried again."""
    offline: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Virtual package ("glibc", "cuda", "archspec", "linux") -> what CONDA_OVERRIDE_* says of
    it.
    """
    files: tuple[str, ...] = ()
    """Where it was said, strongest first."""

    def __repr__(self) -> str:
        said = ", ".join(f"{part.name}={getattr(self, part.name)!r}" for part in fields(self))
        return redact(f"Configuration({said})")


@dataclass(frozen=True, repr=False)
class Channel:
    """One place that is asked for packages."""

    name: str
    """For people, and for locks: a short name, or the URL without credentials."""
    url: str
    """With a slash at the end, and with its credentials."""
    asked: str
    """The name that led to it."""

    @property
    def public(self) -> str:
        """The URL without its credentials."""
        return without_secrets(self.url)

    def __repr__(self) -> str:
        return f"Channel({self.name!r})"


def rattler() -> ModuleType:
    """The module.

    Raises:
        RequirementError: it is not installed, or is too old.
    """
    try:
        import rattler
        import rattler.exceptions
        from rattler import Config  # noqa: F401  (new in 0.28)
    except ImportError as error:
        raise missing_extra(error) from error
    return rattler


def missing_extra(error: ImportError) -> RequirementError:
    """What to say where a library of the extra is not there."""
    return RequirementError(
        "conda packages need more libraries than are installed",
        value=str(error),
        cause=(
            "they are an extra: py-rattler solves and installs, conda-pack packs; no conda is"
            " needed"
        ),
        cure="pip install py-rattler conda-pack",
    )


# channels


def channels(names: Iterable[str], configuration: Configuration) -> tuple[Channel, ...]:
    """The places that names and URLs stand for, in order, each once. `nodefaults` stands for none.

    By conda's rules (conda.models.channel): a URL, a path, a name of `custom_multichannels`
    (`defaults` is one), a name of `custom_channels` or below one, else a name below
    `channel_alias`.

    Raises:
        RequirementError: one is no channel, or the configuration forbids it.
    """
    found: dict[str, Channel] = {}
    for asked in names:
        for url in _urls(asked.strip(), configuration) if asked.strip() != "nodefaults" else ():
            found.setdefault(without_secrets(url), Channel(_name(url), url, asked.strip()))
    _refuse_forbidden(found.values(), configuration)
    return tuple(found.values())


def needs_license(channel: Channel) -> bool:
    """True for Anaconda's own channels: their use is subject to its terms of service."""
    return is_anacondas(channel.url)


def is_anacondas(url: str) -> bool:
    """True if what lies at a URL is Anaconda's own: on its hosts, or its channels on
    anaconda.org.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    if host in _ANACONDAS_HOSTS:
        return True
    steps = [step for step in posixpath.normpath(unquote(parts.path)).split("/") if step]
    steps = steps[2:] if steps[:1] == ["t"] else steps
    return host in _MIRRORING_HOSTS and bool(steps) and steps[0].lower() in _ANACONDAS_NAMES


def refuse_unlicensed(found: Iterable[Channel], *, accepted: bool) -> None:
    """Raise for channels of Anaconda's, unless its terms were accepted.

    Raises:
        RequirementError: which channel, why, and the two ways out.
    """
    ours = [channel for channel in found if needs_license(channel)]
    if not ours or accepted:
        return
    named = ", ".join(
        dict.fromkeys(
            (
                f"{redact(channel.asked)} ({channel.public})"
                if channel.asked != channel.name
                else channel.name
            )
            for channel in ours
        )
    )
    raise RequirementError(
        "a channel of Anaconda's needs its terms to be accepted",
        value=named,
        cause=(
            "Anaconda's own channels (defaults, main, r, msys2, anaconda) are free of charge for"
            " some only: https://www.anaconda.com/legal"
        ),
        cure=(
            "accept them: Captain(accept_conda_license=True) or COFFEE_BOAT_ACCEPT_CONDA_LICENSE=1;"
            " or go on without it, as most do: take the channel out of the list, or name those that"
            ' are to be used: channel="conda-forge", add_environment(path,'
            ' channels=["conda-forge"]), --channel conda-forge'
        ),
    )


def without_secrets(url: str) -> str:
    """The URL without user, password and token (`/t/TOKEN/`)."""
    parts = urlsplit(url)
    path = parts.path if parts.scheme == "file" else without_token(parts.path)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path))


def without_token(path: str) -> str:
    """A path without conda's `/t/TOKEN`."""
    return _TOKEN.sub("", path, count=1)


def with_secrets(url: str, found: Iterable[Channel]) -> str:
    """A public URL as it is fetched: with the credentials of the channel that it lies in."""
    for channel in found:
        if url.startswith(channel.public):
            return channel.url + url.removeprefix(channel.public)
    return url


def _urls(asked: str, configuration: Configuration) -> tuple[str, ...]:
    if "://" in asked or asked.startswith(("/", "./", "../", "~")) or asked in (".", ".."):
        return (_placed(asked),)
    if not asked or any(letter.isspace() for letter in asked):
        raise RequirementError(
            "not a channel",
            value=repr(redact(asked)),
            cure='name it as conda does: "conda-forge", a URL, or a path that begins with / or ./',
        )
    name = _bare(asked)
    multi = {"defaults": configuration.default_channels, **configuration.custom_multichannels}
    if name in multi:
        return tuple(
            url
            for member in multi[name]
            for url in (
                [_placed(member)]
                if "://" in member
                else [_below(configuration.channel_alias, member)]
            )
        )
    return (_below(_parent(name, configuration), name),)


def _parent(name: str, configuration: Configuration) -> str:
    """What a name lies below: the custom channel with the longest name that it begins with, else
    the alias.
    """
    builtin = {"pkgs/pro": "https://repo.anaconda.com"} | dict.fromkeys(
        ("pkgs/main", "pkgs/r", "pkgs/msys2", "pkgs/free"), "https://repo.anaconda.com"
    )
    known = {**builtin, **configuration.custom_channels}
    fitting = [
        key for key in known if name == key.strip("/") or name.startswith(key.strip("/") + "/")
    ]
    return known[max(fitting, key=len)] if fitting else configuration.channel_alias


def _below(parent: str, name: str) -> str:
    return _placed(f"{parent.rstrip('/')}/{name.strip('/')}")


def _placed(place: str) -> str:
    """A channel's URL: absolute, dots resolved, without a platform at its end, with a slash."""
    if "://" not in place:
        place = Path(os.path.normpath(Path(place).expanduser().absolute())).as_uri()
    parts = urlsplit(place.replace("\\", "/"))  # as rattler reads it
    if parts.scheme not in ("http", "https", "file", "s3", "oci", "gcs") or (
        parts.scheme != "file" and not parts.hostname
    ):
        raise RequirementError(
            "not a channel",
            value=redact(place),
            cause="a channel lies at https://, http://, file://, s3:// or oci://",
            cure="correct the URL",
        )
    path = "/" + posixpath.normpath(parts.path).strip("/") if parts.path else "/"
    path = _bare(path)
    return urlunsplit(parts._replace(path=path.rstrip("/") + "/", query="", fragment=""))


def _bare(name: str) -> str:
    """Without the platform that may stand at the end."""
    head, _, tail = name.rstrip("/").rpartition("/")
    return head if head and tail in _SUBDIRS else name.rstrip("/")


def _name(url: str) -> str:
    public = without_secrets(url).rstrip("/")
    return public.removeprefix(ALIAS + "/") if public.startswith(ALIAS + "/") else public


def _refuse_forbidden(found: Iterable[Channel], configuration: Configuration) -> None:
    allowed, denied = (
        {without_secrets(url) for name in names for url in _urls(name, configuration)}
        for names in (configuration.allowlist, configuration.denylist)
    )
    for channel in found:
        if channel.public in denied or (allowed and channel.public not in allowed):
            raise RequirementError(
                "a channel is forbidden by conda's configuration",
                value=channel.name,
                cause=(
                    f"{'denylist' if channel.public in denied else 'allowlist'}_channels in"
                    f" {', '.join(configuration.files) or 'a variable'}"
                ),
                cure="use a channel that it allows, or ask who administers it",
            )


# rattler


def cache(store: Store, kind: Literal["repodata", "pkgs"]) -> Path:
    """The folder in the store that rattler keeps its own caches in: what channels list, and
    packages. It checks what it finds there.
    """
    return store.root / "rattler" / kind


def client(configuration: Configuration) -> Client:
    """Rattler's client: with the configuration's proxies and certificates; credentials as rattler
    keeps them (its own store, ~/.netrc).
    """
    module = rattler()
    with _certificates(configuration):
        made: Client = module.Client.from_config(
            module.Config.from_toml(_toml(configuration)), max_retries=configuration.retries
        )
    return made


def gateway(configuration: Configuration, cache: Path) -> Gateway:
    """Rattler's access to the lists of packages of channels.

    Args:
        cache: a folder of its own.
    """
    module = rattler()
    action = "force-cache-only" if configuration.offline else "cache-or-fetch"
    made: Gateway = module.Gateway(
        cache_dir=cache,
        client=client(configuration),
        default_config=module.SourceConfig(cache_action=action),
    )
    return made


def wait(started: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end; in a thread of its own where an event loop runs already, as in a
    notebook.

    Ctrl-C cancels it, and goes on when it has ended: nothing writes into a folder that the caller
    then removes.
    """
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(started())
    work = _Work(started)
    threading.Thread(target=work.run, name="coffee_boat-rattler", daemon=True).start()
    try:
        work.ended.wait()
    except BaseException:
        work.cancel()
        work.ended.wait(_GRACE)
        raise
    return work.result()


class _Work(Generic[T]):
    """A coroutine for a thread, with an event loop of its own."""

    def __init__(self, started: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.ended = threading.Event()
        """Not Thread.join, which takes a thread for ended once it was interrupted (Python before
        3.13).
        """
        self._started = started
        self._cancelled = threading.Event()
        self._cancel: list[Callable[[], object]] = []
        self._result: list[T] = []
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Run it to its end."""
        import asyncio

        try:
            self._result.append(asyncio.run(self._cancellable()))
        except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
            self._failure = error
        finally:
            self.ended.set()

    def result(self) -> T:
        """What the coroutine returned; what it raised is raised."""
        if self._failure is not None:
            raise self._failure
        return self._result[0]

    def cancel(self) -> None:
        """From another thread, before it began or while it runs."""
        self._cancelled.set()
        for cancel in self._cancel:
            with suppress(RuntimeError):  # its loop has ended meanwhile
                cancel()

    async def _cancellable(self) -> T:
        import asyncio

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            self._cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
        if self._cancelled.is_set():
            raise asyncio.CancelledError
        return await self._started()


def record_of(pin: CondaPin, found: Iterable[Channel] = ()) -> RepoDataRecord:
    """What rattler installs by: the channel's own record of a pin.

    Args:
        found: the channels, for the credentials that a pin does not hold.
    """
    module, said, places = rattler(), json.loads(pin.record), tuple(found)
    record = module.PackageRecord(
        name=pin.name,
        version=pin.version,
        build=module.BuildString(pin.build),
        build_number=said.get("build_number", 0),
        subdir=pin.subdir,
        noarch=said.get("noarch"),
        depends=said.get("depends", []),
        constrains=said.get("constrains", []),
        sha256=bytes.fromhex(pin.sha256) if pin.sha256 else None,
        md5=bytes.fromhex(said["md5"]) if said.get("md5") else None,
        size=pin.size,
        license=said.get("license"),
        license_family=said.get("license_family"),
        python_site_packages_path=said.get("python_site_packages_path"),
    )
    made: RepoDataRecord = module.RepoDataRecord(
        record,
        pin.filename,
        with_secrets(pin.url, places),
        with_secrets(str(said.get("channel", "")), places),
    )
    return made


def _toml(configuration: Configuration) -> str:
    import tomli_w

    proxies = {
        scheme: configuration.proxy_servers[scheme]
        for scheme in ("http", "https")
        if configuration.proxy_servers.get(scheme)
    }
    said: dict[str, Any] = {
        "tls-no-verify": configuration.ssl_verify is False,
        "tls-root-certs": "system",
    }
    return tomli_w.dumps({**said, "proxy-config": proxies} if proxies else said)


@contextmanager
def _certificates(configuration: Configuration) -> Iterator[None]:
    """`ssl_verify: /a/file`: rattler's TLS takes the authorities from SSL_CERT_FILE, when a client
    is made. REQUESTS_CA_BUNDLE is conda's own word for it.
    """
    named = (
        configuration.ssl_verify
        if isinstance(configuration.ssl_verify, str)
        else os.environ.get("REQUESTS_CA_BUNDLE", "")
    )
    if not named or (
        not isinstance(configuration.ssl_verify, str) and "SSL_CERT_FILE" in os.environ
    ):
        yield
        return
    if not Path(named).exists():
        raise SettingsError(
            "ssl_verify names a file that is not there",
            value=named,
            cause="in .condarc or CONDA_SSL_VERIFY",
            cure="correct the path",
        )
    variable = "SSL_CERT_DIR" if Path(named).is_dir() else "SSL_CERT_FILE"
    before = os.environ.get(variable)
    os.environ[variable] = named
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
