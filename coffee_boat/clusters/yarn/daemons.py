"""Hadoop's daemons, asked over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coffee_boat._support import limits, parse
from coffee_boat.errors import LaunchError

if TYPE_CHECKING:
    from urllib.error import HTTPError


_CONNECT, _ANSWER = 3.0, 5.0
"""Seconds: a daemon that is there accepts at once."""
_WHOLE = 60.0
"""Seconds for all of an answer."""


class NoAnswer(Exception):  # noqa: N818 - an answer that is not there, which callers take as one
    """A daemon did not answer a question over HTTP; the text says why."""


@dataclass(frozen=True)
class Service:
    """One daemon: where its clients call it, and where it speaks HTTP."""

    host: str
    port: int
    url: str
    """Scheme, host and port."""

    def reachable(self) -> str:
        """Connect to its port; empty if that went well, else what the system said."""
        try:
            with socket.create_connection((self.host, self.port), timeout=_CONNECT):
                return ""
        except (
            OSError,
            UnicodeError,
        ) as error:  # the latter for what cannot be a host's name, as one that begins with a dot
            return str(error)

    def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        """GET a JSON object.

        Raises:
            NoAnswer: refused, not allowed, or no JSON.
        """
        try:
            told = parse.json(get(f"{self.url}{path}", **parameters))
        except ValueError as error:
            raise NoAnswer(f"{self.url}{path}: {error}") from error
        if not isinstance(told, dict):
            raise NoAnswer(f"{self.url}{path}: no object")
        return told


@contextmanager
def shaped(what: str) -> Iterator[None]:
    """For where an answer becomes values: one of another shape is none.

    Raises:
        NoAnswer: something in it is not there, or of another kind.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NoAnswer(
            f"{what} are told in a way that is not known here: {type(error).__name__} {error}"
        ) from error


def refuse_unreachable(services: Sequence[Service], code: str, what: str, *, cure: str) -> None:
    """One of them is enough.

    Raises:
        LaunchError: no port of theirs accepts.
    """
    refusals: dict[str, None] = {}
    for service in services:
        refusal = service.reachable()
        if not refusal:
            return
        refusals[refusal] = None
    if refusals:
        raise LaunchError(
            code,
            what,
            value=", ".join(f"{service.host}:{service.port}" for service in services),
            cause="; ".join(refusals),
            cure=cure,
        )


def get(url: str, **parameters: str) -> bytes:
    """What a daemon answers to a GET.

    Raises:
        NoAnswer: it is not there, or refuses; with its own words.
    """
    import http.client
    import urllib.error
    import urllib.parse
    import urllib.request

    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({})
    )  # as Hadoop's own client, which knows no proxies: these hosts are near
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    try:
        asked = urllib.request.Request(  # noqa: S310 - http or https, by how it is made
            f"{url}{query}", headers={"Accept": "application/json, */*"}
        )
        with direct.open(asked, timeout=_ANSWER) as answer:
            body = limits.read_answer(answer, seconds=_WHOLE)
    except urllib.error.HTTPError as error:
        with error:  # an answer, too: left open, it keeps its connection
            raise NoAnswer(f"{url}: HTTP {error.code} {_words(_said(error))}".strip()) from error
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        raise NoAnswer(f"{url}: {error}") from error
    return body


def host_and_port(address: str, port: int) -> tuple[str, int]:
    """Host and port of an address; `port` where it names none."""
    host, colon, said = address.rpartition(":")
    return (host, int(said)) if colon and said.isdigit() else (address, port)


def _said(error: HTTPError) -> bytes:
    """The body of a refusal; nothing if that has no end."""
    try:
        return limits.read_answer(error, seconds=_WHOLE)
    except OSError:
        return b""


def _words(body: bytes) -> str:
    """What a RemoteException of Hadoop's says (WebHDFS and YARN's REST have one form)."""
    try:
        return str(parse.json(body)["RemoteException"]["message"]).strip().partition("\n")[0]
    except (ValueError, KeyError, TypeError):
        return ""
