"""Spark Connect: when a session of it starts in this process, and what its failures mean.

A Connect session has no SparkContext here: its driver is a server. So nothing can be set before it
starts; what it needs is sent when it is there.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from coffee_boat._support.redact import redact
from coffee_boat.errors import LaunchError, Problem
from coffee_boat.spark.wrapping import wrap

SCHEME = "sc://"
REMOTE, API_MODE = "spark.remote", "spark.api.mode"
_PORT = 15002
"""Of a server where its URL names none."""
_SECONDS = 5.0
"""For a server's port to answer; Spark's own client goes on trying for ten minutes."""
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
"""As gRPC heeds them: then the server's own port need not be in reach."""
AGAIN = (
    'spark.stop(); spark = SparkSession.builder.remote("sc://...").getOrCreate(); then'
    " captain.board(spark), which brings everything back"
)

_GONE = re.compile(
    r"SESSION_CHANGED|SESSION_CLOSED|SESSION_NOT_FOUND|SESSION_NOT_SAME|OPERATION_ABANDONED"
    r"|NO_ACTIVE_SESSION|Session (?:not found|was closed)|closed channel|Channel closed",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(
    r"UNAVAILABLE|DEADLINE_EXCEEDED|failed to connect|RETRIES_EXCEEDED|Connection refused"
    r"|DNS resolution failed|deadline exceeded",
    re.IGNORECASE,
)
_LACKS = re.compile(r"UNIMPLEMENTED|not (?:yet )?(?:implemented|supported)|unsupported", re.I)
_DENIED = re.compile(r"UNAUTHENTICATED|PERMISSION_DENIED|Invalid authentication|Unauthorized")
_LARGE = re.compile(r"RESOURCE_EXHAUSTED|No space left", re.IGNORECASE)


# which session starts


@dataclass(frozen=True)
class Defaults:
    """What a launch says of sessions that start.

    Args:
        master: where the program names none: "sc://host:15002" for a Connect server.
        conf: settings, where the program sets none itself.
    """

    master: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict, repr=False)

    def starts_remote(self, options: Mapping[str, Any]) -> bool:
        """True if a builder with these options starts a Connect session, as pyspark's own decides
        it (pyspark.sql.SparkSession.Builder.getOrCreate).
        """
        if client_only() or options.get(REMOTE):
            return True
        if any(os.environ.get(name) for name in ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED")):
            return True
        if is_remote(self.master) and not (options.get("spark.master") or os.environ.get("MASTER")):
            return True
        said = {**self.conf, **options}.get(API_MODE) or os.environ.get("SPARK_API_MODE", "")
        return (str(said).lower() or _default_mode()) == "connect"

    def complete(self, builder: Any) -> None:
        """Put them into a builder, under what the program says itself."""
        options = getattr(builder, "_options", {})
        named = any(options.get(key) for key in (REMOTE, "spark.master"))
        if self.master and not (named or os.environ.get("SPARK_REMOTE")):
            builder.config(REMOTE if is_remote(self.master) else "spark.master", self.master)
        for key, value in self.conf.items():
            if key not in options:
                builder.config(key, value)


class Remote:
    """Sends what is launched to each Connect session that a builder starts.

    Args:
        connected: called with a session that is there; if it raises, one that is new is stopped.
    """

    def __init__(self, defaults: Defaults, connected: Callable[[Any], None]) -> None:
        self.defaults = defaults
        self._connected = connected
        self._thread = threading.local()

    @property
    def starting(self) -> bool:
        """True while this thread starts one: pyspark may start a server in this process for it,
        whose SparkContext is nobody's session.
        """
        return getattr(self._thread, "starting", False)

    def session(self, original: Callable[..., Any], builder: Any, *args: Any, **kwargs: Any) -> Any:
        """A session of a builder's `getOrCreate` or `create`, with what is launched.

        Raises:
            LaunchError: no server answers, or what it says is known.
        """
        if self.starting:  # a builder's own detour
            return original(builder, *args, **kwargs)
        self.defaults.complete(builder)
        url = str(builder._options.get(REMOTE) or os.environ.get("SPARK_REMOTE") or "")
        if is_remote(url):
            refuse_silent(url)
        there = _there()
        with self._server_starts():
            try:
                session = original(builder, *args, **kwargs)
            except ImportError as error:
                raise LaunchError.of(client_incomplete(str(error))) from error
            except Exception as error:
                if (known := problem(error, url)) is None:
                    raise
                raise LaunchError.of(known) from error
        if is_session(session):
            try:
                self._connected(session)
            except BaseException:
                if all(session is not each for each in there):
                    session.stop()
                raise
        return session

    @contextmanager
    def _server_starts(self) -> Iterator[None]:
        self._thread.starting = True
        try:
            yield
        finally:
            self._thread.starting = False


class RemoteOnly:
    """The hook where pyspark has no SparkContext: there are Connect sessions only."""

    def __init__(self, builder: Any, remote: Remote, launch: Any, mark: str) -> None:
        """
        Args:
            builder: the class of pyspark's builders.
            launch: what is in force; of the hook that comes next.
            mark: the attribute of the class that names the hook in force.
        """
        self.active, self.launch = True, launch
        self._builder, self._mark = builder, mark

        def made(original: Callable[..., Any]) -> Callable[..., Any]:
            def session(builder: Any, *args: Any, **kwargs: Any) -> Any:
                if not self.active:
                    return original(builder, *args, **kwargs)
                return remote.session(original, builder, *args, **kwargs)

            return session

        with ExitStack() as undo:  # both of them or none
            names = [name for name in ("getOrCreate", "create") if hasattr(builder, name)]
            self._wraps = [wrap(builder, name, made, undo) for name in names]
            setattr(builder, mark, self)
            undo.pop_all()

    def remove(self) -> None:
        """Put pyspark's functions back."""
        self.active = False
        for wrapped in self._wraps:
            wrapped.undo()
        if self._builder.__dict__.get(self._mark) is self:
            delattr(self._builder, self._mark)


def is_remote(url: str | None) -> bool:
    """True for sc://host:15002."""
    return url is not None and url.startswith(SCHEME)


def expected(master: str | None, conf: Mapping[str, str] | None = None) -> bool:
    """True if the next session of a launch is one of Connect, as far as can be known before."""
    return is_remote(master) or Defaults(master, dict(conf or {})).starts_remote({})


def is_session(handed: Any) -> bool:
    """True for a SparkSession of Spark Connect."""
    return type(handed).__module__.startswith("pyspark.sql.connect")


def among(values: Iterable[Any]) -> Any | None:
    """A session of Spark Connect among values, of which it has not been stopped; else None."""
    sessions = (value for value in values if is_session(value) and hasattr(value, "client"))
    return next((each for each in sessions if not getattr(each, "is_stopped", False)), None)


def _there() -> tuple[Any, Any]:
    """This thread's session and the default one, which a builder gives again; or None."""
    owner = getattr(sys.modules.get("pyspark.sql.connect.session"), "SparkSession", None)
    active = getattr(owner, "_active_session", None)
    return getattr(active, "session", None), getattr(owner, "_default_session", None)


def client_only() -> bool:
    """True if the pyspark that is imported has no SparkContext: pyspark-client, or pyspark-connect
    without its JVM. Imports nothing.
    """
    is_remote_only = getattr(sys.modules.get("pyspark.util"), "is_remote_only", None)
    return bool(is_remote_only()) if is_remote_only is not None else False


def _default_mode() -> str:
    """What pyspark does where nobody says anything; Spark 3.5 knows one mode only."""
    default = getattr(sys.modules.get("pyspark.util"), "default_api_mode", None)
    return str(default()) if default is not None else "classic"


# a server


def address(url: str) -> str:
    """sc://host:port, without a user, a token and all other parameters."""
    host, port = _host_and_port(url)
    return f"{SCHEME}{f'[{host}]' if ':' in host else host}:{port}"


def refuse_silent(url: str) -> None:
    """Raise if nobody listens at a server's address.

    Raises:
        LaunchError: nobody does; or the address is none.
    """
    host, port = _host_and_port(url)
    if any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        return
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        raise LaunchError.of(unreachable(address(url), str(error))) from error


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit("http" + url.removeprefix("sc").partition(";")[0])
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        host, port = None, 0
    if not host:
        raise LaunchError(
            "launch.connect-address-invalid",
            "the address of the Spark Connect server cannot be used",
            value=redact(url),
            cause="it is sc://host:port, with parameters after a slash and a semicolon",
            cure="write it as sc://host:15002, or sc://host:15002/;use_ssl=true;token=...",
        )
    return host, port


# what a failure means


def unreachable(server: str, cause: str) -> Problem:
    """What is said of a server that does not answer."""
    return Problem(
        "launch.connect-unreachable",
        "the Spark Connect server does not answer",
        value=server,
        cause=cause or "it does not run, or a firewall or another port is between",
        cure="start it (sbin/start-connect-server.sh in Spark's folder), or correct host and port",
    )


def ended(server: str) -> Problem:
    """What is said of a session that is there no more."""
    return Problem(
        "session.connect-ended",
        "the Spark Connect session has ended",
        value=server,
        cause="the server was started anew, ended the session, or the connection is gone",
        cure=AGAIN,
    )


def client_incomplete(cause: str) -> Problem:
    """What is said where pyspark's own client cannot be imported."""
    return Problem(
        "launch.connect-client-incomplete",
        "this Python lacks what a client of Spark Connect needs",
        value=sys.executable,
        cause=cause,
        cure='pip install "pyspark[connect]", of your server\'s version; or pip install'
        " pyspark-client",
    )


def denied(server: str, cause: str) -> Problem:
    """What is said of a server that refuses a session."""
    return Problem(
        "launch.connect-denied",
        "the Spark Connect server does not let us in",
        value=server,
        cause=cause,
        cure="look at token= and user_id= in the URL, or ask who runs the server",
    )


def problem(error: BaseException, url: str) -> Problem | None:
    """What a failure of a Connect session means; None if it is not of the connection.

    Args:
        url: of the server; empty if it is one of pyspark's own in this process.
    """
    if not _is_of_the_protocol(error):
        return None
    text = _text(error)
    server = address(url) if is_remote(url) else "of this process"
    if _GONE.search(text):
        return ended(server)
    if _DENIED.search(text):
        return denied(server, _line(error))
    if _UNREACHABLE.search(text):
        return unreachable(server, _line(error))
    return None


def asking(error: BaseException, url: str) -> Problem | None:
    """What is said where a server does not answer a question; None if it is no failure of it."""
    known = problem(error, url)
    if known is not None or not _is_of_the_protocol(error):
        return known
    lacks = _LACKS.search(_text(error))
    return Problem(
        "session.connect-call-failed",
        "the Spark Connect server does not do what was asked of it",
        value=address(url) if is_remote(url) else "",
        cause=_line(error),
        cure="it lacks a call of the protocol: use a server of Spark 3.5 or newer"
        if lacks
        else "look at the server's log",
    )


def sending(error: BaseException, url: str, name: str) -> Problem:
    """What is said where a server did not take an archive."""
    if (known := problem(error, url)) is not None:
        return known
    text = _text(error)
    if _LACKS.search(text):
        return Problem(
            "ship.connect-no-artifacts",
            "the Spark Connect server takes no archives",
            value=name,
            cause=f"it lacks AddArtifacts, or refuses archives: {_line(error)}",
            cure="use a server of Spark 3.5 or newer; or who runs it sets what boat conf"
            " --format connect-server prints",
        )
    return Problem(
        "ship.connect-refused",
        "the Spark Connect server did not take an archive",
        value=name,
        cause=_line(error),
        cure="look for a full disk on the server (spark.local.dir), and at its log"
        if _LARGE.search(text)
        else "look at the server's log",
    )


def _is_of_the_protocol(error: BaseException) -> bool:
    """True for what gRPC, or pyspark's client of it, raises."""
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    return any(
        kind.startswith(("grpc.", "pyspark.errors.exceptions.connect."))
        or kind.endswith(("RetriesExceeded", "SparkNoSuchElementException"))
        for kind in kinds
    ) or (isinstance(error, ValueError) and "closed channel" in str(error))


def _text(error: BaseException) -> str:
    """All that it tells: its kind and gRPC's status are more than its words at times."""
    status = getattr(error, "getGrpcStatusCode", lambda: "")()
    return redact(f"{type(error).__name__}: {error} {status}")


def _line(error: BaseException) -> str:
    """The first line that says something, of a text that may have a stack trace."""
    text = redact(str(error))
    found = re.search(r"details = \"([^\"]+)\"", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return found[1] if found else next(iter(lines), "it says nothing")[:300]
