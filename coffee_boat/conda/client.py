"""rattler: its client with the configuration's proxies and certificates, and its event loop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from coffee_boat._support.futures import wait_for
from coffee_boat._support.store import Store
from coffee_boat.conda.configuration import Configuration
from coffee_boat.errors import BoatError, RequirementError, SettingsError

if TYPE_CHECKING:
    from rattler import Client, Gateway


T = TypeVar("T")

_GRACE = 10.0
"""Seconds that what was cancelled gets to end."""
NO_TEXT = "a character in it is none of Unicode's"
"""Half of a surrogate pair, which no text of Rust's has: argv that is not UTF-8, JSON's \\ud800."""
_ONE_AT_A_TIME = threading.Lock()
"""Of two clients that are made at once, each gets the certificates that were named for it."""


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
        "requirements.conda-libraries-missing",
        "conda packages need more libraries than are installed",
        value=str(error),
        cause=(
            "they are an extra: py-rattler solves and installs, conda-pack packs; no conda is"
            " needed"
        ),
        cure="pip install py-rattler conda-pack",
    )


@contextmanager
def reading(
    kind: type[BoatError], code: str, what: str, value: str, cure: str, *also: type[Exception]
) -> Iterator[None]:
    """Around work with what a person or a file said: rattler refuses each part of it by an error
    of its own (a channel, a spec, a version).

    Args:
        also: what else is taken for a refusal: ValueError is urllib's, of an address.

    Raises:
        BoatError: of that kind, with rattler's first line.
    """
    try:
        yield
    except UnicodeEncodeError:
        cause = NO_TEXT
    except (*_refusals(), *also) as error:
        cause = (
            "an address in it cannot be read: its host or its port"  # theirs quotes a password
            if isinstance(error, ValueError)
            else str(error).partition("\n")[0]
        )
    else:
        return
    raise kind(code, what, value=value, cause=cause, cure=cure)


def _refusals() -> tuple[type[Exception], ...]:
    found = vars(rattler().exceptions).values()
    return tuple(one for one in found if isinstance(one, type) and issubclass(one, Exception))


# rattler


def repodata(store: Store) -> Path:
    """The folder in the store that rattler keeps what channels list in."""
    return store.root / "rattler/repodata"


class PanickedError(Exception):
    """Rattler met what it does not expect: a panic of Rust's."""


def failures() -> tuple[type[Exception], ...]:
    """What rattler raises."""
    return (
        PanickedError,
        *(
            kind
            for kind in vars(rattler().exceptions).values()
            if isinstance(kind, type)
            and issubclass(kind, Exception)
            and not issubclass(kind, Warning)
        ),
    )


def client(configuration: Configuration) -> Client:
    """Rattler's client: with the configuration's proxies and certificates; credentials as rattler
    keeps them (its own store, ~/.netrc).
    """
    module = rattler()
    with _ONE_AT_A_TIME, _certificates(configuration):
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
    try:
        return _waited(started)
    except BaseException as error:
        if type(error).__name__ not in (
            "PanicException",
            "RustPanic",
        ):  # pyo3's; no module has them
            raise
        # of what it was given: a stranger's package, most often
        raise PanickedError(f"rattler gave up\n{str(error)[:500]}") from None


def _waited(started: Callable[[], Coroutine[Any, Any, T]]) -> T:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(started())
    work = _Work(started)
    threading.Thread(target=work.run, name="coffee_boat-rattler", daemon=True).start()
    try:
        wait_for(work.ended)
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
            "settings.ssl-verify-missing",
            "ssl_verify names a file that is not there",
            value=named,
            cause="in .condarc or CONDA_SSL_VERIFY",
            cure="correct the path",
        )
    variable = "SSL_CERT_DIR" if Path(named).is_dir() else "SSL_CERT_FILE"
    # A client takes them from nowhere else. os.putenv leaves os.environ as it is, which the user's
    # other threads read and hand to what they start.
    os.putenv(variable, named)
    try:
        yield
    finally:
        theirs = os.environ.get(variable)
        if theirs is None:
            os.unsetenv(variable)
        else:
            os.putenv(variable, theirs)
