"""How to get into a Kubernetes cluster: the credentials that Spark's own client would find, in the
order in which it looks (fabric8's Config.autoConfigure).

A small reader, since the official client takes seconds to import, which a healthy launch would pay,
and lighter ones lack exec plugins of version 1. What it cannot use raises `Unusable`: the cluster
is then not asked, and nothing else changes.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coffee_boat._support import home, limits, parse, quoting, trust
from coffee_boat._support.files import is_file
from coffee_boat.clusters.kubernetes.access import Access, Unusable
from coffee_boat.clusters.kubernetes.plugin import of_plugin

_IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")


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
    if not is_file(_IN_POD / "token"):
        return None
    return {
        "token_file": str(_IN_POD / "token"),
        "ca_file": str(_IN_POD / "ca.crt"),
        "origin": "the pod's service account",
    }


# kubeconfig


def _from_kubeconfig(context: str) -> dict[str, Any] | None:
    own = home.folder(os.environ)
    paths = [Path(path) for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path] or (
        [own / ".kube" / "config"] if own else []
    )
    files = [(path, _read(path)) for path in paths if is_file(path)]
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
    try:
        told = parse.yaml(limits.read_text(path, limits.CONFIGURATION))
    except (OSError, ValueError) as error:
        raise Unusable(f"{path} cannot be read: {quoting.where(error)}") from None
    if not isinstance(told, Mapping):
        raise Unusable(f"{path} is not a valid kubeconfig")
    doubt = trust.doubt(path.absolute())
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
        return of_plugin(user["exec"], beside, origin)
    return {
        "certificate": _decoded(user.get("client-certificate-data")),
        "certificate_file": _absolute(user.get("client-certificate"), beside),
        "key": _decoded(user.get("client-key-data")),
        "key_file": _absolute(user.get("client-key"), beside),
        "token": user.get("token") or "",
        "token_file": _absolute(user.get("tokenFile"), beside),
        "basic": f"{user['username']}:{user.get('password', '')}" if user.get("username") else "",
    }


def _decoded(text: object) -> str:
    try:
        return base64.b64decode(str(text)).decode("ascii", "replace") if text else ""
    except ValueError as error:
        raise Unusable(f"a certificate or key in the kubeconfig is not base64: {error}") from error


def _absolute(path: object, beside: Path) -> str:
    return str(beside / str(path)) if path else ""
