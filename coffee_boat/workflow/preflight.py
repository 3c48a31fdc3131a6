"""What is known of a cluster before an environment goes there, and what is told of a session after:
calls compatibility, the cluster's probe and the watch in order.

    SparkFacts    compatibility.settings, then probe -> ClusterFacts
    ClusterFacts  compatibility.platform and .archive -> Findings, or a LaunchError before anything
                  is resolved or sent
    SparkContext  Watch -> Findings from its start to its end
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from coffee_boat._support.logs import logger
from coffee_boat._support.redact import redact
from coffee_boat._support.store import Store
from coffee_boat._support.words import counted
from coffee_boat.clusters import (
    compatibility,
    executors,
    kind_of,
    kind_of_running,
    large,
    probe,
    waiting,
)
from coffee_boat.errors import BoatError, LaunchError
from coffee_boat.model import (
    Archive,
    ClusterFacts,
    Finding,
    Lock,
    NodeFacts,
    Report,
    SparkFacts,
    Target,
)
from coffee_boat.session import Session, gpus, nodes, own
from coffee_boat.session.arriving import Arriving
from coffee_boat.session.classic import ClassicSession
from coffee_boat.session.watch import Watch
from coffee_boat.spark import diagnosis
from coffee_boat.workflow.starting import Starting

if TYPE_CHECKING:
    from pyspark import SparkContext

_log = logger(__name__)
_PATIENCE, _SHORT = 10.0, 3.0
"""Seconds for the nodes to say what they are, once an interpreter did not start there; and before
one is sent to a session that runs.
"""


class Preflight:
    """Of one captain."""

    def __init__(
        self,
        store: Store,
        tell: Callable[[Iterable[Finding]], None] = lambda _: None,
        *,
        refuses: bool = True,
    ) -> None:
        """
        Args:
            tell: shows findings of a session that runs, each once; what is found before is
                returned.
            refuses: False makes a warning of what would be refused: the user knows better, as of
                nodes that come when they are needed.
        """
        self._refuses = refuses
        self._store = store
        self._tell = tell
        self._watch: Watch | None = None
        self._starting: Starting | None = None
        self._asked: set[str] = set()
        """Applications whose nodes said what they are."""

    # before

    def ask(
        self,
        facts: SparkFacts,
        target: Callable[[], Target | None],
        *,
        ships_python: bool = True,
        driver_starts: bool = False,
        learn: Callable[[Iterable[NodeFacts]], Iterable[Finding]] = lambda _: (),
    ) -> ClusterFacts:
        """What the cluster says of itself, its findings among it; what cannot work there is
        refused.

        Args:
            target: what the environment is to be made for; asked after the cluster, as it may take
                a download to know. None if nobody knows.
            driver_starts: the driver's JVM is still to be started, with this memory.
            learn: is told what the nodes are, now or the last time, before `target` is asked.

        Raises:
            LaunchError: the settings or the cluster cannot serve it, or there is no such kind of
                cluster: that is refused always, as nothing could be set for it.
        """
        kind = kind_of(facts.master)
        odd: list[Finding] = []
        cluster = ClusterFacts(facts.master, not_known="it was not asked")
        with self._refusing(odd):
            compatibility.settings(facts, driver_starts=driver_starts)
        with self._refusing(odd):
            cluster = probe(facts)
        _log.info(
            "cluster: %s (master %s, %s mode): %s, %s",
            kind.name,
            redact(facts.master),
            facts.deploy_mode,
            cluster.manager or "it says nothing of itself before Spark starts",
            counted(len(cluster.nodes), "known node"),
        )
        odd += learn(self.known(cluster).nodes)
        made_for = target() if any(node.architecture for node in cluster.nodes) else None
        with self._refusing(odd):
            odd += (
                ()
                if made_for is None
                else compatibility.platform(made_for, cluster, ships_python=ships_python)
            )
        return replace(cluster, findings=(*cluster.findings, *odd))

    def hold(self, archive: Archive, cluster: ClusterFacts) -> tuple[Finding, ...]:
        """What the archive needs and nodes do not have: as they say now, or if they say nothing, as
        they said the last time.

        Raises:
            LaunchError: it can start on none of them.
        """
        findings = self._held(archive, cluster)
        if any(node.glibc is not None for node in cluster.nodes):
            return findings
        return (
            *findings,
            *compatibility.archive(
                archive,
                replace(cluster, nodes=nodes.recall(self._store, cluster.master)),
                remembered=True,
            ),
        )

    def gpus(self, lock: Lock, cluster: ClusterFacts) -> tuple[Finding, ...]:
        """Where nodes said which GPU driver they have, whether the CUDA of a lock goes with it."""
        return tuple(gpus.drivers(self.known(cluster).nodes, lock))

    def sending(
        self, size: int, facts: SparkFacts, cluster: ClusterFacts, stage: str | None
    ) -> tuple[Finding, ...]:
        """What is said of an archive of so many bytes, where the driver sends it to all."""
        return tuple(large.egress(size, facts, len(cluster.nodes), stage=stage))

    def _held(self, archive: Archive, cluster: ClusterFacts) -> tuple[Finding, ...]:
        odd: list[Finding] = []
        with self._refusing(odd):
            odd += compatibility.archive(archive, cluster)
        return tuple(odd)

    @contextmanager
    def _refusing(self, odd: list[Finding]) -> Iterator[None]:
        """What the block refuses is refused, or where nothing is to be, a warning among what is
        odd.
        """
        try:
            yield
        except LaunchError as refusal:
            if self._refuses:
                raise
            odd.append(Finding.of(refusal.problem))

    def known(self, cluster: ClusterFacts) -> ClusterFacts:
        """With what its nodes said of themselves the last time."""
        before = {node.host: node for node in nodes.recall(self._store, cluster.master)}
        now = {node.host: node for node in cluster.nodes}
        return replace(
            cluster,
            nodes=tuple(
                _filled(now.get(host), before.get(host)) for host in sorted({*now, *before})
            ),
        )

    # a session that runs

    def nodes_of(self, session: Session, *, deadline: float = _SHORT) -> tuple[NodeFacts, ...]:
        """What the nodes of a running session say they are, asked without Python."""
        found = session.nodes(deadline=deadline)
        nodes.remember(self._store, session.master, found)
        return found

    def ask_nodes(
        self, session: Session, archive: Archive | None, *, deadline: float = _SHORT
    ) -> tuple[Finding, ...]:
        """Ask the nodes of a running session, without Python, and hold the archive against what
        they say.

        Raises:
            LaunchError: it can start on none of them.
        """
        found = self.nodes_of(session, deadline=deadline)
        return (
            ()
            if archive is None
            else self._held(archive, ClusterFacts(session.master, nodes=found))
        )

    def look_into(
        self, finding: Finding | BoatError, session: Session, archive: Archive | None
    ) -> None:
        """Where what the nodes are may be the reason, ask them once, and tell what does not fit."""
        if finding.code in diagnosis.OF_A_NODE and session.id not in self._asked:
            self._asked.add(session.id)
            try:
                self._tell(self.ask_nodes(session, archive, deadline=_PATIENCE))
            except LaunchError as misfit:
                self._tell([Finding.of(misfit.problem, "error")])

    def remember(self, master: str, report: Report) -> None:
        """What executors said of their nodes, for the next launch."""
        nodes.remember(
            self._store,
            master,
            [
                NodeFacts(e.host, e.architecture, _version(e.glibc), e.gpu_driver)
                for e in report.executors
            ],
        )

    def begin_start(self, facts: SparkFacts, archive: Archive) -> None:
        """A context is about to be made: that is shown, and watched."""
        has_executors = not kind_of_running(facts.master).runs_in_driver
        wanted = executors(facts)
        self.end_watch()
        self._starting = starting = Starting(archive, wanted=wanted, has_executors=has_executors)
        starting.begin()
        self.begin_watch(
            facts, archive, Arriving(wanted, starting.ready) if has_executors else None
        )

    def end_start(self) -> None:
        """It is not about to be made any more."""
        if self._starting is not None:
            self._starting.end()
            self._starting = None

    def begin_watch(
        self, facts: SparkFacts, archive: Archive | None, arriving: Arriving | None = None
    ) -> None:
        """From before the context comes up: it may be the cluster that makes it wait."""
        self._end_watch()

        def tell(finding: Finding, context: SparkContext | None) -> None:
            self._tell([finding])
            if context is not None:
                self.look_into(finding, ClassicSession(context), archive)

        def why(application: str | None) -> tuple[Finding, ...]:
            try:
                return waiting(facts, application)
            except BoatError as error:
                return (Finding.of(error.problem, "error"),)

        self._watch = Watch(waiting=why, explain=own.explain, tell=tell, arriving=arriving)

    def follow(self, session: Session) -> None:
        """It is up."""
        if self._starting is not None:
            self._starting.up()
        if self._watch is not None:
            session.watched_by(self._watch)

    def failed(self, error: BaseException) -> BoatError | None:
        """The context did not come up: what its text means, None if it is not known, or is ours
        already. Another one may be up, and is watched on.
        """
        if self._watch is not None and not self._watch.follows:
            self.end_watch()
        found = (
            None if isinstance(error, BoatError) else diagnosis.explain_start(redact(str(error)))
        )
        return None if found is None else LaunchError.of(found)

    def stopping(self) -> None:
        """A context is about to stop: look once more."""
        if self._watch is not None:
            self._watch.leave()

    def end_watch(self) -> None:
        """Look no more."""
        self.end_start()
        self._end_watch()

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.end()
            self._watch = None


def _filled(now: NodeFacts | None, before: NodeFacts | None) -> NodeFacts:
    if now is None or before is None:
        return now or before or NodeFacts("")
    return NodeFacts(
        now.host,
        now.architecture or before.architecture,
        now.glibc or before.glibc,
        now.gpu_driver or before.gpu_driver,
    )


def _version(text: str) -> tuple[int, int] | None:
    """(2, 36) of "2.36"."""
    parts = text.split(".")
    return (
        (int(parts[0]), int(parts[1]))
        if len(parts) >= 2 and parts[0].isdigit() and parts[1].isdigit()
        else None
    )
