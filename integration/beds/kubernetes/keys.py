"""The cluster's keys: a CA, a certificate for each part, and kubeconfigs that hold them."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

_DAYS = 30


class Keys:
    """A folder of keys with one CA."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        key, certificate = self.key("ca"), self.certificate("ca")
        extension = ("-addext", "keyUsage=critical,keyCertSign,digitalSignature")
        self._new_key(key)
        _openssl(
            "req",
            "-x509",
            "-new",
            "-key",
            key,
            "-subj",
            "/CN=boat-bed",
            "-days",
            _DAYS,
            "-out",
            certificate,
            *extension,
        )
        _openssl("genrsa", "-out", self.key("service-accounts"), 2048)
        _openssl(
            "rsa",
            "-in",
            self.key("service-accounts"),
            "-pubout",
            "-out",
            folder / "service-accounts.pub",
        )

    def key(self, name: str) -> Path:
        """The file of a private key."""
        return self.folder / f"{name}.key"

    def certificate(self, name: str) -> Path:
        """The file of a certificate."""
        return self.folder / f"{name}.crt"

    def issue(self, name: str, subject: str, alternatives: str = "") -> None:
        """A key and a certificate.

        Args:
            subject: "/O=GROUP/CN=USER": what RBAC sees.
            alternatives: names and addresses of a server, as openssl's subjectAltName.
        """
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        names = f"subjectAltName={alternatives}\n" if alternatives else ""
        extensions.write_text(
            f"keyUsage=digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\nbasicConstraints=CA:FALSE\n{names}"
        )
        self._new_key(self.key(name))
        _openssl("req", "-new", "-key", self.key(name), "-subj", subject, "-out", request)
        signed_by = ("-CA", self.certificate("ca"), "-CAkey", self.key("ca"), "-CAcreateserial")
        _openssl(
            "x509",
            "-req",
            "-in",
            request,
            *signed_by,
            "-days",
            _DAYS,
            "-out",
            self.certificate(name),
            "-extfile",
            extensions,
        )

    def kubeconfig(self, name: str, server: str, path: Path) -> Path:
        """Write the settings of a client that is this name; nobody else may read them."""
        text = json.dumps(self._client(name, server), indent=1)  # JSON is YAML
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def _client(self, name: str, server: str) -> dict[str, object]:
        cluster = {"server": server, "certificate-authority-data": _encoded(self.certificate("ca"))}
        user = {
            "client-certificate-data": _encoded(self.certificate(name)),
            "client-key-data": _encoded(self.key(name)),
        }
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bed",
            "clusters": [{"name": "bed", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [
                {"name": "bed", "context": {"cluster": "bed", "user": name, "namespace": "default"}}
            ],
        }

    @staticmethod
    def _new_key(path: Path) -> None:
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _openssl(*arguments: object) -> None:
    subprocess.run(
        ["openssl", *map(str, arguments)], check=True, capture_output=True, stdin=subprocess.DEVNULL
    )
