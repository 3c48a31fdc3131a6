"""Everything to talk to an apiserver, found by `kubeconfig`."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


class Unusable(Exception):  # noqa: N818  (a state of the settings)
    """The credentials cannot be used by us; Spark's own client may do better."""


@dataclass(frozen=True)
class Access:
    """Everything to talk to an apiserver. Files are absolute; contents come before files."""

    server: str
    ca_file: str = ""
    ca: str = ""
    """PEM."""
    certificate_file: str = ""
    certificate: str = field(default="", repr=False)
    key_file: str = ""
    key: str = field(default="", repr=False)
    token_file: str = ""
    token: str = field(default="", repr=False)
    basic: str = field(default="", repr=False)
    """As user:password."""
    verify: bool = True
    server_name: str = ""
    """What the server's certificate is for, if it is not the host of `server`."""
    proxy: str = ""
    origin: str = ""
    """Where it was found, for people."""

    @property
    def headers(self) -> dict[str, str]:
        """What a request says of who sends it.

        A token's file is read each time: tokens of service accounts are changed every hour.

        Raises:
            Unusable: it cannot be read.
        """
        try:
            token = (
                Path(self.token_file).read_text("utf-8").strip() if self.token_file else self.token
            )
        except (OSError, UnicodeDecodeError) as error:
            raise Unusable(
                f"{self.origin or self.token_file}: the token's file cannot be read: {error}"
            ) from error
        if token:
            return {"Authorization": f"Bearer {token}"}
        return (
            {"Authorization": f"Basic {base64.b64encode(self.basic.encode()).decode()}"}
            if self.basic
            else {}
        )

    def tls(self) -> ssl.SSLContext:
        """The server's CA and our certificate.

        Raises:
            Unusable: one of them cannot be read.
        """
        import ssl

        try:
            context = ssl.create_default_context(
                cafile=self.ca_file or None, cadata=self.ca or None
            )
            # Python 3.13 asks more of an authority's certificate (RFC 5280) than Java and kubectl,
            # and than those of many clusters have.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            if not self.verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if self.certificate or self.certificate_file:
                with (
                    _file(self.certificate, self.certificate_file) as certificate,
                    _file(self.key, self.key_file) as key,
                ):
                    context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise Unusable(
                f"{self.origin}: a certificate or key cannot be read: {error}"
            ) from error
        return context


@contextmanager
def _file(content: str, path: str) -> Iterator[str]:
    """A file with this content, which only we can read, for as long as the block lasts: OpenSSL
    takes certificates from files only.
    """
    if not content:
        yield path
        return
    with tempfile.NamedTemporaryFile("w", encoding="ascii", prefix="coffee_boat-") as file:
        file.write(content)
        file.flush()
        yield file.name
