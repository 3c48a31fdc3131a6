"""A request -> the environment of each SparkContext that starts.

prepare     before anything is built: does this Spark go with this Python, and the cluster with
            the environment
Launcher    what the hook (spark/hook.py) calls while a SparkContext is made

The archive in its place, and what must be set for it: workflow/shipping.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from coffee_boat._support.exceptions import guarded
from coffee_boat._support.progress import say_line
from coffee_boat.errors import BoatError, LaunchError, Severity
from coffee_boat.model import (
    ClusterFacts,
    ConfPatch,
    Finding,
    SparkFacts,
    Target,
)
from coffee_boat.session import folders
from coffee_boat.session.handed import session_of
from coffee_boat.session.live import LiveSession
from coffee_boat.spark import facts as spark_facts
from coffee_boat.spark import hook, install, jvm
from coffee_boat.workflow import composing, shipping
from coffee_boat.workflow.built import Built, Resolved, build, built_of, for_nodes, nodes
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.tools import Tools

_DRIVER_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


def prepare(
    tools: Tools, request: Request, *, master: str | None, conf: Mapping[str, str] | None
) -> Built:
    """What the next SparkContext of this process gets; refused before anything is built where it
    can be known.

    Raises:
        LaunchError: a SparkContext is up, this Spark does not support this Python, or the master's
            cluster cannot serve the environment.
        RequirementError, LockError, BuildError: the environment cannot be made.
    """
    tools.reporter.begin(launch=True)
    install.refuse_if_running()
    tools.emit(install.fitting(refuse_unknown=tools.refuses_untested))
    if install.remote_builder() is None:
        install.load()
    cluster = None
    if master is not None:
        cluster = ask(
            tools, spark_facts.of_master(master, conf), partial(nodes, tools, request, None)
        )
    refuse_other_minor(tools, request, None)
    with tools.work() as say:
        built = build(tools, request, say)
    if cluster is not None:
        tools.emit(tools.preflight.hold(built.archive, cluster))
        tools.emit(tools.preflight.gpus(built.lock, cluster))
    return built


def ask(
    tools: Tools, facts: SparkFacts, target: Callable[[], Target], *, driver_starts: bool = True
) -> ClusterFacts:
    """What the cluster says, before anything is resolved or sent; its findings are shown.

    Args:
        target: what the environment is to be made for.
        driver_starts: the driver's JVM is still to be started.

    Raises:
        LaunchError: it cannot serve.
    """
    cluster = tools.preflight.ask(
        facts,
        target,
        ships_python=tools.settings.ship_python,
        driver_starts=driver_starts,
        learn=tools.pipeline.learn,
    )
    tools.emit(cluster.findings)
    return cluster


def ask_gently(
    tools: Tools,
    facts: SparkFacts,
    target: Callable[[], Target],
    *,
    severity: Severity = "error",
) -> ClusterFacts:
    """The same, where nothing is refused: a refusal is a finding. None of them is shown.

    Args:
        severity: of a refusal.

    An interpreter that cannot be shipped is refused all the same: nothing can be resolved for it.
    """
    try:
        return tools.preflight.ask(
            facts,
            target,
            ships_python=tools.settings.ship_python,
            learn=tools.pipeline.learn,
        )
    except LaunchError as refusal:
        return ClusterFacts(facts.master, findings=(Finding.of(refusal.problem, severity),))


# which Python


def refuse_other_minor(tools: Tools, request: Request, known: Resolved | None) -> None:
    """Raise if the executors' Python would not be of the driver's minor version.

    Raises:
        LaunchError: it would not.
    """
    lock = known.lock if known else request.lock_file.lock if request.lock_file else None
    if lock is not None and lock.conda:
        refuse_minor(lock.target.python, asked="conda's python is ")
    elif request.manifest.conda:
        refuse_minor(tools.pipeline.minor(request.manifest), asked="the conda packages are for ")
    elif tools.settings.ship_python:
        asked = f"python={tools.settings.python!r} is "
        refuse_minor(tools.pipeline.interpreter.version, asked=asked)


def other_minor(tools: Tools, request: Request, known: Resolved | None) -> tuple[Finding, ...]:
    """The same where nothing is refused: a refusal is a finding."""
    try:
        refuse_other_minor(tools, request, known)
    except LaunchError as refusal:
        return (Finding.of(refusal.problem, "error"),)
    return ()


def refuse_minor(shipped: str, *, asked: str = "") -> None:
    """Raise if a version of Python is not of the driver's minor version.

    Args:
        asked: for people: who wants it, and a verb.

    Raises:
        LaunchError: it is not.
    """
    if not f"{shipped}.".startswith(f"{_DRIVER_MINOR}."):
        raise LaunchError(
            "session.other-python-minor",
            "the executors' Python must be of the driver's minor version",
            value=f"{asked}{shipped}, the driver is {_DRIVER_MINOR}",
            cause=(
                "PySpark sends pickled functions from one to the other and refuses a mix"
                " (PYTHON_VERSION_MISMATCH)"
            ),
            cure=(
                f"leave out python=, or run the driver with {'.'.join(shipped.split('.')[:2])};"
                " captain.pack(path) can pack any"
            ),
        )


# while a SparkContext is made


class Launcher:
    """What the hook calls. Each context that starts has one Built from its beginning to its end:
    what is asked for meanwhile, in another thread, is a new Request.

    Args:
        begins: called when a context begins; gives what is asked for now, and what was chosen or
            built of it, if it was.
        wanted: the same later, for what the driver plans itself.
        took: takes the session that came up, and what it was started with.
        failed: called when it did not come up; what it returns is raised in place of the error.
        connected: called with each session that a builder gives.
        stopping: called with a context that is about to stop.
        replaced: called when another launch takes this one's place.
    """

    def __init__(
        self,
        tools: Tools,
        *,
        begins: Callable[[], tuple[Request, Resolved | None]],
        wanted: Callable[[], tuple[Request, Resolved | None]],
        took: Callable[[LiveSession, Built], None],
        failed: Callable[[BaseException], BoatError | None],
        connected: Callable[[Any], None],
        stopping: Callable[[Any], None],
        replaced: Callable[[], None],
    ) -> None:
        self._tools = tools
        self._begins, self._wanted, self._took, self._failed = begins, wanted, took, failed
        self._connected, self._stopping, self._replaced = connected, stopping, replaced
        self._added: tuple[str, Path] | None = None
        """Of the newest session: a lock's digest, and its environment on this machine."""

    def install(self, master: str | None, conf: Mapping[str, str] | None) -> hook.Installed:
        """Complete each SparkContext of this process from now on.

        Args:
            master, conf: used where the program sets none itself.

        Raises:
            LaunchError: a SparkContext is already up, or pyspark does not fit.
        """
        return hook.install(
            hook.Launch(
                complete=self.complete,
                failed=self._failed,
                connected=self._connected,
                stopping=self._stopping,
                stopped=self._stopped,
                replaced=self._replaced,
                master=master,
                conf=dict(conf or {}),
                say=say_line,
                store=self._tools.store,
                class_data=self._tools.settings.class_data,
            )
        )

    @partial(guarded, explain=jvm.explain)
    def complete(self, facts: SparkFacts) -> hook.Start:
        """Called when the master is known, before the context starts.

        Packages that were added since the launch, or to an earlier session, are in the base now.
        """
        tools = self._tools
        tools.reporter.begin_context()
        request, known = self._begins()
        fitting = partial(for_nodes, tools, request, known)
        cluster = ask(tools, facts, lambda: nodes(tools, request, fitting()), driver_starts=False)
        with tools.work() as say:
            built = built_of(tools, request, fitting(), say)
        made = shipping.patch(tools, built, facts, cluster, jvm.running())
        tools.preflight.begin_start(replace(facts, conf={**facts.conf, **made.conf}), built.archive)
        return hook.Start(
            made,
            started=partial(self._started, made, built),
            environment=partial(self._environment, built),
        )

    def _environment(self, built: Built) -> Path:
        """What a session has, on this machine: with what was added since it began."""
        request, known = self._wanted()
        if known is None or built.serves(request):
            return built.unpacked(self._tools)
        if self._added is None or self._added[0] != known.lock.digest:
            with self._tools.work() as say:
                made = built_of(self._tools, request, known, say)
            self._added = known.lock.digest, made.unpacked(self._tools)
        return self._added[1]

    def _stopped(self, context: Any) -> None:
        """Called after a context has stopped."""
        self._tools.preflight.end_start()
        folders.clear(context)

    def _started(self, made: ConfPatch, built: Built, context: Any) -> None:
        """Called when the context came up."""
        folders.follow(context)
        session = session_of(context)
        self._tools.preflight.follow(session)
        told = composing.told_of_files(made, session)
        if told != made:
            session.activate(told)
        begun = composing.history(self._tools, told, built, session.facts())
        live = LiveSession(session, begun, self._tools.store)
        self._took(live, built)
        self._tools.emit(made.findings)
