"""k8s://...: what the apiserver says, asked with the credentials that Spark would use.

See api.py and kubeconfig.py.

probe      it answers, knows us, has the namespace, and lets us do what Spark will do there
           (SelfSubjectAccessReview)
waiting    the states of the application's pods, and the events that belong to them
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coffee_boat._support import host
from coffee_boat._support.redact import redact
from coffee_boat.clusters.kubernetes import pods
from coffee_boat.clusters.kubernetes.access import Unusable
from coffee_boat.clusters.kubernetes.api import (
    APPLICATION,
    LABEL,
    ROLE,
    SESSION,
    Apiserver,
    Refused,
    Unreachable,
    Untrusted,
)
from coffee_boat.errors import LaunchError
from coffee_boat.model import ClusterFacts, Finding, NodeFacts, SparkFacts

_UNASKED = "it could not be asked what it has"
_IMAGE = "spark.kubernetes.container.image"
_NO_CONFIG_MAP = "spark.kubernetes.executor.disableConfigMap"
_ACCOUNT = "spark.kubernetes.authenticate.driver.serviceAccountName"
_SELECTORS = ("spark.kubernetes.node.selector.", "spark.kubernetes.executor.node.selector.")
_KEEPS_TO = "spark.kubernetes.executor.node.selector.kubernetes.io/arch={oci}"
_EXECUTOR_LABEL = "spark.kubernetes.executor.label."


def probe(facts: SparkFacts) -> ClusterFacts:
    """Its version and the nodes that executors may run on.

    Raises:
        LaunchError: nobody answers, we are not known, or something is missing or forbidden there.
    """
    _refuse_no_image(facts)
    try:
        cluster = Apiserver(facts)
    except Unusable as unusable:
        return ClusterFacts(
            facts.master, "Kubernetes", findings=(_not_asked(str(unusable)),), not_known=_UNASKED
        )
    try:
        return _told(facts, cluster)
    except Untrusted as untrusted:
        return ClusterFacts(
            facts.master,
            "Kubernetes",
            findings=(_not_trusted(facts, cluster, str(untrusted)),),
            not_known=_UNASKED,
        )
    except Unreachable as error:
        raise _unreachable(facts, cluster, str(error)) from error


def _told(facts: SparkFacts, cluster: Apiserver) -> ClusterFacts:
    version = _version(facts, cluster)
    try:
        _refuse_missing(facts, cluster)
        nodes = tuple(
            NodeFacts(str(node["metadata"]["name"]), _architecture(node))
            for node in cluster.nodes()
            if _is_for_us(node, facts)
        )
    except Refused as refused:  # of what only looks: an apiserver that tells less than others
        return ClusterFacts(
            facts.master,
            f"Kubernetes {version}",
            findings=(_not_asked(str(refused)),),
            not_known=_UNASKED,
        )
    return ClusterFacts(facts.master, f"Kubernetes {version}", nodes, keeps_to=_KEEPS_TO)


def waiting(facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
    """What keeps the application's executors from running."""
    named = {
        name: facts.conf[_EXECUTOR_LABEL + name]
        for name in (LABEL, SESSION)
        if _EXECUTOR_LABEL + name in facts.conf
    }
    ours = {APPLICATION: application} if application else named
    if not ours:
        return ()
    try:
        cluster = Apiserver(facts)
        return tuple(pods.troubles(cluster.pods({**ours, ROLE: "executor"}), cluster.events))
    except (Unusable, Unreachable, Refused):  # nothing more is known than Spark says itself
        return ()


# what cannot work


def _refuse_no_image(facts: SparkFacts) -> None:
    """Spark has no image of its own.

    Before a SparkContext is made, the program may still name one; a context has a name.
    """
    final = "spark.app.name" in facts.conf or facts.deploy_mode == "cluster"
    roles = ("executor", "driver") if facts.deploy_mode == "cluster" else ("executor",)
    lacking = [
        role
        for role in roles
        if not facts.conf.get(_IMAGE)
        and not facts.conf.get(f"spark.kubernetes.{role}.container.image")
    ]
    if final and lacking:
        raise LaunchError(
            "cluster.no-image",
            "no image is named for the pods",
            value=f"{_IMAGE} is not set, for {' and '.join(lacking)}",
            cause="Spark on Kubernetes has no image of its own",
            cure=(
                f"{_IMAGE}=registry.example.org/spark:{facts.version}: one with Java and your"
                " Spark's jars; it needs no Python (docs/guides/clusters/kubernetes.md)"
            ),
        )


def _version(facts: SparkFacts, cluster: Apiserver) -> str:
    try:
        return cluster.version()
    except Refused as refused:
        if refused.code != 401:
            return ""  # it is there, and tells its version to others only
        raise LaunchError(
            "cluster.not-authenticated",
            "the apiserver does not know us",
            value=f"{redact(facts.master)}, {cluster.access.origin or 'no credentials found'}",
            cause=str(refused),
            cure=(
                "kubectl auth whoami: log in again where credentials ran out; KUBECONFIG and"
                " spark.kubernetes.context name others"
            ),
        ) from refused


def _unreachable(facts: SparkFacts, cluster: Apiserver, reason: str) -> LaunchError:
    return LaunchError(
        "cluster.apiserver-unreachable",
        "the apiserver cannot be reached",
        value=redact(facts.master),
        cause=reason,
        cure=(
            "kubectl cluster-info tells its URL; check VPN, proxy and firewall; credentials are of"
            f" {cluster.access.origin or 'nobody: there is no kubeconfig'}"
        )
        + (
            "; in a pod the master is k8s://https://kubernetes.default.svc"
            if cluster.access.token_file
            else ""
        ),
    )


def _refuse_missing(facts: SparkFacts, cluster: Apiserver) -> None:
    if not cluster.namespace_is_there():
        raise LaunchError(
            "cluster.no-such-namespace",
            "there is no such namespace",
            value=f"spark.kubernetes.namespace={cluster.namespace}",
            cause="the apiserver knows none of that name",
            cure=(
                "kubectl get namespaces; Spark takes `default` unless it is told, whatever your"
                " context says"
            ),
        )
    _refuse_forbidden(facts, cluster)
    if facts.deploy_mode == "cluster":
        _refuse_account(facts, cluster)


def _refuse_forbidden(facts: SparkFacts, cluster: Apiserver) -> None:
    """What whoever starts pods has to be allowed: this driver, or spark-submit."""
    config_maps = [] if facts.conf.get(_NO_CONFIG_MAP) == "true" else [("create", "configmaps")]
    needed = (
        [*(("create", kind) for kind in ("pods", "services", "configmaps"))]
        if facts.deploy_mode == "cluster"
        else [*_drivers_needs(), *config_maps]
    )
    forbidden = [(verb, kind) for verb, kind in needed if not cluster.may(verb, kind)]
    if forbidden:
        raise LaunchError(
            "cluster.rights-missing",
            "the cluster forbids what Spark needs",
            value=(
                f"{_listed(forbidden)} in namespace {cluster.namespace}, with"
                f" {cluster.access.origin or 'no credentials'}"
            ),
            cause="the apiserver says no to a SelfSubjectAccessReview",
            cure=(
                "another namespace or context (spark.kubernetes.namespace,"
                " spark.kubernetes.context), or let somebody who may do it:"
                f" {_grant('USER', cluster.namespace)}"
            ),
        )


def _refuse_account(facts: SparkFacts, cluster: Apiserver) -> None:
    """What the driver's pod has to be allowed."""
    account = facts.conf.get(_ACCOUNT) or "default"
    if not cluster.service_account_is_there(account):
        raise LaunchError(
            "cluster.no-such-account",
            "there is no such service account",
            value=f"{_ACCOUNT}={account}, in namespace {cluster.namespace}",
            cause="the driver's pod could not be made",
            cure=(
                f"kubectl create serviceaccount {account} -n {cluster.namespace};"
                f" {_grant(f'{cluster.namespace}:{account}', cluster.namespace)}"
            ),
        )
    forbidden = [
        (verb, kind)
        for verb, kind in _drivers_needs()
        if not cluster.account_may(account, verb, kind)
    ]
    if forbidden:
        raise LaunchError(
            "cluster.account-rights-missing",
            "the driver's service account is forbidden what Spark needs",
            value=f"{_listed(forbidden)} by {account} in namespace {cluster.namespace}",
            cause=(
                f"{_ACCOUNT} is not set, and `default` may do nothing"
                if account == "default"
                else "the apiserver says no to a SubjectAccessReview"
            ),
            cure=(
                f"--conf {_ACCOUNT}=ACCOUNT of one that may; or let somebody who may do it:"
                f" {_grant(f'{cluster.namespace}:{account}', cluster.namespace)}"
            ),
        )


def _drivers_needs() -> list[tuple[str, str]]:
    """Verb and kind of what a driver does to have executors."""
    return [(verb, "pods") for verb in ("create", "list", "watch", "delete")]


def _listed(forbidden: list[tuple[str, str]]) -> str:
    return ", ".join(f"{verb} {kind}" for verb, kind in forbidden)


def _grant(whom: str, namespace: str) -> str:
    who = f"--serviceaccount={whom}" if ":" in whom else f"--user={whom}"
    return f"kubectl create rolebinding spark --clusterrole=edit {who} -n {namespace}"


# what is there


def _is_for_us(node: Mapping[str, Any], facts: SparkFacts) -> bool:
    """Ready, open, and with the labels that executors are bound to."""
    labels = node["metadata"].get("labels", {})
    wanted = {
        key.removeprefix(prefix): value
        for prefix in _SELECTORS
        for key, value in facts.conf.items()
        if key.startswith(prefix)
    }
    ready = any(
        condition.get("type") == "Ready" and condition.get("status") == "True"
        for condition in node.get("status", {}).get("conditions", ())
    )
    return (
        ready
        and not node.get("spec", {}).get("unschedulable")
        and all(labels.get(name) == value for name, value in wanted.items())
    )


def _architecture(node: Mapping[str, Any]) -> str:
    said = str(node.get("status", {}).get("nodeInfo", {}).get("architecture", ""))
    return host.architecture(said) if said else ""


def _not_asked(reason: str) -> Finding:
    return Finding(
        "cluster.not-asked",
        "skipped the cluster check",
        value=reason,
        cause="what it lacks or forbids shows when Spark starts",
        severity="note",
    )


def _not_trusted(facts: SparkFacts, cluster: Apiserver, reason: str) -> Finding:
    """No refusal: Java's own list (cacerts, javax.net.ssl.trustStore) may have who signed it."""
    return Finding(
        "cluster.certificate-untrusted",
        "skipped the cluster check: its certificate is not trusted here",
        value=f"{redact(facts.master)}, with {cluster.access.origin or 'no kubeconfig'}",
        cause=f"{reason}; Spark's Java goes by a list of its own, and may trust it",
        cure="name who signed it: certificate-authority in the kubeconfig,"
        " spark.kubernetes.authenticate.caCertFile, or SSL_CERT_FILE for Python",
        severity="note",
    )
