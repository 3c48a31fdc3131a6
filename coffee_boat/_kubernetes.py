"""A cluster's apiserver: asked for what there is, never to change anything; and what the states of
pods mean for people.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from coffee_boat import _kubeconfig, _limits, _parse
from coffee_boat._run import redact
from coffee_boat.model import Finding, SparkFacts

_CONNECT, _READ = 5.0, 15.0
"""Seconds for a connection with its TLS handshake, and without an answer.

Each is tried twice: a busy apiserver is no reason to refuse a launch.
"""
_WHOLE = 120.0
"""Seconds for all of an answer: a list of all nodes of a large cluster."""
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
        self.access = _kubeconfig.find(
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
            return list(self._json("GET", "/api/v1/nodes").get("items", ()))
        except Refused:
            return []

    def pods(self, labels: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """The namespace's pods that have these labels."""
        wanted = ",".join(f"{name}={value}" for name, value in labels.items())
        return list(
            self._json("GET", f"{self._path('pods')}?{urlencode({'labelSelector': wanted})}").get(
                "items", ()
            )
        )

    def events(self, pod: Mapping[str, Any]) -> list[str]:
        """What the cluster says about a pod, oldest first; nothing if we may not look."""
        chosen = urlencode({"fieldSelector": f"involvedObject.uid={pod['metadata']['uid']}"})
        try:
            items = self._json("GET", f"{self._path('events')}?{chosen}").get("items", ())
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

    def _json(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        answer = self._answer(method, path, body)
        try:
            told = _parse.json(answer.data)
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
                told = _Answer(answer.status, _limits.joined(parts, seconds=_WHOLE))
        except (HTTPError, OSError) as error:
            last = _last(error)
            raise (Untrusted if isinstance(last, ssl.SSLCertVerificationError) else Unreachable)(
                _words(last)
            ) from error
        if told.status == 401:
            _kubeconfig.forget()
        if told.status >= 400:
            raise Refused(told.status, _said(told))
        return told


def _pool(access: _kubeconfig.Access) -> Any:
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
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    proxy = access.proxy or _proxy_of_environment(access.server)
    try:
        return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    except urllib3.exceptions.HTTPError as error:
        raise _kubeconfig.Unusable(
            f"the proxy {redact(proxy)} is of a kind that is not used here: {error}"
        ) from error


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
        told = _parse.json(answer.data)
    except ValueError:
        told = None
    message = told.get("message") if isinstance(told, Mapping) else None
    return redact(str(message or f"HTTP {answer.status}"))


# what states of pods mean


@dataclass(frozen=True)
class Ending:
    """How a pod's main container ended."""

    code: int
    reason: str
    """In Kubernetes' words: "Completed", "Error", "OOMKilled"."""
    container: str


def ending(pod: Mapping[str, Any]) -> Ending | None:
    """How the first container that Spark put there ended; None while it runs, or if that is not
    known.
    """
    for status in _statuses(pod):
        ended = status.get("state", {}).get("terminated")
        if ended is not None and status["name"] == _main_container(pod):
            return Ending(
                int(ended.get("exitCode", 1)), str(ended.get("reason", "")), str(status["name"])
            )
    return None


def _main_container(pod: Mapping[str, Any]) -> str:
    """Spark names its own so; a template may have named it."""
    names = [str(container["name"]) for container in pod.get("spec", {}).get("containers", ())]
    return next(
        (name for name in names if name.startswith("spark-kubernetes-")), names[0] if names else ""
    )


def _statuses(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


_IMAGE = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}
_CONTAINER = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
}


def trouble(pod: Mapping[str, Any], events: list[str]) -> Finding | None:
    """What keeps a pod from running, in the cluster's own words; None if nothing is known to."""
    return next(_troubles(pod, events), None)


def _troubles(pod: Mapping[str, Any], events: list[str]) -> Iterator[Finding]:
    name = str(pod["metadata"]["name"])
    for status in _statuses(pod):
        waiting = status.get("state", {}).get("waiting") or {}
        words = "; ".join(
            dict.fromkeys(filter(None, [str(waiting.get("message") or ""), *_telling(events)]))
        )
        if waiting.get("reason") in _IMAGE:
            yield _image(name, status, waiting, words)
        if waiting.get("reason") in _CONTAINER:
            cure = (
                f"kubectl describe pod {name}: a secret, config map or volume that is not there, or"
                " a command that the image does not have"
            )
            yield Finding(
                "a pod's container cannot start",
                f"{name}: {waiting['reason']}",
                redact(words),
                cure,
                severity="error",
            )
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield _unschedulable(
                name, str(condition.get("message") or condition.get("reason") or "")
            )
    ended = ending(pod)
    if ended is not None and ended.code != 0:
        yield _ended(name, pod, ended)


def _image(name: str, status: Mapping[str, Any], waiting: Mapping[str, Any], words: str) -> Finding:
    cure = (
        "check the name in spark.kubernetes.container.image and that nodes may pull it:"
        " spark.kubernetes.container.image.pullSecrets for a private registry;"
        " spark.kubernetes.container.image.pullPolicy=IfNotPresent or Never for an image that the"
        " nodes have already"
    )
    return Finding(
        "an image cannot be pulled",
        f"{status.get('image')} for {name}: {waiting['reason']}",
        redact(words),
        cure,
        severity="error",
    )


def _unschedulable(name: str, words: str) -> Finding:
    cure = (
        "ask for less (spark.executor.memory, spark.executor.memoryOverhead,"
        " spark.kubernetes.executor.request.cores, for a driver the same with driver), free what"
        " others hold, or look at spark.kubernetes.node.selector.* and the nodes' taints; a cluster"
        " that grows by itself may need minutes"
    )
    return Finding("a pod stays Pending: no node takes it", name, redact(words), cure)


def _ended(name: str, pod: Mapping[str, Any], ended: Ending) -> Finding:
    cure = f"kubectl logs {name} -n {pod['metadata'].get('namespace', 'default')}"
    if pod["metadata"].get("labels", {}).get(ROLE) == "executor":
        cure += (
            "; an executor that cannot connect needs a driver that pods reach: spark.driver.host"
            " and spark.driver.bindAddress, and no firewall between"
        )
    return Finding(
        "a pod ended",
        f"{name}: exit code {ended.code}, {ended.reason}",
        "what it runs failed",
        cure,
    )


def _telling(events: list[str]) -> list[str]:
    """The last events that say what went wrong."""
    return [event for event in events if event.startswith(("Failed", "Error", "Back-off"))][-2:]
