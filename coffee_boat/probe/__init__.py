"""SparkFacts -> ClusterFacts: asks a cluster what it is before anything is sent to it, and why
nothing starts there.

A kind of cluster is one module with two functions, and one line in `_KINDS`:

    probe(facts)                  once, before anything is resolved (master given) or sent
                                  (SparkContext(...)); costs a healthy launch
                                  no more than 0.1 s, and ends within seconds whatever does not
                                  answer
    waiting(facts, application)   again and again while nothing of the application runs yet: what
                                  the cluster says about it

Both ask and change nothing. They may read the process's own environment (HADOOP_CONF_DIR,
KUBECONFIG); imports that take time go inside.
"""

from __future__ import annotations

import re
from typing import Protocol

from coffee_boat.model import ClusterFacts, Finding, SparkFacts
from coffee_boat.probe import kubernetes, local, standalone, yarn


class Kind(Protocol):
    """One kind of cluster: a module of this folder."""

    def probe(self, facts: SparkFacts) -> ClusterFacts:
        """What the cluster says of itself.

        Args:
            facts: the Spark that is about to start. With a master given to `launch_ship`, before
                its context exists: then the conf is what is known by then.

        Raises:
            LaunchError: it cannot work: nobody answers, or what is asked for is not to be had
                there. In the cluster's own words where it has any.
        """

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
        """Why nothing of the application runs yet, in the cluster's own words; empty if all is well
        or nothing can be asked.

        Called every few seconds from a thread of its own, from before the SparkContext is up until
        its first executor is. What was told is not told again.

        Args:
            facts: with the conf complete, what the backend set included.
            application: Spark's id of it; None while it is not known yet, as long as
                SparkContext(...) has not returned.
        """


_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"local(-cluster)?(\[.*)?"), local),
    (re.compile(r"spark://.*"), standalone),
    (re.compile(r"yarn"), yarn),
    (re.compile(r"k8s://.*"), kubernetes),
)
"""By master, the first that matches."""


def probe(facts: SparkFacts) -> ClusterFacts:
    """What the cluster says of itself. One of a kind that cannot be asked is taken as it is.

    Raises:
        LaunchError: it cannot work there.
    """
    kind = _kind(facts.master)
    return ClusterFacts(facts.master) if kind is None else kind.probe(facts)


def waiting(facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
    """Why nothing of an application runs yet, as far as the cluster tells."""
    kind = _kind(facts.master)
    return () if kind is None else kind.waiting(facts, application)


def _kind(master: str) -> Kind | None:
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(master)), None)
