"""Credentials inside URLs: taken out, kept aside, handed on where no process list shows them."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

_QUIET_REPOSITORY = (("core.fsmonitor", "false"), ("core.hooksPath", os.devnull))
"""Programs that a repository of somebody else's may name, and that nobody asked for."""
_PORTS = {"http": 80, "https": 443}


def lenient(url: str) -> SplitResult:
    """As urlsplit, of what Spark or Hadoop reads again and has words for: of what is no URL (an odd
    [ in it, say) the scheme, and all the rest as its path.
    """
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        scheme, colon, rest = url.partition(":")
        path, _, fragment = (rest if colon else url).partition("#")
        return SplitResult(scheme.lower() if colon else "", "", path, "", fragment)
    return parts


def without_credentials(url: str) -> str:
    """The URL without user and password.

    An ssh user stays: it is a name, not a secret, and git needs it.
    """
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, host = parts.netloc.rpartition("@")[::2]
    keep = user.partition(":")[0] + "@" if parts.scheme.endswith("ssh") else ""
    return urlunsplit(parts._replace(netloc=keep + host))


def without_query(url: str) -> str:
    """The URL as it may be kept: without user and password, and without its query, which may be a
    token. What pip knows of a fragment (a hash, a subdirectory) stays.
    """
    bare, _, fragment = without_credentials(url).partition("#")
    kept = [
        part
        for part in fragment.split("&")
        if part.partition("=")[0]
        in ("", "egg", "subdirectory", "md5", "sha256", "sha384", "sha512")
    ]
    # Cut by hand: urlunsplit makes git+file:/path of git+file:///path.
    return "#".join(filter(None, (bare.partition("?")[0], "&".join(kept))))


def credentials(urls: Iterable[str]) -> Mapping[tuple[str, str, int], tuple[str, str]]:
    """(scheme, host, port) -> (user, password), the first that says so for each."""
    found: dict[tuple[str, str, int], tuple[str, str]] = {}
    for url in urls:
        parts = urlsplit(url)
        if parts.username is not None:
            found.setdefault(origin(url), (unquote(parts.username), unquote(parts.password or "")))
    return found


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL: what its credentials are good for."""
    parts = urlsplit(url)
    scheme = parts.scheme.rpartition("+")[2]
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme, 0)


def git_environment(urls: Iterable[str]) -> dict[str, str | None]:
    """Environment for git: never ask at a terminal, and log in to the hosts of `urls` with the
    credentials that they carry.

    By a header: a URL that is rewritten (insteadOf) would show in the arguments of git's own helper
    processes.
    """
    start = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    logins = sorted(
        {
            _header(url)
            for url in urls
            if url.startswith("git+http") and urlsplit(url).username is not None
        }
    )
    environment: dict[str, str | None] = {"GIT_TERMINAL_PROMPT": "0"}
    logins = [*_QUIET_REPOSITORY, *logins]
    for number, (key, value) in enumerate(logins, start):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {**environment, "GIT_CONFIG_COUNT": str(start + len(logins))}


def _header(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    login = b64encode(
        f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
    ).decode()
    return (
        f"http.{parts.scheme.removeprefix('git+')}://{parts.netloc.rpartition('@')[2]}/.extraHeader",
        f"Authorization: Basic {login}",
    )
