"""Files over HTTP: netrc, proxies, CA bundles, index credentials; checked while they stream."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from coffee_boat._support import waiting
from coffee_boat._support.crew import Crew, go_on, sleep
from coffee_boat._support.limits import DOWNLOAD
from coffee_boat._support.logs import redacted
from coffee_boat._support.redact import redact
from coffee_boat._support.urls import credentials, origin
from coffee_boat.errors import BuildError
from coffee_boat.model import Indexes
from coffee_boat.pip.pace import LEAST, Pace
from coffee_boat.pip.partial import Partial

if TYPE_CHECKING:
    from requests import RequestException, Response, Session
    from urllib3 import Retry

_BLOCK = 1 << 15
"""Small, so that a slow server is seen to send."""
_RETRIES = 3
"""Of one file: a proxy may cut a connection off. What came is kept where the server lets us go
on."""
_NO_SUCH_RANGE = 416
_AGAIN = (408, _NO_SUCH_RANGE, 429, 500, 502, 503, 504)
_LONGEST = 60.0
"""Seconds that a server (Retry-After) may have us wait."""
_REDIRECTS = 30
_TIMEOUTS = 2
"""Of so many times the timeout a file's pace is measured: one connection may fail in it."""
_GLANCE = 0.2
"""Seconds between two looks at the pace, and whether the file is still wanted."""


class Downloads:
    """Fetches files for one call of the stage; used by several threads at once.

    Args:
        indexes: timeout, proxy, certificates and trusted hosts.
        urls: index URLs and others; where one holds credentials, they are used for its scheme, host
            and port. Elsewhere requests takes those of the user's netrc.
    """

    def __init__(self, indexes: Indexes, urls: Iterable[str]) -> None:
        self._indexes = indexes
        self._logins: Mapping[tuple[str, str, int], tuple[str, str]] = credentials(urls)
        self._local = threading.local()

    def fetch(
        self,
        url: str,
        path: Path,
        *,
        sha256: str,
        size: int | None = None,
        came: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Write the file to `path`; it is whole and has the sha256 when this returns.

        Args:
            size: bytes, as the lock says it; no more are taken.
            came: takes how many bytes are there, as they come.

        Raises:
            BuildError: it cannot be fetched, or is not the file that was locked.
            StoppedError: nobody wants it any more.
        """
        pace = Pace(_TIMEOUTS * self._indexes.timeout)
        # A thread of its own, which is left behind where it waits: nobody else can end a wait for
        # a name, a connection or an answer.
        with Crew(1, "download", patience=0.0) as crew:
            part = Partial(path)
            work = crew.submit(
                partial(self._fetch, url, part, pace, sha256=sha256, size=size, came=came)
            )
            length = 0
            while not wait([work], _GLANCE).done:
                go_on()
                if pace.too_slow:
                    raise _too_slow(url, pace)
                if pace.length != length:
                    length = pace.length
                    waiting.getting_on()
            work.result()

    def _fetch(
        self,
        url: str,
        part: Partial,
        pace: Pace,
        *,
        sha256: str,
        size: int | None,
        came: Callable[[int], None],
    ) -> None:
        from requests import RequestException
        from urllib3 import Retry

        # The first wait of urllib3 is none: that one is for a connection that was kept too long.
        retries = Retry(_RETRIES, backoff_factor=0.4, status_forcelist=_AGAIN)
        while True:
            try:
                with redacted():
                    self._stream(url, part, pace, size, came)
                break
            except RequestException as error:
                if part.sha256 == sha256:  # all but the connection's end came
                    break
                if error.response is not None and error.response.status_code == _NO_SUCH_RANGE:
                    part.forget()
                retries = self._after(error, retries, url)
                pace.begin()
        if part.sha256 != sha256:
            raise _does_not_match(url, sha256, part.sha256, size, part.length)

    def _after(self, error: RequestException, retries: Retry, url: str) -> Retry:
        """Wait as long as the server says, or longer each time; raise if it is of no use."""
        from urllib3.exceptions import InvalidHeader, MaxRetryError, ProtocolError

        if not _passing(error):
            # A traceback would show the URL as it is; what the error says is told.
            raise _cannot_fetch(url, error) from None
        answer = error.response.raw if error.response is not None else None
        try:
            left = retries.increment("GET", url, answer, None if answer else ProtocolError())
        except (MaxRetryError, ProtocolError):
            raise _cannot_fetch(url, error) from None
        try:
            asked = retries.get_retry_after(answer) if answer is not None else None
        except InvalidHeader:  # neither a number nor a date
            asked = None
        sleep(min(_LONGEST, asked or left.get_backoff_time()))
        return left

    def _stream(
        self, url: str, part: Partial, pace: Pace, size: int | None, came: Callable[[int], None]
    ) -> None:
        most = DOWNLOAD if size is None else size

        def look(length: int) -> None:
            go_on()
            if length > most:
                raise _too_long(url, size, "the server goes on sending")
            came(length)

        with self._open(url, part.headers()) as response:
            response.raise_for_status()
            stated = response.headers.get("Content-Length", "")
            if stated.isdecimal() and int(stated[:20]) > most:
                raise _too_long(url, size, f"the server says {int(stated[:20]):,} bytes")
            part.take(response, _blocks(response, pace), look)

    def _open(self, url: str, headers: Mapping[str, str]) -> Response:
        """The answer, its body not read yet; redirections are followed here, because requests reads
        the whole body of each.
        """
        from requests import TooManyRedirects

        for _ in range(_REDIRECTS):
            response = self._ask(url, headers)
            target = _target(response)
            if target is None:
                return response
            url = urljoin(url, target)
            response.close()
        raise TooManyRedirects(f"more than {_REDIRECTS} redirections")

    def _ask(self, url: str, headers: Mapping[str, str]) -> Response:
        settings = self._indexes
        proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else None
        return self._session().get(
            url,
            stream=True,
            allow_redirects=False,
            timeout=settings.timeout,
            auth=self._logins.get(origin(url)),
            # the bytes as they are stored: a .tar.gz must not be unpacked on the way
            headers={"Accept-Encoding": "identity", **headers},
            proxies=proxies,
            verify=self._verify(url),
            cert=settings.client_cert or os.environ.get("SSL_CLIENT_CERT") or None,
        )

    def _session(self) -> Session:
        """One a thread: sessions are not safe to share."""
        import requests

        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            # whatever it is told, it reads the body of an answer that leads elsewhere
            self._local.session.get_redirect_target = lambda _: None
        session: Session = self._local.session
        return session

    def _verify(self, url: str) -> bool | str:
        parts = urlsplit(url)
        if (
            parts.netloc.rpartition("@")[2] in self._indexes.trusted_hosts
            or parts.hostname in self._indexes.trusted_hosts
        ):
            return False
        named = (
            self._indexes.cert,
            *(
                os.environ.get(name)
                for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
            ),
        )
        return next((bundle for bundle in named if bundle), True)


def _target(response: Response) -> str | None:
    """Where an answer leads to."""
    from requests.sessions import SessionRedirectMixin

    return SessionRedirectMixin().get_redirect_target(response)


def _blocks(response: Response, pace: Pace) -> Iterator[bytes]:
    """The body as it is sent: nothing is unpacked on the way, whatever Content-Encoding says, since
    a hash is of the file, and a few bytes could become any number.
    """
    from requests.exceptions import ChunkedEncodingError
    from urllib3.exceptions import HTTPError

    try:
        for block in response.raw.stream(_BLOCK, decode_content=False):
            pace.came(len(block))
            yield block
    except HTTPError as error:
        raise ChunkedEncodingError(error) from error


def _passing(error: Exception) -> bool:
    """True for a failure that may not come again."""
    from requests.exceptions import (
        ChunkedEncodingError,
        ConnectionError,  # noqa: A004
        HTTPError,
        SSLError,
        Timeout,
    )

    if isinstance(error, HTTPError):
        return error.response.status_code in _AGAIN
    return isinstance(error, ConnectionError | ChunkedEncodingError | Timeout) and not isinstance(
        error, SSLError
    )


def _cannot_fetch(url: str, error: Exception) -> BuildError:
    from requests.exceptions import HTTPError, SSLError

    value = f"{redact(url)}: {redact(str(error))}"
    if isinstance(error, SSLError):
        return BuildError(
            "build.certificate-untrusted",
            "the certificate of a server is not trusted",
            value=value,
            cause="a company's proxy signs with its own authority",
            cure="export SSL_CERT_FILE=/path/to/company-ca.pem",
        )
    status = error.response.status_code if isinstance(error, HTTPError) else 0
    if status in (401, 403):
        return BuildError(
            "build.credentials-refused",
            "a server refused the credentials",
            value=value,
            cause="they are missing, wrong or expired",
            cure="put user and password (or token) into ~/.netrc or into the index URL",
        )
    if status in (404, 410):
        return BuildError(
            "build.locked-file-missing",
            "a file of the lock is not there any more",
            value=value,
            cause="it was deleted from the index since it was locked",
            cure="make the lock again",
        )
    return BuildError(
        "build.fetch-failed",
        "a file cannot be fetched",
        value=value,
        cause="no network, a proxy that is not set, or a server in trouble",
        cure="try again; export HTTPS_PROXY=http://proxy:port if there is a proxy",
    )


def _too_slow(url: str, pace: Pace) -> BuildError:
    return BuildError(
        "build.fetch-too-slow",
        "a server sends too slowly",
        value=f"{redact(url)}: {pace.length:,} bytes so far",
        cause=(
            f"less than {LEAST:,} bytes a second for {pace.seconds:.0f} s: a server in trouble, or"
            " a proxy that holds files back while it looks at them"
        ),
        cure="try again; name another index_url; or raise timeout (this is twice as long)",
    )


def _does_not_match(url: str, wanted: str, got: str, size: int | None, length: int) -> BuildError:
    sizes = f", {length:,} bytes" + (f" of {size:,}" if size is not None else "")
    return BuildError(
        "build.fetched-file-differs",
        "a fetched file does not match the lock",
        value=f"{redact(url)}: sha256 {got}{sizes}; the lock has {wanted}",
        cause="the file was replaced on the index, or a proxy answered with a page of its own",
        cure="open the URL in a browser; if the file is right, make the lock again",
    )


def _too_long(url: str, size: int | None, found: str) -> BuildError:
    if size is None:
        return BuildError(
            "build.file-too-large",
            "a file of unknown size is too large to be fetched",
            value=f"{redact(url)}: {found}; {DOWNLOAD:,} bytes are taken of what no lock bounds",
            cause="the lock does not say its size, and a server may send without an end",
            cure="write its size into the lock (size = ...), or download it and give its path",
        )
    return BuildError(
        "build.fetched-file-differs",
        "a fetched file does not match the lock",
        value=f"{redact(url)}: {found}; the lock has {size:,} bytes",
        cause="the file was replaced on the index, or the server does not stop",
        cure="open the URL in a browser; if the file is right, make the lock again",
    )
