"""local[...] and local-cluster[...]: the cluster is this machine."""

from __future__ import annotations

from coffee_boat import _host
from coffee_boat.model import ClusterFacts, Finding, NodeFacts, SparkFacts


def probe(facts: SparkFacts) -> ClusterFacts:
    """This machine."""
    return ClusterFacts(
        facts.master,
        f"Spark {facts.version} on this machine",
        (NodeFacts("this machine", _host.architecture(), _host.glibc()),),
    )


def waiting(facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:  # noqa: ARG001  (of the protocol)
    """Nothing that is not known."""
    return ()
