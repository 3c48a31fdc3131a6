"""A cluster's apiserver: asked for what there is, never to change anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from coffee_boat._support import limits, parse
from coffee_boat._support.redact import redact
from coffee_boat.clusters.kubernetes import access as kubernetes_access
from coffee_boat.clusters.kubernetes import kubeconfig, plugin
from coffee_boat.model import SparkFacts

_CONNECT, _READ = 5.0, 15.0
"""Seconds for a connection with its TLS handshake, and without an answer.

Each is tried twice: a busy apiserver is no reason to refuse a launch.
"""
_WHOLE = 120.0
"""Seconds for all of an answer: a list of all nodes of a large cluster."""
_PAGE = 500
"""Objects of one answer, as kubectl asks for them: one of all nodes of a large cluster would be of
100 MB.
"""
_PAGES = 1000
"""Far more than a cluster has."""
_TAIL = 400
"""Lines of a log."""

LABEL = "coffee-boat"
SESSION = "coffee-boat-session"
"""Labels of our pods: the archive's name, and what tells one session from another before Spark says
its application's id.
"""
APPLICATION = "spark-app-selector"
ROLE = "spark-role"
"""Labels that Spark gives its pods: the application's id, and "driver" or "executor"
(org.apache.spark.deploy.k8s.Constants).
"""


@dataclass(frozen=True)
class _Answer:
    status: int
    data: bytes


class Unreachable(Exception):  # noqa: N818  (a state of the cluster)
    """Nobody answers as an apiserver does; with the reason."""


class Untrusted(Unreachable):
    """Its certificate is by nobody that Python knows; Java has a list of its own, and may know
    them.
    """


class Refused(Exception):  # noqa: N818
    """The apiserver said no: `code` is HTTP's, the text its own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Apiserver:
    """One cluster, with one user's credentials, in one namespace."""

    def __init__(self, facts: SparkFacts) -> None:
        """Find the credentials; connects to nothing.

        Raises:
            Unusable: they cannot be used by us.
        """
        self.access = kubeconfig.find(
            facts.master, facts.conf, submission=facts.deploy_mode == "cluster"
        )
        self.namespace = facts.conf.get("spark.kubernetes.namespace") or "default"
        self._pool = _pool(self.access)
        _ = self.access.headers  # a token that cannot be read is said now

    def version(self) -> str:
        """As "v1.34.4"."""
        return str(self._json("GET", "/version").get("gitVersion", ""))

    def namespace_is_there(self) -> bool:
        """False if it is not; who may not look is told nothing."""
        try:
            self._json("GET", f"/api/v1/namespaces/{quote(self.namespace)}")
        except Refused as refused:
            return refused.code != 404
        return True

    def service_account_is_there(self, name: str) -> bool:
        """As `namespace_is_there`."""
        try:
            self._json("GET", self._path("serviceaccounts", name))
        except Refused as refused:
            return refused.code != 404
        return True

    def may(self, verb: str, resource: str) -> bool:
        """True if we may do that in the namespace."""
        asked = {
            "resourceAttributes": {"namespace": self.namespace, "verb": verb, "resource": resource}
        }
        return self._review("SelfSubjectAccessReview", asked)

    def account_may(self, account: str, verb: str, resource: str) -> bool:
        """True if a service account may do that in the namespace, or if we may not ask."""
        asked = {
            "resourceAttributes": {"namespace": self.namespace, "verb": verb, "resource": resource},
            "user": f"system:serviceaccount:{self.namespace}:{account}",
        }
        groups = [
            "system:serviceaccounts",
            f"system:serviceaccounts:{self.namespace}",
            "system:authenticated",
        ]
        try:
            return self._review("SubjectAccessReview", {**asked, "groups": groups})
        except Refused:
            return True

    def nodes(self) -> list[Mapping[str, Any]]:
        """All nodes; none if we may not look."""
        try:
            return self._list("/api/v1/nodes")
        except Refused:
            return []

    def pods(self, labels: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """The namespace's pods that have these labels."""
        wanted = ",".join(f"{name}={value}" for name, value in labels.items())
        return self._list(self._path("pods"), labelSelector=wanted)

    def events(self, pod: Mapping[str, Any]) -> list[str]:
        """What the cluster says about a pod, oldest first; nothing if we may not look."""
        chosen = f"involvedObject.uid={pod['metadata']['uid']}"
        try:
            items = self._list(self._path("events"), fieldSelector=chosen)
        except Refused:
            return []
        return [
            str(item.get("message", ""))
            for item in sorted(
                items,
                key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""),
            )
        ]

    def log_tail(self, pod: Mapping[str, Any], container: str) -> str:
        """The last lines that a container said."""
        name = quote(pod["metadata"]["name"])
        asked = urlencode({"container": container, "tailLines": _TAIL})
        return (
            self._answer("GET", f"{self._path('pods', name)}/log?{asked}")
            .data.decode("utf-8", "replace")
            .strip()
        )

    def _review(self, kind: str, spec: Mapping[str, Any]) -> bool:
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        return bool(
            self._json("POST", f"/apis/authorization.k8s.io/v1/{kind.lower()}s", review)
            .get("status", {})
            .get("allowed")
        )

    def _path(self, resource: str, name: str = "") -> str:
        return f"/api/v1/namespaces/{quote(self.namespace)}/{resource}" + (
            f"/{quote(name)}" if name else ""
        )

    def _list(self, path: str, **chosen: str) -> list[Mapping[str, Any]]:
        """All objects of a kind, page by page."""
        found: list[Mapping[str, Any]] = []
        more: dict[str, str] = {}
        for _ in range(_PAGES):
            asked = urlencode({**chosen, "limit": str(_PAGE), **more})
            try:
                page = self._json("GET", f"{path}?{asked}")
            except Refused as refused:
                if not more or refused.code != 410:
                    raise
                # Gone: the list changed while we read it. Then at once, as client-go does it.
                page, found = self._json("GET", f"{path}?{urlencode(chosen)}"), []
            found += page.get("items") or ()
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return found
            more = {"continue": str(token)}
        raise Unreachable(f"{redact(self.access.server)} answers without an end: {path}")

    def _json(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        answer = self._answer(method, path, body)
        try:
            told = parse.json(answer.data)
        except ValueError:
            told = None
        if not isinstance(told, Mapping):
            raise Unreachable(f"{redact(self.access.server)} answers, but not as an apiserver does")
        return told

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> _Answer:
        import ssl

        from urllib3.exceptions import HTTPError

        headers = {
            **self.access.headers,
            "Accept": "application/json, */*",
            "Content-Type": "application/json",
        }
        try:
            answer = self._pool.request(
                method,
                f"{self.access.server.rstrip('/')}{path}",
                headers=headers,
                body=None if body is None else json.dumps(body),
                preload_content=False,
            )
            with closing(answer):
                # as it is sent: none was asked to be packed
                parts = answer.stream(1 << 16, decode_content=False)
                told = _Answer(answer.status, limits.joined(parts, seconds=_WHOLE))
        except (HTTPError, OSError) as error:
            last = _last(error)
            raise (Untrusted if isinstance(last, ssl.SSLCertVerificationError) else Unreachable)(
                _words(last)
            ) from error
        if told.status == 401:
            plugin.forget()
        if told.status >= 400:
            raise Refused(told.status, _said(told))
        return told


def _pool(access: kubernetes_access.Access) -> Any:
    import urllib3

    options: dict[str, Any] = {
        "timeout": urllib3.Timeout(connect=_CONNECT, read=_READ),
        "retries": urllib3.Retry(1, redirect=False, raise_on_status=False),
    }
    if access.server.startswith("https://"):
        options["ssl_context"] = access.tls()
    if access.server_name:
        options |= {"server_hostname": access.server_name, "assert_hostname": access.server_name}
    if not access.verify:
        options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
    try:
        proxy = access.proxy or _proxy_of_environment(access.server)
    except ValueError:  # its text quotes the address
        raise kubernetes_access.Unusable(
            f"the address {redact(access.server)} cannot be read: its host or its port"
        ) from None
    try:
        pool = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    except urllib3.exceptions.HTTPError as error:
        raise kubernetes_access.Unusable(
            f"the proxy {redact(proxy)} is of a kind that is not used here: {error}"
        ) from error
    if not access.verify:
        pool.pool_classes_by_scheme = {**pool.pool_classes_by_scheme, "https": _unverified()}
    return pool


def _unverified() -> Any:
    """Connections without urllib3's warning that they are not verified: the user said so.

    The warning is left to everybody else: `urllib3.disable_warnings` would be for the whole process
    and its end.
    """
    from urllib3.connection import HTTPSConnection
    from urllib3.connectionpool import HTTPSConnectionPool

    class Connection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            self.is_verified = True  # decides of the warning, and of nothing else

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


def _proxy_of_environment(server: str) -> str:
    from requests.utils import get_environ_proxies, select_proxy

    return select_proxy(server, get_environ_proxies(server)) or ""


def _last(error: BaseException) -> BaseException:
    """The last cause, which says more than the wrapping around it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error


def _words(error: BaseException) -> str:
    return redact(
        str(getattr(error, "verify_message", None) or getattr(error, "strerror", None) or error)
    )


def _said(answer: _Answer) -> str:
    try:
        told = parse.json(answer.data)
    except ValueError:
        told = None
    message = told.get("message") if isinstance(told, Mapping) else None
    return redact(str(message or f"HTTP {answer.status}"))
