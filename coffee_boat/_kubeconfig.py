"""How to get into a Kubernetes cluster: the credentials that Spark's own client would find, in the
order in which it looks (fabric8's Config.autoConfigure).

A small reader, since the official client takes seconds to import, which a healthy launch would pay,
and lighter ones lack exec plugins of version 1. What it cannot use raises `Unusable`: the cluster
is then not asked, and nothing else changes.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coffee_boat import _quoting, _trust
from coffee_boat._run import redact, run

if TYPE_CHECKING:
    import ssl

_IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_EXEC_SECONDS = 10.0
"""For a plugin: most take a second or two. One that opens a browser is not waited for."""
_LIFETIME, _AGAIN, _EARLY = 300.0, 60.0, 10.0
"""Seconds that a plugin's credentials are used where it does not say; after which one that failed
is asked again; and before the end of credentials.
"""


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


def find(master: str, conf: Mapping[str, str], *, submission: bool) -> Access:
    """The credentials for a master, as Spark would find them.

    Args:
        master: as Spark takes it: "k8s://https://host:6443".
        conf: Spark's settings: spark.kubernetes.context and spark.kubernetes.authenticate.* are
            looked at.
        submission: for spark-submit in cluster mode, rather than for a driver here.

    Raises:
        Unusable: a kubeconfig cannot be read, or has what we do not know.
    """
    server = master.removeprefix("k8s://")
    server = server if "://" in server else f"https://{server}"
    found = _from_kubeconfig(conf.get("spark.kubernetes.context", "")) or _from_pod() or {}
    trusting = (
        {"verify": False}
        if conf.get("spark.kubernetes.trust.certificates", "").lower() == "true"
        else {}
    )
    return Access(
        **{**found, "server": server, **_from_settings(conf, submission=submission), **trusting}
    )


# Spark's settings


def _from_settings(conf: Mapping[str, str], *, submission: bool) -> dict[str, str]:
    prefix = (
        "spark.kubernetes.authenticate.submission."
        if submission
        else "spark.kubernetes.authenticate."
    )
    names = {
        "oauthToken": "token",
        "oauthTokenFile": "token_file",
        "caCertFile": "ca_file",
        "clientCertFile": "certificate_file",
        "clientKeyFile": "key_file",
    }
    said = {
        ours: conf[prefix + theirs] for theirs, ours in names.items() if conf.get(prefix + theirs)
    }
    over = {
        "token": {"token_file": ""},
        "token_file": {"token": ""},
        "ca_file": {"ca": ""},
        "certificate_file": {"certificate": ""},
        "key_file": {"key": ""},
    }
    return {
        **{key: value for name in said for key, value in over[name].items() if key not in said},
        **said,
    }


# a pod's service account


def _from_pod() -> dict[str, Any] | None:
    if not (_IN_POD / "token").is_file():
        return None
    return {
        "token_file": str(_IN_POD / "token"),
        "ca_file": str(_IN_POD / "ca.crt"),
        "origin": "the pod's service account",
    }


# kubeconfig


def _from_kubeconfig(context: str) -> dict[str, Any] | None:
    paths = [Path(path) for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path] or [
        Path.home() / ".kube" / "config"
    ]
    files = [(path, _read(path)) for path in paths if path.is_file()]
    if not files:
        return None
    name = context or next(
        (str(file["current-context"]) for _, file in files if file.get("current-context")), ""
    )
    if not name:
        return None
    origin = f"context {name!r} of {os.pathsep.join(str(path) for path, _ in files)}"
    chosen, _ = _named(files, "contexts", name, "context", origin)
    cluster, beside_cluster = _named(
        files, "clusters", str(chosen.get("cluster", "")), "cluster", origin
    )
    user, beside_user = (
        _named(files, "users", str(chosen["user"]), "user", origin)
        if chosen.get("user")
        else ({}, Path())
    )
    return {
        **_of_cluster(cluster, beside_cluster),
        **_of_user(user, beside_user, origin),
        "origin": origin,
    }


def _read(path: Path) -> Mapping[str, Any]:
    """A kubeconfig. It names programs to run, and files to send: one that others may write is not
    believed, though a variable names it.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        told = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise Unusable(f"{path} cannot be read: {_quoting.where(error)}") from None
    if not isinstance(told, Mapping):
        raise Unusable(f"{path} is no kubeconfig")
    doubt = _trust.doubt(path.absolute())
    if doubt is not None:
        raise Unusable(f"{path} may be written by others: {doubt.why}; {doubt.cure}")
    return told


def _named(
    files: list[tuple[Path, Mapping[str, Any]]], kind: str, name: str, key: str, origin: str
) -> tuple[Mapping[str, Any], Path]:
    """An entry by its name, and the folder that its files are relative to; of several files the
    first that has it, as kubectl does.
    """
    for path, file in files:
        for entry in file.get(kind) or ():
            if not isinstance(entry, Mapping) or not isinstance(entry.get(key) or {}, Mapping):
                raise Unusable(f"{origin}: {path} has {kind} that are not as kubeconfigs have them")
            if entry.get("name") == name:
                return entry.get(key) or {}, path.absolute().parent
    raise Unusable(f"{origin}: there is no {key} {name!r}")


def _of_cluster(cluster: Mapping[str, Any], beside: Path) -> dict[str, Any]:
    return {
        "ca": _decoded(cluster.get("certificate-authority-data")),
        "ca_file": _absolute(cluster.get("certificate-authority"), beside),
        "verify": not cluster.get("insecure-skip-tls-verify"),
        "server_name": cluster.get("tls-server-name") or "",
        "proxy": cluster.get("proxy-url") or "",
    }


def _of_user(user: Mapping[str, Any], beside: Path, origin: str) -> dict[str, Any]:
    unknown = sorted({"auth-provider", "as", "as-user-extra", "impersonate"}.intersection(user))
    if unknown:
        raise Unusable(f"{origin}: its user has {', '.join(unknown)}, which is not looked at")
    if user.get("exec"):
        return _of_plugin(user["exec"], beside, origin)
    return {
        "certificate": _decoded(user.get("client-certificate-data")),
        "certificate_file": _absolute(user.get("client-certificate"), beside),
        "key": _decoded(user.get("client-key-data")),
        "key_file": _absolute(user.get("client-key"), beside),
        "token": user.get("token") or "",
        "token_file": _absolute(user.get("tokenFile"), beside),
        "basic": f"{user['username']}:{user.get('password', '')}" if user.get("username") else "",
    }


@dataclass(frozen=True)
class _Plugin:
    """An exec plugin (client.authentication.k8s.io), as it is run."""

    argv: tuple[str, ...] = field(repr=False)
    variables: tuple[tuple[str, str], ...] = field(repr=False)
    """This process's among them: AWS_PROFILE makes somebody else of us."""
    name: str


@dataclass(frozen=True)
class _Kept:
    """What a plugin gave, for a while: it takes seconds, and may ask people something."""

    until: float
    """Seconds since the epoch."""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    failure: str = ""


_kept: dict[_Plugin, _Kept] = {}


def forget() -> None:
    """Plugins are asked anew from here on: what they gave is not accepted any more."""
    _kept.clear()


def _of_plugin(told: Mapping[str, Any], beside: Path, origin: str) -> dict[str, str]:
    """What an exec plugin gives: a token, or a certificate with its key; kept in this process until
    it runs out.
    """
    plugin = _plugin(told, beside, origin)
    kept = _kept.get(plugin)
    if kept is None or kept.until < time.time():
        kept = _kept[plugin] = _asked(plugin)
    if kept.failure:
        raise Unusable(f"{origin}: {plugin.name} gives no credentials{kept.failure}")
    return dict(kept.credentials)


def _plugin(told: Mapping[str, Any], beside: Path, origin: str) -> _Plugin:
    try:
        command = str(told.get("command", ""))
        program = (
            str(beside / command) if "/" in command and not Path(command).is_absolute() else command
        )
        info = {
            "apiVersion": told.get("apiVersion"),
            "kind": "ExecCredential",
            "spec": {"interactive": False},
        }
        variables = {
            **os.environ,
            **{str(entry["name"]): str(entry["value"]) for entry in told.get("env") or ()},
        }
        arguments = [str(argument) for argument in told.get("args") or ()]
    except (AttributeError, KeyError, TypeError) as error:
        raise Unusable(f"{origin}: its user's exec is not as kubeconfigs have it") from error
    return _Plugin(
        (program, *arguments),
        (*variables.items(), ("KUBERNETES_EXEC_INFO", json.dumps(info))),
        command,
    )


def _asked(plugin: _Plugin) -> _Kept:
    """Run it."""
    try:
        done = run(plugin.argv, env=dict(plugin.variables), timeout=_EXEC_SECONDS)
    except subprocess.TimeoutExpired:
        return _failed(
            f" within {_EXEC_SECONDS:.0f} s: it may wait for somebody to log in; kubectl auth"
            " whoami does that, then launch again"
        )
    except OSError as error:
        return _failed(f": {error.strerror or error}")
    try:
        status = dict(json.loads(done.stdout)["status"])
        credentials = {
            "token": status.get("token", ""),
            "certificate": status.get("clientCertificateData", ""),
            "key": status.get("clientKeyData", ""),
        }
        return _Kept(_end(status.get("expirationTimestamp")), credentials)
    except (ValueError, KeyError, TypeError):
        words = (
            done.stderr.strip() if done.code else "it prints no ExecCredential"
        )  # what it printed may be a secret
        return _failed(f": {redact(words) or f'exit code {done.code}'}")


def _failed(why: str) -> _Kept:
    return _Kept(time.time() + _AGAIN, failure=why)


def _end(said: object) -> float:
    """When credentials run out: RFC 3339, as "2030-01-01T00:00:00Z".

    Where that is not said, soon.
    """
    try:
        return datetime.fromisoformat(str(said).replace("Z", "+00:00")).timestamp() - _EARLY
    except ValueError:
        return time.time() + _LIFETIME


def _decoded(text: object) -> str:
    try:
        return base64.b64decode(str(text)).decode("ascii", "replace") if text else ""
    except ValueError as error:
        raise Unusable(f"a certificate or key in the kubeconfig is not base64: {error}") from error


def _absolute(path: object, beside: Path) -> str:
    return str(beside / str(path)) if path else ""


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
