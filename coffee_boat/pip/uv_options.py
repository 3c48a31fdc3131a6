"""What uv is told of indexes.

URLs go to uv by its environment variables, never by argv: they may hold credentials, and argv shows
in the process list. What is not said in `Indexes` is left to uv's own configuration (uv.toml,
[tool.uv], UV_*), which it reads from the working directory up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from coffee_boat._support import home
from coffee_boat._support.redact import redact
from coffee_boat._support.uv import configuration, refuse_strangers
from coffee_boat.model import Indexes

NO_PROJECT = "[tool.uv]\nmanaged = false\n"
"""A pyproject.toml for our own folders: uv looks above what it reads for a project, and the store
may lie in one that is not meant."""


def environment(indexes: Indexes) -> dict[str, str | None]:
    """Changes to uv's environment that say where packages come from and how they are fetched.

    Raises:
        SettingsError: uv would read a file that others may write.
    """
    refuse_strangers(Path.cwd(), os.environ)
    changes: dict[str, str | None] = {
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
        "FORCE_COLOR": None,
        "COLUMNS": "100000",  # uv breaks its lines there, and some of its words are looked for
        "UV_PYTHON_DOWNLOADS": "never",
    }
    changes |= _places(indexes)
    changes |= _transport(indexes)
    if indexes.offline:
        changes["UV_OFFLINE"] = "1"
    return changes


def options(indexes: Indexes) -> list[str]:
    """What has no environment variable, and no secret in it."""
    argv = ["--no-index"] if indexes.no_index else []
    for flag, names in (("--no-binary", indexes.no_binary), ("--only-binary", indexes.only_binary)):
        argv += [f"{flag}={name}" for name in names]
    return [*argv, "--prerelease", "allow"] if indexes.prerelease else argv


def index_urls(indexes: Indexes) -> tuple[str, ...]:
    """Every index and find-links URL in force, credentials and all: ours, then UV_*, then uv's
    configuration files.
    """
    own = [indexes.index_url or "", *indexes.extra_index_urls, *indexes.find_links]
    named = [
        *_words("UV_DEFAULT_INDEX"),
        *_words("UV_INDEX_URL"),
        *_words("UV_INDEX"),
        *_words("UV_EXTRA_INDEX_URL"),
        *os.environ.get("UV_FIND_LINKS", "").split(","),
    ]
    configured = [entry for table in configuration() for entry in _configured(table)]
    return tuple(
        url for url in (with_login(entry) for entry in [*own, *named, *configured]) if "://" in url
    )


def in_words(indexes: Indexes) -> str:
    """What is asked, for people: without credentials."""
    if indexes.offline:
        return "what is here (offline)"
    local = [place for place in indexes.find_links if "://" not in place]
    asked = [redact(url) for url in dict.fromkeys((*index_urls(indexes), *local))]
    main = [] if indexes.no_index or _names_main(indexes) else ["uv's own main index"]
    return ", ".join([*main, *asked]) or "no index"


def _names_main(indexes: Indexes) -> bool:
    """True if somebody says which index is the main one."""
    named = indexes.index_url or _words("UV_DEFAULT_INDEX") or _words("UV_INDEX_URL")
    return bool(named) or any(
        settings.get("index-url")
        or any(index.get("default") for index in settings.get("index", []))
        for table in configuration()
        for settings in (table, table.get("pip", {}))
    )


def _places(indexes: Indexes) -> dict[str, str | None]:
    changes: dict[str, str | None] = {}
    if indexes.index_url:
        changes |= {"UV_DEFAULT_INDEX": indexes.index_url, "UV_INDEX_URL": None}
    if indexes.extra_index_urls:
        changes["UV_INDEX"] = " ".join([*indexes.extra_index_urls, *_words("UV_INDEX")])
    if indexes.find_links:
        also = [os.environ["UV_FIND_LINKS"]] if os.environ.get("UV_FIND_LINKS") else []
        changes["UV_FIND_LINKS"] = ",".join([*map(_as_url, indexes.find_links), *also])
    return changes


def _transport(indexes: Indexes) -> dict[str, str | None]:
    changes: dict[str, str | None] = {}
    cert = indexes.cert or (
        None if "SSL_CERT_FILE" in os.environ else os.environ.get("REQUESTS_CA_BUNDLE")
    )
    if cert:
        changes["SSL_CERT_FILE"] = cert
    if indexes.client_cert:
        changes["SSL_CLIENT_CERT"] = indexes.client_cert
    if indexes.trusted_hosts:
        changes["UV_INSECURE_HOST"] = " ".join(indexes.trusted_hosts)
    if indexes.proxy:
        changes |= dict.fromkeys(
            ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
            indexes.proxy,
        )
    if "UV_HTTP_TIMEOUT" not in os.environ:
        changes["UV_HTTP_TIMEOUT"] = str(max(1, round(indexes.timeout)))
    return changes


def _as_url(place: str) -> str:
    """A find-links entry as uv's comma-separated list can hold it."""
    if "://" in place:
        return place.replace(",", "%2C")
    return home.expanded(place).absolute().as_uri().replace(",", "%2C")


def _words(variable: str) -> list[str]:
    return os.environ.get(variable, "").split()


def _configured(table: Mapping[str, Any]) -> Iterator[str]:
    for settings in (table, table.get("pip", {})):
        for index in settings.get("index", []):
            yield f"{index.get('name', '')}={index.get('url', '')}"
        yield str(settings.get("index-url", ""))
        for key in ("extra-index-url", "find-links"):
            yield from map(str, settings.get(key, []))


def with_login(entry: str) -> str:
    """`name=url` as the URL, with the credentials of UV_INDEX_<NAME>_USERNAME and _PASSWORD where
    it has none.
    """
    named = re.match(r"([A-Za-z0-9_.-]*)=(.+)", entry)
    if not named:
        return entry
    name, url = named.groups()
    variable = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    user, password = os.environ.get(f"{variable}_USERNAME"), os.environ.get(f"{variable}_PASSWORD")
    parts = urlsplit(url)
    if "@" in parts.netloc or not (user or password):
        return url
    return urlunsplit(
        parts._replace(
            netloc=f"{quote(user or '', safe='')}:{quote(password or '', safe='')}@{parts.netloc}"
        )
    )
